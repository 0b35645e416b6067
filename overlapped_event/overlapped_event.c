/* overlapped_event.c -- echo server on overlapped I/O: ask, be signalled, done
 *
 *   peer --bytes--> [socket] --> [buffer]   done by the system, meanwhile
 *                      ^            |       the thread waits for others
 *                      +------------+
 *          [event] <-- set when done; wakes --> server_run()
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       WSAWaitForMultipleEvents(), a thread for each 63 clients
 *   moves bytes    the system, between WSARecv() or WSASend() and the signal
 *   holds at most  65535 clients: 64 events a wait, more waits in more threads
 *   stops by       WSASetEvent() on slot 0 of each wait
 *   diff with      eventselect.c (before this), overlapped_routine.c (after)
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
    CONN_RECEIVING, /* the operation in flight is a WSARecv() */
    CONN_SENDING /* ... a WSASend(): nothing is received while bytes are owed */
};

/* One client, with its one operation. Only the thread that waits for its event
 * touches it; but while the operation is in flight, ov and buf belong to the
 * system, which writes to them whenever it likes. */
struct conn {
    OVERLAPPED ov; /* ov.hEvent is set when the operation is done */
    SOCKET sock;
    unsigned long id; /* the #17 of the log */
    DWORD slot;       /* its place in the waiter's arrays */
    enum conn_state state;
    DWORD len;  /* bytes in buf */
    DWORD sent; /* of these, bytes that are back with the client */
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

/* What AcceptEx() writes: two addresses, each with 16 bytes that it wants for
 * itself. Source: AcceptEx function. */
enum { ADDRESS_SIZE = sizeof(struct sockaddr_storage) + 16 };

/* The one AcceptEx() in flight. Like conn, it belongs to the system then. */
struct accept_op {
    OVERLAPPED ov; /* ov.hEvent is set when somebody has connected */
    SOCKET sock;   /* made beforehand; INVALID_SOCKET: none in flight */
    char addresses[2 * ADDRESS_SIZE];
};

/* The server. Only the main thread touches it, but for what says otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    LPFN_ACCEPTEX accept_ex;
    struct accept_op *accepting;
    WSAEVENT wake;           /* slot 0 of the first waiter */
    struct waiter **waiters; /* the first one also waits for AcceptEx() */
    size_t count;
    size_t room;
    volatile LONG clients;  /* interlocked: of all waiters */
    volatile LONG paused;   /* interlocked: out of sockets, accept no more */
    volatile LONG stopping; /* interlocked */
};

static void accept_post(struct server *srv);
static void on_accept(struct server *srv);
static void conn_post_recv(struct waiter *w, struct conn *c);
static void conn_post_send(struct waiter *w, struct conn *c);
static void on_recv(struct waiter *w, struct conn *c, DWORD len, DWORD err);
static void on_sent(struct waiter *w, struct conn *c, DWORD len, DWORD err);
static void conn_close(struct waiter *w, struct conn *c, DWORD err);

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
        waiter_add(w, c->ov.hEvent, c);
        conn_post_recv(w, c);
        c = next;
    }
    if (w->thread == NULL && !w->srv->stopping &&
        w->srv->accepting->sock == INVALID_SOCKET)
        accept_post(w->srv); /* it was paused, and now a client has left */
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

/* No WSAResetEvent() for clients: to begin the next operation resets the event
 * of its OVERLAPPED. */
static void on_slot(struct waiter *w, DWORD slot)
{
    if (w->conns[slot] != NULL)
        conn_reap(w, w->conns[slot]);
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

/* Hand the client over. From here on it belongs to the waiter's thread, which
 * also posts the first WSARecv(): what a thread has in flight is cancelled when
 * that thread ends, so the one that waits has to be the one that asks. */
static void waiter_give(struct waiter *w, struct conn *c)
{
    InterlockedIncrement(&w->clients);
    InterlockedIncrement(&w->srv->clients);
    if (w->thread == NULL) {
        waiter_add(w, c->ov.hEvent, c); /* that is us */
        conn_post_recv(w, c);
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
    *c = (struct conn){.sock = sock, .ov.hEvent = event};
    c->id = stats_opened(sock, peer);
    waiter_give(w, c);
    return;

refuse:
    closesocket(sock);
    if (event != WSA_INVALID_EVENT)
        WSACloseEvent(event);
    free(c);
}

/* Ask for the next connection. Its socket is made first; AcceptEx() connects
 * it. Nothing is received along with it: that would leave the one AcceptEx()
 * waiting for a client that connects and says nothing. */
static void accept_post(struct server *srv)
{
    struct accept_op *a = srv->accepting;
    LPFN_ACCEPTEX accept_ex = srv->accept_ex;
    a->sock =
        WSASocketW(srv->args.address.ss_family, SOCK_STREAM, IPPROTO_TCP, NULL,
                   0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (a->sock == INVALID_SOCKET) {
        int err = WSAGetLastError();
        WSAResetEvent(a->ov.hEvent); /* no operation begins that would */
        /* Until one of ours leaves. Before we look whether there is one: who
         * leaves right now, on another thread, finds us paused. */
        InterlockedExchange(&srv->paused, TRUE);
        if (srv->clients == 0)
            die_call("WSASocketW", err);
        warn_call("WSASocketW", err);
        return;
    }
    DWORD len = 0;
    int err = 0;
    /* Windows may say at once that a newcomer has left before we came: nothing
     * was begun, so ask for the next one. Wine does not. Source: AcceptEx
     * function, WSAECONNRESET. */
    do {
        a->ov = (OVERLAPPED){.hEvent = a->ov.hEvent};
        err = accept_ex(srv->listener, a->sock, a->addresses, 0, ADDRESS_SIZE,
                        ADDRESS_SIZE, &len, &a->ov)
                  ? 0
                  : WSAGetLastError();
    } while (net_newcomer_left(err));
    if (err != 0 && err != WSA_IO_PENDING)
        die_call("AcceptEx", err);
}

/* Somebody has connected, or was about to and left. */
static void on_accept(struct server *srv)
{
    struct accept_op *a = srv->accepting;
    SOCKET sock = a->sock;
    DWORD len = 0;
    DWORD flags = 0;
    struct sockaddr_storage peer;
    int peer_len = sizeof peer;
    bool connected =
        WSAGetOverlappedResult(srv->listener, &a->ov, &len, FALSE, &flags);
    trace_event("accept done", &a->ov, 0,
                connected ? 0 : (DWORD)WSAGetLastError());

    /* Until this call the socket is only half connected on Windows: shutdown()
     * and getpeername() fail, and no option of the listener is inherited. Wine
     * does not need it. Source: AcceptEx function, SO_UPDATE_ACCEPT_CONTEXT. */
    connected =
        connected &&
        setsockopt(sock, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
                   (const char *)&srv->listener,
                   sizeof srv->listener) != SOCKET_ERROR &&
        getpeername(sock, (struct sockaddr *)&peer, &peer_len) != SOCKET_ERROR;
    if (!connected) {
        closesocket(sock); /* it left before we came */
    } else if ((unsigned long)srv->clients >= srv->args.max_clients) {
        closesocket(sock);
        stats_refused(srv->args.max_clients);
    } else {
        conn_open(srv, sock, &peer);
    }
    accept_post(srv);
}

/* ---- 4. echo ----------------------------------------------------------- */

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
        conn_close(w, c, (DWORD)WSAGetLastError());
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
        conn_close(w, c, (DWORD)WSAGetLastError());
}

static void on_recv(struct waiter *w, struct conn *c, DWORD len, DWORD err)
{
    trace_event("recv done", &c->ov, len, err);
    if (err != 0 || len == 0) {
        /* On 0 bytes the client will say no more, and all that it said is back
         * with it: nothing is received while bytes are owed. */
        conn_close(w, c, err);
        return;
    }
    stats_received(c->id, len);
    c->len = len;
    c->sent = 0;
    conn_post_send(w, c);
}

/* A send is done when the system has taken all of it. Nothing promises that in
 * so many words: count, and ask again for what is left. */
static void on_sent(struct waiter *w, struct conn *c, DWORD len, DWORD err)
{
    trace_event("send done", &c->ov, len, err);
    if (err != 0) {
        conn_close(w, c, err);
        return;
    }
    c->sent += len;
    c->echoed += len;
    stats_sent(c->id, len, c->len - c->sent);
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
        shutdown(c->sock, SD_SEND); /* fails if it is gone: gone is fine */
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    WSACloseEvent(c->ov.hEvent); /* after the socket that would set it */

    struct conn *last = w->conns[--w->count];
    w->conns[c->slot] = last;
    w->events[c->slot] = w->events[w->count];
    last->slot = c->slot;

    stats_closed(c->id, c->echoed, err);
    free(c);
    InterlockedDecrement(&w->clients);
    InterlockedDecrement(&w->srv->clients);
    if (InterlockedExchange(&w->srv->paused, FALSE))
        WSASetEvent(w->srv->wake);
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

static void server_start(struct server *srv)
{
    struct waiter *first = server_grow(srv) ? waiter_new(srv) : NULL;
    /* From the process heap: Wine, built with the sanitizers, refuses to let
     * AcceptEx() write anywhere else. */
    srv->accepting =
        HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, sizeof *srv->accepting);
    WSAEVENT event = WSACreateEvent();
    if (first == NULL || srv->accepting == NULL || event == WSA_INVALID_EVENT)
        die_call("malloc or WSACreateEvent", WSA_NOT_ENOUGH_MEMORY);
    srv->waiters[srv->count++] = first;
    srv->wake = first->events[SLOT_WAKE];
    srv->listener = net_listen(&srv->args);
    srv->accept_ex = find_accept_ex(srv->listener);
    srv->accepting->ov.hEvent = event;
    waiter_add(first, event, NULL);
    accept_post(srv);
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

/* The clients of one waiter, on its own thread. The last slots go first, so
 * nothing moves into a slot that has been looked at. */
static void waiter_close(struct waiter *w)
{
    on_wake(w);
    for (DWORD slot = w->count; slot-- > 0;) {
        struct conn *c = w->conns[slot];
        if (c == NULL)
            continue;
        cancel_and_reap(c->sock, &c->ov);
        conn_close(w, c, 0);
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
    struct accept_op *a = srv->accepting;
    if (a->sock != INVALID_SOCKET) {
        cancel_and_reap(srv->listener, &a->ov);
        closesocket(a->sock);
    }
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
    WSACloseEvent(a->ov.hEvent);
    HeapFree(GetProcessHeap(), 0, a);
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
