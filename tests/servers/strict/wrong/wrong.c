/* wrong.c -- servers that break one of Windows' rules each
 *
 *   wrong VARIANT OPTIONS      OPTIONS of strict, as in "1" or "seed=1,S3"
 *
 * It prints its port, takes one client, and makes its mistake. strict.py knows
 * what the client has to do. In a comment stands where strict should find it.
 */
#include "common/win.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/console.h"
#include "common/err.h"
#include "common/net.h"
#include "watch/watch.h"

#ifdef TRACE

struct io {
    OVERLAPPED ov;
    char buf[1000];
    WSABUF room;
    DWORD flags;
};

static SOCKET listener;
static SOCKET client;
static struct io io; /* zeros */

static void get_ready(void)
{
    io.ov = (OVERLAPPED){.hEvent = io.ov.hEvent};
    io.room = (WSABUF){sizeof io.buf, io.buf};
    if (io.ov.hEvent == NULL)
        io.ov.hEvent = WSACreateEvent();
}

static void ask(void)
{
    get_ready();
    /* asked */
    WSARecv(client, &io.room, 1, NULL, &io.flags, &io.ov, NULL);
}

static DWORD reap(void)
{
    DWORD len = 0;
    /* reaped */
    WSAGetOverlappedResult(client, &io.ov, &len, TRUE, &io.flags);
    return len;
}

/* The rules are kept from here on. */
static void cancel(void)
{
    CancelIoEx((HANDLE)client, NULL);
}

static void echo_once(void)
{
    char byte = 0;
    if (recv(client, &byte, 1, 0) == 1)
        send(client, &byte, 1, 0);
}

static void make_non_blocking(SOCKET sock)
{
    u_long on = 1;
    ioctlsocket(sock, (long)FIONBIO, &on);
}

/* ---- S1 to S3 ------------------------------------------------------------- */

static void reused(void)
{
    WSABUF other = {5, "other"};
    ask();
    /* S1 reused */
    WSASend(client, &other, 1, NULL, 0, &io.ov, NULL);
    cancel();
}

static void overwritten(void)
{
    ask();
    io.ov.Offset = 1;
    send(client, "r", 1, 0);
    reap();
}

/* Freed as soon as it is asked for, and told by a port. */
static void freed(void)
{
    HANDLE port = CreateIoCompletionPort((HANDLE)client, NULL, 0, 0);
    struct io *mine = calloc(1, sizeof *mine);
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    if (mine == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    mine->room = (WSABUF){sizeof mine->buf, mine->buf};
    /* S1 lent */
    WSARecv(client, &mine->room, 1, NULL, &io.flags, &mine->ov, NULL);
    free(mine);
    send(client, "r", 1, 0);
    /* S1 told */
    GetQueuedCompletionStatus(port, &len, &key, &ov, INFINITE);
}

static void filled(void)
{
    ask();
    io.buf[3] = 'x';
    send(client, "r", 1, 0);
    reap();
}

static void peeked(void)
{
    ask();
    /* S2 peeked */
    send(client, io.buf, 10, 0);
    reap();
}

static void refilled(void)
{
    for (int i = 1; i < 16; i++) {
        get_ready();
        io.room.len = 10;
        /* S2 refilled */
        WSASend(client, &io.room, 1, NULL, 0, &io.ov, NULL);
        io.buf[0] = (char)i;
        reap();
    }
}

static void closed_early(void)
{
    recv(client, io.buf, 1, 0); /* the client is there, and hears the reset */
    ask();
    /* S3 closed */
    closesocket(client);
    client = INVALID_SOCKET;
}

/* ---- S4, S6 to S8 ---------------------------------------------------------- */

static LPFN_ACCEPTEX find_accept_ex(void)
{
    GUID id = WSAID_ACCEPTEX;
    LPFN_ACCEPTEX found = NULL;
    DWORD len = 0;
    if (WSAIoctl(listener, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id,
                 &found, sizeof found, &len, NULL, NULL) == SOCKET_ERROR)
        die_call("WSAIoctl", WSAGetLastError());
    return found;
}

static void half_accepted(void)
{
    LPFN_ACCEPTEX accept_ex = find_accept_ex();
    DWORD len = 0;
    DWORD part = sizeof(struct sockaddr_storage) + 16;
    get_ready();
    client = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    /* S4 accepted */
    if (!accept_ex(listener, client, io.buf, 0, part, part, &len, &io.ov))
        WSAGetOverlappedResult(listener, &io.ov, &len, TRUE, &io.flags);
    echo_once();
    /* S4 shut */
    shutdown(client, SD_SEND);
}

/* It takes WSA_IO_PENDING for an error. */
static void impatient(void)
{
    for (int i = 0; i < 20; i++) {
        ask();
        DWORD len = reap();
        get_ready();
        io.room.len = len;
        if (WSASend(client, &io.room, 1, NULL, 0, &io.ov, NULL) == SOCKET_ERROR)
            break;
        reap();
    }
}

static void reaped_twice(void)
{
    ask();
    reap();
    reap();
}

/* A send that is done is not waited for; but its packet comes, too. */
static void done_inline(void)
{
    HANDLE port = CreateIoCompletionPort((HANDLE)client, NULL, 0, 0);
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    for (bool was_done = false, again = true; again;) {
        again = !was_done;
        io.ov = (OVERLAPPED){0};
        io.room = (WSABUF){10, io.buf};
        /* S7 inline */
        was_done = WSASend(client, &io.room, 1, &len, 0, &io.ov, NULL) == 0;
        if (!was_done)
            GetQueuedCompletionStatus(port, &len, &key, &ov, INFINITE);
    }
    cancel();
}

static void packet_posted(void)
{
    HANDLE port = CreateIoCompletionPort((HANDLE)client, NULL, 0, 0);
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    io.room = (WSABUF){sizeof io.buf, io.buf};
    /* S7 asked */
    WSARecv(client, &io.room, 1, NULL, &io.flags, &io.ov, NULL);
    /* S7 posted */
    PostQueuedCompletionStatus(port, 0, 0, &io.ov);
    GetQueuedCompletionStatus(port, &len, &key, &ov, INFINITE);
    cancel();
}

static void stale_count(void)
{
    DWORD len = 5;
    ask();
    WSAGetOverlappedResult(client, &io.ov, &len, TRUE, &io.flags);
    ask();
    send(client, "r", 1, 0);
    /* S8 failed */
    WSAGetOverlappedResult(client, &io.ov, &len, TRUE, &io.flags);
    /* S8 sent */
    send(client, io.buf, (int)len, 0);
}

/* ---- S5 ------------------------------------------------------------------------ */

/* The end is not told after the last byte. */
static void close_at_once(void)
{
    WSAEVENT event = WSACreateEvent();
    WSANETWORKEVENTS told = {0};
    WSAEventSelect(client, event, FD_READ | FD_CLOSE);
    while ((told.lNetworkEvents & FD_CLOSE) == 0) {
        WSAWaitForMultipleEvents(1, &event, FALSE, WSA_INFINITE, FALSE);
        /* S5 told */
        WSAEnumNetworkEvents(client, event, &told);
        if (told.lNetworkEvents == FD_READ)
            recv(client, io.buf, 1, 0);
    }
    /* S5 closed */
    closesocket(client);
    client = INVALID_SOCKET;
}

/* It looks at errors of what has not happened. */
static void errors_of_nothing(void)
{
    WSAEVENT event = WSACreateEvent();
    WSANETWORKEVENTS told = {0};
    WSAEventSelect(client, event, FD_READ | FD_CLOSE);
    do {
        WSAWaitForMultipleEvents(1, &event, FALSE, WSA_INFINITE, FALSE);
        WSAEnumNetworkEvents(client, event, &told);
        if (told.iErrorCode[FD_CLOSE_BIT] != 0)
            return;
        int len = recv(client, io.buf, sizeof io.buf, 0);
        if (len > 0)
            send(client, io.buf, len, 0);
    } while ((told.lNetworkEvents & FD_CLOSE) == 0);
}

/* ---- S9, S10 ------------------------------------------------------------------- */

static void wait_for(SOCKET sock)
{
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(sock, &readable);
    select(0, &readable, NULL, NULL, NULL);
}

static void rest_lost(void)
{
    make_non_blocking(client);
    for (;;) {
        wait_for(client);
        int len = recv(client, io.buf, sizeof io.buf, 0);
        if (len == 0 || (len < 0 && WSAGetLastError() != WSAEWOULDBLOCK))
            return;
        /* S9 sent */
        while (len > 0 && send(client, io.buf, len, 0) == SOCKET_ERROR)
            continue;
    }
}

static void no_patience(void)
{
    make_non_blocking(client);
    for (;;) {
        wait_for(client);
        int len = recv(client, io.buf, 1, 0);
        if (len <= 0)
            break;
        while (send(client, io.buf, 1, 0) == SOCKET_ERROR)
            continue;
    }
    /* S10 closed */
    closesocket(client);
    client = INVALID_SOCKET;
}

/* ---- S12 to S14 ----------------------------------------------------------------- */

static void CALLBACK routine(DWORD error, DWORD len, OVERLAPPED *ov,
                             DWORD flags)
{
    char byte = 0;
    (void)error, (void)len, (void)ov, (void)flags;
    /* S12 recv */
    recv(client, &byte, 1, 0);
}

static void in_routine(void)
{
    SOCKET other = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, 0);
    get_ready();
    io.room.len = 1;
    recv(client, io.buf, 1, MSG_PEEK);
    WSARecv(client, &io.room, 1, NULL, &io.flags, &io.ov, routine);
    closesocket(other);
    SleepEx(0, TRUE);
}

static unsigned __stdcall asks(void *arg)
{
    (void)arg;
    ask();
    return 0;
}

static void thread_gone(void)
{
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, asks, NULL, 0, NULL);
    WaitForSingleObject(thread, INFINITE);
    cancel();
}

static void after_close(void)
{
    /* S14 closed */
    closesocket(client);
    /* S14 recv */
    recv(client, io.buf, 1, 0);
    client = INVALID_SOCKET;
}

/* It does not ask whether a message is still about a client of its own. */
static void stale_message(void)
{
    HWND window = CreateWindowExW(0, L"Message", NULL, 0, 0, 0, 0, 0,
                                  HWND_MESSAGE, NULL, NULL, NULL);
    SOCKET sock = client;
    MSG message;
    client = INVALID_SOCKET;
    if (window == NULL)
        die_call("CreateWindowExW", GetLastError());
    WSAAsyncSelect(sock, window, WM_APP, FD_READ | FD_CLOSE);
    GetMessageW(&message, window, WM_APP, WM_APP);
    /* S14 closed by message */
    closesocket(sock);
    SetTimer(window, 1, 200, NULL);
    do {
        if (message.message == WM_APP)
            /* S14 recv by message */
            recv(message.wParam, io.buf, 1, 0);
        GetMessageW(&message, window, 0, 0);
    } while (message.message != WM_TIMER);
}

/* ---- S16 to S19 -------------------------------------------------------------------- */

/* It takes packets for what they are not: in order. */
static void in_order(void)
{
    static OVERLAPPED ov[8];
    static char bytes[8];
    OVERLAPPED_ENTRY entries[8];
    HANDLE port = CreateIoCompletionPort((HANDLE)client, NULL, 0, 0);
    ULONG count = 0;
    for (int i = 0; i < 8; i++) {
        WSABUF room = {1, &bytes[i]};
        WSARecv(client, &room, 1, NULL, &io.flags, &ov[i], NULL);
    }
    GetQueuedCompletionStatus(port, &(DWORD){0}, &(ULONG_PTR){0},
                              &(OVERLAPPED *){NULL}, INFINITE);
    for (ULONG left = 7; left > 0; left -= count) {
        GetQueuedCompletionStatusEx(port, entries, left, &count, INFINITE,
                                    FALSE);
        for (ULONG i = 0; i < count; i++)
            send(client, &bytes[entries[i].lpOverlapped - ov], 1, 0);
    }
}

static void too_many(void)
{
    WSAEVENT events[65];
    for (int i = 0; i < 65; i++)
        events[i] = WSACreateEvent();
    /* S17 many */
    WSAWaitForMultipleEvents(65, events, FALSE, 0, FALSE);
}

static void no_sets(void)
{
    struct timeval moment = {0, 1000};
    /* S17 none */
    select(0, NULL, NULL, NULL, &moment);
}

static unsigned __stdcall receives(void *arg)
{
    (void)arg;
    /* S18 recv */
    recv(client, io.buf, 1, 0);
    return 0;
}

static void closed_elsewhere(void)
{
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, receives, NULL, 0, NULL);
    WaitForSingleObject(thread, 500); /* nothing tells that it is in recv() */
    /* S18 closed */
    closesocket(client);
    WaitForSingleObject(thread, INFINITE);
    client = INVALID_SOCKET;
}

static void option_late(void)
{
    BOOL on = TRUE;
    struct sockaddr_in any = {.sin_family = AF_INET};
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, 0);
    bind(sock, (struct sockaddr *)&any, sizeof any);
    /* S19 late */
    setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&on, sizeof on);
    closesocket(sock);
}

static void port_shared(void)
{
    BOOL on = TRUE;
    struct sockaddr_in any = {.sin_family = AF_INET};
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, 0);
    /* S19 shared */
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, (char *)&on, sizeof on);
    bind(sock, (struct sockaddr *)&any, sizeof any);
    /* S19 listen */
    listen(sock, 1);
    closesocket(sock);
}

static void flags_unset(void)
{
    io.flags = 0xcccc0000;
    ask();
    cancel();
    reap();
}

static void joined_twice(void)
{
    /* S19 joined */
    HANDLE port = CreateIoCompletionPort((HANDLE)client, NULL, 0, 0);
    /* S19 again */
    CreateIoCompletionPort((HANDLE)client, port, 1, 0);
}

/* ---- main ------------------------------------------------------------------ */

static const struct variant {
    const char *name;
    void (*run)(void);
    bool accepts; /* by itself */
} variants[] = {
    {"reused", reused, false},
    {"overwritten", overwritten, false},
    {"freed", freed, false},
    {"filled", filled, false},
    {"peeked", peeked, false},
    {"refilled", refilled, false},
    {"closed_early", closed_early, false},
    {"close_at_once", close_at_once, false},
    {"half_accepted", half_accepted, true},
    {"impatient", impatient, false},
    {"reaped_twice", reaped_twice, false},
    {"done_inline", done_inline, false},
    {"packet_posted", packet_posted, false},
    {"stale_count", stale_count, false},
    {"errors_of_nothing", errors_of_nothing, false},
    {"rest_lost", rest_lost, false},
    {"no_patience", no_patience, false},
    {"in_routine", in_routine, false},
    {"thread_gone", thread_gone, false},
    {"after_close", after_close, false},
    {"stale_message", stale_message, false},
    {"in_order", in_order, false},
    {"too_many", too_many, false},
    {"no_sets", no_sets, false},
    {"closed_elsewhere", closed_elsewhere, false},
    {"option_late", option_late, false},
    {"port_shared", port_shared, false},
    {"flags_unset", flags_unset, false},
    {"joined_twice", joined_twice, false},
};

static void serve(const struct variant *variant)
{
    struct sockaddr_in here = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof here;
    listener =
        WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    if (bind(listener, (struct sockaddr *)&here, len) == SOCKET_ERROR ||
        listen(listener, SOMAXCONN) == SOCKET_ERROR ||
        getsockname(listener, (struct sockaddr *)&here, &len) == SOCKET_ERROR)
        die_call("bind, listen or getsockname", WSAGetLastError());
    printf("port %u\n", ntohs(here.sin_port));
    fflush(stdout);
    if (!variant->accepts)
        client = accept(listener, NULL, NULL);
    variant->run();
    if (client != INVALID_SOCKET)
        closesocket(client);
    closesocket(listener);
}

int main(int argc, char **argv)
{
    err_program("wrong");
    net_start();
    trace_begin("wrong", false, NULL);
    for (size_t i = 0; argc == 3 && i < sizeof variants / sizeof *variants;
         i++) {
        if (strcmp(argv[1], variants[i].name) != 0)
            continue;
        strict_begin(argv[2]);
        serve(&variants[i]);
        net_stop();
        return EXIT_STOPPED;
    }
    return EXIT_USAGE;
}

#else

int main(void)
{
    return EXIT_USAGE; /* there are no rules */
}

#endif
