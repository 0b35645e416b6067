/* overlapped_event_done.c -- does the event say "ready" or "done"?
 *
 * It says "done": when it is set, the bytes are in the buffer already, and
 * nothing is left for recv(). After WSAEventSelect() the same kind of object,
 * in the same wait, says "ready": then the buffer is empty until somebody calls
 * recv().
 */
#include <string.h>

#include "course/experiments/lab/lab.h"

static char buf[16];

static void overlapped(SOCKET sender, SOCKET receiver)
{
    WSABUF room = {.buf = buf, .len = sizeof buf - 1};
    OVERLAPPED ov = {.hEvent = WSACreateEvent()};
    DWORD flags = 0;
    u_long on = 1;
    printf("WSARecv() before anything was sent: %s\n",
           lab_result(WSARecv(receiver, &room, 1, NULL, &flags, &ov, NULL)));
    lab_say(sender, "hello");
    const char *state = lab_event(ov.hEvent, 5000);
    printf("5 bytes are sent: event %s, in the buffer: \"%s\"\n", state, buf);

    /* This is only so that recv() cannot wait. Overlapped calls ignore it. */
    if (ioctlsocket(receiver, (long)FIONBIO, &on) == SOCKET_ERROR)
        die_call("ioctlsocket", WSAGetLastError());
    printf("recv() after that: %s\n",
           lab_result(recv(receiver, buf, sizeof buf - 1, 0)));
}

static void event_select(SOCKET sender, SOCKET receiver)
{
    WSAEVENT event = WSACreateEvent();
    printf("WSAEventSelect() before anything was sent: %s\n",
           lab_result(WSAEventSelect(receiver, event, FD_READ)));
    lab_say(sender, "hello");
    const char *state = lab_event(event, 5000);
    printf("5 bytes are sent: event %s, in the buffer: \"%s\"\n", state, buf);
    printf("recv() after that: %s",
           lab_result(recv(receiver, buf, sizeof buf - 1, 0)));
    printf(", in the buffer: \"%s\"\n", buf);
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    lab_begin("overlapped_event_done");
    lab_pair(&receiver, &sender);
    overlapped(sender, receiver);
    memset(buf, 0, sizeof buf);
    event_select(sender, receiver);
    return 0;
}
