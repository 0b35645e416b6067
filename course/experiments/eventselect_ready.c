/* eventselect_ready.c -- two events are set: what does each of them mean?
 *
 * The event of WSAEventSelect() says "ready": the system still has the bytes,
 * and recv() will fetch them. The event in an OVERLAPPED says "done": the bytes
 * are in the buffer already, and recv() would find nothing. The first event
 * belongs to a socket and tells again and again. The second belongs to one
 * operation and tells once.
 */
#include "course/experiments/lab/lab.h"

static void tell(SOCKET sock, WSAEVENT event, const char *buf)
{
    u_long waiting;
    printf("  \"abc\" was sent: the event is %s\n", lab_event(event, 5000));
    if (ioctlsocket(sock, FIONREAD, &waiting) == SOCKET_ERROR)
        die_call("ioctlsocket", WSAGetLastError());
    printf("  my buffer: \"%s\", bytes for recv(): %lu\n", buf, waiting);
}

static void ready(SOCKET sock, SOCKET sender, WSAEVENT event)
{
    WSANETWORKEVENTS seen;
    char buf[8] = "";
    puts("WSAEventSelect(), the event is the socket's");
    if (WSAEventSelect(sock, event, FD_READ) == SOCKET_ERROR)
        die_call("WSAEventSelect", WSAGetLastError());
    lab_say(sender, "abc");
    tell(sock, event, buf);
    if (WSAEnumNetworkEvents(sock, event, &seen) == SOCKET_ERROR ||
        recv(sock, buf, 3, 0) != 3)
        die_call("WSAEnumNetworkEvents or recv", WSAGetLastError());
    lab_say(sender, "abc");
    printf("  read, and \"abc\" once more: the event is %s\n",
           lab_event(event, 5000));
}

static void done(SOCKET sock, SOCKET sender, WSAEVENT event)
{
    WSAOVERLAPPED op = {.hEvent = event};
    DWORD len = 0;
    DWORD flags = 0;
    char buf[8] = "";
    puts("WSARecv() with an OVERLAPPED, the event is the operation's");
    if (WSARecv(sock, &(WSABUF){3, buf}, 1, NULL, &flags, &op, NULL) ==
            SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
    lab_say(sender, "abc");
    tell(sock, event, buf);
    if (!WSAGetOverlappedResult(sock, &op, &len, FALSE, &flags) ||
        !WSAResetEvent(event))
        die_call("WSAGetOverlappedResult or WSAResetEvent", WSAGetLastError());
    lab_say(sender, "abc");
    printf("  and \"abc\" once more: the event is %s, nobody has asked\n",
           lab_event(event, 300));
}

int main(void)
{
    lab_begin("eventselect_ready");
    for (int turn = 0; turn < 2; turn++) {
        SOCKET sender;
        SOCKET sock;
        WSAEVENT event = WSACreateEvent();
        if (event == WSA_INVALID_EVENT)
            die_call("WSACreateEvent", WSAGetLastError());
        lab_pair(&sock, &sender);
        (turn == 0 ? ready : done)(sock, sender, event);
    }
    return 0;
}
