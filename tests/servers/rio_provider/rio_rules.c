/* rio_rules.c -- is the provider of Registered I/O as strict as it says?
 *
 *     rio_rules.exe           each rule that has an error, one after the other
 *     rio_rules.exe MISUSE    what is undefined: ends with RIO_MISUSE
 *
 * The program breaks each rule itself. With the real Registered I/O the first
 * form could run on Windows, too; it never has.
 */
#include "common/win.h"

#include <process.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/registered_io.h"
#include "tests/servers/rio_provider/rio_provider.h"

enum { KEY = 7, BYTES = 65536, PART = 4096 };

static RIO_EXTENSION_FUNCTION_TABLE rio;
static HANDLE port;
static OVERLAPPED told;
static char *memory;
static unsigned passed;
static unsigned failed;

/* A socket made for Registered I/O, and the other end of its connection. */
struct pair {
    SOCKET ours;
    SOCKET peer;
};

static void check(const char *rule, bool held)
{
    printf("%s rio_rules: %s\n", held ? "ok    " : "FAILED", rule);
    fflush(stdout);
    if (held)
        passed++;
    else
        failed++;
}

/* The call has failed, and with this error. */
static void refused(const char *rule, bool failed_so, int error)
{
    int seen = WSAGetLastError();
    check(rule, failed_so && seen == error);
    if (failed_so && seen != error)
        printf("       %s instead of %s\n", err_name((unsigned long)seen),
               err_name((unsigned long)error));
    WSASetLastError(0);
}

static SOCKET open_socket(DWORD flags)
{
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | flags);
    if (sock == INVALID_SOCKET)
        die_call("WSASocketW", WSAGetLastError());
    return sock;
}

static struct pair connect_pair(DWORD flags)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SOCKET listener = open_socket(0);
    struct pair p = {.ours = open_socket(flags)};
    if (bind(listener, (struct sockaddr *)&at, len) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) != 0 ||
        connect(p.ours, (struct sockaddr *)&at, len) != 0)
        die_call("connect", WSAGetLastError());
    p.peer = accept(listener, NULL, NULL);
    if (p.peer == INVALID_SOCKET)
        die_call("accept", WSAGetLastError());
    closesocket(listener);
    return p;
}

static void close_pair(struct pair p)
{
    closesocket(p.ours);
    closesocket(p.peer);
}

static int ask_for_table(SOCKET sock, DWORD size)
{
    GUID id = WSAID_MULTIPLE_RIO;
    DWORD len = 0;
    return WSAIoctl(sock, SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER, &id,
                    sizeof id, &rio, size, &len, NULL, NULL);
}

static RIO_CQ new_results(DWORD size)
{
    RIO_NOTIFICATION_COMPLETION how = {.Type = RIO_IOCP_COMPLETION};
    how.Iocp.IocpHandle = port;
    how.Iocp.CompletionKey = (void *)(ULONG_PTR)KEY;
    how.Iocp.Overlapped = &told;
    return rio.RIOCreateCompletionQueue(size, &how);
}

static RIO_RQ new_requests(SOCKET sock, RIO_CQ results)
{
    return rio.RIOCreateRequestQueue(sock, 1, 1, 1, 1, results, results, &told);
}

/* A packet of RIONotify() comes within `ms`. */
static bool is_told(DWORD ms)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    return GetQueuedCompletionStatus(port, &len, &key, &ov, ms) && key == KEY &&
           ov == &told;
}

static RIORESULT next_result(RIO_CQ results)
{
    RIORESULT result = {.Status = -1};
    rio.RIONotify(results);
    if (is_told(10000) && rio.RIODequeueCompletion(results, &result, 1) != 1)
        result.Status = -2;
    return result;
}

/* ---- rules with an error --------------------------------------------------- */

static void table_rules(void)
{
    SOCKET plain = open_socket(0);
    SOCKET made = open_socket(WSA_FLAG_REGISTERED_IO);
    refused("the table: of a socket that was not made for it",
            ask_for_table(plain, sizeof rio) != 0, WSAEOPNOTSUPP);
    refused("the table: no room", ask_for_table(made, sizeof rio - 1) != 0,
            WSAEINVAL);
    check("the table: it is there",
          ask_for_table(made, sizeof rio) == 0 && rio.cbSize == sizeof rio);
    closesocket(plain);
    closesocket(made);
}

static void buffer_rules(void)
{
    refused("a buffer: of 0 bytes",
            rio.RIORegisterBuffer(memory, 0) == RIO_INVALID_BUFFERID,
            WSAEINVAL);
    refused("a buffer: at NULL",
            rio.RIORegisterBuffer(NULL, 1) == RIO_INVALID_BUFFERID, WSAEFAULT);
    refused("a buffer: longer than its memory",
            rio.RIORegisterBuffer(memory, 64 * BYTES) == RIO_INVALID_BUFFERID,
            WSAEFAULT);
    rio.RIODeregisterBuffer(RIO_INVALID_BUFFERID);
    check("a buffer: to give back none does nothing", true);
}

static void queue_rules(void)
{
    RIO_NOTIFICATION_COMPLETION how = {.Type = RIO_IOCP_COMPLETION};
    how.Iocp.IocpHandle = port;
    refused("a completion queue: without an OVERLAPPED",
            rio.RIOCreateCompletionQueue(1, &how) == RIO_INVALID_CQ, WSAEINVAL);
    refused("a completion queue: of 0 results",
            new_results(0) == RIO_INVALID_CQ, WSAEINVAL);
    refused("a completion queue: larger than can be",
            new_results(RIO_MAX_CQ_SIZE + 1) == RIO_INVALID_CQ, WSAEINVAL);

    RIO_CQ results = new_results(1);
    struct pair a = connect_pair(WSA_FLAG_REGISTERED_IO);
    struct pair b = connect_pair(WSA_FLAG_REGISTERED_IO);
    struct pair plain = connect_pair(0);
    refused("a request queue: of a socket that was not made for it",
            new_requests(plain.ours, results) == RIO_INVALID_RQ, WSAEOPNOTSUPP);
    refused("a request queue: of no socket",
            new_requests(INVALID_SOCKET, results) == RIO_INVALID_RQ,
            WSAENOTSOCK);
    refused("a request queue: no room for its results",
            new_requests(a.ours, results) == RIO_INVALID_RQ, WSAENOBUFS);
    check("a completion queue grows", rio.RIOResizeCompletionQueue(results, 2));
    check("a request queue: now there is room",
          new_requests(a.ours, results) != RIO_INVALID_RQ);
    refused("a request queue: a second one of the same socket",
            new_requests(a.ours, results) == RIO_INVALID_RQ, WSAEINVAL);
    refused("a request queue: no room for those of another socket",
            new_requests(b.ours, results) == RIO_INVALID_RQ, WSAENOBUFS);
    refused("a completion queue: too small for what its clients may have",
            !rio.RIOResizeCompletionQueue(results, 1), WSAETOOMANYREFS);
    refused("a request queue: a request about two buffers",
            rio.RIOCreateRequestQueue(b.ours, 1, 2, 1, 1, results, results,
                                      NULL) == RIO_INVALID_RQ,
            WSAEINVAL);
    close_pair(a);
    check("a request queue: what was charged is free with its socket",
          new_requests(b.ours, results) != RIO_INVALID_RQ);
    close_pair(b);
    close_pair(plain);
    rio.RIOCloseCompletionQueue(results);
    check("a completion queue: after its close it is corrupt",
          rio.RIODequeueCompletion(results, &(RIORESULT){0}, 1) ==
              RIO_CORRUPT_CQ);
}

static void request_rules(void)
{
    struct pair p = connect_pair(WSA_FLAG_REGISTERED_IO);
    RIO_CQ results = new_results(8);
    RIO_RQ requests = new_requests(p.ours, results);
    RIO_BUFFERID id = rio.RIORegisterBuffer(memory, BYTES - PART);
    RIO_BUF part = {.Length = PART};
    part.BufferId = RIO_INVALID_BUFFERID;
    refused("a request: without a registered buffer",
            !rio.RIOReceive(requests, &part, 1, 0, NULL), WSAEFAULT);
    part = (RIO_BUF){id, BYTES - PART - 1, 2}; /* there is memory, too */
    refused("a request: beyond the end of its buffer",
            !rio.RIOReceive(requests, &part, 1, 0, NULL), WSAEFAULT);
    part = (RIO_BUF){id, 0, PART};
    refused("a request: about two buffers",
            !rio.RIOReceive(requests, &part, 2, 0, NULL), WSAEINVAL);
    check("a request: one receive",
          rio.RIOReceive(requests, &part, 1, 0, &part));
    RIO_BUF other = {id, PART, PART};
    refused("a request: more receives than the queue may have",
            !rio.RIOReceive(requests, &other, 1, 0, NULL), WSAENOBUFS);

    RIORESULT result = {0};
    send(p.peer, "four", 4, 0);
    check("a result: told when there is one",
          rio.RIONotify(results) == 0 && is_told(10000));
    check("RIONotify(): once for each packet",
          rio.RIONotify(results) == 0 && is_told(10000) &&
              rio.RIODequeueCompletion(results, &result, 1) == 1);
    check("RIONotify(): a second time before its packet is WSAEALREADY",
          rio.RIONotify(results) == 0 && rio.RIONotify(results) == WSAEALREADY);
    check("RIONotify(): no packet without a result", !is_told(100));
    check("a result: says whose, and how much",
          result.Status == 0 && result.BytesTransferred == 4 &&
              result.SocketContext == (ULONG_PTR)&told &&
              result.RequestContext == (ULONG_PTR)&part &&
              memcmp(memory, "four", 4) == 0);
    check("a result: taken only once",
          rio.RIODequeueCompletion(results, &result, 1) == 0);

    rio.RIODeregisterBuffer(id);
    refused("a request: about a buffer that was given back",
            !rio.RIOReceive(requests, &part, 1, 0, NULL), WSAEFAULT);
    close_pair(p);
    refused("a request: of a socket that was closed",
            !rio.RIOReceive(requests, &part, 1, 0, NULL), WSAEINVAL);
    is_told(0);
    rio.RIOCloseCompletionQueue(results);
}

/* The results that are not taken yet count as in flight. */
static void quota_rules(void)
{
    struct pair p = connect_pair(WSA_FLAG_REGISTERED_IO);
    RIO_CQ results = new_results(2);
    RIO_RQ requests = new_requests(p.ours, results);
    RIO_BUFFERID id = rio.RIORegisterBuffer(memory, BYTES);
    RIO_BUF part = {id, 0, PART};
    char byte;
    rio.RIOSend(requests, &part, 1, 0, NULL);
    rio.RIONotify(results);
    check("a send is done", is_told(10000) && recv(p.peer, &byte, 1, 0) == 1);
    refused("a request: the one before has its result, which is not taken",
            !rio.RIOSend(requests, &part, 1, 0, NULL), WSAENOBUFS);

    /* Only a receive that is in flight shows a reset under Wine. */
    WSAOVERLAPPED ov = {.hEvent = WSACreateEvent()};
    WSABUF rest = {.buf = memory + 2 * PART, .len = PART};
    DWORD len = 0;
    DWORD flags = 0;
    part.Offset = PART;
    rio.RIOReceive(requests, &part, 1, 0, NULL);
    recv(p.peer, rest.buf, PART - 1, MSG_WAITALL);
    if (WSARecv(p.peer, &rest, 1, NULL, &flags, &ov, NULL) == 0)
        die_call("WSARecv", 0);
    closesocket(p.ours);
    refused("closed with a receive in flight: the peer gets a reset",
            !WSAGetOverlappedResult(p.peer, &ov, &len, TRUE, &flags),
            WSAECONNRESET);
    WSACloseEvent(ov.hEvent);
    RIORESULT first = next_result(results);
    RIORESULT second = next_result(results);
    check("a request is ended by its socket, and has its result",
          first.Status + second.Status == WSA_OPERATION_ABORTED);
    closesocket(p.peer);
    rio.RIODeregisterBuffer(id);
    rio.RIOCloseCompletionQueue(results);
    check("a completion queue: closed when nobody uses it", true);
}

/* Results of different sockets come in any order, so a program that counts on
 * one is found out. */
static void order_rule(void)
{
    enum { PAIRS = 16 };
    struct pair pairs[PAIRS];
    RIO_CQ results = new_results(2 * PAIRS);
    RIO_BUFFERID id = rio.RIORegisterBuffer(memory, BYTES);
    for (ULONG i = 0; i < PAIRS; i++) {
        pairs[i] = connect_pair(WSA_FLAG_REGISTERED_IO);
        RIO_RQ requests = new_requests(pairs[i].ours, results);
        RIO_BUF part = {id, i * PART, PART};
        if (!rio.RIOSend(requests, &part, 1, 0, (void *)(ULONG_PTR)i))
            die_call("RIOSend", WSAGetLastError());
    }
    for (int i = 0; i < PAIRS; i++) /* all are done, none is taken */
        if (recv(pairs[i].peer, memory + i * PART, 1, MSG_PEEK) != 1)
            die_call("recv", WSAGetLastError());
    Sleep(200); /* so that the order is not that of arrival by chance */
    RIORESULT done[PAIRS];
    ULONG count = rio.RIODequeueCompletion(results, done, PAIRS);
    bool mixed = false;
    for (ULONG i = 0; i + 1 < count; i++)
        mixed = mixed || done[i].RequestContext > done[i + 1].RequestContext;
    check("the results of different sockets come in any order",
          count == PAIRS && mixed);
    for (int i = 0; i < PAIRS; i++)
        close_pair(pairs[i]);
    rio.RIODeregisterBuffer(id);
    rio.RIOCloseCompletionQueue(results);
}

/* ---- what is undefined ----------------------------------------------------- */

static volatile RIO_CQ shared;

static unsigned __stdcall take_for_ever(void *arg)
{
    RIORESULT result;
    (void)arg;
    for (int i = 0; i < 1000000; i++)
        rio.RIODequeueCompletion(shared, &result, 1);
    return 0;
}

/* Does what `what` says. Does not come back, if the provider notices. */
static void misuse(const char *what)
{
    struct pair p = connect_pair(WSA_FLAG_REGISTERED_IO);
    RIO_CQ results = new_results(8);
    RIO_RQ requests =
        rio.RIOCreateRequestQueue(p.ours, 2, 1, 2, 1, results, results, NULL);
    RIO_BUFFERID id = rio.RIORegisterBuffer(memory, BYTES);
    RIO_BUF part = {id, 0, PART};
    if (strcmp(what, "deregister") == 0) {
        rio.RIOReceive(requests, &part, 1, 0, NULL);
        rio.RIODeregisterBuffer(id);
    } else if (strcmp(what, "overlap") == 0) {
        rio.RIOReceive(requests, &part, 1, 0, NULL);
        part.Offset = 1;
        rio.RIOSend(requests, &part, 1, 0, NULL);
    } else if (strcmp(what, "change") == 0) {
        rio.RIOSend(requests, &part, 1, 0, NULL);
        memory[0]++;
        next_result(results);
    } else if (strcmp(what, "close") == 0) {
        rio.RIOCloseCompletionQueue(results);
    } else if (strcmp(what, "threads") == 0) {
        shared = results;
        HANDLE other =
            (HANDLE)_beginthreadex(NULL, 0, take_for_ever, NULL, 0, NULL);
        take_for_ever(NULL);
        WaitForSingleObject(other, INFINITE);
    }
}

int main(int argc, char **argv)
{
    WSADATA data;
    err_program("rio_rules");
    int err = WSAStartup(MAKEWORD(2, 2), &data);
    if (err != 0)
        die_call("WSAStartup", err);
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    memory =
        VirtualAlloc(NULL, BYTES, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (port == NULL || memory == NULL)
        die_call("VirtualAlloc", GetLastError());
    table_rules();
    if (argc > 1) {
        misuse(argv[1]);
        return 0;
    }
    buffer_rules();
    queue_rules();
    request_rules();
    quota_rules();
    order_rule();
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
