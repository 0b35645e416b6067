/* eventselect_write.c -- when does FD_WRITE come?
 *
 * It comes once at the beginning, and from then on only when a send() has
 * failed with WSAEWOULDBLOCK and there is room again. A program that waits for
 * it before each send() waits for ever. To register again does not bring
 * FD_WRITE back either; with WSAAsyncSelect() it would.
 */
#include "course/experiments/lab/lab.h"

static SOCKET sender;
static SOCKET receiver;
static WSAEVENT event;
static char bytes[64 * 1024];

static void watch(void)
{
    if (WSAEventSelect(sender, event, FD_WRITE) == SOCKET_ERROR)
        die_call("WSAEventSelect", WSAGetLastError());
}

static const char *told(DWORD ms)
{
    WSANETWORKEVENTS seen;
    if (WSAWaitForMultipleEvents(1, &event, FALSE, ms, FALSE) ==
        WSA_WAIT_FAILED)
        die_call("WSAWaitForMultipleEvents", WSAGetLastError());
    if (WSAEnumNetworkEvents(sender, event, &seen) == SOCKET_ERROR)
        die_call("WSAEnumNetworkEvents", WSAGetLastError());
    return seen.lNetworkEvents & FD_WRITE ? "FD_WRITE" : "nothing";
}

/* Sends until the socket takes no more. Returns the error of that send(). */
static const char *fill(void)
{
    for (int i = 0; i < 100000; i++) {
        if (send(sender, bytes, sizeof bytes, 0) == SOCKET_ERROR)
            return lab_error((unsigned long)WSAGetLastError());
    }
    return "it takes everything";
}

/* The peer reads until the sender is told, or until no byte has come for five
 * seconds. */
static const char *drain(void)
{
    lab_limit(receiver, 5000);
    while (WSAWaitForMultipleEvents(1, &event, FALSE, 0, FALSE) ==
               WSA_WAIT_TIMEOUT &&
           recv(receiver, bytes, sizeof bytes, 0) > 0)
        continue;
    return told(0);
}

int main(void)
{
    u_long off = 0;
    lab_begin("eventselect_write");
    lab_pair(&receiver, &sender);
    event = WSACreateEvent();
    if (event == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());

    watch();
    printf("registered, nothing sent yet: %s\n", told(5000));
    watch();
    printf("registered again: %s\n", told(300));
    lab_send(sender, 5);
    printf("5 bytes sent, there is room for more: %s\n", told(300));
    printf("sent until the socket takes no more: %s\n", fill());
    printf("the peer does not read: %s\n", told(300));
    printf("the peer reads: %s\n", drain());

    printf("nobody made the socket non-blocking; make it blocking: %s\n",
           lab_result(ioctlsocket(sender, (long)FIONBIO, &off)));
    if (WSAEventSelect(sender, NULL, 0) == SOCKET_ERROR)
        die_call("WSAEventSelect", WSAGetLastError());
    printf("and after the registration was taken back: %s\n",
           lab_result(ioctlsocket(sender, (long)FIONBIO, &off)));
    return 0;
}
