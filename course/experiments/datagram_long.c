/* datagram_long.c -- what does a completion say of a datagram that is too long?
 *
 * That it failed: WSAEMSGSIZE, or ERROR_MORE_DATA at a port. But the buffer is
 * full, and the count and the sender's address are right; only the rest of this
 * datagram is lost. The next receive takes the next datagram.
 */
#include "course/experiments/lab/lab.h"

enum { ROOM = 8 };

static SOCKET sock;
static SOCKET peer;
static struct sockaddr_in here;  /* where sock is */
static struct sockaddr_in there; /* where peer is */

/* All of this is the system's from WSARecvFrom() until the completion: the
 * address and its length too, because both are written when a datagram comes.
 * Source: WSARecvFrom function. */
static char buf[ROOM];
static struct sockaddr_in from;
static int from_len;
static OVERLAPPED ov;

static int post(HANDLE event)
{
    WSABUF room = {.buf = buf, .len = sizeof buf};
    DWORD flags = 0;
    ov = (OVERLAPPED){.hEvent = event};
    from = (struct sockaddr_in){0};
    from_len = sizeof from;
    return WSARecvFrom(sock, &room, 1, NULL, &flags, (struct sockaddr *)&from,
                       &from_len, &ov, NULL);
}

static void say(const char *text)
{
    int len = (int)strlen(text);
    if (sendto(peer, text, len, 0, (struct sockaddr *)&here, sizeof here) !=
        len)
        die_call("sendto", WSAGetLastError());
}

static void tell(BOOL ok, unsigned long err, DWORD len)
{
    printf("  %s, %lu bytes \"%.*s\" from %s, %s\n", ok ? "TRUE" : "FALSE", len,
           (int)len, buf,
           from.sin_port == there.sin_port ? "the sender" : "nobody",
           lab_error(ok ? 0 : err));
}

static void take_event(void)
{
    DWORD len = 0;
    DWORD flags = 0;
    printf("  event %s\n", lab_event(ov.hEvent, 5000));
    BOOL ok = WSAGetOverlappedResult(sock, &ov, &len, FALSE, &flags);
    tell(ok, (unsigned long)WSAGetLastError(), len);
}

/* Wait until a datagram has come, and leave it there. */
static void wait_for_datagram(void)
{
    struct timeval seconds = {5, 0};
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(sock, &readable);
    if (select(0, &readable, NULL, NULL, &seconds) != 1)
        die_call("select", WSAGetLastError());
}

static void ask(HANDLE event, const char *text)
{
    printf("room for %d bytes: %s\n", ROOM, lab_result(post(event)));
    printf("\"%s\" is sent\n", text);
    say(text);
}

static void take_packet(HANDLE port)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *done = NULL;
    BOOL ok = GetQueuedCompletionStatus(port, &len, &key, &done, 2000);
    DWORD err = GetLastError();
    if (done != NULL)
        tell(ok, err, len);
    else
        puts("  no packet");
}

int main(void)
{
    lab_begin("datagram_long");
    sock = lab_datagrams(&here);
    peer = lab_datagrams(&there);
    HANDLE event = WSACreateEvent();
    if (event == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    ask(event, "abcdefghijkl");
    take_event();
    ask(event, "mnop");
    take_event();
    ask(event, "");
    take_event();

    HANDLE port = CreateIoCompletionPort((HANDLE)sock, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    puts("and with a completion port:");
    ask(NULL, "abcdefghijkl");
    take_packet(port);
    puts("and the same datagram is there before the call:");
    say("abcdefghijkl");
    wait_for_datagram();
    printf("room for %d bytes: %s\n", ROOM, lab_result(post(NULL)));
    take_packet(port);
    return 0;
}
