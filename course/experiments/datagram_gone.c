/* datagram_gone.c -- who tells a sender of datagrams that nobody was there?
 *
 * Not the send: its completion says only that the datagram has left. On Windows
 * the next receive on the same socket tells it, with WSAECONNRESET, although
 * there is no connection. SIO_UDP_CONNRESET stops that. Under Wine no receive
 * ever tells it.
 */
#include "course/experiments/lab/lab.h"

static SOCKET sock;
static struct sockaddr_in here; /* where sock is */
static struct sockaddr_in gone; /* where nobody is any more */

static char buf[16];
static struct sockaddr_in from;
static int from_len;
static OVERLAPPED receiving;
static bool posted; /* and not told yet */

static void send_to_nobody(void)
{
    static OVERLAPPED sending;
    WSABUF text = {.buf = "hello", .len = 5};
    DWORD len = 0;
    DWORD flags = 0;
    sending = (OVERLAPPED){.hEvent = WSACreateEvent()};
    if (WSASendTo(sock, &text, 1, NULL, 0, (struct sockaddr *)&gone,
                  sizeof gone, &sending, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSASendTo", WSAGetLastError());
    if (!WSAGetOverlappedResult(sock, &sending, &len, TRUE, &flags))
        die_call("WSAGetOverlappedResult", WSAGetLastError());
    printf("  sent to nobody: TRUE, %lu bytes\n", len);
    WSACloseEvent(sending.hEvent);
}

static void post(void)
{
    WSABUF room = {.buf = buf, .len = sizeof buf};
    DWORD flags = 0;
    receiving = (OVERLAPPED){.hEvent = receiving.hEvent};
    from_len = sizeof from;
    posted = true;
    if (WSARecvFrom(sock, &room, 1, NULL, &flags, (struct sockaddr *)&from,
                    &from_len, &receiving, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING) {
        posted = false; /* nothing was begun: Windows may say it here too */
        printf("  a receive, at once: %s\n",
               lab_error((unsigned long)WSAGetLastError()));
    }
}

/* Wait for the receive that is posted. If it has nothing to say it stays
 * posted. */
static void take(DWORD limit_ms)
{
    DWORD len = 0;
    DWORD flags = 0;
    if (!posted)
        post();
    if (!posted)
        return;
    if (WSAWaitForMultipleEvents(1, &receiving.hEvent, FALSE, limit_ms,
                                 FALSE) == WSA_WAIT_TIMEOUT) {
        puts("  a receive: nothing in half a second");
        return;
    }
    posted = false;
    if (WSAGetOverlappedResult(sock, &receiving, &len, FALSE, &flags))
        printf("  a receive: TRUE, \"%.*s\"\n", (int)len, buf);
    else
        printf("  a receive: FALSE, %s\n",
               lab_error((unsigned long)WSAGetLastError()));
}

int main(void)
{
    struct sockaddr_in there;
    DWORD len = 0;
    BOOL off = FALSE;
    lab_begin("datagram_gone");
    sock = lab_datagrams(&here);
    closesocket(lab_datagrams(&gone));
    receiving.hEvent = WSACreateEvent();
    puts("as Windows makes the socket:");
    send_to_nobody();
    take(500);
    printf("SIO_UDP_CONNRESET, FALSE: %s\n",
           lab_result(WSAIoctl(sock, SIO_UDP_CONNRESET, &off, sizeof off, NULL,
                               0, &len, NULL, NULL)));
    send_to_nobody();
    take(500);
    puts("somebody else sends to us:");
    SOCKET other = lab_datagrams(&there);
    if (sendto(other, "hi", 2, 0, (struct sockaddr *)&here, sizeof here) != 2)
        die_call("sendto", WSAGetLastError());
    take(5000);
    return 0;
}
