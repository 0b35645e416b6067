/* frame_border.c -- is one send one receive?
 *
 * No. TCP carries bytes in order, and no borders between them. Three sends may
 * come in one recv(), and one send may come in three.
 */
#include "course/experiments/lab/lab.h"

static SOCKET sender;
static SOCKET receiver;

static int receive(int room)
{
    char buf[64];
    int len = recv(receiver, buf, room, 0);
    if (len == SOCKET_ERROR)
        die_call("recv", WSAGetLastError());
    printf("  recv() with room for %d: %d bytes \"%.*s\"\n", room, len, len,
           buf);
    return len;
}

int main(void)
{
    lab_begin("frame_border");
    lab_pair(&receiver, &sender);

    puts("three sends: \"one\", \"two\", \"three\"");
    lab_say(sender, "one");
    lab_say(sender, "two");
    lab_say(sender, "three");
    lab_arrived(receiver, 11);
    receive(64);

    puts("one send: \"abcdefghijkl\"");
    lab_say(sender, "abcdefghijkl");
    lab_arrived(receiver, 12);
    for (int left = 12; left > 0;)
        left -= receive(5);
    return 0;
}
