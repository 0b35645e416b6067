/* io_uring.c -- echo server on io_uring: iocp.c, as Linux has it
 *
 *   peer --bytes--> [socket] --> [buffer]   done by the system, meanwhile
 *                      ^            |       the threads do something else
 *                      +------------+
 *      [ring: requests there, results back] --> its own worker: worker_run()
 *
 *   tells us       completion: "what you asked for is done"
 *   waits in       io_uring_submit_and_wait(), in each of --threads workers
 *   moves bytes    the system, between a request and its result
 *   holds at most  65535 clients: nothing in the model limits them
 *   stops by       IORING_OP_ASYNC_CANCEL, after a message to each ring
 *   diff with      iocp/iocp.c (its twin), epoll.c (before this)
 */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extras/linux/common/args.h"
#include "extras/linux/common/err.h"
#include "extras/linux/common/log.h"
#include "extras/linux/common/net.h"
#include "extras/linux/common/stop.h"

/* ---- 1. types ---------------------------------------------------------- */

/* A ring gives back, with every result, the 64 bits that came with the request.
 * Ours are the address of a conn, and in its last bits, which are 0 in what
 * malloc() gives, what kind of result it is. */
enum key {
    KEY_CONN,     /* a worker: a recv or send is done */
    KEY_NEWCOMER, /* a worker: a message from the main thread, with a conn */
    KEY_QUIT,     /* a worker: the last message from the main thread */
    KEY_CANCEL,   /* both: a cancel is done */
    KEY_ACCEPT,   /* the main thread: somebody has connected */
    KEY_RETRY,    /* the main thread: it is time to accept again */
    KEY_WAKE,     /* the main thread: the server stops */
    KEY_SENT      /* the main thread: a message has arrived, perhaps a conn */
};

static const uint64_t KEY_BITS = 7;

/* What a ring says of one request. */
struct result {
    enum key key;
    struct conn *c; /* or NULL */
    int got;        /* bytes, a socket, or minus an error */
    bool more;      /* the request stays, and more results will come */
};

enum conn_state {
    CONN_RECEIVING, /* the request in flight is a recv */
    CONN_SENDING    /* ... a send: nothing is received while bytes are owed */
};

/* One client, with its one request. While that is in flight, buf belongs to the
 * system; else all belongs to the worker. */
struct conn {
    struct worker *w;
    int sock;
    enum conn_state state;
    size_t len;  /* bytes in buf */
    size_t sent; /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in w->conns */
    struct conn *prev;
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* Requests that a ring takes at once, and how few places may be left before it
 * is submitted: a result leads to two requests at most. Results have room of
 * their own, twice as much; what does not fit is kept by Linux. */
enum { RING_SIZE = 1024, SPARE = 4 };

/* A port serves all threads; a ring serves one, because both its ends are plain
 * memory without a lock. So each worker has a ring and clients of its own, and
 * no lock at all. */
struct worker {
    struct server *srv;
    pthread_t thread;
    struct io_uring ring;
    atomic_ulong clients; /* given to it; the main thread looks at it */

    /* Only the worker's own thread. */
    struct conn *conns;
    unsigned long live; /* requests in flight */
    bool stopping;
};

/* The server. Only the main thread touches it, but for what says otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    int listener;
    struct io_uring ring; /* accepts, and sends messages to the workers */
    unsigned long live;   /* requests in flight there */
    bool short_of_files;  /* the last accept has said so */
    struct worker *workers;

    atomic_ulong clients; /* of all workers */
    atomic_bool stopping;
    int wake; /* an eventfd: set when the server stops */
    eventfd_t wake_read;
};

/* How long to wait before accept is tried again when it has failed. */
static struct __kernel_timespec retry_time = {.tv_sec = 1};

static void accept_post(struct server *srv);
static void on_accept(struct server *srv, int sock, bool more);
static void conn_post_recv(struct worker *w, struct conn *c);
static void conn_post_send(struct worker *w, struct conn *c);
static void on_recv(struct worker *w, struct conn *c, size_t len, int err);
static void on_sent(struct worker *w, struct conn *c, size_t len, int err);
static void conn_end(struct conn *c, int err);
static void conn_close(struct worker *w, struct conn *c, int err);
static void ring_cancel(struct io_uring *ring);

/* ---- 2. the loop ------------------------------------------------------- */

/* An empty place for a request. Nothing is asked until the ring is submitted. */
static struct io_uring_sqe *ring_place(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (sqe == NULL)
        die_call("io_uring_get_sqe", EBUSY); /* SPARE prevents it */
    return sqe;
}

static void ring_mark(struct io_uring_sqe *sqe, struct conn *c, enum key key)
{
    io_uring_sqe_set_data64(sqe, (uintptr_t)c | key);
}

/* Hand in all requests that were written, and wait for so many results: one
 * call, where a completion port needs a call for each request and one to wait.
 * It can fail as a whole only: a request that fails has a result that says so. */
static void ring_submit(struct io_uring *ring, unsigned wait)
{
    int got = io_uring_submit_and_wait(ring, wait);
    if (got >= 0 || got == -EINTR || got == -EBUSY)
        return; /* EBUSY: take results first */
    if (got != -EAGAIN)
        die_call("io_uring_submit_and_wait", -got);
    /* Linux has no memory for requests now. They stay in the ring, and are
     * handed in again when something else is done, or a second later. Source:
     * io_uring_enter(2), EAGAIN. */
    struct io_uring_cqe *cqe;
    io_uring_wait_cqe_timeout(ring, &cqe, &retry_time);
}

/* The next result. The ring is submitted when there is none left: the more
 * clients are busy, the fewer calls are made for each of them. */
static struct result ring_next(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    if (io_uring_sq_space_left(ring) < SPARE)
        ring_submit(ring, 0);
    while (io_uring_peek_cqe(ring, &cqe) != 0)
        ring_submit(ring, 1);
    struct result done = {
        .key = (enum key)(cqe->user_data & KEY_BITS),
        .c = (struct conn *)(uintptr_t)(cqe->user_data & ~KEY_BITS),
        .got = cqe->res,
        .more = (cqe->flags & IORING_CQE_F_MORE) != 0,
    };
    io_uring_cqe_seen(ring, cqe); /* its place may be used again */
    return done;
}

static void on_newcomer(struct worker *w, struct conn *c)
{
    c->next = w->conns;
    if (c->next != NULL)
        c->next->prev = c;
    w->conns = c;
    conn_post_recv(w, c);
}

/* A result has one number: how many bytes, or minus an error. */
static void on_conn(struct worker *w, struct conn *c, int got)
{
    size_t len = got < 0 ? 0 : (size_t)got;
    int err = got < 0 ? -got : 0;
    w->live--;
    if (c->state == CONN_RECEIVING)
        on_recv(w, c, len, err);
    else
        on_sent(w, c, len, err);
}

/* One copy of this runs in each worker. */
static void worker_run(struct worker *w)
{
    while (!w->stopping || w->live > 0) {
        struct result done = ring_next(&w->ring);
        switch (done.key) {
        case KEY_CONN: on_conn(w, done.c, done.got); break;
        case KEY_NEWCOMER: on_newcomer(w, done.c); break;
        case KEY_CANCEL: w->live--; break;
        default: /* KEY_QUIT */
            w->stopping = true;
            ring_cancel(&w->ring);
            w->live++;
        }
    }
}

/* A message has arrived, and the conn in it belongs to a worker, who may have
 * freed it already. Or it has not, and is ours. */
static void on_message_sent(struct conn *c, int got)
{
    if (got < 0 && c != NULL)
        conn_end(c, -got);
    else if (got < 0)
        die_call("IORING_OP_MSG_RING", -got);
}

/* The main thread accepts. At the end it cancels, reaps, and tells the workers,
 * when no newcomer is on the way to them any more. */
static void server_run(struct server *srv)
{
    bool cancelled = false;
    while (!cancelled || srv->live > 0) {
        struct result done = ring_next(&srv->ring);
        if (!done.more)
            srv->live--;
        switch (done.key) {
        case KEY_ACCEPT: on_accept(srv, done.got, done.more); break;
        case KEY_RETRY: accept_post(srv); break;
        case KEY_SENT: on_message_sent(done.c, done.got); break;
        default: break; /* KEY_CANCEL, and KEY_WAKE: look at srv->stopping */
        }
        if (srv->stopping && !cancelled) {
            cancelled = true;
            ring_cancel(&srv->ring);
            srv->live++;
        }
    }
}

/* ---- 3. accept --------------------------------------------------------- */

/* Put a result into the ring of a worker, as PostQueuedCompletionStatus() puts a
 * packet into a port. It takes a ring to do it. */
static void worker_tell(struct server *srv, struct worker *w, struct conn *c,
                        enum key key)
{
    struct io_uring_sqe *sqe = ring_place(&srv->ring);
    io_uring_prep_msg_ring(sqe, w->ring.ring_fd, 0, (uintptr_t)c | key, 0);
    ring_mark(sqe, c, KEY_SENT);
    srv->live++;
}

/* The worker that has the fewest clients. */
static struct worker *worker_find(struct server *srv)
{
    struct worker *w = &srv->workers[0];
    for (unsigned long i = 1; i < srv->threads; i++)
        if (srv->workers[i].clients < w->clients)
            w = &srv->workers[i];
    return w;
}

static void conn_open(struct server *srv, int sock,
                      const struct sockaddr_storage *peer)
{
    struct conn *c = malloc(sizeof *c + srv->args.buffer);
    if (c == NULL) {
        log_refused_error("malloc", ENOMEM);
        close(sock);
        return;
    }
    *c = (struct conn){.w = worker_find(srv), .sock = sock};
    log_opened(&c->log, peer);
    srv->clients++;
    c->w->clients++;
    worker_tell(srv, c->w, c, KEY_NEWCOMER);
}

/* Newcomers stay in the backlog until KEY_RETRY; the clients that are here notice
 * nothing. */
static void accept_failed(struct server *srv, int err)
{
    if (!net_is_short(err))
        die_call("accept", err);
    if (!srv->short_of_files)
        warn_call("accept", err);
    srv->short_of_files = true;
    struct io_uring_sqe *sqe = ring_place(&srv->ring);
    io_uring_prep_timeout(sqe, &retry_time, 0, 0);
    ring_mark(sqe, NULL, KEY_RETRY);
    srv->live++;
}

/* Ask for connections, once for all that will come: a result for each of them,
 * with a socket that is ready to use. */
static void accept_post(struct server *srv)
{
    if (srv->stopping)
        return;
    struct io_uring_sqe *sqe = ring_place(&srv->ring);
    io_uring_prep_multishot_accept(sqe, srv->listener, NULL, NULL,
                                   SOCK_CLOEXEC);
    ring_mark(sqe, NULL, KEY_ACCEPT);
    srv->live++;
}

/* Somebody has connected, or was about to and left. If no more will come, there
 * has to be another request, or nobody would be accepted any more. */
static void on_accept(struct server *srv, int sock, bool more)
{
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof peer;
    if (sock < 0 && !srv->stopping && !net_newcomer_left(-sock)) {
        accept_failed(srv, -sock);
        return;
    }
    if (!more)
        accept_post(srv);
    if (sock < 0)
        return;

    srv->short_of_files = false;
    net_no_delay(sock);
    if (srv->stopping ||
        getpeername(sock, (struct sockaddr *)&peer, &peer_len) < 0) {
        close(sock);
    } else if (srv->clients >= srv->args.max_clients) {
        close(sock);
        log_refused(srv->args.max_clients);
    } else {
        conn_open(srv, sock, &peer);
    }
}

/* ---- 4. echo ----------------------------------------------------------- */

/* Ask for bytes. A result will come, whatever happens; until then c->buf is not
 * ours. The socket is a blocking one: on a non-blocking socket the result would
 * be EAGAIN, at once. */
static void conn_post_recv(struct worker *w, struct conn *c)
{
    if (w->stopping) {
        conn_close(w, c, 0);
        return;
    }
    struct io_uring_sqe *sqe = ring_place(&w->ring);
    io_uring_prep_recv(sqe, c->sock, c->buf, w->srv->args.buffer, 0);
    ring_mark(sqe, c, KEY_CONN);
    c->state = CONN_RECEIVING;
    w->live++;
}

/* Ask to send what is owed. MSG_NOSIGNAL: or a client that is gone would end the
 * process, by SIGPIPE. */
static void conn_post_send(struct worker *w, struct conn *c)
{
    if (w->stopping) {
        conn_close(w, c, 0);
        return;
    }
    struct io_uring_sqe *sqe = ring_place(&w->ring);
    io_uring_prep_send(sqe, c->sock, c->buf + c->sent, c->len - c->sent,
                       MSG_NOSIGNAL);
    ring_mark(sqe, c, KEY_CONN);
    c->state = CONN_SENDING;
    w->live++;
}

static void on_recv(struct worker *w, struct conn *c, size_t len, int err)
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

/* A send is done when the system has taken some of it. Linux often takes a part:
 * count, and ask again for what is left. */
static void on_sent(struct worker *w, struct conn *c, size_t len, int err)
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

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_end(struct conn *c, int err)
{
    if (err == 0)
        shutdown(c->sock, SHUT_WR); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (close(c->sock) < 0)
        warn_call("close", errno);
    log_closed(&c->log, err);
    c->w->clients--;
    c->w->srv->clients--;
    free(c);
}

/* Only with nothing in flight: then buf is ours to free. And close() would not
 * end a request: it holds the socket open, and the client would wait. */
static void conn_close(struct worker *w, struct conn *c, int err)
{
    if (err == ECANCELED && w->stopping)
        err = 0; /* it was us */
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        w->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    conn_end(c, err);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "io_uring",
    .idea = "completion, told by rings: the twin of iocp",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the model limits them",
};

/* Not every Linux has it, and an administrator or a container may forbid it. So
 * a program that is to run anywhere keeps another model beside this one. */
static _Noreturn void no_io_uring(const char *call, int err)
{
    char what[192];
    const char *why = "the server cannot start";
    if (err == ENOSYS)
        why = "this Linux has no io_uring; epoll does the same here";
    else if (err == EPERM || err == EACCES)
        why = "this system forbids io_uring (sysctl kernel.io_uring_disabled, "
              "or the rules of a container); epoll does the same here";
    err_describe(err, what, sizeof what);
    err_print("%s: %s; %s", call, what, why);
    exit(EXIT_LISTEN);
}

static void ring_open(struct io_uring *ring)
{
    int err = -io_uring_queue_init(RING_SIZE, ring, 0);
    if (err != 0)
        no_io_uring("io_uring_setup", err);
}

/* One accept for all newcomers came with Linux 5.19, and so did the request that
 * is looked for here. */
static void ring_check(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (probe == NULL)
        no_io_uring("io_uring_register", ENOMEM);
    if (!io_uring_opcode_supported(probe, IORING_OP_SOCKET)) {
        err_print("io_uring needs Linux 5.19 here; epoll does the same");
        exit(EXIT_LISTEN);
    }
    io_uring_free_probe(probe);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    worker_run(w);
    return NULL;
}

static void start_workers(struct server *srv)
{
    /* One worker serves all clients. More of them use more processors. */
    srv->threads = srv->args.threads != 0 ? srv->args.threads : 1;
    srv->workers = calloc(srv->threads, sizeof *srv->workers);
    if (srv->workers == NULL)
        die_call("calloc", ENOMEM);
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct worker *w = &srv->workers[i];
        w->srv = srv;
        ring_open(&w->ring);
        int err = pthread_create(&w->thread, NULL, worker_main, w);
        if (err != 0)
            die_call("pthread_create", err);
    }
}

static void server_start(struct server *srv)
{
    ring_open(&srv->ring);
    ring_check(&srv->ring);
    srv->wake = eventfd(0, EFD_CLOEXEC);
    if (srv->wake < 0)
        die_call("eventfd", errno);
    srv->listener = net_listen(&srv->args);
    start_workers(srv);

    /* Another thread may not touch this ring, but it may set an event whose read
     * is in flight here. */
    struct io_uring_sqe *sqe = ring_place(&srv->ring);
    io_uring_prep_read(sqe, srv->wake, &srv->wake_read, sizeof srv->wake_read,
                       0);
    ring_mark(sqe, NULL, KEY_WAKE);
    srv->live++;
    accept_post(srv);
}

/* Cancel, reap, and only then free: this, too, is no more than a request. Every
 * request in the ring still has its result, and until then the system may write
 * to its memory. */
static void ring_cancel(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = ring_place(ring);
    io_uring_prep_cancel(sqe, NULL,
                         IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    ring_mark(sqe, NULL, KEY_CANCEL);
}

/* Runs on another thread, while the main thread waits. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    srv->stopping = true;
    if (eventfd_write(srv->wake, 1) < 0)
        die_call("eventfd_write", errno);
}

static void server_stop(struct server *srv)
{
    close(srv->listener);
    for (unsigned long i = 0; i < srv->threads; i++)
        worker_tell(srv, &srv->workers[i], NULL, KEY_QUIT);
    for (; srv->live > 0; srv->live--) {
        struct result done = ring_next(&srv->ring);
        on_message_sent(NULL, done.got);
    }
    for (unsigned long i = 0; i < srv->threads; i++) {
        int err = pthread_join(srv->workers[i].thread, NULL);
        if (err != 0)
            die_call("pthread_join", err);
        io_uring_queue_exit(&srv->workers[i].ring);
    }
    free(srv->workers);
    close(srv->wake);
    io_uring_queue_exit(&srv->ring);
}

/* ---- 7. main (same in both) -------------------------------------------- */

int main(int argc, char **argv)
{
    static struct server srv;
    srv.args = args_parse(&model, argc, argv);
    net_start();
    log_begin(&model, &srv.args);

    server_start(&srv);
    stop_begin(server_wake, &srv, srv.args.stop_on_eof);
    log_ready(srv.listener, srv.threads);
    server_run(&srv);
    stop_end();
    server_stop(&srv);

    log_summary();
    return EXIT_STOPPED;
}
