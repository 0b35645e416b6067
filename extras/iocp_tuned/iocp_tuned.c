/* iocp_tuned.c -- iocp.c with four tricks, each of which can be switched off
 *
 *   peer --bytes--> [socket] --> [buffer]   with --zero-byte only while there
 *                      ^            |       is something to read or to send
 *                      +------------+
 *      [port: a queue of packets] --> a worker takes many at once; what is done
 *                                     at once has no packet and is in its queue
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
#include "watch/watch.h"

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
    char *buf; /* srv->args.buffer bytes; NULL: none is needed now */
    struct port *port;
    struct worker *worker;   /* that took its last packet, or NULL */
    struct conn *next_ready; /* in worker->ready */
};

/* A port, and the group of processors that its workers run on. */
struct port {
    HANDLE handle;
    WORD group;
    volatile LONG waiting; /* interlocked: workers that have nothing to do */
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
    bool skips; /* what is done at once sends no packet */
    SOCKET listener;
    LPFN_ACCEPTEX accept_ex;
    struct accept_op *accepts; /* ACCEPTS of them */
    struct worker *workers;

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
    HANDLE thread;
    OVERLAPPED_ENTRY *entries; /* tricks.batch of them */

    /* Clients whose operation was done at once: their next step is due. */
    struct conn *ready;
    struct conn **ready_end;
};

/* The tricks, as the command line sets them. */
static struct {
    unsigned long batch; /* packets that a worker takes in one call; 1: off */
    unsigned long steps; /* without a packet, between two looks; 0: off */
    bool zero_byte;      /* a receive of no bytes before the real one */
    bool groups;         /* a port for each group of processors */
} tricks = {.batch = 16, .steps = 64};

/* How long to wait before what Windows has refused is tried again. */
enum { RETRY_MS = 1000 };

static void accept_post(struct server *srv, struct accept_op *a);
static void on_accept(struct server *srv, struct accept_op *a, DWORD err);
static void conn_post_recv(struct server *srv, struct conn *c);
static void conn_post_send(struct server *srv, struct conn *c);
static void on_data(struct server *srv, struct conn *c, DWORD err);
static void on_recv(struct server *srv, struct conn *c, DWORD len, DWORD err);
static void on_sent(struct server *srv, struct conn *c, DWORD len, DWORD err);
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

static void on_done(struct server *srv, struct conn *c, DWORD len, DWORD err)
{
    if (c->state == CONN_IDLE)
        on_data(srv, c, err);
    else if (c->state == CONN_RECEIVING)
        on_recv(srv, c, len, err);
    else
        on_sent(srv, c, len, err);
}

static void on_packet(struct worker *w, ULONG_PTR key, OVERLAPPED *ov,
                      DWORD len, bool ok)
{
    struct server *srv = w->srv;
    if (key == KEY_LISTENER) {
        struct accept_op *a = CONTAINING_RECORD(ov, struct accept_op, ov);
        on_accept(srv, a, ok ? 0 : why_failed(srv->listener, ov));
        return;
    }
    struct conn *c = CONTAINING_RECORD(ov, struct conn, ov);
    c->worker = w;
    on_done(srv, c, len, ok ? 0 : why_failed(c->sock, ov));
}

/* What was done at once has no packet; this queue is in its place. A client that
 * always has something more goes to its end, and after so many steps the worker
 * looks at the port: the others have their turn. How many bytes there were is in
 * the OVERLAPPED. Source: OVERLAPPED structure, InternalHigh. */
static void on_ready(struct worker *w, unsigned long steps)
{
    for (; steps > 0 && w->ready != NULL; steps--) {
        struct conn *c = w->ready;
        w->ready = c->next_ready;
        if (w->ready == NULL)
            w->ready_end = &w->ready;
        on_done(w->srv, c, (DWORD)c->ov.InternalHigh, 0);
    }
}

static void post_quit(const struct port *port)
{
    if (!PostQueuedCompletionStatus(port->handle, 0, KEY_QUIT, NULL))
        die_call("PostQueuedCompletionStatus", GetLastError());
}

/* Take all packets that are there, up to --batch. With something to do already
 * this is a look and no wait. Returns their number. */
static ULONG worker_take(struct worker *w)
{
    ULONG taken = 0;
    bool idle = w->ready == NULL;
    if (idle)
        InterlockedIncrement(&w->port->waiting);
    BOOL ok =
        GetQueuedCompletionStatusEx(w->port->handle, w->entries, tricks.batch,
                                    &taken, idle ? INFINITE : 0, FALSE);
    DWORD err = ok ? 0 : GetLastError();
    if (idle)
        InterlockedDecrement(&w->port->waiting);
    if (!ok && err != WAIT_TIMEOUT)
        die_call("GetQueuedCompletionStatusEx", err);
    return ok ? taken : 0;
}

/* One copy of this runs in each worker. That the call has succeeded says no more
 * than that there are packets. How an operation ended is in its OVERLAPPED: a
 * status, which is 0 for success only. Source: OVERLAPPED_ENTRY structure. */
static void worker_run(struct worker *w)
{
    for (;;) {
        ULONG taken = worker_take(w);
        for (ULONG i = 0; i < taken; i++) {
            const OVERLAPPED_ENTRY *entry = &w->entries[i];
            OVERLAPPED *ov = entry->lpOverlapped;
            if (ov == NULL) {       /* KEY_QUIT, and no other packet is left */
                post_quit(w->port); /* for the next worker */
                return;
            }
            on_packet(w, entry->lpCompletionKey, ov,
                      entry->dwNumberOfBytesTransferred, ov->Internal == 0);
        }
        /* After a full batch more may be there: the same for both queues. */
        on_ready(w, taken == tricks.batch ? taken : tricks.steps);
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
        WaitForSingleObject(srv->workers[i].thread, INFINITE);
}

/* ---- 3. accept --------------------------------------------------------- */

/* An AcceptEx() or a client has ended. At 0 a worker gets a packet that lets it
 * leave, and passes it on: no other packet will follow. */
static void server_release(struct server *srv)
{
    LONG live = InterlockedDecrement(&srv->live);
    for (WORD i = 0; live == 0 && i < srv->port_count; i++)
        post_quit(&srv->ports[i]);
}

/* From now on an operation that is done at once sends no packet. The call that
 * began it has said so, and that has to be enough. The mode cannot be taken back.
 * Nobody waits for the socket itself, so it need not be signalled either. Source:
 * SetFileCompletionNotificationModes function. */
static bool skip_packets(SOCKET sock)
{
    UCHAR modes =
        FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE;
    return SetFileCompletionNotificationModes((HANDLE)sock, modes);
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
    if (srv->skips && !skip_packets(sock)) {
        log_refused_error("SetFileCompletionNotificationModes", GetLastError());
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
    c->state = tricks.zero_byte ? CONN_IDLE : CONN_RECEIVING;
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

/* c's operation was done at once, and there is no packet. Its next step is taken
 * by the worker that has it, in turn; or by another one that has nothing to do.
 * That one gets the packet which the system has not sent. */
static void conn_ready(struct server *srv, struct conn *c, struct worker *w)
{
    bool passed_on = w == NULL || (w->ready != NULL && w->port->waiting > 0);
    if (passed_on &&
        PostQueuedCompletionStatus(c->port->handle, (DWORD)c->ov.InternalHigh,
                                   KEY_CONN, &c->ov))
        return;
    if (w == NULL) {
        conn_close(srv, c, GetLastError());
        return;
    }
    c->next_ready = NULL;
    *w->ready_end = c;
    w->ready_end = &c->next_ready;
}

/* An operation of c was to begin, and err was the answer. WSA_IO_PENDING means
 * that a packet will come, and then c is no longer ours: another worker may take
 * that packet, and even free c, before the call has returned here. 0 means the
 * same, unless packets are skipped: then it is done, and c is still ours. Any
 * other error means that nothing was begun and nothing will come.
 *
 * Whether the server stops is looked at before and after. Before, because one
 * client could go on for ever; after, because server_cancel() may have passed
 * in between. No lock is needed for that. */
static void conn_begun(struct server *srv, struct conn *c, struct worker *w,
                       const char *call, int err)
{
    if (err == 0 && srv->skips)
        conn_ready(srv, c, w);
    else if (err != 0 && err != WSA_IO_PENDING)
        conn_refused(srv, c, call, err);
    else if (srv->stopping)
        server_cancel(srv); /* it began after everything had been cancelled */
}

/* Ask for bytes; or, while a client is idle, for no bytes. That is done as soon
 * as there is something to read, and until then no buffer waits for it: neither
 * in our memory nor, as locked pages, in that of Windows. */
static void conn_post_recv(struct server *srv, struct conn *c)
{
    WSABUF room = {.buf = NULL, .len = 0};
    DWORD flags = 0; /* read and written by the call: fresh every time */
    struct worker *w = c->worker; /* afterwards c may be gone */
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return;
    }
    if (c->state == CONN_IDLE) {
        free(c->buf);
        c->buf = NULL;
    } else {
        if (c->buf == NULL)
            c->buf = malloc(srv->args.buffer);
        if (c->buf == NULL) {
            conn_refused(srv, c, "malloc", WSAENOBUFS);
            return;
        }
        room = (WSABUF){.buf = c->buf, .len = srv->args.buffer};
    }
    c->ov = (OVERLAPPED){0};
    int err =
        WSARecv(c->sock, &room, 1, NULL, &flags, &c->ov, NULL) == SOCKET_ERROR
            ? WSAGetLastError()
            : 0;
    conn_begun(srv, c, w, "WSARecv", err);
}

/* There is something to read. */
static void on_data(struct server *srv, struct conn *c, DWORD err)
{
    if (err != 0) {
        conn_close(srv, c, err);
        return;
    }
    c->state = CONN_RECEIVING;
    conn_post_recv(srv, c);
}

/* Ask to send what is owed. Even when the send is done at once, it is not here
 * that the next step is taken: never in two places. */
static void conn_post_send(struct server *srv, struct conn *c)
{
    WSABUF owed = {.buf = c->buf + c->sent, .len = c->len - c->sent};
    struct worker *w = c->worker; /* afterwards c may be gone */
    if (srv->stopping) {
        conn_close(srv, c, 0);
        return;
    }
    c->ov = (OVERLAPPED){0};
    c->state = CONN_SENDING;
    int err = WSASend(c->sock, &owed, 1, NULL, 0, &c->ov, NULL) == SOCKET_ERROR
                  ? WSAGetLastError()
                  : 0;
    conn_begun(srv, c, w, "WSASend", err);
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
    if (c->sent < c->len) {
        conn_post_send(srv, c);
        return;
    }
    c->state = tricks.zero_byte ? CONN_IDLE : CONN_RECEIVING;
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
        c->worker = NULL; /* this is the main thread */
        if (c->state == CONN_SENDING)
            conn_post_send(srv, c);
        else
            conn_post_recv(srv, c);
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
    free(c->buf);
    free(c);
    InterlockedDecrement(&srv->clients);
    server_release(srv);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct option own_options[] = {
    {NULL, "--batch", &tricks.batch, option_number, .min = 1, .max = 256},
    {NULL, "--skip", &tricks.steps, option_number, .max = 1000},
    {NULL, "--zero-byte", .out = &tricks.zero_byte},
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
        "      --skip N         what is done at once has no packet; N such "
        "steps\n"
        "                       between two looks at the port, default 64; 0: "
        "off\n"
        "      --zero-byte      no buffer waits for the bytes of a client\n"
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
    if (w->srv->port_count > 1) {
        where.Mask = ~(KAFFINITY)0 >> (8 * sizeof where.Mask -
                                       GetActiveProcessorCount(where.Group));
        if (!SetThreadGroupAffinity(GetCurrentThread(), &where, NULL))
            die_call("SetThreadGroupAffinity", GetLastError());
    }
    worker_run(w);
    return 0;
}

static void start_ports(struct server *srv)
{
    srv->port_count = tricks.groups ? GetActiveProcessorGroupCount() : 1;
    srv->ports = calloc(srv->port_count, sizeof *srv->ports);
    if (srv->ports == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    for (WORD i = 0; i < srv->port_count; i++) {
        srv->ports[i].group = i;
        srv->ports[i].handle =
            CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
        if (srv->ports[i].handle == NULL) /* not INVALID_HANDLE_VALUE */
            die_call("CreateIoCompletionPort", GetLastError());
    }
}

/* One thread for each processor, and the port lets as many run: no thread of
 * this server waits for anything but packets. At least one for each port. */
static void start_workers(struct server *srv)
{
    SYSTEM_INFO system;
    GetSystemInfo(&system); /* of this group */
    srv->threads = srv->args.threads;
    if (srv->threads == 0)
        srv->threads = srv->port_count > 1
                           ? GetActiveProcessorCount(ALL_PROCESSOR_GROUPS)
                           : system.dwNumberOfProcessors;
    if (srv->threads < srv->port_count)
        srv->threads = srv->port_count;
    srv->workers = calloc(srv->threads, sizeof *srv->workers);
    if (srv->workers == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct worker *w = &srv->workers[i];
        w->srv = srv;
        w->port = &srv->ports[i % srv->port_count];
        w->ready_end = &w->ready;
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
    srv->live = 1; /* the server itself, until it is told to stop */
    start_ports(srv);
    srv->wake = WSACreateEvent();
    if (srv->wake == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    srv->listener = net_listen(&srv->args);
    srv->accept_ex = find_accept_ex(srv->listener);
    srv->skips = tricks.steps > 0 && can_skip(srv->listener);
    if (CreateIoCompletionPort((HANDLE)srv->listener, srv->ports[0].handle,
                               KEY_LISTENER, 0) == NULL)
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
