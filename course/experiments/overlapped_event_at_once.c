/* overlapped_event_at_once.c -- which results of WSARecv() does the event follow?
 *
 * It follows two: 0, which says that the receive is done already, and
 * WSA_IO_PENDING. Nobody promises which of them it will be, so programs expect
 * both. After any other error nothing was begun: a program that waits for the
 * event waits for ever.
 */
#include "course/experiments/lab/lab.h"

static char buf[16];
static OVERLAPPED ov;

static int post_recv(SOCKET sock)
{
    WSABUF room = {.buf = buf, .len = sizeof buf};
    DWORD flags = 0;
    ov = (OVERLAPPED){.hEvent = ov.hEvent};
    return WSARecv(sock, &room, 1, NULL, &flags, &ov, NULL);
}

static void tell_result(SOCKET sock)
{
    DWORD len = 4711; /* a number that nobody has sent */
    DWORD flags = 0;
    if (WSAGetOverlappedResult(sock, &ov, &len, FALSE, &flags))
        printf("TRUE, bytes: %lu\n", len);
    else
        printf("FALSE, %s, the count was %s\n",
               lab_error((unsigned long)WSAGetLastError()),
               len == 4711 ? "not written" : "written");
}

/* Wait until a byte is there, so that WSARecv() need not wait for it. */
static void wait_for_byte(SOCKET sock)
{
    fd_set readable;
    struct timeval seconds = {5, 0};
    FD_ZERO(&readable);
    FD_SET(sock, &readable);
    if (select(0, &readable, NULL, NULL, &seconds) != 1)
        die_call("select", WSAGetLastError());
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    lab_begin("overlapped_event_at_once");
    lab_pair(&receiver, &sender);
    ov.hEvent = WSACreateEvent();

    lab_send(sender, 1);
    wait_for_byte(receiver);
    printf("a byte is there before WSARecv(): %s\n",
           lab_result(post_recv(receiver)));
    printf("  event %s, result ", lab_event(ov.hEvent, 5000));
    tell_result(receiver);

    printf("again, and nothing is there: %s\n",
           lab_result(post_recv(receiver)));
    printf("  event %s, result ", lab_event(ov.hEvent, 0));
    tell_result(receiver);
    lab_send(sender, 1);
    printf("a byte is sent:\n  event %s, result ", lab_event(ov.hEvent, 5000));
    tell_result(receiver);

    WSAResetEvent(ov.hEvent); /* not set now, whatever the next call does */
    SOCKET alone = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                              WSA_FLAG_OVERLAPPED);
    printf("on a socket without a connection: %s\n",
           lab_result(post_recv(alone)));
    printf("  event %s, half a second later\n", lab_event(ov.hEvent, 500));
    return 0;
}
