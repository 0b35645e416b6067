/* frame_parts.c -- header and body in one call: what do two WSABUFs do?
 *
 * WSASend() sends the bytes of all its buffers as if they stood behind each
 * other, with no copy made by the program. WSARecv() fills its buffers in the
 * same way. But it does not wait until the first one is full: it is done as soon
 * as it has some bytes.
 */
#include "course/experiments/lab/lab.h"

static SOCKET sender;
static SOCKET receiver;

static void send_parts(const char *header, const char *body)
{
    WSABUF parts[] = {{.buf = (char *)header, .len = (ULONG)strlen(header)},
                      {.buf = (char *)body, .len = (ULONG)strlen(body)}};
    DWORD len = 0;
    if (WSASend(sender, parts, 2, &len, 0, NULL, NULL) == SOCKET_ERROR)
        die_call("WSASend", WSAGetLastError());
    printf("WSASend() of %lu + %lu bytes: %lu bytes\n", parts[0].len,
           parts[1].len, len);
    lab_arrived(receiver, (int)len);
}

static void receive_parts(void)
{
    char header[4];
    char body[16];
    WSABUF parts[] = {{.buf = header, .len = sizeof header},
                      {.buf = body, .len = sizeof body}};
    DWORD len = 0;
    DWORD flags = 0;
    if (WSARecv(receiver, parts, 2, &len, &flags, NULL, NULL) == SOCKET_ERROR)
        die_call("WSARecv", WSAGetLastError());
    int first = len < sizeof header ? (int)len : (int)sizeof header;
    printf(
        "WSARecv() into %u + %u: %lu bytes, header \"%.*s\", body \"%.*s\"\n",
        (unsigned)sizeof header, (unsigned)sizeof body, len, first, header,
        (int)len - first, body);
}

int main(void)
{
    lab_begin("frame_parts");
    lab_pair(&receiver, &sender);
    send_parts("0005", "hello");
    receive_parts();
    puts("the same frame, but the network brings 3 bytes first:");
    lab_say(sender, "000");
    lab_arrived(receiver, 3);
    receive_parts();
    lab_say(sender, "5hello");
    lab_arrived(receiver, 6);
    receive_parts();
    return 0;
}
