/* eventselect.c -- echo server on WSAEventSelect(): be signalled, then do it
 *
 *   peer --bytes--> [socket] --sets--> [event] --wakes--> server_run()
 *                      ^                                      |
 *                      +----------- recv(), send() -----------+
 *
 *   tells us       readiness: "a call on this socket would not block now"
 *   waits in       WSAWaitForMultipleEvents(), a thread for each 63 clients
 *   moves bytes    these threads, with non-blocking recv() and send()
 *   holds at most  65535 clients: 64 events a wait, more waits in more threads
 *   stops by       WSASetEvent() on slot 0 of each wait
 *   diff with      asyncselect.c (before this), overlapped_event.c (after)
 */
#include "common/win.h"

#include <process.h>
#include <stdlib.h>

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/net.h"
#include "common/stats.h"
#include "common/stop.h"
#include "common/trace_winsock.h"

/* ---- 1. types ---------------------------------------------------------- */

enum conn_state {
    CONN_RECEIVING, /* owes nothing, wants to hear more */
    CONN_SENDING    /* owes bytes, and reads no more until they are gone */
};

/* One client. Only the thread that waits for its event touches it. */
struct conn {
    SOCKET sock;
    unsigned long id; /* the #17 of the log */
    DWORD slot;       /* its place in the waiter's arrays */
    WSAEVENT event;
    enum conn_state state;
    bool peer_closed; /* FD_CLOSE came: read on until recv() says 0 */
    bool again;       /* we set the event ourselves: read without being told */
    int len;          /* bytes in buf */
    int sent;         /* of these, bytes that are back with the client */
    unsigned long long echoed;
    struct conn *next; /* in the inbox */
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

enum { SLOT_WAKE = 0 };

/* The address space of a waiting thread. The default of one megabyte would
 * be a gigabyte for sixty thousand clients. */
enum { STACK_SIZE = 128 * 1024 };

/* One thread and what it waits for: one call waits for 64 events at most. */
struct waiter {
    struct server *srv;
    HANDLE thread; /* NULL for the first one, which is the main thread */

    /* Only the waiter's own thread; slots without a client have no conn. */
    WSAEVENT events[WSA_MAXIMUM_WAIT_EVENTS];
    struct conn *conns[WSA_MAXIMUM_WAIT_EVENTS];
    DWORD count;

    /* How newcomers get here from the main thread. */
    SRWLOCK lock;
    struct conn *inbox;    /* under lock */
    volatile LONG clients; /* interlocked: in the arrays or in the inbox */
};

/* The server. Only the main thread touches it, but for what says otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    WSAEVENT accepting;      /* set when somebody connects */
    WSAEVENT wake;           /* slot 0 of the first waiter */
    struct waiter **waiters; /* the first one also waits for the listener */
    size_t count;
    size_t room;
    volatile LONG clients;  /* interlocked: of all waiters */
    volatile LONG paused;   /* interlocked: out of sockets, accept no more */
    volatile LONG stopping; /* interlocked */
};

static void on_accept(struct server *srv);
static void on_readable(struct waiter *w, struct conn *c);
static void on_writable(struct waiter *w, struct conn *c);
static void conn_close(struct waiter *w, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

static void waiter_add(struct waiter *w, WSAEVENT event, struct conn *c)
{
    if (c != NULL)
        c->slot = w->count;
    w->events[w->count] = event;
    w->conns[w->count++] = c;
}

/* Slot 0: newcomers wait in the inbox, or the server stops. Nobody but this
 * thread changes the arrays: a wait that has begun would not notice. */
static void on_wake(struct waiter *w)
{
    /* Before looking: what comes after the look sets the event again. */
    WSAResetEvent(w->events[SLOT_WAKE]);
    AcquireSRWLockExclusive(&w->lock);
    struct conn *c = w->inbox;
    w->inbox = NULL;
    ReleaseSRWLockExclusive(&w->lock);
    while (c != NULL) {
        struct conn *next = c->next;
        waiter_add(w, c->event, c);
        c = next;
    }
    if (w->thread == NULL && !w->srv->stopping)
        on_accept(w->srv); /* it was paused, and now a client has left */
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

static void on_slot(struct waiter *w, DWORD slot)
{
    if (w->conns[slot] != NULL)
        on_event(w, w->conns[slot]);
    else if (slot == SLOT_WAKE)
        on_wake(w);
    else
        on_accept(w->srv);
}

/* One copy of this runs in each waiting thread. */
static void waiter_run(struct waiter *w)
{
    DWORD slot = 0; /* where this wait begins */
    while (!w->srv->stopping) {
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
        on_slot(w, slot);

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

static void server_run(struct server *srv)
{
    waiter_run(srv->waiters[0]);
}

/* ---- 3. accept --------------------------------------------------------- */

static unsigned __stdcall waiter_main(void *arg);

/* The first slots are not for clients: wake, and in the first waiter also the
 * listener. */
static LONG waiter_room(const struct waiter *w)
{
    return WSA_MAXIMUM_WAIT_EVENTS - (w->thread == NULL ? 2 : 1);
}

/* A waiter without a thread yet; NULL when the machine has no more. */
static struct waiter *waiter_new(struct server *srv)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (w == NULL)
        return NULL;
    WSAEVENT wake = WSACreateEvent();
    if (wake == WSA_INVALID_EVENT) {
        free(w);
        return NULL;
    }
    trace_name((ULONG_PTR)wake, "wake");
    w->srv = srv;
    InitializeSRWLock(&w->lock);
    waiter_add(w, wake, NULL);
    return w;
}

static void waiter_free(struct waiter *w)
{
    WSACloseEvent(w->events[SLOT_WAKE]);
    free(w);
}

/* Make room for one more waiter. */
static bool server_grow(struct server *srv)
{
    if (srv->count < srv->room)
        return true;
    size_t room = srv->room == 0 ? 16 : srv->room * 2;
    struct waiter **waiters = realloc(srv->waiters, room * sizeof *waiters);
    if (waiters == NULL)
        return false;
    srv->waiters = waiters;
    srv->room = room;
    return true;
}

/* A waiter with a free slot; opens one more thread when all are full. */
static struct waiter *find_waiter(struct server *srv)
{
    for (size_t i = 0; i < srv->count; i++) {
        if (srv->waiters[i]->clients < waiter_room(srv->waiters[i]))
            return srv->waiters[i];
    }
    struct waiter *w = server_grow(srv) ? waiter_new(srv) : NULL;
    if (w == NULL)
        return NULL;
    w->thread = (HANDLE)_beginthreadex(NULL, STACK_SIZE, waiter_main, w,
                                       STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (w->thread == NULL) {
        waiter_free(w);
        return NULL;
    }
    srv->waiters[srv->count++] = w;
    return w;
}

/* Hand the client over. From here on it belongs to the waiter's thread. */
static void waiter_give(struct waiter *w, struct conn *c)
{
    InterlockedIncrement(&w->clients);
    InterlockedIncrement(&w->srv->clients);
    if (w->thread == NULL) {
        waiter_add(w, c->event, c); /* that is us */
        return;
    }
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
    struct waiter *w = find_waiter(srv);
    struct conn *c = malloc(sizeof *c + srv->args.buffer);
    WSAEVENT event = WSACreateEvent();
    if (w == NULL || c == NULL || event == WSA_INVALID_EVENT) {
        stats_refused_error("a thread, malloc or WSACreateEvent",
                            WSA_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    *c = (struct conn){.sock = sock, .state = CONN_RECEIVING, .event = event};

    /* The socket comes with the registration of the listener: give it one of
     * its own. This also makes it non-blocking, and what arrived before is
     * not lost: conditions that are true already are recorded at once. */
    if (WSAEventSelect(sock, event, FD_READ | FD_WRITE | FD_CLOSE) ==
        SOCKET_ERROR) {
        stats_refused_error("WSAEventSelect", (unsigned long)WSAGetLastError());
        goto refuse;
    }
    c->id = stats_opened(sock, peer);
    waiter_give(w, c);
    return;

refuse:
    closesocket(sock);
    if (event != WSA_INVALID_EVENT)
        WSACloseEvent(event);
    free(c);
}

/* One newcomer a signal. accept() lets Windows signal the next FD_ACCEPT, and
 * the clients that are here already get their turn in between. */
static void on_accept(struct server *srv)
{
    WSANETWORKEVENTS seen;
    if (WSAEnumNetworkEvents(srv->listener, srv->accepting, &seen) ==
        SOCKET_ERROR)
        die_call("WSAEnumNetworkEvents", WSAGetLastError());
    if (srv->paused)
        return; /* leave them in the backlog */

    struct sockaddr_storage peer;
    int len = sizeof peer;
    SOCKET sock = accept(srv->listener, (struct sockaddr *)&peer, &len);
    if (sock == INVALID_SOCKET) {
        int err = WSAGetLastError();
        if (err == WSAEWOULDBLOCK || net_newcomer_left(err))
            return;
        /* Until one of ours leaves. Before we look whether there is one: who
         * leaves right now, on another thread, finds us paused. */
        InterlockedExchange(&srv->paused, TRUE);
        if ((err != WSAEMFILE && err != WSAENOBUFS) || srv->clients == 0)
            die_call("accept", err);
        warn_call("accept", err);
        return;
    }
    net_keep_private(sock);
    if ((unsigned long)srv->clients >= srv->args.max_clients) {
        closesocket(sock);
        stats_refused(srv->args.max_clients);
        return;
    }
    conn_open(srv, sock, &peer);
}

/* ---- 4. echo ----------------------------------------------------------- */

/* What the client waits for decides what a signal means to us. The
 * registration stays as it is: to ask again for what was reported once would
 * not report it again. So after a pause, and after FD_CLOSE, when no signal
 * comes for the bytes that are left, we remind ourselves. */
static void conn_watch(struct waiter *w, struct conn *c, enum conn_state state)
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
    stats_received(c->id, (size_t)len);
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
                conn_watch(w, c, CONN_SENDING);
            else
                conn_close(w, c, err);
            return;
        }
        c->sent += len;
        c->echoed += (unsigned long long)len;
        stats_sent(c->id, (size_t)len, (size_t)(c->len - c->sent));
    }
    conn_watch(w, c, CONN_RECEIVING);
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct waiter *w, struct conn *c, int err)
{
    if (err == 0)
        shutdown(c->sock, SD_SEND); /* fails if it is gone: gone is fine */
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    WSACloseEvent(c->event); /* after the socket that would set it */

    struct conn *last = w->conns[--w->count];
    w->conns[c->slot] = last;
    w->events[c->slot] = w->events[w->count];
    last->slot = c->slot;

    stats_closed(c->id, c->echoed, (unsigned long)err);
    free(c);
    InterlockedDecrement(&w->clients);
    InterlockedDecrement(&w->srv->clients);
    if (InterlockedExchange(&w->srv->paused, FALSE))
        WSASetEvent(w->srv->wake);
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
    struct waiter *first = server_grow(srv) ? waiter_new(srv) : NULL;
    srv->accepting = WSACreateEvent();
    if (first == NULL || srv->accepting == WSA_INVALID_EVENT)
        die_call("malloc or WSACreateEvent", WSA_NOT_ENOUGH_MEMORY);
    srv->waiters[srv->count++] = first;
    srv->wake = first->events[SLOT_WAKE];
    srv->listener = net_listen(&srv->args);
    if (WSAEventSelect(srv->listener, srv->accepting, FD_ACCEPT) ==
        SOCKET_ERROR)
        die_call("WSAEventSelect", WSAGetLastError());
    waiter_add(first, srv->accepting, NULL);
    srv->threads = 1;
}

/* Runs on another thread, while the main thread waits for its events. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    if (!WSASetEvent(srv->wake))
        die_call("WSASetEvent", WSAGetLastError());
}

/* The clients of one waiter, on its own thread. The last slots go first, so
 * nothing moves into a slot that has been looked at. */
static void waiter_close(struct waiter *w)
{
    on_wake(w);
    for (DWORD slot = w->count; slot-- > 0;) {
        if (w->conns[slot] != NULL)
            conn_close(w, w->conns[slot], 0);
    }
}

static unsigned __stdcall waiter_main(void *arg)
{
    struct waiter *w = arg;
    trace_thread("waiter #");
    waiter_run(w);
    waiter_close(w);
    return 0;
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    for (size_t i = 1; i < srv->count; i++)
        WSASetEvent(srv->waiters[i]->events[SLOT_WAKE]);
    for (size_t i = 1; i < srv->count; i++) {
        WaitForSingleObject(srv->waiters[i]->thread, INFINITE);
        CloseHandle(srv->waiters[i]->thread);
        waiter_free(srv->waiters[i]);
    }
    waiter_close(srv->waiters[0]);
    waiter_free(srv->waiters[0]);
    WSACloseEvent(srv->accepting);
    free(srv->waiters);
}

/* ---- 7. main (same in all six) ----------------------------------------- */

int main(int argc, char **argv)
{
    static struct server srv;
    srv.args = args_parse(&model, argc, argv);
    console_begin();
    net_start();
    stats_begin(&model, &srv.args);
    trace_begin(model.name, srv.args.trace, srv.args.trace_file);

    server_start(&srv);
    stop_begin(server_wake, &srv, srv.args.stop_on_eof);
    stats_ready(srv.listener, srv.threads);
    server_run(&srv);
    stop_end();
    server_stop(&srv);

    net_stop();
    stats_summary();
    return EXIT_STOPPED;
}
