/* toy.c -- the servers of a first evening, each with its one mistake
 *
 * broken.c keeps the whole contract, apart from the mistake that is ordered.
 * These servers are as people really write their first one: they know --port
 * and nothing else, and print nothing. What the contract suite says about each
 * is in tests/programs/diagnosis.py.
 *
 *     toy --port N --toy NAME
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

enum { LINE_BYTES = 4096, POOL = 5, WORKERS = 4 };

static SOCKET listener;

static void listen_on(unsigned short port)
{
    WSADATA data;
    struct sockaddr_in address = {.sin_family = AF_INET};
    int error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0)
        die_call("WSAStartup", (unsigned long)error);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener == INVALID_SOCKET)
        die_call("socket", (unsigned long)WSAGetLastError());
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0)
        die_call("bind", (unsigned long)WSAGetLastError());
    if (listen(listener, SOMAXCONN) != 0)
        die_call("listen", (unsigned long)WSAGetLastError());
}

static SOCKET next_client(void)
{
    SOCKET sock = accept(listener, NULL, NULL);
    if (sock == INVALID_SOCKET)
        die_call("accept", (unsigned long)WSAGetLastError());
    return sock;
}

static bool send_all(SOCKET sock, const char *bytes, int len)
{
    return send(sock, bytes, len, 0) == len;
}

static void finish(SOCKET sock)
{
    (void)shutdown(sock, SD_SEND); /* may fail after a reset; no harm */
    closesocket(sock);
}

static void start(LPTHREAD_START_ROUTINE run, void *argument)
{
    HANDLE thread = CreateThread(NULL, 0, run, argument, 0, NULL);
    if (thread == NULL)
        die_call("CreateThread", GetLastError());
    CloseHandle(thread);
}

/* Echo until the client has left; the way that is right. */
static void echo(SOCKET sock)
{
    char buffer[LINE_BYTES];
    int len;
    while ((len = recv(sock, buffer, sizeof buffer, 0)) > 0)
        if (!send_all(sock, buffer, len))
            break;
    finish(sock);
}

static DWORD WINAPI echo_run(void *argument)
{
    echo((SOCKET)(ULONG_PTR)argument);
    return 0;
}

/* ---- one mistake each ------------------------------------------------------ */

/* accept() is not reached until the client before has left. */
static void one_client(void)
{
    for (;;)
        echo(next_client());
}

/* accept() stands before the loop. */
static void one_accept(void)
{
    echo(next_client());
    Sleep(INFINITE);
}

/* There is no loop at all. */
static void one_life(void)
{
    echo(next_client());
}

/* Five threads, each with a client of its own until it leaves. */
static DWORD WINAPI pool_run(void *unused)
{
    static SRWLOCK lock = SRWLOCK_INIT;
    (void)unused;
    for (;;) {
        AcquireSRWLockExclusive(
            &lock); /* Wine: accept() of two at once fails */
        SOCKET sock = next_client();
        ReleaseSRWLockExclusive(&lock);
        echo(sock);
    }
    return 0;
}

static void pool(void)
{
    for (int i = 0; i < POOL; i++)
        start(pool_run, NULL);
    Sleep(INFINITE);
}

/* recv() is called once for each client. */
static void one_echo(void)
{
    for (;;) {
        char buffer[LINE_BYTES];
        SOCKET sock = next_client();
        int len = recv(sock, buffer, sizeof buffer, 0);
        if (len > 0)
            (void)send_all(sock, buffer, len);
        finish(sock);
    }
}

/* Non-blocking sockets; "nothing more just now" is taken for the end. */
static void would_block(void)
{
    static SOCKET socks[FD_SETSIZE];
    static char buffer[LINE_BYTES];
    static fd_set ready;
    unsigned count = 0;
    for (;;) {
        FD_ZERO(&ready);
        FD_SET(listener, &ready);
        for (unsigned i = 0; i < count; i++)
            FD_SET(socks[i], &ready);
        if (select(0, &ready, NULL, NULL, NULL) <= 0)
            die_call("select", (unsigned long)WSAGetLastError());
        for (unsigned i = count; i-- > 0;) {
            int len;
            if (!FD_ISSET(socks[i], &ready))
                continue;
            while ((len = recv(socks[i], buffer, sizeof buffer, 0)) > 0)
                (void)send_all(socks[i], buffer, len);
            finish(socks[i]); /* the mistake: it may be WSAEWOULDBLOCK */
            socks[i] = socks[--count];
        }
        if (FD_ISSET(listener, &ready) && count + 1 < FD_SETSIZE) {
            u_long on = 1;
            socks[count] = next_client();
            if (ioctlsocket(socks[count++], (long)FIONBIO, &on) != 0)
                die_call("ioctlsocket", (unsigned long)WSAGetLastError());
        }
    }
}

/* Nothing is sent back before a newline has come. */
static DWORD WINAPI lines_run(void *argument)
{
    SOCKET sock = (SOCKET)(ULONG_PTR)argument;
    char line[LINE_BYTES];
    int len = 0, more;
    while ((more = recv(sock, line + len, (int)sizeof line - len, 0)) > 0) {
        len += more;
        if (line[len - 1] != '\n' && len < (int)sizeof line)
            continue;
        if (!send_all(sock, line, len))
            break;
        len = 0;
    }
    finish(sock);
    return 0;
}

static void lines(void)
{
    for (;;)
        start(lines_run, (void *)next_client());
}

/* One variable for "the" client. */
static volatile SOCKET the_client;

static DWORD WINAPI the_client_run(void *unused)
{
    SOCKET sock = the_client;
    char buffer[LINE_BYTES];
    int len;
    (void)unused;
    while ((len = recv(sock, buffer, sizeof buffer, 0)) > 0)
        if (!send_all(the_client, buffer, len))
            break;
    finish(sock);
    return 0;
}

static void one_variable(void)
{
    for (;;) {
        the_client = next_client();
        start(the_client_run, NULL);
    }
}

/* An event that is reset after the read: what came in between is lost. */
static void late_reset(void)
{
    enum { PLACES = WSA_MAXIMUM_WAIT_EVENTS };
    static SOCKET socks[PLACES];
    static WSAEVENT events[PLACES];
    static char buffer[512];
    DWORD count = 1;
    socks[0] = listener;
    events[0] = WSACreateEvent();
    if (WSAEventSelect(listener, events[0], FD_ACCEPT) != 0)
        die_call("WSAEventSelect", (unsigned long)WSAGetLastError());
    for (;;) {
        DWORD at = WSAWaitForMultipleEvents(count, events, FALSE, WSA_INFINITE,
                                            FALSE) -
                   WSA_WAIT_EVENT_0;
        WSANETWORKEVENTS told = {0};
        if (at >= count || WSAEnumNetworkEvents(socks[at], NULL, &told) != 0)
            die_call("WSAEnumNetworkEvents", (unsigned long)WSAGetLastError());
        if ((told.lNetworkEvents & FD_ACCEPT) != 0 && count < PLACES) {
            socks[count] = next_client();
            events[count] = WSACreateEvent();
            if (WSAEventSelect(socks[count], events[count],
                               FD_READ | FD_CLOSE) != 0)
                die_call("WSAEventSelect", (unsigned long)WSAGetLastError());
            count++;
        }
        if ((told.lNetworkEvents & FD_READ) != 0) {
            int len = recv(socks[at], buffer, sizeof buffer, 0);
            if (len > 0)
                (void)send_all(socks[at], buffer, len);
        }
        (void)WSAResetEvent(events[at]); /* the mistake */
        if ((told.lNetworkEvents & FD_CLOSE) != 0) {
            finish(socks[at]);
            (void)WSACloseEvent(events[at]);
            socks[at] = socks[--count];
            events[at] = events[count];
        }
    }
}

/* A completion port whose workers leave when an operation has failed. */
struct op {
    OVERLAPPED overlapped;
    SOCKET sock;
    char buffer[LINE_BYTES];
};

static HANDLE port;

static void receive(struct op *op)
{
    WSABUF place = {sizeof op->buffer, op->buffer};
    DWORD flags = 0;
    memset(&op->overlapped, 0, sizeof op->overlapped);
    if (WSARecv(op->sock, &place, 1, NULL, &flags, &op->overlapped, NULL) ==
            0 ||
        WSAGetLastError() == WSA_IO_PENDING)
        return;
    finish(op->sock);
    free(op);
}

static DWORD WINAPI worker_run(void *unused)
{
    DWORD len;
    ULONG_PTR key;
    OVERLAPPED *done;
    (void)unused;
    while (GetQueuedCompletionStatus(port, &len, &key, &done, INFINITE)) {
        struct op *op = CONTAINING_RECORD(done, struct op, overlapped);
        if (len > 0 && send_all(op->sock, op->buffer, (int)len)) {
            receive(op);
            continue;
        }
        finish(op->sock);
        free(op);
    }
    return 0; /* the mistake: FALSE is also for one operation that failed */
}

static void leaving_workers(void)
{
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    for (int i = 0; i < WORKERS; i++)
        start(worker_run, NULL);
    for (;;) {
        struct op *op = calloc(1, sizeof *op);
        if (op == NULL)
            die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
        op->sock = next_client();
        if (CreateIoCompletionPort((HANDLE)op->sock, port, 0, 0) == NULL)
            die_call("CreateIoCompletionPort", GetLastError());
        receive(op);
    }
}

/* After some clients nobody is served any more. */
static void twelve_clients(void)
{
    for (int i = 0; i < 12; i++)
        start(echo_run, (void *)next_client());
    Sleep(INFINITE);
}

/* A connection ends after so many bytes, whatever they are. */
static DWORD WINAPI few_bytes_run(void *argument)
{
    SOCKET sock = (SOCKET)(ULONG_PTR)argument;
    char byte;
    for (int i = 0; i < 150 && recv(sock, &byte, 1, 0) == 1; i++)
        if (!send_all(sock, &byte, 1))
            break;
    finish(sock);
    return 0;
}

static void few_bytes(void)
{
    for (;;)
        start(few_bytes_run, (void *)next_client());
}

/* No mistake: a thread for each client. */
static void none(void)
{
    for (;;)
        start(echo_run, (void *)next_client());
}

static const struct toy {
    const char *name;
    void (*run)(void);
} toys[] = {{"one-client", one_client},
            {"one-accept", one_accept},
            {"one-life", one_life},
            {"pool", pool},
            {"one-echo", one_echo},
            {"would-block", would_block},
            {"lines", lines},
            {"one-variable", one_variable},
            {"late-reset", late_reset},
            {"leaving-workers", leaving_workers},
            {"twelve-clients", twelve_clients},
            {"few-bytes", few_bytes},
            {"none", none}};

int main(int argc, char **argv)
{
    const char *name = "";
    unsigned long number = 0;
    err_program("toy");
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--port") == 0)
            number = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--toy") == 0)
            name = argv[i + 1];
    }
    listen_on((unsigned short)number);
    for (size_t i = 0; i < sizeof toys / sizeof *toys; i++)
        if (strcmp(toys[i].name, name) == 0)
            toys[i].run();
    return 0;
}
