/* eventselect_connect.c -- how does a client learn that it is connected?
 *
 * connect() of a socket with an event cannot wait: it says WSAEWOULDBLOCK.
 * FD_CONNECT tells its end, the good one and the bad one; which of the two it
 * is stands in iErrorCode[FD_CONNECT_BIT].
 */
#include "common/clock.h"
#include "course/experiments/lab/lab.h"

static void try_connect(const char *what, u_short port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
    WSAEVENT event = WSACreateEvent();
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sock == INVALID_SOCKET || event == WSA_INVALID_EVENT ||
        WSAEventSelect(sock, event, FD_CONNECT) == SOCKET_ERROR)
        die_call("WSASocketW or WSAEventSelect", WSAGetLastError());
    printf(
        "%s: %s\n", what,
        lab_result(connect(sock, (struct sockaddr *)&address, sizeof address)));
    /* Windows asks a port where nobody listens three times: 2 s. */
    printf("  event %s", lab_event(event, 10000));
    WSANETWORKEVENTS seen;
    if (WSAEnumNetworkEvents(sock, event, &seen) == SOCKET_ERROR)
        die_call("WSAEnumNetworkEvents", WSAGetLastError());
    printf(", %s, its code: %s\n",
           seen.lNetworkEvents == FD_CONNECT ? "FD_CONNECT" : "something else",
           lab_error((unsigned long)seen.iErrorCode[FD_CONNECT_BIT]));
    if (seen.iErrorCode[FD_CONNECT_BIT] == 0)
        printf("  send(): %s\n", lab_result(send(sock, "x", 1, 0)));
    closesocket(sock);
    WSACloseEvent(event);
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int len = sizeof address;
    lab_begin("eventselect_connect");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SOCKET listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, 0);
    if (listener == INVALID_SOCKET ||
        bind(listener, (struct sockaddr *)&address, len) == SOCKET_ERROR ||
        getsockname(listener, (struct sockaddr *)&address, &len) ==
            SOCKET_ERROR ||
        listen(listener, 1) == SOCKET_ERROR)
        die_call("a listening socket", WSAGetLastError());
    try_connect("somebody listens", address.sin_port);
    closesocket(listener);
    try_connect("nobody listens", address.sin_port);
    return 0;
}
