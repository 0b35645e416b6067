/* overlapped_event_shared.c -- is one event enough for a socket?
 *
 * No, if two operations are in flight. The event does not say which of them it
 * tells of, and to begin one operation resets the event that told of the other.
 * Here each operation has at least its own OVERLAPPED; with one for both, the
 * results would overwrite each other too.
 */
#include "course/experiments/lab/lab.h"

static SOCKET sock;
static OVERLAPPED sending;
static OVERLAPPED receiving;

static void post_send(WSAEVENT event)
{
    static char hello[] = "hello";
    WSABUF owed = {.buf = hello, .len = 5};
    sending = (OVERLAPPED){.hEvent = event};
    if (WSASend(sock, &owed, 1, NULL, 0, &sending, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSASend", WSAGetLastError());
}

static void post_recv(WSAEVENT event)
{
    static char buf[16];
    WSABUF room = {.buf = buf, .len = sizeof buf};
    DWORD flags = 0;
    receiving = (OVERLAPPED){.hEvent = event};
    if (WSARecv(sock, &room, 1, NULL, &flags, &receiving, NULL) ==
            SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
}

static const char *result_of(OVERLAPPED *ov)
{
    DWORD len = 0;
    DWORD flags = 0;
    if (!WSAGetOverlappedResult(sock, ov, &len, FALSE, &flags))
        return lab_error((unsigned long)WSAGetLastError());
    return "done";
}

int main(void)
{
    SOCKET silent;
    WSAEVENT shared = WSACreateEvent();
    WSAEVENT own = WSACreateEvent();
    lab_begin("overlapped_event_shared");
    lab_pair(&sock, &silent);

    post_send(shared);
    printf("WSASend(): the event is %s\n", lab_event(shared, 5000));
    post_recv(shared);
    printf("WSARecv(), same event: it is %s", lab_event(shared, 500));
    printf(", the send: %s\n", result_of(&sending));
    post_send(shared);
    printf("WSASend(), same event: it is %s", lab_event(shared, 5000));
    printf(", the receive: %s\n", result_of(&receiving));

    WSAResetEvent(shared); /* from here on only the receive uses it */
    post_send(own);
    printf("WSASend(), its own event: it is %s", lab_event(own, 5000));
    printf(", the receive's is %s\n", lab_event(shared, 500));

    if (!CancelIoEx((HANDLE)sock, &receiving))
        die_call("CancelIoEx", GetLastError());
    printf("WSARecv(), cancelled: its event is %s\n", lab_event(shared, 5000));
    return 0;
}
