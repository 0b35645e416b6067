/* rio.c -- echo server on Registered I/O: queues that both sides can see
 *
 *   peer --bytes--> [part of a registered buffer]   done by the system,
 *                      ^                 |          meanwhile
 *                      +-----------------+
 *      [request queue of the socket] --> [completion queue of a worker]
 *      [port: "that queue is not empty"] --> whichever worker is free
 *
 * Windows 8 and later; Wine has none of it, and there this ends with exit code
 * 3. It keeps the whole contract, with one reservation: it was only run on
 * tests/servers/rio_provider, which has the same functions, and never on
 * Windows.
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       GetQueuedCompletionStatus(), in each of --threads workers
 *   moves bytes    the system, between RIOReceive() or RIOSend() and the result
 *   holds at most  65535 clients: nothing in the model limits them
 *   stops by       closesocket(), and at the end one packet for each worker
 *   diff with      iocp.c (before this)
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
#include "common/registered_io.h"
#include "watch/watch.h"

/* ---- 1. types ---------------------------------------------------------- */

/* A port hands out, with every packet, the key of what it is about. We use it
 * to say what the OVERLAPPED is part of. The last one comes from ourselves and
 * has no OVERLAPPED. */
enum key {
    KEY_LISTENER, /* an AcceptEx() is done: struct accept_op */
    KEY_QUEUE,    /* a completion queue is not empty: struct queue */
    KEY_QUIT      /* nothing is in flight any more: this worker may leave */
};

enum conn_state {
    CONN_RECEIVING, /* the request in flight is a RIOReceive() */
    CONN_SENDING /* ... a RIOSend(): nothing is received while bytes are owed */
};

/* One client, with its one request, and its part of a registered buffer: they
 * stay together as long as the server runs, and serve one client after the
 * other. While the request is in flight, that part belongs to the system. The
 * rest is under the lock of its queue. */
struct conn {
    SOCKET sock; /* INVALID_SOCKET: server_cancel() has closed it */
    RIO_RQ requests;
    struct queue *queue;
    enum conn_state state;
    RIO_BUF part;  /* args.buffer bytes: all that a client can make us keep */
    RIO_BUF asked; /* what the request is about */
    DWORD len;     /* bytes in that part */
    DWORD sent;    /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in queue->conns; in srv->unused, under srv->lock */
    struct conn *prev;
    struct conn *next_held; /* in srv->held, under srv->lock */
};

/* The results of some clients' requests go here. Neither such a queue nor a
 * request queue may be used by two threads at once: the system takes no lock
 * for them, so we do. There is one for each worker, and one lock for it and
 * for all its clients: an echo never waits for the clients of another queue.
 * Source: RIO_CQ, RIO_RQ. */
struct queue {
    OVERLAPPED ov; /* comes with the packet that RIONotify() has asked for */
    SRWLOCK lock;
    RIO_CQ results;     /* under lock */
    DWORD size;         /* under lock: results that it has room for */
    DWORD charged;      /* under lock: results that its clients may have */
    struct conn *conns; /* under lock */
};

/* Each client has at most one RIOReceive() and one RIOSend() in its request
 * queue, and a result for each of them may lie in the completion queue. */
enum { MOST_RECEIVES = 1, MOST_SENDS = 1 };

/* A completion queue begins with room for so many results, and doubles. */
enum { QUEUE_SIZE = 64 };

/* So many results are taken at once, so many times, before the worker looks
 * at the port again: newcomers wait there. */
enum { RESULTS_AT_ONCE = 64, TIMES = 4 };

/* Registered memory, and the clients whose parts it is made of. To register
 * locks the pages, and costs much more than to use what is registered: so one
 * region is for many, and stays. Source: RIO_BUFFERID. */
struct region {
    struct region *next;
    char *bytes;
    RIO_BUFFERID id;
    struct conn conns[];
};

/* A region has about so many bytes, but not more clients than that. */
enum { REGION_BYTES = 1 << 20, REGION_CONNS = 64 };

/* What AcceptEx() writes: two addresses, each with 16 bytes that it wants for
 * itself. Source: AcceptEx function. */
enum { ADDRESS_SIZE = sizeof(struct sockaddr_storage) + 16 };

/* So many AcceptEx() are in flight, for as many clients in the same instant;
 * the others wait in the backlog of the listener. */
enum { ACCEPTS = 32 };

/* One AcceptEx(). It belongs to the system or to one worker, like conn. */
struct accept_op {
    OVERLAPPED ov;
    SOCKET sock;            /* made beforehand; INVALID_SOCKET: not in flight */
    struct accept_op *next; /* in srv->idle, under srv->lock */
    char addresses[2 * ADDRESS_SIZE];
};

/* The server. Workers read what server_start() set, and share the rest. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    HANDLE port;
    SOCKET listener;
    LPFN_ACCEPTEX accept_ex;
    RIO_EXTENSION_FUNCTION_TABLE rio;
    struct accept_op *accepts; /* ACCEPTS of them */
    HANDLE *workers;
    struct queue *queues; /* one for each worker */

    /* Only when a client comes or leaves. It is taken last: who has it takes no
     * lock of a queue. */
    SRWLOCK lock;
    struct region *regions; /* under lock */
    struct conn *unused;    /* under lock: parts that nobody uses */

    /* What Windows has refused for now, to be tried again: AcceptEx(), and
     * what clients asked for. Changed under lock. */
    struct accept_op *volatile idle;
    struct conn *volatile held;

    volatile LONG turn;     /* interlocked: whose queue gets the next client */
    volatile LONG clients;  /* interlocked */
    volatile LONG stopping; /* interlocked */
    WSAEVENT wake; /* set when something is refused, or the server stops */

    /* Interlocked: clients, AcceptEx() in flight, and the server itself until
     * it is told to stop. At 0 the workers may leave. */
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

/* ---- 2. the loop ------------------------------------------------------- */

/* How did a failed AcceptEx() end? The port itself answers with a Win32 code
 * (ERROR_NETNAME_DELETED), this with the one that Winsock programmers know
 * (WSAECONNRESET). A result of a request queue has that code already. */
static DWORD why_failed(SOCKET sock, OVERLAPPED *ov)
{
    DWORD len = 0;
    DWORD flags = 0;
    if (WSAGetOverlappedResult(sock, ov, &len, FALSE, &flags))
        return 0;
    return (DWORD)WSAGetLastError();
}

static void on_result(struct server *srv, const RIORESULT *result)
{
    struct conn *c = (struct conn *)(ULONG_PTR)result->SocketContext;
    if (c->state == CONN_RECEIVING)
        on_recv(srv, c, result->BytesTransferred, (DWORD)result->Status);
    else
        on_sent(srv, c, result->BytesTransferred, (DWORD)result->Status);
}

/* The packet says only that there are results. They lie in memory that the
 * system shares with us: to take them is no system call. When fewer come than
 * there is room for, there were no more.
 *
 * RIONotify() asks for one packet, and a second time only after that packet has
 * come; before, it fails with WSAEALREADY. If there are results already, it
 * comes at once, so none is overlooked. Source: RIODequeueCompletion function,
 * RIONotify function. */
static void on_results(struct server *srv, struct queue *q)
{
    LPFN_RIODEQUEUECOMPLETION rio_dequeue = srv->rio.RIODequeueCompletion;
    LPFN_RIONOTIFY rio_notify = srv->rio.RIONotify;
    RIORESULT results[RESULTS_AT_ONCE];
    ULONG count = RESULTS_AT_ONCE;
    AcquireSRWLockExclusive(&q->lock);
    for (int i = 0; i < TIMES && count == RESULTS_AT_ONCE; i++) {
        count = rio_dequeue(q->results, results, RESULTS_AT_ONCE);
        if (count == RIO_CORRUPT_CQ) {
            /* Memory was overwritten, or two threads were here at once. */
            err_print("RIODequeueCompletion: the queue is corrupt");
            err_exit(EXIT_FAILED);
        }
        for (ULONG done = 0; done < count; done++)
            on_result(srv, &results[done]);
    }
    int err = rio_notify(q->results); /* returns its error code */
    if (err != ERROR_SUCCESS)
        die_call("RIONotify", err);
    ReleaseSRWLockExclusive(&q->lock);
}

static void on_packet(struct server *srv, ULONG_PTR key, OVERLAPPED *ov,
                      bool ok)
{
    if (key == KEY_LISTENER) {
        struct accept_op *a = CONTAINING_RECORD(ov, struct accept_op, ov);
        on_accept(srv, a, ok ? 0 : why_failed(srv->listener, ov));
    } else {
        on_results(srv, CONTAINING_RECORD(ov, struct queue, ov));
    }
}

/* One copy of this runs in each worker. The call has four outcomes:
 *
 *   TRUE,  an OVERLAPPED   somebody has connected, or a queue has results
 *   FALSE, an OVERLAPPED   an AcceptEx() failed: one peer's trouble, and its
 *                          packet is taken and has to be handled all the same
 *   TRUE,  none            a packet that we posted ourselves
 *   FALSE, none            there is no packet: the port itself is broken
 */
static void worker_run(struct server *srv)
{
    for (;;) {
        DWORD len = 0;
        ULONG_PTR key = 0; /* as wide as a pointer */
        OVERLAPPED *ov = NULL;
        BOOL ok =
            GetQueuedCompletionStatus(srv->port, &len, &key, &ov, INFINITE);
        if (ov != NULL)
            on_packet(srv, key, ov, ok);
        else if (!ok)
            die_call("GetQueuedCompletionStatus", GetLastError());
        else
            return; /* KEY_QUIT */
    }
}

/* The main thread has nothing to do while all goes well. When Windows has no
 * more sockets or memory it tries again each second: nobody tells when there is
 * some. At the end there is nothing to wait for: what is held is closed. */
static void server_run(struct server *srv)
{
    while (!srv->stopping) {
        bool refused = srv->idle != NULL || srv->held != NULL;
        DWORD wait = refused ? RETRY_MS : WSA_INFINITE;
        DWORD got = WSAWaitForMultipleEvents(1, &srv->wake, FALSE, wait, FALSE);
        if (got == WSA_WAIT_FAILED)
            die_call("WSAWaitForMultipleEvents", WSAGetLastError());
        if (got == WSA_WAIT_TIMEOUT)
            server_retry(srv);
        else
            WSAResetEvent(srv->wake); /* before the look at what was changed */
    }
    server_retry(srv);
    for (unsigned long i = 0; i < srv->threads; i++)
        WaitForSingleObject(srv->workers[i], INFINITE);
}

/* ---- 3. accept --------------------------------------------------------- */

/* An AcceptEx() or a client has ended. At 0 each worker gets a packet that lets
 * it leave: no other packet will follow. */
static void server_release(struct server *srv)
{
    LONG live = InterlockedDecrement(&srv->live);
    for (unsigned long i = 0; live == 0 && i < srv->threads; i++)
        if (!PostQueuedCompletionStatus(srv->port, 0, KEY_QUIT, NULL))
            die_call("PostQueuedCompletionStatus", GetLastError());
}

/* One more region, all of its parts unused. False: it was refused. */
static bool region_add(struct server *srv)
{
    size_t size = srv->args.buffer;
    size_t count = REGION_BYTES / size;
    if (count > REGION_CONNS)
        count = REGION_CONNS;
    if (count == 0)
        count = 1;
    struct region *r = calloc(1, sizeof *r + count * sizeof r->conns[0]);
    if (r == NULL) {
        log_refused_error("calloc", ERROR_NOT_ENOUGH_MEMORY);
        return false;
    }
    r->bytes = VirtualAlloc(NULL, count * size, MEM_RESERVE | MEM_COMMIT,
                            PAGE_READWRITE);
    if (r->bytes == NULL) {
        log_refused_error("VirtualAlloc", GetLastError());
        free(r);
        return false;
    }
    LPFN_RIOREGISTERBUFFER rio_register = srv->rio.RIORegisterBuffer;
    r->id = rio_register(r->bytes, (DWORD)(count * size));
    if (r->id == RIO_INVALID_BUFFERID) {
        log_refused_error("RIORegisterBuffer",
                          (unsigned long)WSAGetLastError());
        VirtualFree(r->bytes, 0, MEM_RELEASE);
        free(r);
        return false;
    }
    r->next = srv->regions;
    srv->regions = r;
    for (size_t i = 0; i < count; i++) {
        r->conns[i].part = (RIO_BUF){r->id, (ULONG)(i * size), (ULONG)size};
        r->conns[i].next = srv->unused;
        srv->unused = &r->conns[i];
    }
    return true;
}

/* A part that nobody uses, or NULL: it was refused. */
static struct conn *conn_take(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    struct conn *c = NULL;
    if (srv->unused != NULL || region_add(srv)) {
        c = srv->unused;
        srv->unused = c->next;
        *c = (struct conn){.part = c->part};
    }
    ReleaseSRWLockExclusive(&srv->lock);
    return c;
}

static void conn_give_back(struct server *srv, struct conn *c)
{
    AcquireSRWLockExclusive(&srv->lock);
    c->next = srv->unused;
    srv->unused = c;
    ReleaseSRWLockExclusive(&srv->lock);
}

/* A request queue is made only if the completion queue has room for all the
 * results of all its request queues: so none is ever lost. Otherwise it is
 * WSAENOBUFS. Source: RIOCreateRequestQueue function. */
static bool queue_add(struct server *srv, struct queue *q, struct conn *c)
{
    DWORD needed = q->charged + MOST_RECEIVES + MOST_SENDS;
    if (needed > q->size) {
        LPFN_RIORESIZECOMPLETIONQUEUE rio_resize_queue =
            srv->rio.RIOResizeCompletionQueue;
        if (!rio_resize_queue(q->results, 2 * q->size)) {
            log_refused_error("RIOResizeCompletionQueue",
                              (unsigned long)WSAGetLastError());
            return false;
        }
        q->size *= 2;
    }
    /* The two 1s: a request is about one part of a buffer. The function takes
     * no other number. */
    LPFN_RIOCREATEREQUESTQUEUE rio_create_requests =
        srv->rio.RIOCreateRequestQueue;
    c->requests = rio_create_requests(c->sock, MOST_RECEIVES, 1, MOST_SENDS, 1,
                                      q->results, q->results, c);
    if (c->requests == RIO_INVALID_RQ) {
        log_refused_error("RIOCreateRequestQueue",
                          (unsigned long)WSAGetLastError());
        return false;
    }
    q->charged = needed;
    c->queue = q;
    c->next = q->conns;
    if (c->next != NULL)
        c->next->prev = c;
    q->conns = c;
    return true;
}

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    unsigned long turn = (unsigned long)InterlockedIncrement(&srv->turn);
    struct queue *q = &srv->queues[turn % srv->threads];
    struct conn *c = conn_take(srv);
    if (c == NULL)
        goto refuse;
    c->sock = sock;
    AcquireSRWLockExclusive(&q->lock);
    if (!queue_add(srv, q, c)) {
        ReleaseSRWLockExclusive(&q->lock);
        conn_give_back(srv, c);
        goto refuse;
    }
    log_opened(&c->log, peer);
    InterlockedIncrement(&srv->live);
    conn_post_recv(srv, c);
    ReleaseSRWLockExclusive(&q->lock);
    return;

refuse:
    InterlockedDecrement(&srv->clients);
    closesocket(sock);
}

/* Only a socket that is made for Registered I/O can have a request queue. */
static SOCKET open_socket(const struct server *srv)
{
    return WSASocketW(srv->args.address.ss_family, SOCK_STREAM, IPPROTO_TCP,
                      NULL, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT |
                          WSA_FLAG_REGISTERED_IO);
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
    if (!WSASetEvent(srv->wake))
        die_call("WSASetEvent", WSAGetLastError());
    server_release(srv);
}

/* Ask for a connection. Its socket is made first; AcceptEx() connects it.
 * Nothing is received along with it: that would let clients which connect and
 * say nothing use up every AcceptEx(). */
static void accept_post(struct server *srv, struct accept_op *a)
{
    LPFN_ACCEPTEX accept_ex = srv->accept_ex;
    InterlockedIncrement(&srv->live); /* first: from now on no worker leaves */
    if (srv->stopping) {
        server_release(srv);
        return;
    }
    a->sock = open_socket(srv);
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
        err = accept_ex(srv->listener, a->sock, a->addresses, 0, ADDRESS_SIZE,
                        ADDRESS_SIZE, &len, &a->ov)
                  ? 0
                  : WSAGetLastError();
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

/* Nothing was begun. That Windows is short of memory passes: the client is
 * held, and asks again a second later. Any other error is the end of it.
 * Source: RIOSend function, WSAENOBUFS. */
static void conn_refused(struct server *srv, struct conn *c, const char *call,
                         int err)
{
    if (!net_is_short(err)) {
        conn_close(srv, c, (DWORD)err);
        return;
    }
    AcquireSRWLockExclusive(&srv->lock);
    /* Under the lock: after it was set, server_run() looks there once more. */
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
        if (!WSASetEvent(srv->wake))
            die_call("WSASetEvent", WSAGetLastError());
    }
}

/* Ask for bytes. TRUE means that a result will come; FALSE, that nothing was
 * begun and nothing will come. Unlike a packet, that result is taken by nobody
 * before the lock of the queue is released, which we hold: c stays ours.
 *
 * Whether the server stops is looked at before. Afterwards server_cancel()
 * takes that lock, too, and so finds what was begun. */
static void conn_post_recv(struct server *srv, struct conn *c)
{
    LPFN_RIORECEIVE rio_receive = srv->rio.RIOReceive;
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return;
    }
    c->asked = c->part;
    c->state = CONN_RECEIVING;
    if (!rio_receive(c->requests, &c->asked, 1, 0, c))
        conn_refused(srv, c, "RIOReceive", WSAGetLastError());
}

/* Ask to send what is owed. */
static void conn_post_send(struct server *srv, struct conn *c)
{
    LPFN_RIOSEND rio_send = srv->rio.RIOSend;
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return;
    }
    c->asked =
        (RIO_BUF){c->part.BufferId, c->part.Offset + c->sent, c->len - c->sent};
    c->state = CONN_SENDING;
    if (!rio_send(c->requests, &c->asked, 1, 0, c))
        conn_refused(srv, c, "RIOSend", WSAGetLastError());
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
        struct queue *q = c->queue;
        AcquireSRWLockExclusive(&q->lock);
        if (c->state == CONN_RECEIVING)
            conn_post_recv(srv, c);
        else
            conn_post_send(srv, c);
        ReleaseSRWLockExclusive(&q->lock);
        c = next;
    }
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. With the
 * socket its request queue is gone. */
static void conn_hang_up(struct conn *c, DWORD err)
{
    if (err == 0)
        shutdown(c->sock, SD_SEND); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    c->sock = INVALID_SOCKET;
}

/* Only with nothing in flight, and with the lock of the queue. Then the part of
 * the buffer is ours to give away, and the close is an orderly one: with a
 * receive still pending, Windows may send a reset, and the client could lose
 * the end of its echo. */
static void conn_close(struct server *srv, struct conn *c, DWORD err)
{
    struct queue *q = c->queue;
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        q->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;

    if (c->sock == INVALID_SOCKET)
        err = 0; /* it was us */
    else
        conn_hang_up(c, err);
    q->charged -= MOST_RECEIVES + MOST_SENDS;
    log_closed(&c->log, err);
    conn_give_back(srv, c);
    InterlockedDecrement(&srv->clients);
    server_release(srv);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "rio",
    .idea = "completion, told by shared queues (Registered I/O)",
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

/* The functions of Registered I/O come in one table, and this is the only way
 * to get it. Only a socket made for it is sure to know the table. Whoever lacks
 * it says so here: Windows 7 with WSAEINVAL, Wine with WSAEOPNOTSUPP. */
static void find_rio(struct server *srv)
{
    GUID id = WSAID_MULTIPLE_RIO;
    DWORD len = 0;
    SOCKET sock = open_socket(srv);
    srv->rio.cbSize = sizeof srv->rio;
    if (sock == INVALID_SOCKET ||
        WSAIoctl(sock, SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER, &id,
                 sizeof id, &srv->rio, sizeof srv->rio, &len, NULL,
                 NULL) == SOCKET_ERROR) {
        char what[320];
        err_describe((unsigned long)WSAGetLastError(), what, sizeof what);
        err_print("%s: %s; this needs the Registered I/O of Windows 8 or "
                  "later, which Wine does not have",
                  sock == INVALID_SOCKET ? "WSASocketW" : "WSAIoctl", what);
        err_exit(EXIT_LISTEN);
    }
    closesocket(sock);
}

static unsigned __stdcall worker_main(void *arg)
{
    struct server *srv = arg;
    worker_run(srv);
    return 0;
}

/* A completion queue for each worker: with a single one, the workers would wait
 * for each other at its lock. But none belongs to a worker: its packet goes to
 * whoever is free. */
static void start_queues(struct server *srv)
{
    srv->queues = calloc(srv->threads, sizeof *srv->queues);
    if (srv->queues == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct queue *q = &srv->queues[i];
        RIO_NOTIFICATION_COMPLETION told = {.Type = RIO_IOCP_COMPLETION};
        told.Iocp.IocpHandle = srv->port;
        told.Iocp.CompletionKey = (void *)(ULONG_PTR)KEY_QUEUE;
        told.Iocp.Overlapped = &q->ov;
        InitializeSRWLock(&q->lock);
        q->size = QUEUE_SIZE;
        LPFN_RIOCREATECOMPLETIONQUEUE rio_create_queue =
            srv->rio.RIOCreateCompletionQueue;
        q->results = rio_create_queue(q->size, &told);
        if (q->results == RIO_INVALID_CQ)
            die_call("RIOCreateCompletionQueue", WSAGetLastError());
        LPFN_RIONOTIFY rio_notify = srv->rio.RIONotify;
        int err = rio_notify(q->results);
        if (err != ERROR_SUCCESS)
            die_call("RIONotify", err);
    }
}

static void start_workers(struct server *srv)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system);

    /* How many threads there are, and how many of them the port lets run at
     * once, are two things: the 0 below asks for as many running as there are
     * processors. The others stand by for those that block. */
    srv->threads = srv->args.threads;
    if (srv->threads == 0)
        srv->threads = 2 * system.dwNumberOfProcessors;
    start_queues(srv);
    srv->workers = calloc(srv->threads, sizeof *srv->workers);
    if (srv->workers == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    for (unsigned long i = 0; i < srv->threads; i++) {
        srv->workers[i] =
            (HANDLE)_beginthreadex(NULL, 0, worker_main, srv, 0, NULL);
        if (srv->workers[i] == NULL)
            die_call("_beginthreadex", GetLastError());
    }
}

static void server_start(struct server *srv)
{
    InitializeSRWLock(&srv->lock);
    srv->live = 1; /* the server itself, until it is told to stop */
    srv->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (srv->port == NULL) /* not INVALID_HANDLE_VALUE */
        die_call("CreateIoCompletionPort", GetLastError());
    srv->wake = WSACreateEvent();
    if (srv->wake == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    find_rio(srv);
    srv->listener = net_listen(&srv->args);
    srv->accept_ex = find_accept_ex(srv->listener);
    if (CreateIoCompletionPort((HANDLE)srv->listener, srv->port, KEY_LISTENER,
                               0) == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    /* From the process heap: Wine, built with the sanitizers, refuses to let
     * AcceptEx() write anywhere else. */
    srv->accepts = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY,
                             ACCEPTS * sizeof *srv->accepts);
    if (srv->accepts == NULL)
        die_call("HeapAlloc", ERROR_NOT_ENOUGH_MEMORY);
    start_workers(srv);
    for (int i = 0; i < ACCEPTS; i++)
        accept_post(srv, &srv->accepts[i]);
}

/* Close, reap, and only then free. Nothing that Microsoft's pages promise ends a
 * request but the end of its socket: of CancelIoEx() they say nothing here. So
 * the sockets are closed with a request in flight, which is why Windows may send
 * a reset after the end of the stream. Each request still has its result, and
 * the worker that takes it lets the client go; until then the system may write
 * to its part of the buffer. Source: RIOReceive function,
 * WSA_OPERATION_ABORTED. */
static void server_cancel(struct server *srv)
{
    if (!CancelIoEx((HANDLE)srv->listener, NULL) &&
        GetLastError() != ERROR_NOT_FOUND)
        warn_call("CancelIoEx", GetLastError());
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct queue *q = &srv->queues[i];
        AcquireSRWLockExclusive(&q->lock);
        for (struct conn *c = q->conns; c != NULL; c = c->next)
            if (c->sock != INVALID_SOCKET)
                conn_hang_up(c, 0);
        ReleaseSRWLockExclusive(&q->lock);
    }
}

/* Runs on another thread, while the main thread waits. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    if (!WSASetEvent(srv->wake))
        die_call("WSASetEvent", WSAGetLastError());
    server_cancel(srv);
    server_release(srv);
}

/* The port last: closing it is no way to end a wait on it. No request is in
 * flight, so no region is in use. */
static void server_stop(struct server *srv)
{
    for (unsigned long i = 0; i < srv->threads; i++) {
        CloseHandle(srv->workers[i]);
        srv->rio.RIOCloseCompletionQueue(srv->queues[i].results);
    }
    while (srv->regions != NULL) {
        struct region *r = srv->regions;
        srv->regions = r->next;
        srv->rio.RIODeregisterBuffer(r->id);
        VirtualFree(r->bytes, 0, MEM_RELEASE);
        free(r);
    }
    closesocket(srv->listener);
    WSACloseEvent(srv->wake);
    CloseHandle(srv->port);
    HeapFree(GetProcessHeap(), 0, srv->accepts);
    free(srv->workers);
    free(srv->queues);
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
