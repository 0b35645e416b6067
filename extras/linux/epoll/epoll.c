/* epoll.c -- echo server on epoll: eventselect.c, as Linux has it
 *
 *   peer --bytes--> [socket] --is put into--> [epoll] --wakes--> waiter_run()
 *                      ^                                            |
 *                      +--------------- recv(), send() -------------+
 *
 *   tells us       readiness: "a call on this socket would not block now"
 *   waits in       epoll_wait(), in each of --threads waiters
 *   moves bytes    the waiters, with non-blocking recv() and send()
 *   holds at most  65535 clients: nothing in the model limits them
 *   stops by       a write to the eventfd of each wait
 *   diff with      eventselect/eventselect.c (its twin), io_uring.c (after)
 */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extras/linux/common/args.h"
#include "extras/linux/common/err.h"
#include "extras/linux/common/log.h"
#include "extras/linux/common/net.h"
#include "extras/linux/common/stop.h"

/* ---- 1. types ---------------------------------------------------------- */

enum conn_state {
    CONN_RECEIVING, /* owes nothing, wants to hear more */
    CONN_SENDING    /* owes bytes, and reads no more until they are gone */
};

/* One client. Only the thread that waits for it touches it. */
struct conn {
    int sock;
    enum conn_state state;
    bool again;  /* in w->again: read without being told */
    size_t len;  /* bytes in buf */
    size_t sent; /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in w->conns, under w->lock */
    struct conn *prev;
    struct conn *next_again; /* in w->again */
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* So many answers are taken from a wait at once. Those that find no room come
 * with the next wait, before the ones that were told already. Source:
 * epoll_wait(2), "Notes". */
enum { ANSWERS = 64 };

/* One thread and what it waits for. The list of what it waits for is kept by
 * Linux, has no limit of 64, and may be changed by any thread while the wait is
 * on. So there is no inbox here, and as many waiters as the user wants. */
struct waiter {
    struct server *srv;
    pthread_t thread;
    int epoll;
    int wake; /* an eventfd: set when the server stops */

    pthread_mutex_t lock;
    struct conn *conns;   /* under lock */
    atomic_ulong clients; /* in the list */

    /* Only the waiter's own thread, and only with --edge: clients that may have
     * bytes which nobody will tell of. */
    struct conn *again;
};

/* The server. Only the main thread touches it, but for what says otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    int listener;
    int wake; /* an eventfd: set when the server stops */
    struct waiter *waiters;
    atomic_ulong clients; /* of all waiters */
    atomic_bool stopping;
};

/* How long to wait before accept4() is tried again when it has failed. */
enum { RETRY_MS = 1000 };

static void on_accept(struct server *srv);
static void on_readable(struct waiter *w, struct conn *c);
static void on_writable(struct waiter *w, struct conn *c);
static void conn_close(struct waiter *w, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

/* What is ready is told with the pointer that we gave, so no array and no map
 * leads back to the client. Only hints are taken from the answer, EPOLLERR and
 * EPOLLHUP included: recv() and send() tell how things are. */
static void on_event(struct waiter *w, struct conn *c)
{
    if (c->again)
        return; /* its turn comes in on_again(), and one turn is enough */
    if (c->state == CONN_SENDING)
        on_writable(w, c);
    else
        on_readable(w, c);
}

/* With --edge: a piece more for each client that may have one. The list is taken
 * first, so that a client which gets back on it waits for the others. */
static void on_again(struct waiter *w)
{
    struct conn *c = w->again;
    w->again = NULL;
    while (c != NULL) {
        struct conn *next = c->next_again;
        c->again = false;
        on_readable(w, c);
        c = next;
    }
}

/* One copy of this runs in each waiter. */
static void waiter_run(struct waiter *w)
{
    struct epoll_event events[ANSWERS];
    for (;;) {
        int wait = w->again == NULL ? -1 : 0;
        int got = epoll_wait(w->epoll, events, ANSWERS, wait);
        if (got < 0 && errno != EINTR)
            die_call("epoll_wait", errno);
        /* EINTR: a signal came to this thread, and its handler has run. No
         * SA_RESTART makes this call go on by itself. Source: signal(7). */

        /* The wait names all that are ready, and each client once. Serving one
         * closes no other, so no pointer in the array is stale. */
        for (int i = 0; i < got; i++) {
            if (events[i].data.ptr == NULL)
                return; /* the wake event */
            on_event(w, events[i].data.ptr);
        }
        on_again(w);
    }
}

/* The main thread accepts. For two files poll() is enough. */
static void server_run(struct server *srv)
{
    struct pollfd fds[] = {{.fd = srv->wake, .events = POLLIN},
                           {.fd = srv->listener, .events = POLLIN}};
    while (!srv->stopping) {
        int got = poll(fds, 2, -1);
        if (got < 0 && errno != EINTR)
            die_call("poll", errno);
        if (got > 0 && fds[1].revents != 0)
            on_accept(srv);
    }
}

/* ---- 3. accept --------------------------------------------------------- */

/* The waiter that has the fewest clients. */
static struct waiter *waiter_find(struct server *srv)
{
    struct waiter *w = &srv->waiters[0];
    for (unsigned long i = 1; i < srv->threads; i++)
        if (srv->waiters[i].clients < w->clients)
            w = &srv->waiters[i];
    return w;
}

/* Hand the client over. EPOLL_CTL_ADD does it, also while the waiter waits. From
 * there on the client belongs to the waiter, who may free it before the call has
 * returned here. What arrived before is not lost: a condition that is true
 * already is told at once, with EPOLLET too. Source: epoll_wait(2), "Notes". */
static void waiter_give(struct waiter *w, struct conn *c)
{
    struct epoll_event event = {.data.ptr = c};
    if (w->srv->args.edge)
        event.events = EPOLLIN | EPOLLOUT | EPOLLET; /* as in eventselect.c */
    else
        event.events = EPOLLIN;
    w->clients++;
    w->srv->clients++;
    pthread_mutex_lock(&w->lock);
    c->next = w->conns;
    if (c->next != NULL)
        c->next->prev = c;
    w->conns = c;
    pthread_mutex_unlock(&w->lock);
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->sock, &event) < 0)
        conn_close(w, c, errno); /* no memory: it is still ours */
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
    *c = (struct conn){.sock = sock, .state = CONN_RECEIVING};
    log_opened(&c->log, peer);
    waiter_give(waiter_find(srv), c);
}

/* One newcomer a turn: poll() tells of the next one again. */
static void on_accept(struct server *srv)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int sock;
    /* Linux inherits no option: each connection is told that it is non-blocking,
     * and that no child process gets it. */
    while ((sock = accept4(srv->listener, (struct sockaddr *)&peer, &len,
                           SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
        int err = errno;
        if (err == EAGAIN || err == EINTR || net_newcomer_left(err))
            return;
        if (!net_is_short(err))
            die_call("accept4", err);
        /* The process or Linux has no more files, and tells nobody when it has
         * some again. Newcomers stay in the backlog; the clients that are here
         * notice nothing, for this thread only accepts. Without this pause
         * poll() would tell of them at once, again and again. */
        warn_call("accept4", err);
        struct pollfd wake = {.fd = srv->wake, .events = POLLIN};
        poll(&wake, 1, RETRY_MS);
        if (srv->stopping)
            return;
    }
    net_no_delay(sock);
    if (srv->clients >= srv->args.max_clients) {
        close(sock);
        log_refused(srv->args.max_clients);
        return;
    }
    conn_open(srv, sock, &peer);
}

/* ---- 4. echo ----------------------------------------------------------- */

/* The state of the client decides what we do when it is ready.
 *
 * Level-triggered, as epoll is without EPOLLET: what is asked for is told as
 * long as it holds. So nothing is asked for that we would not act on, or the
 * wait would return at once, for ever.
 *
 * With EPOLLET the registration stays as it is. But nothing is told of bytes
 * that were there before: read until EAGAIN. This is what the list is for: one
 * piece in each turn, so that no flood keeps the others waiting. */
static void conn_set_state(struct waiter *w, struct conn *c,
                           enum conn_state state)
{
    bool changed = state != c->state;
    c->state = state;
    if (w->srv->args.edge) {
        if (state == CONN_RECEIVING) {
            c->again = true;
            c->next_again = w->again;
            w->again = c;
        }
        return;
    }
    struct epoll_event event = {.data.ptr = c};
    event.events = state == CONN_SENDING ? EPOLLOUT : EPOLLIN;
    if (changed && epoll_ctl(w->epoll, EPOLL_CTL_MOD, c->sock, &event) < 0)
        conn_close(w, c, errno);
}

/* Read once, however much there is. The rest is told again, or is in the list,
 * and no flood keeps the others waiting. */
static void on_readable(struct waiter *w, struct conn *c)
{
    ssize_t len = recv(c->sock, c->buf, w->srv->args.buffer, 0);
    if (len < 0) {
        int err = errno;
        if (err != EAGAIN)
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
    c->len = (size_t)len;
    c->sent = 0;
    on_writable(w, c);
}

/* Send what is owed, all of it or until the socket takes no more. Linux often
 * takes a part: count. MSG_NOSIGNAL: or a client that is gone would end the
 * process, by SIGPIPE. */
static void on_writable(struct waiter *w, struct conn *c)
{
    while (c->sent < c->len) {
        ssize_t len =
            send(c->sock, c->buf + c->sent, c->len - c->sent, MSG_NOSIGNAL);
        if (len < 0) {
            int err = errno;
            if (err == EAGAIN)
                conn_set_state(w, c, CONN_SENDING);
            else
                conn_close(w, c, err);
            return;
        }
        c->sent += (size_t)len;
        log_sent(&c->log, (size_t)len, c->len - c->sent);
    }
    conn_set_state(w, c, CONN_RECEIVING);
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct waiter *w, struct conn *c, int err)
{
    pthread_mutex_lock(&w->lock);
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        w->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    pthread_mutex_unlock(&w->lock);

    if (err == 0)
        shutdown(c->sock, SHUT_WR); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    /* This takes it out of the epoll, too: no other number stands for it. */
    if (close(c->sock) < 0)
        warn_call("close", errno);

    log_closed(&c->log, err);
    free(c);
    w->clients--;
    w->srv->clients--;
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "epoll",
    .idea = "readiness, told by epoll: the twin of eventselect",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the model limits them",
    .has_edge = true,
};

static void *waiter_main(void *arg);

static void waiter_start(struct server *srv, struct waiter *w)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    w->srv = srv;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        die_call("epoll_create1", errno);
    w->wake = eventfd(0, EFD_CLOEXEC);
    if (w->wake < 0)
        die_call("eventfd", errno);
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event) < 0)
        die_call("epoll_ctl", errno);
    int err = pthread_mutex_init(&w->lock, NULL);
    if (err != 0)
        die_call("pthread_mutex_init", err);
    err = pthread_create(&w->thread, NULL, waiter_main, w);
    if (err != 0)
        die_call("pthread_create", err);
}

static void event_set(int event)
{
    uint64_t one = 1;
    if (write(event, &one, sizeof one) < 0)
        die_call("write(eventfd)", errno);
}

static void server_start(struct server *srv)
{
    srv->wake = eventfd(0, EFD_CLOEXEC);
    if (srv->wake < 0)
        die_call("eventfd", errno);
    srv->listener = net_listen(&srv->args);
    /* Or accept4() would wait for the next newcomer when the one that poll()
     * told of has left. Source: accept(2), "Notes". */
    if (fcntl(srv->listener, F_SETFL, O_NONBLOCK) < 0)
        die_call("fcntl(O_NONBLOCK)", errno);

    /* One waiter serves all clients. More of them use more processors. */
    srv->threads = srv->args.threads != 0 ? srv->args.threads : 1;
    srv->waiters = calloc(srv->threads, sizeof *srv->waiters);
    if (srv->waiters == NULL)
        die_call("calloc", ENOMEM);
    for (unsigned long i = 0; i < srv->threads; i++)
        waiter_start(srv, &srv->waiters[i]);
}

/* Runs on another thread, while the main thread waits for its events. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    srv->stopping = true;
    event_set(srv->wake);
}

/* The clients of one waiter, on its own thread. */
static void waiter_close(struct waiter *w)
{
    while (w->conns != NULL)
        conn_close(w, w->conns, 0);
}

static void *waiter_main(void *arg)
{
    struct waiter *w = arg;
    waiter_run(w);
    waiter_close(w);
    return NULL;
}

static void server_stop(struct server *srv)
{
    close(srv->listener);
    for (unsigned long i = 0; i < srv->threads; i++)
        event_set(srv->waiters[i].wake);
    for (unsigned long i = 0; i < srv->threads; i++) {
        struct waiter *w = &srv->waiters[i];
        int err = pthread_join(w->thread, NULL);
        if (err != 0)
            die_call("pthread_join", err);
        pthread_mutex_destroy(&w->lock);
        close(w->wake);
        close(w->epoll);
    }
    free(srv->waiters);
    close(srv->wake);
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
