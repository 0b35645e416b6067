/* threadpool.c -- echo server on Windows' thread pool: ask, be called back
 *
 *   peer --bytes--> [socket] --> [buffer]   done by the system, meanwhile
 *                      ^            |       the threads do something else
 *                      +------------+
 *      [pool: a port and threads, both Windows' own] --> calls conn_done()
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       nothing of ours: the pool waits, with --threads threads
 *   moves bytes    the system, between WSARecv() or WSASend() and the callback
 *   holds at most  65535 clients: nothing in the model limits them
 *   stops by       CancelIoEx(), and WaitForThreadpoolIoCallbacks() at the end
 *   diff with      iocp.c: the same server, with a port and threads of its own
 */
#include "common/win.h"

#include <stdlib.h>

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/stop.h"
#include "watch/watch.h"

/* ---- 1. types ---------------------------------------------------------- */

enum conn_state {
    CONN_RECEIVING, /* the operation in flight is a WSARecv() */
    CONN_SENDING /* ... a WSASend(): nothing is received while bytes are owed */
};

/* One client, with its one operation. While that is in flight, ov and buf
 * belong to the system; when it is done, all belongs to the one callback that
 * is told so. So no client needs a lock or a count of references. */
struct conn {
    OVERLAPPED ov;
    SOCKET sock;
    PTP_IO io; /* what ties the socket to the pool and to conn_done() */
    enum conn_state state;
    DWORD len;  /* bytes in buf */
    DWORD sent; /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in srv->conns or srv->closed, under srv->lock */
    struct conn *prev;
    struct conn *next_held; /* in srv->held, under srv->lock */
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* What AcceptEx() writes: two addresses, each with 16 bytes that it wants for
 * itself. Source: AcceptEx function. */
enum { ADDRESS_SIZE = sizeof(struct sockaddr_storage) + 16 };

/* So many AcceptEx() are in flight, for as many clients in the same instant;
 * the others wait in the backlog of the listener. */
enum { ACCEPTS = 32 };

/* One AcceptEx(). It belongs to the system or to one callback, like conn. */
struct accept_op {
    OVERLAPPED ov;
    SOCKET sock;            /* made beforehand; INVALID_SOCKET: not in flight */
    struct accept_op *next; /* in srv->idle, under srv->lock */
    char addresses[2 * ADDRESS_SIZE];
};

/* The server. Callbacks read what server_start() set, and share the rest. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    PTP_POOL pool;
    TP_CALLBACK_ENVIRON env; /* says to each PTP_IO which pool is meant */
    SOCKET listener;
    PTP_IO accept_io; /* ties the listener to accept_done() */
    LPFN_ACCEPTEX accept_ex;
    struct accept_op *accepts; /* ACCEPTS of them */

    /* Only when a client comes or leaves; an echo takes no lock. */
    SRWLOCK lock;
    struct conn *conns;  /* under lock */
    struct conn *closed; /* under lock: have ended; server_run() frees them */

    /* What Windows has refused for now, to be tried again: AcceptEx(), and
     * what clients asked for. Changed under lock. */
    struct accept_op *volatile idle;
    struct conn *volatile held;

    volatile LONG clients;  /* interlocked */
    volatile LONG stopping; /* interlocked */
    WSAEVENT wake;          /* set when server_run() has something to do */
    ULONGLONG retry_at;     /* server_run()'s own; 0: nothing is refused */

    /* Interlocked: clients, AcceptEx() in flight, and the server itself until
     * it is told to stop. At 0 the server may end. */
    volatile LONG live;
};

/* How long to wait before what Windows has refused is tried again. */
enum { RETRY_MS = 1000 };

static void accept_post(struct server *srv, struct accept_op *a);
static void on_accept(struct server *srv, struct accept_op *a, DWORD err);
static void conn_post_recv(struct server *srv, struct conn *c);
static void conn_post_send(struct server *srv, struct conn *c);
static void on_recv(struct server *srv, struct conn *c, DWORD len, DWORD err);
static void on_sent(struct server *srv, struct conn *c, DWORD len, DWORD err);
static void conn_close(struct server *srv, struct conn *c, DWORD err);
static void server_retry(struct server *srv);
static void server_cancel(struct server *srv);
static void free_closed(struct server *srv);

/* ---- 2. the loop ------------------------------------------------------- */

/* How did a failed operation end? The pool itself answers with a Win32 code
 * (ERROR_NETNAME_DELETED), this with the one that Winsock programmers know
 * (WSAECONNRESET). */
static DWORD why_failed(SOCKET sock, OVERLAPPED *ov)
{
    DWORD len = 0;
    DWORD flags = 0;
    if (WSAGetOverlappedResult(sock, ov, &len, FALSE, &flags))
        return 0;
    return (DWORD)WSAGetLastError();
}

/* There is no loop here. A thread of the pool waits at a port that we never
 * see, and calls the function that belongs to the socket: so there is no key.
 * Which thread that is, and what it was used for before, we do not know.
 * Whatever a callback changes in its thread, it has to change back; and it must
 * not end the thread. Source: Thread Pools. */
static void CALLBACK accept_done(PTP_CALLBACK_INSTANCE instance, void *arg,
                                 void *ov, ULONG error, ULONG_PTR len,
                                 PTP_IO io)
{
    struct server *srv = arg;
    struct accept_op *a = CONTAINING_RECORD(ov, struct accept_op, ov);
    on_accept(srv, a, error == 0 ? 0 : why_failed(srv->listener, ov));
    (void)instance, (void)len, (void)io;
}

static void CALLBACK conn_done(PTP_CALLBACK_INSTANCE instance, void *arg,
                               void *ov, ULONG error, ULONG_PTR len, PTP_IO io)
{
    struct server *srv = arg;
    struct conn *c = CONTAINING_RECORD(ov, struct conn, ov);
    DWORD err = error == 0 ? 0 : why_failed(c->sock, ov);
    if (c->state == CONN_RECEIVING)
        on_recv(srv, c, (DWORD)len, err);
    else
        on_sent(srv, c, (DWORD)len, err);
    (void)instance, (void)io;
}

/* When Windows has no more sockets or memory, the main thread tries again each
 * second: nobody tells when there is some. Clients that leave wake it too, so
 * it has to know when the second is over. */
static DWORD retry_wait(struct server *srv)
{
    ULONGLONG now = GetTickCount64();
    if (srv->idle == NULL && srv->held == NULL) {
        srv->retry_at = 0;
        return WSA_INFINITE;
    }
    if (srv->retry_at == 0)
        srv->retry_at = now + RETRY_MS;
    return now < srv->retry_at ? (DWORD)(srv->retry_at - now) : 0;
}

/* The main thread takes away the clients that have ended, and tries again what
 * was refused. At the end there is nothing to try: what is held is closed. */
static void server_run(struct server *srv)
{
    while (srv->live != 0) {
        DWORD wait = retry_wait(srv);
        DWORD got = WSAWaitForMultipleEvents(1, &srv->wake, FALSE, wait, FALSE);
        if (got == WSA_WAIT_FAILED)
            die_call("WSAWaitForMultipleEvents", WSAGetLastError());
        if (got != WSA_WAIT_TIMEOUT)
            WSAResetEvent(srv->wake); /* before the look at what was changed */
        bool due = srv->retry_at != 0 && GetTickCount64() >= srv->retry_at;
        if (due || srv->stopping) {
            srv->retry_at = 0;
            server_retry(srv);
        }
        free_closed(srv);
    }
}

/* ---- 3. accept --------------------------------------------------------- */

/* The main thread has something to do, or to look at. */
static void server_call_main(struct server *srv)
{
    if (!WSASetEvent(srv->wake))
        die_call("WSASetEvent", WSAGetLastError());
}

/* An AcceptEx() or a client has ended. At 0 no callback will follow. */
static void server_release(struct server *srv)
{
    if (InterlockedDecrement(&srv->live) == 0)
        server_call_main(srv);
}

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    struct conn *c = malloc(sizeof *c + srv->args.buffer);
    if (c == NULL) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    *c = (struct conn){.sock = sock};

    /* From now on the pool calls conn_done() for what this socket completes. So
     * the socket can have no completion port of ours. */
    c->io = CreateThreadpoolIo((HANDLE)sock, conn_done, srv, &srv->env);
    if (c->io == NULL) {
        log_refused_error("CreateThreadpoolIo", GetLastError());
        goto refuse;
    }
    log_opened(&c->log, peer);
    InterlockedIncrement(&srv->live);
    AcquireSRWLockExclusive(&srv->lock);
    c->next = srv->conns;
    if (c->next != NULL)
        c->next->prev = c;
    srv->conns = c;
    ReleaseSRWLockExclusive(&srv->lock);
    conn_post_recv(srv, c);
    return;

refuse:
    InterlockedDecrement(&srv->clients);
    closesocket(sock);
    free(c);
}

/* It waits in the idle list until server_retry(). Newcomers stay in the backlog;
 * the clients that are here notice nothing. */
static void accept_failed(struct server *srv, struct accept_op *a,
                          const char *call, int err)
{
    /* WSAEWOULDBLOCK: too many operations are in flight already. */
    if (!srv->stopping && !net_is_short(err) && err != WSAEWOULDBLOCK)
        die_call(call, err);
    if (a->sock != INVALID_SOCKET)
        closesocket(a->sock);
    AcquireSRWLockExclusive(&srv->lock);
    bool first = srv->idle == NULL;
    a->next = srv->idle;
    srv->idle = a;
    ReleaseSRWLockExclusive(&srv->lock);
    if (first && !srv->stopping)
        warn_call(call, err); /* one line for all that are idle */
    server_call_main(srv);
    server_release(srv);
}

/* Ask for a connection. Its socket is made first; AcceptEx() connects it.
 * Nothing is received along with it: that would let clients which connect and
 * say nothing use up every AcceptEx(). */
static void accept_post(struct server *srv, struct accept_op *a)
{
    LPFN_ACCEPTEX accept_ex = srv->accept_ex;
    InterlockedIncrement(&srv->live); /* first: the server does not end now */
    if (srv->stopping) {
        server_release(srv);
        return;
    }
    a->sock =
        WSASocketW(srv->args.address.ss_family, SOCK_STREAM, IPPROTO_TCP, NULL,
                   0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (a->sock == INVALID_SOCKET) {
        accept_failed(srv, a, "WSASocketW", WSAGetLastError());
        return;
    }
    DWORD len = 0;
    int err = 0;
    /* Windows may say at once that a newcomer has left before we came: nothing
     * was begun, so ask for the next one. Wine does not. Source: AcceptEx
     * function, WSAECONNRESET. */
    do {
        a->ov = (OVERLAPPED){0};
        StartThreadpoolIo(srv->accept_io); /* see conn_post_recv() */
        err = accept_ex(srv->listener, a->sock, a->addresses, 0, ADDRESS_SIZE,
                        ADDRESS_SIZE, &len, &a->ov)
                  ? 0
                  : WSAGetLastError();
        if (err != 0 && err != WSA_IO_PENDING)
            CancelThreadpoolIo(srv->accept_io);
    } while (net_newcomer_left(err));
    if (err != 0 && err != WSA_IO_PENDING)
        accept_failed(srv, a, "AcceptEx", err);
    else if (srv->stopping)
        server_cancel(srv); /* it began after everything had been cancelled */
}

/* Somebody has connected, or was about to and left: in either case there has
 * to be another AcceptEx(), or the server would run out of them. */
static void on_accept(struct server *srv, struct accept_op *a, DWORD err)
{
    SOCKET sock = a->sock;
    struct sockaddr_storage peer;
    int peer_len = sizeof peer;
    BOOL on = TRUE;

    /* Until this call the socket is only half connected on Windows: shutdown()
     * and getpeername() fail, and no option of the listener is inherited. Wine
     * does not need it. Whether TCP_NODELAY is among the options that come with
     * it is not promised, so it is set. Source: AcceptEx function,
     * SO_UPDATE_ACCEPT_CONTEXT. */
    if (err != 0 ||
        setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
                   (const char *)&srv->listener,
                   sizeof srv->listener) == SOCKET_ERROR ||
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                   sizeof on) == SOCKET_ERROR ||
        getpeername(sock, (struct sockaddr *)&peer, &peer_len) ==
            SOCKET_ERROR) {
        closesocket(sock);
    } else if ((unsigned long)InterlockedIncrement(&srv->clients) >
               srv->args.max_clients) {
        InterlockedDecrement(&srv->clients);
        closesocket(sock);
        log_refused(srv->args.max_clients);
    } else {
        conn_open(srv, sock, &peer);
    }
    accept_post(srv, a);
    server_release(srv); /* the one that has just ended */
}

/* ---- 4. echo ----------------------------------------------------------- */

/* Nothing was begun, so what was announced to the pool is taken back. Without
 * this, the wait in free_closed() would never end. Source: CancelThreadpoolIo
 * function.
 *
 * That Windows is short of memory, or has too much in flight already, passes:
 * the client is held, and asks again a second later. Any other error is the end
 * of it. Source: WSASend function, WSAENOBUFS. */
static void conn_refused(struct server *srv, struct conn *c, const char *call,
                         int err)
{
    CancelThreadpoolIo(c->io);
    if (!net_is_short(err) && err != WSAEWOULDBLOCK) {
        conn_close(srv, c, (DWORD)err);
        return;
    }
    AcquireSRWLockExclusive(&srv->lock);
    /* Under the lock: after it was set, server_wake() looks there once more. */
    bool stopping = srv->stopping;
    bool first = srv->held == NULL;
    if (!stopping) {
        c->next_held = srv->held;
        srv->held = c;
    }
    ReleaseSRWLockExclusive(&srv->lock);
    if (stopping) {
        conn_close(srv, c, 0);
    } else if (first) {
        warn_call(call, err); /* one line for all that are held */
        server_call_main(srv);
    }
}

/* Ask for bytes. 0 and WSA_IO_PENDING both mean that a callback will come, and
 * then c is no longer ours: another thread may run that callback, and close c,
 * before WSARecv() has returned here. Any other error means that nothing was
 * begun and nothing will come.
 *
 * StartThreadpoolIo() tells the pool beforehand that there is something to
 * come. Every call needs one. Without it the pool passes over the completion:
 * no callback comes, and on Windows memory is corrupted. Source:
 * StartThreadpoolIo function.
 *
 * Whether the server stops is looked at before and after. Before, because one
 * client could go on for ever; after, because server_cancel() may have passed
 * in between. No lock is needed for that. */
static void conn_post_recv(struct server *srv, struct conn *c)
{
    WSABUF room = {.buf = c->buf, .len = srv->args.buffer};
    DWORD flags = 0; /* read and written by the call: fresh every time */
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return;
    }
    c->ov = (OVERLAPPED){0};
    c->state = CONN_RECEIVING;
    StartThreadpoolIo(c->io);
    if (WSARecv(c->sock, &room, 1, NULL, &flags, &c->ov, NULL) ==
            SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        conn_refused(srv, c, "WSARecv", WSAGetLastError());
    else if (srv->stopping)
        server_cancel(srv); /* it began after everything had been cancelled */
}

/* Ask to send what is owed. Even when the send is done at once its callback
 * comes, and it is there that the next step is taken: never in two places. */
static void conn_post_send(struct server *srv, struct conn *c)
{
    WSABUF owed = {.buf = c->buf + c->sent, .len = c->len - c->sent};
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return;
    }
    c->ov = (OVERLAPPED){0};
    c->state = CONN_SENDING;
    StartThreadpoolIo(c->io);
    if (WSASend(c->sock, &owed, 1, NULL, 0, &c->ov, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        conn_refused(srv, c, "WSASend", WSAGetLastError());
    else if (srv->stopping)
        server_cancel(srv); /* it began after everything had been cancelled */
}

static void on_recv(struct server *srv, struct conn *c, DWORD len, DWORD err)
{
    if (err != 0 || len == 0) {
        /* On 0 bytes the client will say no more, and all that it said is back
         * with it: nothing is received while bytes are owed. */
        conn_close(srv, c, err);
        return;
    }
    log_received(&c->log, len);
    c->len = len;
    c->sent = 0;
    conn_post_send(srv, c);
}

/* A send is done when the system has taken all of it. Nothing promises that in
 * so many words: count, and ask again for what is left. */
static void on_sent(struct server *srv, struct conn *c, DWORD len, DWORD err)
{
    if (err != 0) {
        conn_close(srv, c, err);
        return;
    }
    c->sent += len;
    log_sent(&c->log, len, c->len - c->sent);
    if (c->sent < c->len)
        conn_post_send(srv, c);
    else
        conn_post_recv(srv, c);
}

/* Ask again for all that was refused. While the server stops nothing is begun:
 * then each of these ends what it is given. */
static void server_retry(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    struct accept_op *a = srv->idle;
    struct conn *c = srv->held;
    srv->idle = NULL;
    srv->held = NULL;
    ReleaseSRWLockExclusive(&srv->lock);
    while (a != NULL) {
        struct accept_op *next = a->next;
        accept_post(srv, a);
        a = next;
    }
    while (c != NULL) {
        struct conn *next = c->next_held;
        if (c->state == CONN_RECEIVING)
            conn_post_recv(srv, c);
        else
            conn_post_send(srv, c);
        c = next;
    }
}

/* ---- 5. close ---------------------------------------------------------- */

/* Only with nothing in flight: then buffer and OVERLAPPED are ours to free,
 * and the close is an orderly one. With a WSARecv() still pending, Windows
 * would send a reset, and the client could lose the end of its echo.
 *
 * err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own.
 *
 * What is left is for the main thread. For this function runs, most often, in a
 * callback of the same client, and a callback cannot wait for its own end. */
static void conn_close(struct server *srv, struct conn *c, DWORD err)
{
    if (err == WSA_OPERATION_ABORTED && srv->stopping)
        err = 0; /* it was us */
    AcquireSRWLockExclusive(&srv->lock);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        srv->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    ReleaseSRWLockExclusive(&srv->lock);

    if (err == 0)
        shutdown(c->sock, SD_SEND); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    log_closed(&c->log, err);
    InterlockedDecrement(&srv->clients);
    AcquireSRWLockExclusive(&srv->lock);
    c->next = srv->closed;
    srv->closed = c;
    ReleaseSRWLockExclusive(&srv->lock);
    server_call_main(srv);
}

/* The order is Microsoft's: the socket is closed and nothing is in flight; then
 * wait until the last callback has returned; then give the PTP_IO back. With
 * TRUE the wait would also throw away callbacks that have not begun yet; here
 * there are none. Sources: CloseThreadpoolIo function,
 * WaitForThreadpoolIoCallbacks function. */
static void free_closed(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    struct conn *c = srv->closed;
    srv->closed = NULL;
    ReleaseSRWLockExclusive(&srv->lock);
    while (c != NULL) {
        struct conn *next = c->next;
        WaitForThreadpoolIoCallbacks(c->io, FALSE);
        CloseThreadpoolIo(c->io);
        free(c);
        server_release(srv);
        c = next;
    }
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "threadpool",
    .idea = "completion, told by the thread pool of Windows (overlapped I/O)",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the model limits them",
};

/* AcceptEx() belongs to the provider of the socket: ask it for the address. */
static LPFN_ACCEPTEX find_accept_ex(SOCKET sock)
{
    GUID id = WSAID_ACCEPTEX;
    LPFN_ACCEPTEX accept_ex = NULL;
    DWORD len = 0;
    if (WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id,
                 &accept_ex, sizeof accept_ex, &len, NULL,
                 NULL) == SOCKET_ERROR)
        die_call("WSAIoctl(AcceptEx)", WSAGetLastError());
    return accept_ex;
}

static void start_pool(struct server *srv)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system);

    /* A pool of our own, because the number of threads of the pool that each
     * process has is not ours to set. With equal limits it has this many. */
    srv->threads = srv->args.threads;
    if (srv->threads == 0)
        srv->threads = 2 * system.dwNumberOfProcessors;
    srv->pool = CreateThreadpool(NULL);
    if (srv->pool == NULL)
        die_call("CreateThreadpool", GetLastError());
    SetThreadpoolThreadMaximum(srv->pool, srv->threads);
    if (!SetThreadpoolThreadMinimum(srv->pool, srv->threads))
        die_call("SetThreadpoolThreadMinimum", GetLastError());
    InitializeThreadpoolEnvironment(&srv->env);
    SetThreadpoolCallbackPool(&srv->env, srv->pool);
}

static void server_start(struct server *srv)
{
    InitializeSRWLock(&srv->lock);
    srv->live = 1; /* the server itself, until it is told to stop */
    srv->wake = WSACreateEvent();
    if (srv->wake == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    srv->listener = net_listen(&srv->args);
    srv->accept_ex = find_accept_ex(srv->listener);
    start_pool(srv);
    srv->accept_io =
        CreateThreadpoolIo((HANDLE)srv->listener, accept_done, srv, &srv->env);
    if (srv->accept_io == NULL)
        die_call("CreateThreadpoolIo", GetLastError());
    /* From the process heap: Wine, built with the sanitizers, refuses to let
     * AcceptEx() write anywhere else. */
    srv->accepts = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY,
                             ACCEPTS * sizeof *srv->accepts);
    if (srv->accepts == NULL)
        die_call("HeapAlloc", ERROR_NOT_ENOUGH_MEMORY);
    for (int i = 0; i < ACCEPTS; i++)
        accept_post(srv, &srv->accepts[i]);
}

/* Cancel, reap, and only then free: CancelIoEx() is no more than a request.
 * Every operation still has its callback, which closes the client; until then
 * the system may write to its memory. The lock keeps each client in the list
 * from being freed meanwhile. */
static void server_cancel(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    if (!CancelIoEx((HANDLE)srv->listener, NULL) &&
        GetLastError() != ERROR_NOT_FOUND)
        warn_call("CancelIoEx", GetLastError());
    for (struct conn *c = srv->conns; c != NULL; c = c->next) {
        if (!CancelIoEx((HANDLE)c->sock, &c->ov) &&
            GetLastError() != ERROR_NOT_FOUND)
            warn_call("CancelIoEx", GetLastError());
    }
    ReleaseSRWLockExclusive(&srv->lock);
}

/* Runs on another thread, while the main thread waits. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    server_cancel(srv);
    if (srv->held != NULL)
        server_call_main(srv); /* these have nothing that was cancelled */
    server_release(srv);
}

/* The callbacks of clients are over, for all clients are freed. The pool goes
 * away on its own, when its threads have noticed that nothing belongs to it any
 * more. Source: CloseThreadpool function. */
static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    WaitForThreadpoolIoCallbacks(srv->accept_io, FALSE);
    CloseThreadpoolIo(srv->accept_io);
    DestroyThreadpoolEnvironment(&srv->env);
    CloseThreadpool(srv->pool);
    WSACloseEvent(srv->wake);
    HeapFree(GetProcessHeap(), 0, srv->accepts);
}

/* ---- 7. main (same in all six) ----------------------------------------- */

int main(int argc, char **argv)
{
    static struct server srv;
    args_begin(&argc, &argv);
    srv.args = args_parse(&model, argc, argv);
    console_begin();
    net_start();
    log_begin(&model, &srv.args);

    server_start(&srv);
    stop_begin(server_wake, &srv, srv.args.stop_on_eof);
    log_ready(srv.listener, srv.threads);
    server_run(&srv);
    stop_end();
    server_stop(&srv);

    net_stop();
    log_summary();
    return EXIT_STOPPED;
}
