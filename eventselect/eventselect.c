/* eventselect.c -- echo server on WSAEventSelect(): be signalled, then do it
 *
 *   peer --bytes--> [socket] --sets--> [event] --wakes--> waiter_run()
 *                      ^                                      |
 *                      +----------- recv(), send() -----------+
 *
 *   tells us       readiness: "a call on this socket would not block now"
 *   waits in       WSAWaitForMultipleEvents(), in a waiter for each 63 clients
 *   moves bytes    the waiters, with non-blocking recv() and send()
 *   holds at most  65535 clients: 64 events a wait, more waits in more threads
 *   stops by       WSASetEvent() on the wake event of each wait
 *   diff with      asyncselect.c (before this), overlapped_event.c (after)
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
    CONN_RECEIVING, /* owes nothing, wants to hear more */
    CONN_SENDING    /* owes bytes, and reads no more until they are gone */
};

/* One client. Only the thread that waits for its event touches it. */
struct conn {
    SOCKET sock;
    DWORD slot; /* its place in the waiter's arrays */
    WSAEVENT event;
    enum conn_state state;
    bool peer_closed; /* FD_CLOSE came: read on until recv() says 0 */
    bool again;       /* we set the event ourselves: read without being told */
    int len;          /* bytes in buf */
    int sent;         /* of these, bytes that are back with the client */
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

/* How long to wait before accept() is tried again when it has failed. */
enum { RETRY_MS = 1000 };

static void on_accept(struct server *srv);
static void on_readable(struct waiter *w, struct conn *c);
static void on_writable(struct waiter *w, struct conn *c);
static void conn_close(struct waiter *w, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

static void waiter_add(struct waiter *w, struct conn *c)
{
    c->slot = w->count;
    w->events[w->count] = c->event;
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
        c = next;
    }
    return !stopping;
}

/* Read the record of what happened to the socket. The same call clears it and
 * resets the event, in one step; WSAResetEvent() could lose what comes in
 * between. Only hints are taken from the record, its error codes included:
 * recv() and send() tell how things are. */
static void on_event(struct waiter *w, struct conn *c)
{
    WSANETWORKEVENTS seen;
    if (WSAEnumNetworkEvents(c->sock, c->event, &seen) == SOCKET_ERROR) {
        conn_close(w, c, WSAGetLastError());
        return;
    }
    /* Windows records FD_CLOSE once, and does so while bytes of the client
     * may still wait to be read. Closing now would lose them. */
    if (seen.lNetworkEvents & FD_CLOSE)
        c->peer_closed = true;

    bool read = c->again || (seen.lNetworkEvents & (FD_READ | FD_CLOSE)) != 0;
    c->again = false;
    if (c->state == CONN_SENDING)
        on_writable(w, c);
    else if (read)
        on_readable(w, c);
}

/* One copy of this runs in each waiter. */
static void waiter_run(struct waiter *w)
{
    DWORD slot = 0; /* where this wait begins */
    for (;;) {
        DWORD wait = slot == 0 ? WSA_INFINITE : 0;
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
            on_event(w, c);
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

/* Hand the client over. From here on it belongs to the waiter. */
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
    *c = (struct conn){.sock = sock, .state = CONN_RECEIVING, .event = event};

    /* The socket comes with the registration of the listener: give it one of
     * its own. This also makes it non-blocking, and what arrived before is
     * not lost: conditions that are true already are recorded at once. */
    if (WSAEventSelect(sock, event, FD_READ | FD_WRITE | FD_CLOSE) ==
        SOCKET_ERROR) {
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

/* The state of the client decides what we do at its next signal. The
 * registration stays as it is: to register again would not report again what
 * was reported once. After a pause, and after FD_CLOSE, no signal comes for the
 * bytes that are left. So we set the event ourselves. */
static void conn_set_state(struct waiter *w, struct conn *c,
                           enum conn_state state)
{
    bool remind =
        state == CONN_RECEIVING && (c->state == CONN_SENDING || c->peer_closed);
    c->state = state;
    if (!remind)
        return;
    c->again = true;
    if (!WSASetEvent(c->event))
        conn_close(w, c, WSAGetLastError());
}

/* Read once a signal, however much there is: recv() lets Windows signal the
 * next FD_READ for the rest, and no flood keeps the others waiting. */
static void on_readable(struct waiter *w, struct conn *c)
{
    int len = recv(c->sock, c->buf, (int)w->srv->args.buffer, 0);
    if (len == SOCKET_ERROR) {
        int err = WSAGetLastError();
        if (err != WSAEWOULDBLOCK)
            conn_close(w, c, err);
        return;
    }
    if (len == 0) {
        /* The client will say no more, and all that it said is back with it:
         * nothing is received while bytes are owed. */
        conn_close(w, c, 0);
        return;
    }
    log_received(&c->log, (size_t)len);
    c->len = len;
    c->sent = 0;
    on_writable(w, c);
}

/* Send what is owed, all of it or until the socket takes no more: only after
 * WSAEWOULDBLOCK does an FD_WRITE come. Windows usually takes everything or
 * nothing, but promises less: count. */
static void on_writable(struct waiter *w, struct conn *c)
{
    while (c->sent < c->len) {
        int len = send(c->sock, c->buf + c->sent, c->len - c->sent, 0);
        if (len == SOCKET_ERROR) {
            int err = WSAGetLastError();
            if (err == WSAEWOULDBLOCK)
                conn_set_state(w, c, CONN_SENDING);
            else
                conn_close(w, c, err);
            return;
        }
        c->sent += len;
        log_sent(&c->log, (size_t)len, (size_t)(c->len - c->sent));
    }
    conn_set_state(w, c, CONN_RECEIVING);
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct waiter *w, struct conn *c, int err)
{
    if (err == 0)
        shutdown(c->sock, SD_SEND); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    WSACloseEvent(c->event); /* after the socket that would set it */

    struct conn *last = w->conns[--w->count];
    w->conns[c->slot] = last;
    w->events[c->slot] = w->events[w->count];
    last->slot = c->slot;

    log_closed(&c->log, (unsigned long)err);
    free(c);
    InterlockedDecrement(&w->clients);
    InterlockedDecrement(&w->srv->clients);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "eventselect",
    .idea = "readiness, told by event objects (WSAEventSelect)",
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

/* The clients of one waiter, on its own thread. */
static void waiter_close(struct waiter *w)
{
    while (w->count > 1)
        conn_close(w, w->conns[w->count - 1], 0);
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
