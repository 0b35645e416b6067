/* polling.c -- echo server that asks every socket in turn, and never waits
 *
 *        +--------------------------------------------+
 *        v                                            |
 *   accept()? --> recv() or send() of #1? --> of #2? --> ... of the last one?
 *
 * Nearly every answer is WSAEWOULDBLOCK: "not now". By its nature it cannot keep
 * E6.3, E6.4, E12.1 and E12.3: an idle server that does nothing. It uses a whole
 * processor, always.
 *
 *   tells us       nothing: the answer of each call says whether it was time
 *   waits in       nothing, one thread
 *   moves bytes    this thread, with non-blocking recv() and send()
 *   holds at most  65535 clients, each of which makes all others slower
 *   stops by       a flag that the loop looks at
 *   diff with      select.c (after this)
 */
#include "common/win.h"

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

/* One client. Only the thread in server_run() touches it. */
struct conn {
    SOCKET sock;
    enum conn_state state;
    int len;  /* bytes in buf */
    int sent; /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in srv->conns */
    struct conn *prev;
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* The server. Only the thread in server_run() touches it, but for
 * server_wake(), which uses nothing but `stopping`. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    struct conn *conns;
    size_t count;
    /* Out of sockets until then (GetTickCount64()): newcomers stay in the
     * backlog. */
    ULONGLONG pause_end;
    volatile LONG stopping; /* interlocked */
};

enum { ACCEPTS_A_ROUND = 64 };

/* How long to wait before accept() is tried again when it has failed. */
enum { RETRY_MS = 1000 };

static void on_accept(struct server *srv);
static void on_readable(struct server *srv, struct conn *c);
static void on_writable(struct server *srv, struct conn *c);
static void conn_close(struct server *srv, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

/* A round asks everybody, however few have something to say. A Sleep() here would
 * give the processor back, and each answer would come late by as much: that is a
 * choice between two evils, and the wait of the six is the way out of it. */
static void server_run(struct server *srv)
{
    while (!srv->stopping) {
        if (srv->pause_end <= GetTickCount64())
            on_accept(srv);
        for (struct conn *c = srv->conns, *next; c != NULL; c = next) {
            next = c->next; /* c may be closed, and freed */
            if (c->state == CONN_RECEIVING)
                on_readable(srv, c);
            else
                on_writable(srv, c);
        }
    }
}

/* ---- 3. accept --------------------------------------------------------- */

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    struct conn *c = malloc(sizeof *c + srv->args.buffer);
    if (c == NULL) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    *c = (struct conn){.sock = sock, .state = CONN_RECEIVING};

    /* A blocking recv() would hold up all other clients. (On Windows the socket
     * has the mode of the listener already; on other systems it has not.) */
    u_long on = 1;
    if (ioctlsocket(sock, (long)FIONBIO, &on) == SOCKET_ERROR) {
        log_refused_error("ioctlsocket", (unsigned long)WSAGetLastError());
        goto refuse;
    }
    c->next = srv->conns;
    if (c->next != NULL)
        c->next->prev = c;
    srv->conns = c;
    srv->count++;
    log_opened(&c->log, peer);
    return;

refuse:
    closesocket(sock);
    free(c);
}

/* False: there is nobody to accept, or nobody can be accepted now. */
static bool accept_one(struct server *srv)
{
    struct sockaddr_storage peer;
    int len = sizeof peer;
    SOCKET sock = accept(srv->listener, (struct sockaddr *)&peer, &len);
    if (sock == INVALID_SOCKET) {
        int err = WSAGetLastError();
        if (err == WSAEWOULDBLOCK)
            return false;
        if (net_newcomer_left(err))
            return true; /* the next one may be there */
        if (!net_is_short(err))
            die_call("accept", err);
        /* Windows has no more sockets, and tells nobody when it has some again.
         * Newcomers stay in the backlog; the clients that are here notice
         * nothing. */
        warn_call("accept", err);
        srv->pause_end = GetTickCount64() + RETRY_MS;
        return false;
    }
    net_no_inherit(sock);
    if (srv->count >= srv->args.max_clients) {
        closesocket(sock);
        log_refused(srv->args.max_clients);
    } else {
        conn_open(srv, sock, &peer);
    }
    return true;
}

/* A round costs as much as there are clients, so it accepts more than one
 * newcomer. But it does not accept all that come: the clients that are here
 * want their turn, too. */
static void on_accept(struct server *srv)
{
    for (int i = 0; i < ACCEPTS_A_ROUND && accept_one(srv); i++)
        continue;
}

/* ---- 4. echo ----------------------------------------------------------- */

/* The state of the client decides what the next round asks it. */
static void conn_set_state(struct conn *c, enum conn_state state)
{
    c->state = state;
}

/* Read once, however much there is: the next round brings the rest, and no
 * flood keeps the others waiting. */
static void on_readable(struct server *srv, struct conn *c)
{
    int len = recv(c->sock, c->buf, (int)srv->args.buffer, 0);
    if (len == SOCKET_ERROR) {
        int err = WSAGetLastError();
        if (err != WSAEWOULDBLOCK)
            conn_close(srv, c, err);
        return;
    }
    if (len == 0) {
        /* The client will say no more, and all that it said is back with it:
         * nothing is received while bytes are owed. */
        conn_close(srv, c, 0);
        return;
    }
    log_received(&c->log, (size_t)len);
    c->len = len;
    c->sent = 0;
    on_writable(srv, c);
}

/* Send what is owed, all of it or until the socket takes no more. Windows
 * usually takes everything or nothing, but promises less: count. */
static void on_writable(struct server *srv, struct conn *c)
{
    while (c->sent < c->len) {
        int len = send(c->sock, c->buf + c->sent, c->len - c->sent, 0);
        if (len == SOCKET_ERROR) {
            int err = WSAGetLastError();
            if (err == WSAEWOULDBLOCK)
                conn_set_state(c, CONN_SENDING);
            else
                conn_close(srv, c, err);
            return;
        }
        c->sent += len;
        log_sent(&c->log, (size_t)len, (size_t)(c->len - c->sent));
    }
    conn_set_state(c, CONN_RECEIVING);
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct server *srv, struct conn *c, int err)
{
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        srv->conns = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    srv->count--;

    if (err == 0)
        shutdown(c->sock, SD_SEND); /* may fail: the client may have gone */
    else
        net_reset_on_close(c->sock);
    if (closesocket(c->sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    log_closed(&c->log, (unsigned long)err);
    free(c);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "polling",
    .idea = "no model: it asks every socket in turn, without a wait",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing limits them, but each one costs a call",
    .no_threads = "one thread asks every client",
};

static void server_start(struct server *srv)
{
    u_long on = 1;
    srv->listener = net_listen(&srv->args);
    if (ioctlsocket(srv->listener, (long)FIONBIO, &on) == SOCKET_ERROR)
        die_call("ioctlsocket", WSAGetLastError());
    srv->threads = 1;
}

/* Runs on another thread. Nothing has to be woken: it never sleeps. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    for (struct conn *c = srv->conns, *next; c != NULL; c = next) {
        next = c->next;
        conn_close(srv, c, 0);
    }
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
