/* iocp_zero.c -- what do 0 bytes mean?
 *
 * After a receive with room they mean that the peer will send no more. After a
 * receive without any room they mean that there is something to receive, bytes
 * or the end. So a completion can tell of readiness, with no buffer locked.
 */
#include "course/experiments/lab/lab.h"

static HANDLE port;
static SOCKET sock;
static OVERLAPPED ov;
static char letters[4];

static const char *ask(ULONG size)
{
    WSABUF room = {.buf = letters, .len = size};
    DWORD flags = 0;
    ov = (OVERLAPPED){0};
    if (WSARecv(sock, &room, 1, NULL, &flags, &ov, NULL) != SOCKET_ERROR)
        return "done at once";
    if (WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
    return "it waits";
}

static unsigned long take(void)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *taken = NULL;
    if (!GetQueuedCompletionStatus(port, &len, &key, &taken, 5000))
        die_call("GetQueuedCompletionStatus", GetLastError());
    return len;
}

int main(void)
{
    SOCKET far_end;
    lab_begin("iocp_zero");
    lab_pair(&sock, &far_end);
    port = CreateIoCompletionPort((HANDLE)sock, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());

    printf("WSARecv() with no room: %s\n", ask(0));
    lab_send(far_end, 1);
    printf("a byte comes: a packet, %lu bytes\n", take());
    printf("recv() then: %s\n", lab_result(recv(sock, letters, 4, 0)));
    printf("WSARecv() with no room: %s\n", ask(0));
    shutdown(far_end, SD_SEND);
    printf("the client says no more: a packet, %lu bytes\n", take());
    printf("recv() then: %s\n", lab_result(recv(sock, letters, 4, 0)));
    (void)ask(4);
    printf("WSARecv() with room: a packet, %lu bytes\n", take());
    return 0;
}
