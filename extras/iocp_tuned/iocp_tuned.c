/* iocp_tuned.c -- iocp.c with four tricks, each of which can be switched off
 *
 *   peer --bytes--> [socket] --> [buffer]   a buffer only while there is
 *                      ^            |       something to read or to send
 *                      +------------+
 *      [port: a queue of packets] --> a worker takes many at once, and for what
 *                                     is done at once there is no packet
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       GetQueuedCompletionStatusEx(), in each of --threads workers
 *   moves bytes    the system, between WSARecv() or WSASend() and their end
 *   holds at most  65535 clients: nothing in the model limits them
 *   stops by       CancelIoEx(), and at the end one packet for each worker
 *   diff with      iocp.c: the same server without the tricks
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
#include "watch/trace_winsock.h"

/* ---- 1. types ---------------------------------------------------------- */

/* A port hands out, with every packet, the key of the handle it is about. We
 * use it to say what kind of handle that is, and so what the OVERLAPPED is part
 * of. The last one comes from ourselves and has no OVERLAPPED. */
enum key {
    KEY_LISTENER, /* an AcceptEx() is done: struct accept_op */
    KEY_CONN,     /* a WSARecv() or WSASend() is done: struct conn */
    KEY_QUIT      /* nothing is in flight any more: this worker may leave */
};

enum conn_state {
    CONN_IDLE,      /* the operation in flight is a WSARecv() of no bytes */
    CONN_RECEIVING, /* ... a WSARecv() */
    CONN_SENDING /* ... a WSASend(): nothing is received while bytes are owed */
};

/* One client, with its one operation. While that is in flight, ov and buf
 * belong to the system; when it is done, all belongs to the one worker that
 * took its packet. So no client needs a lock or a count of references. */
struct conn {
    OVERLAPPED ov;
    SOCKET sock;
    enum conn_state state;
    DWORD len;  /* bytes in buf */
    DWORD sent; /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in srv->conns, under srv->lock */
    struct conn *prev;
    struct conn *next_held; /* in srv->held, under srv->lock */
    struct port *port;
    bool skips; /* what is done at once sends no packet: FILE_SKIP_... */
    DWORD done; /* bytes of an operation that was done at once */
    unsigned long in_row; /* receives in this turn that were done at once */
    struct buffer *buf;   /* NULL: none is needed now */
};

/* srv->args.buffer bytes: all that a client can make us keep. */
struct buffer {
    struct buffer *next; /* in srv->buffers */
    char bytes[];
};

/* So many free buffers are kept for the next clients. */
enum { FREE_BUFFERS = 64 };

/* A port, and the processors that its workers run on. */
struct port {
    HANDLE handle;
    WORD group;
    volatile LONG crowd; /* at the last look more than one packet was there */
};

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
    struct port *ports;    /* one; with --groups one for each group */
    WORD port_count;
    bool skips; /* no program is in between that would not bear it */
    SOCKET listener;
    LPFN_ACCEPTEX accept_ex;
    struct accept_op *accepts; /* ACCEPTS of them */
    struct worker *workers;

    /* For each echo of a client that has no buffer: for as short as can be. */
    SRWLOCK buffers_lock;
    struct buffer *buffers;     /* under buffers_lock: free ones */
    unsigned long buffer_count; /* under buffers_lock */

    /* Only when a client comes or leaves; an echo takes no lock. */
    SRWLOCK lock;
    struct conn *conns; /* under lock */

    /* What Windows has refused for now, to be tried again: AcceptEx(), and
     * what clients asked for. Changed under lock. */
    struct accept_op *volatile idle;
    struct conn *volatile held;

    volatile LONG opened;   /* interlocked: all clients there were */
    volatile LONG clients;  /* interlocked */
    volatile LONG stopping; /* interlocked */
    WSAEVENT wake; /* set when something is refused, or the server stops */

    /* Interlocked: clients, AcceptEx() in flight, and the server itself until
     * it is told to stop. At 0 the workers may leave. */
    volatile LONG live;
};

struct worker {
    struct server *srv;
    struct port *port;
    OVERLAPPED_ENTRY *entries; /* tricks.batch of them */
    HANDLE thread;
};

/* The tricks, as the command line sets them. Each is off with 1, 0 or false. */
static struct {
    unsigned long batch;  /* packets that a worker takes in one call */
    unsigned long in_row; /* echoes of a client in a row, while it is alone */
    bool no_zero;         /* no receive of zero bytes before the real one */
    bool groups;          /* a port for each processor group */
} tricks = {.batch = 16, .in_row = 16};

/* How long to wait before what Windows has refused is tried again. */
enum { RETRY_MS = 1000 };

static void accept_post(struct server *srv, struct accept_op *a);
static void on_accept(struct server *srv, struct accept_op *a, DWORD err);
static bool conn_post_recv(struct server *srv, struct conn *c);
static bool conn_post_read(struct server *srv, struct conn *c);
static bool conn_post_send(struct server *srv, struct conn *c);
static bool on_data(struct server *srv, struct conn *c, DWORD err);
static bool on_recv(struct server *srv, struct conn *c, DWORD len, DWORD err);
static bool on_sent(struct server *srv, struct conn *c, DWORD len, DWORD err);
static void conn_close(struct server *srv, struct conn *c, DWORD err);
static void server_retry(struct server *srv);
static void server_cancel(struct server *srv);

/* ---- 2. the loop ------------------------------------------------------- */

/* How did a failed operation end? The port itself answers with a Win32 code
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

/* True: the next operation was begun, and it is done already. */
static bool on_done(struct server *srv, struct conn *c, DWORD len, DWORD err)
{
    if (c->state == CONN_IDLE)
        return on_data(srv, c, err);
    if (c->state == CONN_RECEIVING)
        return on_recv(srv, c, len, err);
    return on_sent(srv, c, len, err);
}

/* Something was done at once. Go on as long as all that follows is, too. */
static void conn_go_on(struct server *srv, struct conn *c)
{
    while (on_done(srv, c, c->done, 0))
        continue;
}

static void on_packet(struct server *srv, ULONG_PTR key, OVERLAPPED *ov,
                      DWORD len, bool ok)
{
    if (key == KEY_LISTENER) {
        struct accept_op *a = CONTAINING_RECORD(ov, struct accept_op, ov);
        on_accept(srv, a, ok ? 0 : why_failed(srv->listener, ov));
        return;
    }
    struct conn *c = CONTAINING_RECORD(ov, struct conn, ov);
    DWORD err = ok ? 0 : why_failed(c->sock, ov);
    c->in_row = 0; /* it has waited in the queue: a new turn */
    if (on_done(srv, c, len, err))
        conn_go_on(srv, c);
}

static void post_quit(const struct port *port)
{
    if (!PostQueuedCompletionStatus(port->handle, 0, KEY_QUIT, NULL))
        die_call("PostQueuedCompletionStatus", GetLastError());
}

/* One copy of this runs in each worker, with --batch 1. The call has four
 * outcomes:
 *
 *   TRUE,  an OVERLAPPED   an operation succeeded
 *   FALSE, an OVERLAPPED   an operation failed: one peer's trouble, and its
 *                          packet is taken and has to be handled all the same
 *   TRUE,  none            a packet that we posted ourselves
 *   FALSE, none            there is no packet: the port itself is broken
 */
static void worker_run(struct worker *w)
{
    for (;;) {
        DWORD len = 0;
        ULONG_PTR key = 0; /* as wide as a pointer */
        OVERLAPPED *ov = NULL;
        HANDLE port = w->port->handle;
        BOOL ok = GetQueuedCompletionStatus(port, &len, &key, &ov, INFINITE);
        if (ov != NULL)
            on_packet(w->srv, key, ov, len, ok);
        else if (!ok)
            die_call("GetQueuedCompletionStatus", GetLastError());
        else
            return; /* KEY_QUIT */
    }
}

/* The same for batches: all packets that are there, up to --batch. TRUE says no
 * more than that there are some. How an operation ended is in its OVERLAPPED: a
 * status, which is 0 for success only. Source: OVERLAPPED_ENTRY structure. */
static void worker_run_batch(struct worker *w)
{
    ULONG quits = 0;
    while (quits == 0) {
        HANDLE port = w->port->handle;
        OVERLAPPED_ENTRY *entries = w->entries;
        ULONG taken = 0;
        if (!GetQueuedCompletionStatusEx(port, entries, tricks.batch, &taken,
                                         INFINITE, FALSE))
            die_call("GetQueuedCompletionStatusEx", GetLastError());
        w->port->crowd = taken > 1;
        for (ULONG i = 0; i < taken; i++) {
            OVERLAPPED *ov = entries[i].lpOverlapped;
            if (ov != NULL)
                on_packet(w->srv, entries[i].lpCompletionKey, ov,
                          entries[i].dwNumberOfBytesTransferred,
                          ov->Internal == 0);
            else
                quits++;
        }
    }
    while (--quits > 0)
        post_quit(w->port); /* a batch takes the packets of others, too */
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
        WaitForSingleObject(srv->workers[i].thread, INFINITE);
}

/* ---- 3. accept --------------------------------------------------------- */

/* An AcceptEx() or a client has ended. At 0 each worker gets a packet that lets
 * it leave: no other packet will follow. */
static void server_release(struct server *srv)
{
    LONG live = InterlockedDecrement(&srv->live);
    for (unsigned long i = 0; live == 0 && i < srv->threads; i++)
        post_quit(srv->workers[i].port);
}

/* From now on an operation that is done at once sends no packet. The call that
 * began it has said so, and that has to be enough. The mode cannot be taken back.
 * Nobody waits for the socket itself, so it need not be signalled either. Source:
 * SetFileCompletionNotificationModes function. */
static void conn_skip(struct server *srv, struct conn *c)
{
    UCHAR modes =
        FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    c->skips = srv->skips && tricks.in_row > 0 &&
               SetFileCompletionNotificationModes((HANDLE)c->sock, modes);
}

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    struct conn *c = malloc(sizeof *c);
    if (c == NULL) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    /* The ports in turn. A client stays with its port, and so with the group of
     * processors that its workers run on. */
    LONG number = InterlockedIncrement(&srv->opened);
    struct port *port = &srv->ports[(ULONG)number % srv->port_count];
    *c = (struct conn){.sock = sock, .port = port};

    /* The other half of CreateIoCompletionPort(): from now on what this socket
     * completes goes to the port, with our key. */
    if (CreateIoCompletionPort((HANDLE)sock, port->handle, KEY_CONN, 0) ==
        NULL) {
        log_refused_error("CreateIoCompletionPort", GetLastError());
        goto refuse;
    }
    conn_skip(srv, c);
    log_opened(&c->log, peer);
    trace_connection(sock, c->log.number);
    InterlockedIncrement(&srv->live);
    AcquireSRWLockExclusive(&srv->lock);
    c->next = srv->conns;
    if (c->next != NULL)
        c->next->prev = c;
    srv->conns = c;
    ReleaseSRWLockExclusive(&srv->lock);
    if (conn_post_recv(srv, c))
        conn_go_on(srv, c);
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
    trace_event("accept done", &a->ov, 0, err);

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

/* Nothing was begun. That Windows is short of memory, or has too much in flight
 * already, passes: the client is held, and asks again a second later. Any other
 * error is the end of it. Source: WSASend function, WSAENOBUFS. */
static void conn_refused(struct server *srv, struct conn *c, const char *call,
                         int err)
{
    if (!net_is_short(err) && err != WSAEWOULDBLOCK) {
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

/* A free buffer, or a new one. NULL: there is no memory. */
static struct buffer *buffer_take(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->buffers_lock);
    struct buffer *buf = srv->buffers;
    if (buf != NULL) {
        srv->buffers = buf->next;
        srv->buffer_count--;
    }
    ReleaseSRWLockExclusive(&srv->buffers_lock);
    return buf != NULL ? buf : malloc(sizeof *buf + srv->args.buffer);
}

/* NULL is no buffer, and no trouble. */
static void buffer_give(struct server *srv, struct buffer *buf)
{
    if (buf == NULL)
        return;
    AcquireSRWLockExclusive(&srv->buffers_lock);
    bool keep = srv->buffer_count < FREE_BUFFERS;
    if (keep) {
        buf->next = srv->buffers;
        srv->buffers = buf;
        srv->buffer_count++;
    }
    ReleaseSRWLockExclusive(&srv->buffers_lock);
    if (!keep)
        free(buf);
}

/* A client that always has something more would never let the others have their
 * turn. So when its next receive is done at once, it may have to get in line: we
 * post the packet that the system did not. If even that fails, it goes on. */
static bool gets_in_line(struct conn *c)
{
    unsigned long most = c->port->crowd ? 1 : tricks.in_row;
    return ++c->in_row >= most &&
           PostQueuedCompletionStatus(c->port->handle, c->done, KEY_CONN,
                                      &c->ov);
}

/* An operation was begun, and this was the result. What happens next?
 *
 * pending          A packet will come, and c is no longer ours: another worker
 *                  may take that packet, and even free c, before this is called.
 * done at once     The same, unless the socket skips. Then no packet comes, and
 *                  c is still ours: true, the next step is taken here and now.
 * any other error  Nothing was begun and nothing will come.
 *
 * Whether the server stops is looked at before and after. Before, because one
 * client could go on for ever; after, because server_cancel() may have passed
 * in between. No lock is needed for that. */
static bool conn_begun(struct server *srv, struct conn *c, const char *call,
                       int err, bool skips)
{
    if (err == 0 && skips)
        return true;
    if (err != 0 && err != WSA_IO_PENDING)
        conn_refused(srv, c, call, err);
    else if (srv->stopping)
        server_cancel(srv); /* it began after everything had been cancelled */
    return false;
}

/* Ask for zero bytes. This is done as soon as there is something to read, and
 * until then no buffer waits for it: neither in our memory nor, as locked pages,
 * in that of Windows. */
static bool conn_post_recv(struct server *srv, struct conn *c)
{
    WSABUF none = {.buf = NULL, .len = 0};
    DWORD flags = 0;       /* read and written by the call: fresh every time */
    bool skips = c->skips; /* afterwards c may be gone */
    if (tricks.no_zero)
        return conn_post_read(srv, c);
    buffer_give(srv, c->buf);
    c->buf = NULL;
    c->state = CONN_IDLE;
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return false;
    }
    c->ov = (OVERLAPPED){0};
    int result = WSARecv(c->sock, &none, 1, NULL, &flags, &c->ov, NULL);
    int err = result == SOCKET_ERROR ? WSAGetLastError() : 0;
    return conn_begun(srv, c, "WSARecv", err, skips) && !gets_in_line(c);
}

/* There is something to read, or there was. If the next receive is not done at
 * once, a buffer waits for it all the same. */
static bool on_data(struct server *srv, struct conn *c, DWORD err)
{
    trace_event("recv done", &c->ov, 0, err);
    if (err == 0)
        return conn_post_read(srv, c);
    conn_close(srv, c, err);
    return false;
}

/* Ask for bytes. */
static bool conn_post_read(struct server *srv, struct conn *c)
{
    DWORD flags = 0; /* read and written by the call: fresh every time */
    bool skips = c->skips;
    c->state = CONN_RECEIVING;
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return false;
    }
    if (c->buf == NULL)
        c->buf = buffer_take(srv);
    if (c->buf == NULL) {
        conn_refused(srv, c, "malloc", WSAENOBUFS);
        return false;
    }
    WSABUF room = {.buf = c->buf->bytes, .len = srv->args.buffer};
    c->ov = (OVERLAPPED){0};
    int result = WSARecv(c->sock, &room, 1, NULL, &flags, &c->ov, NULL);
    int err = result == SOCKET_ERROR ? WSAGetLastError() : 0;
    if (!conn_begun(srv, c, "WSARecv", err, skips))
        return false;
    c->done = (DWORD)c->ov.InternalHigh;
    return !tricks.no_zero || !gets_in_line(c);
}

/* Ask to send what is owed. */
static bool conn_post_send(struct server *srv, struct conn *c)
{
    WSABUF owed = {.buf = c->buf->bytes + c->sent, .len = c->len - c->sent};
    bool skips = c->skips;
    c->state = CONN_SENDING;
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return false;
    }
    c->ov = (OVERLAPPED){0};
    int result = WSASend(c->sock, &owed, 1, NULL, 0, &c->ov, NULL);
    int err = result == SOCKET_ERROR ? WSAGetLastError() : 0;
    if (!conn_begun(srv, c, "WSASend", err, skips))
        return false;
    c->done = (DWORD)c->ov.InternalHigh;
    return true;
}

static bool on_recv(struct server *srv, struct conn *c, DWORD len, DWORD err)
{
    trace_event("recv done", &c->ov, len, err);
    if (err != 0 || len == 0) {
        /* On 0 bytes the client will say no more, and all that it said is back
         * with it: nothing is received while bytes are owed. */
        conn_close(srv, c, err);
        return false;
    }
    log_received(&c->log, len);
    c->len = len;
    c->sent = 0;
    return conn_post_send(srv, c);
}

/* A send is done when the system has taken all of it. Nothing promises that in
 * so many words: count, and ask again for what is left. */
static bool on_sent(struct server *srv, struct conn *c, DWORD len, DWORD err)
{
    trace_event("send done", &c->ov, len, err);
    if (err != 0) {
        conn_close(srv, c, err);
        return false;
    }
    c->sent += len;
    log_sent(&c->log, len, c->len - c->sent);
    if (c->sent < c->len)
        return conn_post_send(srv, c);
    return conn_post_recv(srv, c);
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
        bool done = c->state == CONN_IDLE        ? conn_post_recv(srv, c)
                    : c->state == CONN_RECEIVING ? conn_post_read(srv, c)
                                                 : conn_post_send(srv, c);
        if (done)
            conn_go_on(srv, c);
        c = next;
    }
}

/* ---- 5. close ---------------------------------------------------------- */

/* Only with nothing in flight: then buffer and OVERLAPPED are ours to free,
 * and the close is an orderly one. With a WSARecv() still pending, Windows
 * would send a reset, and the client could lose the end of its echo.
 *
 * err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
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
    buffer_give(srv, c->buf);
    free(c);
    InterlockedDecrement(&srv->clients);
    server_release(srv);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct option own_options[] = {
    {NULL, "--batch", &tricks.batch, option_number, .min = 1, .max = 256},
    {NULL, "--inline", &tricks.in_row, option_number, .max = 1000},
    {NULL, "--no-zero-byte", .out = &tricks.no_zero},
    {NULL, "--groups", .out = &tricks.groups},
    {0},
};

static const struct model model = {
    .name = "iocp_tuned",
    .idea = "completion, told by a completion port, with four tricks",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the model limits them",
    .own_options = own_options,
    .own_help =
        "      --batch N        packets taken in one call, default 16; 1: one "
        "by one\n"
        "      --inline N       what is done at once needs no packet, for up "
        "to "
        "N\n"
        "                       echoes of a client in a row while no other\n"
        "                       waits, default 16; 0: all have a packet\n"
        "      --no-zero-byte   a buffer waits for each client, silent or not\n"
        "      --groups         a port for each group of processors\n",
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

/* Some old programs that see all traffic (layered service providers) hand out
 * sockets which are no handles of the system. With those, packets must not be
 * skipped. Source: SetFileCompletionNotificationModes function. */
static bool can_skip(SOCKET sock)
{
    WSAPROTOCOL_INFOW info;
    int len = sizeof info;
    if (getsockopt(sock, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &len) ==
        SOCKET_ERROR)
        die_call("getsockopt(SO_PROTOCOL_INFOW)", WSAGetLastError());
    return (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
}

static unsigned __stdcall worker_main(void *arg)
{
    struct worker *w = arg;
    GROUP_AFFINITY where = {.Group = w->port->group};
    trace_thread("worker #");
    if (w->srv->port_count > 1) {
        where.Mask = ~(KAFFINITY)0 >> (8 * sizeof where.Mask -
                                       GetActiveProcessorCount(where.Group));
        if (!SetThreadGroupAffinity(GetCurrentThread(), &where, NULL))
            die_call("SetThreadGroupAffinity", GetLastError());
    }
    if (tricks.batch > 1)
        worker_run_batch(w);
    else
        worker_run(w);
    return 0;
}

/* One thread for each processor that we may use, and the port lets as many run:
 * no thread of this server waits for anything but packets. */
static unsigned long processors(const struct server *srv)
{
    DWORD_PTR mine = 0;
    DWORD_PTR all = 0;
    unsigned long count = 0;
    if (srv->port_count > 1)
        return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    if (!GetProcessAffinityMask(GetCurrentProcess(), &mine, &all))
        die_call("GetProcessAffinityMask", GetLastError());
    for (; mine != 0; mine &= mine - 1)
        count++;
    return count > 0 ? count : 1;
}

static void start_ports(struct server *srv)
{
    srv->port_count = tricks.groups ? GetActiveProcessorGroupCount() : 1;
    srv->ports = calloc(srv->port_count, sizeof *srv->ports);
    if (srv->ports == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    for (WORD i = 0; i < srv->port_count; i++) {
        srv->ports[i].group = i;
        srv->ports[i].crowd = TRUE; /* until a batch tells more */
        srv->ports[i].handle =
            CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
        if (srv->ports[i].handle == NULL) /* not INVALID_HANDLE_VALUE */
            die_call("CreateIoCompletionPort", GetLastError());
    }
}

static void start_workers(struct server *srv)
{
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct worker *w = &srv->workers[i];
        w->srv = srv;
        w->port = &srv->ports[i % srv->port_count];
        w->entries = calloc(tricks.batch, sizeof *w->entries);
        if (w->entries == NULL)
            die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
        w->thread = (HANDLE)_beginthreadex(NULL, 0, worker_main, w, 0, NULL);
        if (w->thread == NULL)
            die_call("_beginthreadex", GetLastError());
    }
}

static void server_start(struct server *srv)
{
    InitializeSRWLock(&srv->lock);
    InitializeSRWLock(&srv->buffers_lock);
    srv->live = 1; /* the server itself, until it is told to stop */
    start_ports(srv);
    srv->wake = WSACreateEvent();
    if (srv->wake == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    trace_name((ULONG_PTR)srv->wake, "wake");
    srv->listener = net_listen(&srv->args);
    trace_name(srv->listener, "listener");
    srv->accept_ex = find_accept_ex(srv->listener);
    srv->skips = can_skip(srv->listener);
    if (CreateIoCompletionPort((HANDLE)srv->listener, srv->ports[0].handle,
                               KEY_LISTENER, 0) == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    /* From the process heap: Wine, built with the sanitizers, refuses to let
     * AcceptEx() write anywhere else. */
    srv->accepts = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY,
                             ACCEPTS * sizeof *srv->accepts);
    if (srv->accepts == NULL)
        die_call("HeapAlloc", ERROR_NOT_ENOUGH_MEMORY);
    /* At least one for each port. */
    srv->threads = srv->args.threads;
    if (srv->threads == 0)
        srv->threads = processors(srv);
    if (srv->threads < srv->port_count)
        srv->threads = srv->port_count;
    srv->workers = calloc(srv->threads, sizeof *srv->workers);
    if (srv->workers == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    start_workers(srv);
    for (int i = 0; i < ACCEPTS; i++)
        accept_post(srv, &srv->accepts[i]);
}

/* Cancel, reap, and only then free: CancelIoEx() is no more than a request.
 * Every operation still sends its packet, and the worker that takes it closes
 * the client; until then the system may write to its memory. The lock keeps
 * each client in the list from being freed meanwhile. */
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
    if (!WSASetEvent(srv->wake))
        die_call("WSASetEvent", WSAGetLastError());
    server_cancel(srv);
    server_release(srv);
}

/* The ports last: closing one is no way to end a wait on it. */
static void server_stop(struct server *srv)
{
    for (unsigned long i = 0; i < srv->threads; i++) {
        CloseHandle(srv->workers[i].thread);
        free(srv->workers[i].entries);
    }
    closesocket(srv->listener);
    WSACloseEvent(srv->wake);
    for (WORD i = 0; i < srv->port_count; i++)
        CloseHandle(srv->ports[i].handle);
    while (srv->buffers != NULL) {
        struct buffer *next = srv->buffers->next;
        free(srv->buffers);
        srv->buffers = next;
    }
    HeapFree(GetProcessHeap(), 0, srv->accepts);
    free(srv->workers);
    free(srv->ports);
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
    trace_begin(model.name, srv.args.trace, srv.args.trace_file);

    server_start(&srv);
    stop_begin(server_wake, &srv, srv.args.stop_on_eof);
    log_ready(srv.listener, srv.threads);
    server_run(&srv);
    stop_end();
    server_stop(&srv);

    net_stop();
    trace_summary(log_summary());
    return EXIT_STOPPED;
}
