/* overlapped_event.c -- echo server on overlapped I/O: ask, be signalled, done
 *
 *   peer --bytes--> [socket] --> [buffer]   done by the system, meanwhile
 *                      ^            |       the thread waits for others
 *                      +------------+
 *          [event] <-- set when done; wakes --> waiter_run()
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       WSAWaitForMultipleEvents(), in a waiter for each 63 clients
 *   moves bytes    the system, between WSARecv() or WSASend() and the signal
 *   holds at most  65535 clients: 64 events a wait, more waits in more threads
 *   stops by       WSASetEvent() on the wake event of each wait
 *   diff with      eventselect.c (before this), overlapped_routine.c (after)
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

enum conn_state {
    CONN_RECEIVING, /* the operation in flight is a WSARecv() */
    CONN_SENDING /* ... a WSASend(): nothing is received while bytes are owed */
};

/* One client, with its one operation. Only the thread that waits for its event
 * touches it; but while the operation is in flight, ov and buf belong to the
 * system, which writes to them whenever it likes. */
struct conn {
    OVERLAPPED ov; /* ov.hEvent is set when the operation is done */
    SOCKET sock;
    DWORD slot; /* its place in the waiter's arrays */
    enum conn_state state;
    DWORD len;  /* bytes in buf */
    DWORD sent; /* of these, bytes that are back with the client */
    bool held;  /* nothing is in flight: Windows refused it for now */
    struct log_conn log;
    struct conn *next; /* in the inbox */
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* One wait takes 64 events at most. */
enum { SLOT_WAKE = 0, CLIENTS_PER_WAITER = WSA_MAXIMUM_WAIT_EVENTS - 1 };

/* The address space for a waiter's stack. The default of one megabyte would be
 * a gigabyte for sixty thousand clients. */
enum { STACK_SIZE = 128 * 1024 };

/* One thread and what it waits for. */
struct waiter {
    struct server *srv;
    HANDLE thread;
    struct waiter *next; /* in srv->waiters */

    /* Only the waiter's own thread. Slot 0 is for its wake event. */
    WSAEVENT events[WSA_MAXIMUM_WAIT_EVENTS];
    struct conn *conns[WSA_MAXIMUM_WAIT_EVENTS];
    DWORD count;
    DWORD held;         /* how many clients are held */
    ULONGLONG retry_at; /* ... until then: GetTickCount64() */

    /* How newcomers get here from the main thread. */
    SRWLOCK lock;
    struct conn *inbox;     /* under lock */
    volatile LONG clients;  /* interlocked: in the arrays or in the inbox */
    volatile LONG stopping; /* interlocked: no newcomers will come any more */
};

/* The server. Only the main thread touches it, but for what says otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    WSAEVENT accepting; /* set when somebody connects */
    WSAEVENT wake;      /* set when the server stops */
    struct waiter *waiters;
    volatile LONG clients;  /* interlocked: of all waiters */
    volatile LONG stopping; /* interlocked */
};

/* How long to wait before what Windows has refused is tried again. */
enum { RETRY_MS = 1000 };

static void on_accept(struct server *srv);
static void conn_post_recv(struct waiter *w, struct conn *c);
static void conn_post_send(struct waiter *w, struct conn *c);
static void on_recv(struct waiter *w, struct conn *c, DWORD len, DWORD err);
static void on_sent(struct waiter *w, struct conn *c, DWORD len, DWORD err);
static void conn_close(struct waiter *w, struct conn *c, DWORD err);

/* ---- 2. the loop ------------------------------------------------------- */

static void waiter_add(struct waiter *w, struct conn *c)
{
    c->slot = w->count;
    w->events[w->count] = c->ov.hEvent;
    w->conns[w->count++] = c;
}

/* Newcomers wait in the inbox, or the server stops: false. Only the waiter
 * itself changes its arrays: a wait that has begun would not notice. */
static bool on_wake(struct waiter *w)
{
    /* Both before the look into the inbox: a client that is put there after the
     * look sets the event again, and none is put there once we are stopping. */
    WSAResetEvent(w->events[SLOT_WAKE]);
    bool stopping = w->stopping;
    AcquireSRWLockExclusive(&w->lock);
    struct conn *c = w->inbox;
    w->inbox = NULL;
    ReleaseSRWLockExclusive(&w->lock);
    while (c != NULL) {
        struct conn *next = c->next;
        waiter_add(w, c);
        conn_post_recv(w, c);
        c = next;
    }
    return !stopping;
}

/* How did the operation end? Asked without waiting: its event is set, or the
 * call that began it has said that it is done already. */
static void conn_reap(struct waiter *w, struct conn *c)
{
    DWORD len = 0; /* not written on failure */
    DWORD flags = 0;
    DWORD err = 0;
    if (!WSAGetOverlappedResult(c->sock, &c->ov, &len, FALSE, &flags))
        err = (DWORD)WSAGetLastError();
    if (c->state == CONN_RECEIVING)
        on_recv(w, c, len, err);
    else
        on_sent(w, c, len, err);
}

/* Each client that is held asks again for what it asked for last. From the end,
 * because a client that closes is replaced by the last one. */
static void waiter_retry(struct waiter *w)
{
    w->held = 0;
    for (DWORD i = w->count - 1; i > SLOT_WAKE; i--) {
        struct conn *c = w->conns[i];
        if (!c->held)
            continue;
        c->held = false;
        if (c->state == CONN_RECEIVING)
            conn_post_recv(w, c);
        else
            conn_post_send(w, c);
    }
}

/* One copy of this runs in each waiter. */
static void waiter_run(struct waiter *w)
{
    DWORD slot = 0; /* where this wait begins */
    for (;;) {
        if (slot == 0 && w->held > 0 && GetTickCount64() >= w->retry_at)
            waiter_retry(w);
        DWORD wait = slot > 0 ? 0 : w->held > 0 ? RETRY_MS : WSA_INFINITE;
        DWORD got = WSAWaitForMultipleEvents(w->count - slot, w->events + slot,
                                             FALSE, wait, FALSE);
        if (got == WSA_WAIT_FAILED)
            die_call("WSAWaitForMultipleEvents", WSAGetLastError());
        if (got == WSA_WAIT_TIMEOUT) {
            slot = 0; /* all are served: wait for the next */
            continue;
        }
        slot += got - WSA_WAIT_EVENT_0;
        struct conn *c = w->conns[slot];
        if (slot != SLOT_WAKE)
            conn_reap(w, c);
        else if (!on_wake(w))
            return;

        /* The wait names the lowest signalled slot and no other. To begin at
         * slot 0 again would let busy low slots starve the high ones, so the
         * rest of the array comes first. If the client has gone, the last one
         * has moved into its slot. */
        if (slot < w->count && w->conns[slot] == c)
            slot++;
        if (slot >= w->count)
            slot = 0;
    }
}

/* The main thread accepts. */
static void server_run(struct server *srv)
{
    WSAEVENT events[] = {srv->wake, srv->accepting};
    while (!srv->stopping) {
        DWORD got =
            WSAWaitForMultipleEvents(2, events, FALSE, WSA_INFINITE, FALSE);
        if (got == WSA_WAIT_FAILED)
            die_call("WSAWaitForMultipleEvents", WSAGetLastError());
        if (got == WSA_WAIT_EVENT_0 + 1)
            on_accept(srv);
    }
}

/* ---- 3. accept --------------------------------------------------------- */

static unsigned __stdcall waiter_main(void *arg);

/* One more waiter; NULL when the machine cannot give it, which is logged. */
static struct waiter *waiter_open(struct server *srv)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (w == NULL) {
        log_refused_error("calloc", ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    w->srv = srv;
    InitializeSRWLock(&w->lock);
    w->events[w->count++] = WSACreateEvent();
    if (w->events[SLOT_WAKE] == WSA_INVALID_EVENT) {
        log_refused_error("WSACreateEvent", (unsigned long)WSAGetLastError());
        free(w);
        return NULL;
    }
    w->thread = (HANDLE)_beginthreadex(NULL, STACK_SIZE, waiter_main, w,
                                       STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (w->thread == NULL) {
        log_refused_error("_beginthreadex", _doserrno);
        WSACloseEvent(w->events[SLOT_WAKE]);
        free(w);
        return NULL;
    }
    w->next = srv->waiters;
    srv->waiters = w;
    return w;
}

/* A waiter with a free slot, or a new one when all are full. */
static struct waiter *waiter_find_or_open(struct server *srv)
{
    struct waiter *w = srv->waiters;
    while (w != NULL && w->clients >= CLIENTS_PER_WAITER)
        w = w->next;
    return w != NULL ? w : waiter_open(srv);
}

/* Hand the client over. From here on it belongs to the waiter, which also posts
 * the first WSARecv(): what a thread has in flight is cancelled when the thread
 * ends, so the one that waits has to be the one that asks. */
static void waiter_give(struct waiter *w, struct conn *c)
{
    InterlockedIncrement(&w->clients);
    InterlockedIncrement(&w->srv->clients);
    AcquireSRWLockExclusive(&w->lock);
    c->next = w->inbox;
    w->inbox = c;
    ReleaseSRWLockExclusive(&w->lock);
    if (!WSASetEvent(w->events[SLOT_WAKE]))
        die_call("WSASetEvent", WSAGetLastError());
}

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    WSAEVENT event = WSA_INVALID_EVENT;
    struct conn *c = NULL;
    struct waiter *w = waiter_find_or_open(srv);
    if (w == NULL)
        goto refuse;
    c = malloc(sizeof *c + srv->args.buffer);
    if (c == NULL) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    event = WSACreateEvent();
    if (event == WSA_INVALID_EVENT) {
        log_refused_error("WSACreateEvent", (unsigned long)WSAGetLastError());
        goto refuse;
    }
    *c = (struct conn){.sock = sock, .ov.hEvent = event};

    /* The socket comes with the registration of the listener: end that. */
    if (WSAEventSelect(sock, NULL, 0) == SOCKET_ERROR) {
        log_refused_error("WSAEventSelect", (unsigned long)WSAGetLastError());
        goto refuse;
    }
    log_opened(&c->log, peer);
    waiter_give(w, c);
    return;

refuse:
    closesocket(sock);
    if (event != WSA_INVALID_EVENT)
        WSACloseEvent(event);
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
        WSAWaitForMultipleEvents(1, &srv->wake, FALSE, RETRY_MS, FALSE);
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

/* Nothing was begun. That Windows is short of memory, or has too much in flight
 * already, passes: the client is held, and asks again a second later. Any other
 * error is the end of it. Source: WSASend function, WSAENOBUFS. */
static void conn_refused(struct waiter *w, struct conn *c, const char *call,
                         int err)
{
    if (!net_is_short(err) && err != WSAEWOULDBLOCK) {
        conn_close(w, c, (DWORD)err);
        return;
    }
    WSAResetEvent(c->ov.hEvent); /* a send that was done at once has set it */
    c->held = true;
    if (w->held++ == 0) {
        warn_call(call, err); /* one line for all that are held */
        w->retry_at = GetTickCount64() + RETRY_MS;
    }
}

/* Ask for bytes. 0 and WSA_IO_PENDING both mean that the event will be set;
 * any other error, that nothing was begun and nothing will come. */
static void conn_post_recv(struct waiter *w, struct conn *c)
{
    WSABUF room = {.buf = c->buf, .len = w->srv->args.buffer};
    DWORD flags = 0; /* read and written by the call: fresh every time */
    c->ov = (OVERLAPPED){.hEvent = c->ov.hEvent};
    c->state = CONN_RECEIVING;
    if (WSARecv(c->sock, &room, 1, NULL, &flags, &c->ov, NULL) ==
            SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        conn_refused(w, c, "WSARecv", WSAGetLastError());
}

/* Ask to send what is owed. Most sends are done when the call returns: those
 * are reaped on the spot, which saves a wait. The next WSARecv() resets the
 * event that this one has set. */
static void conn_post_send(struct waiter *w, struct conn *c)
{
    WSABUF owed = {.buf = c->buf + c->sent, .len = c->len - c->sent};
    c->ov = (OVERLAPPED){.hEvent = c->ov.hEvent};
    c->state = CONN_SENDING;
    if (WSASend(c->sock, &owed, 1, NULL, 0, &c->ov, NULL) != SOCKET_ERROR)
        conn_reap(w, c);
    else if (WSAGetLastError() != WSA_IO_PENDING)
        conn_refused(w, c, "WSASend", WSAGetLastError());
}

static void on_recv(struct waiter *w, struct conn *c, DWORD len, DWORD err)
{
    if (err != 0 || len == 0) {
        /* On 0 bytes the client will say no more, and all that it said is back
         * with it: nothing is received while bytes are owed. */
        conn_close(w, c, err);
        return;
    }
    log_received(&c->log, len);
    c->len = len;
    c->sent = 0;
    conn_post_send(w, c);
}

/* A send is done when the system has taken all of it. Nothing promises that in
 * so many words: count, and ask again for what is left. */
static void on_sent(struct waiter *w, struct conn *c, DWORD len, DWORD err)
{
    if (err != 0) {
        conn_close(w, c, err);
        return;
    }
    c->sent += len;
    log_sent(&c->log, len, c->len - c->sent);
    if (c->sent < c->len)
        conn_post_send(w, c);
    else
        conn_post_recv(w, c);
}

/* ---- 5. close ---------------------------------------------------------- */

/* Only with nothing in flight: then buffer and OVERLAPPED are ours to free,
 * and the close is an orderly one. With a WSARecv() still pending, Windows
 * would send a reset, and the client could lose the end of its echo.
 *
 * err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct waiter *w, struct conn *c, DWORD err)
{
    if (err == 0)
        shutdown(c->sock, SD_SEND); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    WSACloseEvent(c->ov.hEvent); /* after the socket that would set it */

    struct conn *last = w->conns[--w->count];
    w->conns[c->slot] = last;
    w->events[c->slot] = w->events[w->count];
    last->slot = c->slot;

    log_closed(&c->log, err);
    free(c);
    InterlockedDecrement(&w->clients);
    InterlockedDecrement(&w->srv->clients);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "overlapped_event",
    .idea = "completion, told by event objects (overlapped I/O)",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit =
        "64 events a wait, less its wake event; a thread for each wait",
    .no_threads = "a thread opens for each 63 clients, as they come",
};

static void server_start(struct server *srv)
{
    srv->wake = WSACreateEvent();
    if (srv->wake == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    srv->listener = net_listen(&srv->args);
    srv->accepting = WSACreateEvent();
    if (srv->accepting == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    if (WSAEventSelect(srv->listener, srv->accepting, FD_ACCEPT) ==
        SOCKET_ERROR)
        die_call("WSAEventSelect", WSAGetLastError());
    srv->threads = 1; /* waiters come with the clients */
}

/* Runs on another thread, while the main thread waits for its events. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    if (!WSASetEvent(srv->wake))
        die_call("WSASetEvent", WSAGetLastError());
}

/* Cancel, reap, and only then free: CancelIoEx() is no more than a request, and
 * until the operation has ended the system may still write to its memory. */
static void cancel_and_reap(SOCKET sock, OVERLAPPED *ov)
{
    DWORD len = 0;
    DWORD flags = 0;
    if (!CancelIoEx((HANDLE)sock, ov) && GetLastError() != ERROR_NOT_FOUND)
        warn_call("CancelIoEx", GetLastError());
    (void)WSAGetOverlappedResult(sock, ov, &len, TRUE, &flags);
}

/* The clients of one waiter, on its own thread. */
static void waiter_close(struct waiter *w)
{
    while (w->count > 1) {
        struct conn *c = w->conns[w->count - 1];
        if (!c->held)
            cancel_and_reap(c->sock, &c->ov);
        conn_close(w, c, 0);
    }
}

static unsigned __stdcall waiter_main(void *arg)
{
    struct waiter *w = arg;
    waiter_run(w);
    waiter_close(w);
    return 0;
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    WSACloseEvent(srv->accepting);
    for (struct waiter *w = srv->waiters; w != NULL; w = w->next) {
        InterlockedExchange(&w->stopping, TRUE);
        WSASetEvent(w->events[SLOT_WAKE]);
    }
    while (srv->waiters != NULL) {
        struct waiter *w = srv->waiters;
        srv->waiters = w->next;
        WaitForSingleObject(w->thread, INFINITE);
        CloseHandle(w->thread);
        WSACloseEvent(w->events[SLOT_WAKE]);
        free(w);
    }
    WSACloseEvent(srv->wake);
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
