/* iocp_owner.c -- whose is the connection when WSARecv() has returned?
 *
 * It belongs to the worker that takes the packet. That worker may have closed
 * and freed the connection before the thread that called WSARecv() runs its
 * next line. Here Sleep() makes that happen: a thread can lose its processor
 * anywhere.
 */
#include "course/experiments/lab/lab.h"

struct conn {
    OVERLAPPED ov;
    SOCKET sock;
    char letter;
    volatile LONG gone; /* set instead of free(), so that we may read it */
};

static HANDLE port;

static void worker(void *arg)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    (void)arg;
    (void)GetQueuedCompletionStatus(port, &len, &key, &ov, 5000);
    if (ov == NULL)
        die_call("GetQueuedCompletionStatus", GetLastError());
    struct conn *c = CONTAINING_RECORD(ov, struct conn, ov);
    closesocket(c->sock);
    InterlockedExchange(&c->gone, TRUE);
}

/* Returns whether c is still there after the call. */
static bool post_recv(struct conn *c)
{
    WSABUF room = {.buf = &c->letter, .len = 1};
    DWORD flags = 0;
    if (WSARecv(c->sock, &room, 1, NULL, &flags, &c->ov, NULL) ==
            SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
    Sleep(500);
    return !c->gone; /* in a server this line is a bug */
}

int main(void)
{
    static struct conn early;
    static struct conn late;
    SOCKET far_early;
    SOCKET far_late;
    lab_begin("iocp_owner");
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    lab_pair(&early.sock, &far_early);
    lab_pair(&late.sock, &far_late);
    if (CreateIoCompletionPort((HANDLE)early.sock, port, 0, 0) == NULL ||
        CreateIoCompletionPort((HANDLE)late.sock, port, 0, 0) == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    lab_thread(worker, NULL);

    printf("nothing to receive yet: after WSARecv() the connection is %s\n",
           post_recv(&late) ? "there" : "gone");
    lab_send(far_late, 1); /* this ends the first worker */
    lab_thread(worker, NULL);
    lab_send(far_early, 1);
    printf("a byte was there: after WSARecv() the connection is %s\n",
           post_recv(&early) ? "there" : "gone");
    return 0;
}
