/* overlapped_routine.c -- echo server on overlapped I/O: ask, be called back
 *
 *   peer --bytes--> [socket] --> [buffer]   done by the system, meanwhile
 *                      ^            |       the thread sleeps
 *                      +------------+
 *         on_recv(), on_sent() <-- run on the thread that asked, in its sleep
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       SleepEx(), alertable, in each of --threads workers
 *   moves bytes    the system, between WSARecv() or WSASend() and the routine
 *   holds at most  65535 clients: nothing in the model limits them
 *   stops by       QueueUserAPC() to the main thread, and to each worker
 *   diff with      overlapped_event.c (before this), iocp.c (after)
 */
#include "common/win.h"

#include <process.h>
#include <stdlib.h>

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/stop.h"
#include "watch/watch.h"

/* ---- 1. types ---------------------------------------------------------- */

/* One client, with its one operation. Only the worker it was given to touches
 * it; but while the operation is in flight, ov and buf belong to the system,
 * which writes to them whenever it likes. */
struct conn {
    OVERLAPPED ov; /* its hEvent is not used when there is a routine */
    SOCKET sock;
    DWORD len;  /* bytes in buf */
    DWORD sent; /* of these, bytes that are back with the client */
    struct log_conn log;
    DWORD err; /* why it has ended */
    struct worker *worker;
    struct conn *next; /* in conns, or in ended */
    struct conn *prev;
    struct conn *next_parked; /* in parked, or in held */
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* One thread that sleeps, and the clients whose routines run in its sleep. Only
 * that thread touches it: everything comes to it by way of APCs. */
struct worker {
    struct server *srv;
    HANDLE thread;
    struct conn *conns;
    struct conn *ended;  /* nothing in flight any more: to be closed */
    struct conn *parked; /* what they ask for next has to wait for that */
    struct conn *held;   /* Windows refused what they asked for, for now */
    ULONGLONG retry_at;  /* ... until then: GetTickCount64() */
    bool stopping;       /* cancel, reap, begin nothing new */
};

/* The server. Only the main thread touches it, but for what says otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    WSAEVENT accepting; /* set when somebody connects */
    HANDLE main_thread; /* where server_wake() queues its APC */
    struct worker *workers;
    size_t next;            /* whose turn it is to get a client */
    volatile LONG clients;  /* interlocked: of all workers */
    volatile LONG stopping; /* interlocked */
};

/* How long to wait before what Windows has refused is tried again. */
enum { RETRY_MS = 1000 };

static void on_accept(struct server *srv);
static void conn_post_recv(struct conn *c);
static void conn_post_send(struct conn *c);
static void CALLBACK on_recv(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags);
static void CALLBACK on_sent(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags);
static void conn_end(struct conn *c, DWORD err);
static void worker_close_ended(struct worker *w);
static void worker_ask_again(struct worker *w);

/* ---- 2. the loop ------------------------------------------------------- */

/* Some are held, and it is time to ask again. When the server stops it is: then
 * those who ask are ended. */
static bool worker_may_retry(const struct worker *w)
{
    return w->held != NULL && (w->stopping || GetTickCount64() >= w->retry_at);
}

/* Is there work that cannot be done in a routine? */
static bool worker_is_needed(const struct worker *w)
{
    return w->ended != NULL || worker_may_retry(w);
}

/* One copy of this runs in each worker. The sleep is where the work is done:
 * only in an alertable wait, and only on the thread that asked, does the
 * system call the routines. SleepEx() returns after it has called all that
 * were due. What was due before this thread began, the system has called
 * already; so the look at what there is to do comes before the first sleep. */
static void worker_run(struct worker *w)
{
    for (;;) {
        while (worker_is_needed(w) || w->parked != NULL) {
            worker_close_ended(w);
            worker_ask_again(w);
        }
        if (w->stopping && w->conns == NULL)
            return;
        SleepEx(w->held != NULL ? RETRY_MS : INFINITE, TRUE);
    }
}

/* The main thread accepts. Its wait is alertable too, for server_wake(). */
static void server_run(struct server *srv)
{
    while (!srv->stopping) {
        DWORD got = WSAWaitForMultipleEvents(1, &srv->accepting, FALSE,
                                             WSA_INFINITE, TRUE);
        if (got == WSA_WAIT_FAILED)
            die_call("WSAWaitForMultipleEvents", WSAGetLastError());
        if (got == WSA_WAIT_IO_COMPLETION)
            continue; /* an APC ran; no event was set by that */
        on_accept(srv);
    }
}

/* ---- 3. accept --------------------------------------------------------- */

/* First thing that a worker hears of a client: an APC from the main thread.
 * The first WSARecv() has to be posted here, because its routine will run on
 * the thread that posts it. */
static void CALLBACK worker_add(ULONG_PTR arg)
{
    struct conn *c = (struct conn *)arg;
    struct worker *w = c->worker;
    c->next = w->conns;
    if (c->next != NULL)
        c->next->prev = c;
    w->conns = c;
    conn_post_recv(c);
}

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    struct conn *c = malloc(sizeof *c + srv->args.buffer);
    if (c == NULL) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    *c = (struct conn){.sock = sock, .worker = &srv->workers[srv->next]};
    srv->next = (srv->next + 1) % srv->threads;

    /* The socket comes with the registration of the listener: end that. */
    if (WSAEventSelect(sock, NULL, 0) == SOCKET_ERROR) {
        log_refused_error("WSAEventSelect", (unsigned long)WSAGetLastError());
        goto refuse;
    }
    log_opened(&c->log, peer);
    InterlockedIncrement(&srv->clients);
    /* A queue, not a variable with a flag: two clients that come in the same
     * instant are two entries. From here on c belongs to the worker. */
    if (!QueueUserAPC(worker_add, c->worker->thread, (ULONG_PTR)c))
        die_call("QueueUserAPC", GetLastError());
    return;

refuse:
    closesocket(sock);
    free(c);
}

/* One newcomer a signal: accept() lets Windows signal the next FD_ACCEPT. To
 * accept until WSAEWOULDBLOCK would do as well on Windows; but Wine 8 may not
 * signal any newcomer after an accept() that found nobody. */
static void on_accept(struct server *srv)
{
    WSANETWORKEVENTS seen;
    if (WSAEnumNetworkEvents(srv->listener, srv->accepting, &seen) ==
        SOCKET_ERROR)
        die_call("WSAEnumNetworkEvents", WSAGetLastError());

    struct sockaddr_storage peer;
    int len = sizeof peer;
    SOCKET sock;
    while ((sock = accept(srv->listener, (struct sockaddr *)&peer, &len)) ==
           INVALID_SOCKET) {
        int err = WSAGetLastError();
        if (err == WSAEWOULDBLOCK || net_newcomer_left(err))
            return;
        if (!net_is_short(err))
            die_call("accept", err);
        /* Windows has no more sockets, and tells nobody when it has some again.
         * Newcomers stay in the backlog; the clients that are here notice
         * nothing, for this thread only accepts. */
        warn_call("accept", err);
        SleepEx(RETRY_MS, TRUE); /* server_wake() ends it early */
        if (srv->stopping)
            return;
    }
    net_no_inherit(sock);
    if ((unsigned long)srv->clients >= srv->args.max_clients) {
        closesocket(sock);
        log_refused(srv->args.max_clients);
        return;
    }
    conn_open(srv, sock, &peer);
}

/* ---- 4. echo ----------------------------------------------------------- */

/* True: the worker is needed awake, so nothing is begun now. Otherwise busy
 * clients would make routine after routine due, and the sleep would not return
 * to worker_run(), where clients are closed. */
static bool conn_park(struct conn *c)
{
    struct worker *w = c->worker;
    if (!worker_is_needed(w))
        return false;
    c->next_parked = w->parked;
    w->parked = c;
    return true;
}

/* Nothing was begun. That Windows is short of memory, or has too much in flight
 * already, passes: the client is held, and asks again a second later. Any other
 * error is the end of it. Source: WSASend function, WSAENOBUFS. */
static void conn_refused(struct conn *c, const char *call, int err)
{
    struct worker *w = c->worker;
    if (!net_is_short(err) && err != WSAEWOULDBLOCK) {
        conn_end(c, (DWORD)err);
        return;
    }
    if (w->held == NULL) {
        warn_call(call, err); /* one line for all that are held */
        w->retry_at = GetTickCount64() + RETRY_MS;
    }
    c->next_parked = w->held;
    w->held = c;
}

/* Ask for bytes. 0 and WSA_IO_PENDING both mean that the routine will run, and
 * not before this thread sleeps again; any other error, that nothing was begun
 * and nothing will come. */
static void conn_post_recv(struct conn *c)
{
    WSABUF room = {.buf = c->buf, .len = c->worker->srv->args.buffer};
    DWORD flags = 0; /* read and written by the call: fresh every time */
    if (c->worker->stopping) {
        conn_end(c, 0);
        return;
    }
    if (conn_park(c))
        return;
    c->ov = (OVERLAPPED){0};
    if (WSARecv(c->sock, &room, 1, NULL, &flags, &c->ov, on_recv) ==
            SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        conn_refused(c, "WSARecv", WSAGetLastError());
}

/* Ask to send what is owed. Not with send(): a routine must never wait, and a
 * blocking call may run other routines on top of this one. */
static void conn_post_send(struct conn *c)
{
    WSABUF owed = {.buf = c->buf + c->sent, .len = c->len - c->sent};
    if (c->worker->stopping) {
        conn_end(c, 0);
        return;
    }
    if (conn_park(c))
        return;
    c->ov = (OVERLAPPED){0};
    if (WSASend(c->sock, &owed, 1, NULL, 0, &c->ov, on_sent) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        conn_refused(c, "WSASend", WSAGetLastError());
}

static void CALLBACK on_recv(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags)
{
    struct conn *c = CONTAINING_RECORD(ov, struct conn, ov);
    (void)flags;
    if (err != 0 || len == 0) {
        /* On 0 bytes the client will say no more, and all that it said is back
         * with it: nothing is received while bytes are owed. */
        conn_end(c, err);
        return;
    }
    log_received(&c->log, len);
    c->len = len;
    c->sent = 0;
    conn_post_send(c);
}

/* A send is done when the system has taken all of it. Nothing promises that in
 * so many words: count, and ask again for what is left. */
static void CALLBACK on_sent(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags)
{
    struct conn *c = CONTAINING_RECORD(ov, struct conn, ov);
    (void)flags;
    if (err != 0) {
        conn_end(c, err);
        return;
    }
    c->sent += len;
    log_sent(&c->log, len, c->len - c->sent);
    if (c->sent < c->len)
        conn_post_send(c);
    else
        conn_post_recv(c);
}

/* ---- 5. close ---------------------------------------------------------- */

/* The connection has ended, and nothing of it is in flight. Here is no place to
 * close it: this runs in a routine, and shutdown() and closesocket() are calls
 * that may wait alertably, so that more routines would run on top of this one,
 * and more on top of those. Source: closesocket function, shutdown function. */
static void conn_end(struct conn *c, DWORD err)
{
    struct worker *w = c->worker;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        w->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    c->err = err;
    c->next = w->ended;
    w->ended = c;
}

/* Only with nothing in flight: then buffer and OVERLAPPED are ours to free,
 * and the close is an orderly one. With a WSARecv() still pending, Windows
 * would send a reset, and the client could lose the end of its echo.
 *
 * err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct conn *c, DWORD err)
{
    struct worker *w = c->worker;
    if (err == WSA_OPERATION_ABORTED && w->stopping)
        err = 0; /* it was us */
    if (err == 0)
        shutdown(c->sock, SD_SEND); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    log_closed(&c->log, err);
    InterlockedDecrement(&w->srv->clients);
    free(c);
}

/* The worker is awake here. Routines that run inside these calls may put more
 * clients into the lists. */
static void worker_close_ended(struct worker *w)
{
    struct conn *c;
    while ((c = w->ended) != NULL) {
        w->ended = c->next;
        conn_close(c, c->err);
    }
}

/* What was parked is begun now, and what is held is tried once more. */
static void worker_ask_again(struct worker *w)
{
    struct conn *c;
    if (worker_may_retry(w)) {
        while ((c = w->held) != NULL) {
            w->held = c->next_parked;
            c->next_parked = w->parked;
            w->parked = c;
        }
    }
    struct conn *parked = w->parked;
    w->parked = NULL;
    while ((c = parked) != NULL) {
        parked = c->next_parked;
        if (c->sent < c->len)
            conn_post_send(c);
        else
            conn_post_recv(c);
    }
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "overlapped_routine",
    .idea = "completion, told by completion routines (overlapped I/O)",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the model limits them",
};

static unsigned __stdcall worker_main(void *arg)
{
    worker_run(arg);
    return 0;
}

static void server_start(struct server *srv)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    srv->threads = srv->args.threads;
    if (srv->threads == 0)
        srv->threads = system.dwNumberOfProcessors;
    srv->workers = calloc(srv->threads, sizeof *srv->workers);
    if (srv->workers == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    srv->main_thread =
        OpenThread(THREAD_SET_CONTEXT, FALSE, GetCurrentThreadId());
    if (srv->main_thread == NULL)
        die_call("OpenThread", GetLastError());
    srv->listener = net_listen(&srv->args);
    srv->accepting = WSACreateEvent();
    if (srv->accepting == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    if (WSAEventSelect(srv->listener, srv->accepting, FD_ACCEPT) ==
        SOCKET_ERROR)
        die_call("WSAEventSelect", WSAGetLastError());

    for (unsigned long i = 0; i < srv->threads; i++) {
        struct worker *w = &srv->workers[i];
        w->srv = srv;
        w->thread = (HANDLE)_beginthreadex(NULL, 0, worker_main, w, 0, NULL);
        if (w->thread == NULL)
            die_call("_beginthreadex", GetLastError());
    }
}

/* All that it has to do is to end the wait. */
static void CALLBACK stop_main(ULONG_PTR arg)
{
    (void)arg;
}

/* Runs on another thread, while the main thread waits. The flag is not left to
 * the APC: a wait whose event is set already returns without running APCs, and
 * with newcomers all the time the server would not hear of it. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    if (!QueueUserAPC(stop_main, srv->main_thread, 0))
        die_call("QueueUserAPC", GetLastError());
}

/* Cancel, reap, and only then free: CancelIoEx() is no more than a request. Each
 * operation still ends in its routine, and then the client is closed; until then
 * the system may write to its memory, and the worker goes on sleeping. */
static void CALLBACK stop_worker(ULONG_PTR arg)
{
    struct worker *w = (struct worker *)arg;
    w->stopping = true;
    for (struct conn *c = w->conns; c != NULL; c = c->next) {
        if (!CancelIoEx((HANDLE)c->sock, &c->ov) &&
            GetLastError() != ERROR_NOT_FOUND)
            warn_call("CancelIoEx", GetLastError());
    }
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    WSACloseEvent(srv->accepting);
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct worker *w = &srv->workers[i];
        if (!QueueUserAPC(stop_worker, w->thread, (ULONG_PTR)w))
            die_call("QueueUserAPC", GetLastError());
    }
    for (unsigned long i = 0; i < srv->threads; i++) {
        WaitForSingleObject(srv->workers[i].thread, INFINITE);
        CloseHandle(srv->workers[i].thread);
    }
    CloseHandle(srv->main_thread);
    free(srv->workers);
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
