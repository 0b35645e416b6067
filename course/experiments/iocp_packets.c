/* iocp_packets.c -- how many packets does an operation send, and when none?
 *
 * There is one for each operation that was begun, however it ends: done at
 * once, cancelled, or with its socket closed. Until that packet has been taken,
 * the system may write to the OVERLAPPED and the buffer. The numbers of the
 * errors are not shown, because those of a closed socket differ: 676 with Wine
 * 8; 64, 995 or 1236 on Windows.
 */
#include "course/experiments/lab/lab.h"

static HANDLE port;
static char letter = 'a';
static SOCKET sock; /* associated with the port */
static SOCKET far_end;

static void new_pair(void)
{
    lab_pair(&sock, &far_end);
    if (CreateIoCompletionPort((HANDLE)sock, port, 0, 0) == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
}

/* Take packets until none has come for a while. */
static void count(const char *what)
{
    int packets = 0;
    int failed = 0;
    for (;;) {
        DWORD len = 0;
        ULONG_PTR key = 0;
        OVERLAPPED *ov = NULL;
        BOOL ok = GetQueuedCompletionStatus(port, &len, &key, &ov, 600);
        if (ov == NULL)
            break;
        packets++;
        failed += !ok;
    }
    printf("%s: %d packet%s%s\n", what, packets, packets == 1 ? "" : "s",
           failed > 0 ? ", of a failure" : "");
}

static void ask(OVERLAPPED *ov)
{
    WSABUF room = {.buf = &letter, .len = 1};
    DWORD flags = 0;
    if (WSARecv(sock, &room, 1, NULL, &flags, ov, NULL) != SOCKET_ERROR ||
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv, which was to wait", WSAGetLastError());
}

static int say(OVERLAPPED *ov)
{
    WSABUF owed = {.buf = &letter, .len = 1};
    return WSASend(sock, &owed, 1, NULL, 0, ov, NULL);
}

int main(void)
{
    static OVERLAPPED ov[6]; /* one for each operation, never used again */
    lab_begin("iocp_packets");
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    new_pair();
    printf("WSASend() says %s: it is done\n", lab_result(say(&ov[0])));
    count("... and all the same");
    ask(&ov[1]);
    if (!CancelIoEx((HANDLE)sock, &ov[1]))
        die_call("CancelIoEx", GetLastError());
    count("a receive that waits, CancelIoEx()");
    ask(&ov[2]);
    closesocket(sock);
    count("a receive that waits, closesocket()");

    new_pair();
    shutdown(sock, SD_SEND);
    printf("WSASend() after shutdown() says %s\n", lab_result(say(&ov[3])));
    count("... it was never begun");

    new_pair();
    if (!SetFileCompletionNotificationModes(
            (HANDLE)sock, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS))
        die_call("SetFileCompletionNotificationModes", GetLastError());
    printf("\"skip on success\" is on, and WSASend() says %s\n",
           lab_result(say(&ov[4])));
    count("... and nothing is left to tell");
    ask(&ov[5]);
    lab_send(far_end, 1);
    count("a receive that had to wait");
    return 0;
}
