/* select.c -- echo server on select(): ask who is ready, then do it
 *
 *   peer --bytes--> [socket] --in the read set--> select() --> server_run()
 *                      ^                                            |
 *                      +-------------- recv(), send() --------------+
 *
 *   tells us       readiness: "a call on this socket would not block now"
 *   waits in       select(), one thread
 *   moves bytes    this thread, with non-blocking recv() and send()
 *   holds at most  8190 clients: FD_SETSIZE, less listener and wake socket
 *   stops by       a datagram to a socket in the read set
 *   diff with      asyncselect.c (after this)
 */

/* The number of sockets that one set can hold. It is the size of an array
 * inside fd_set, so it must stand before winsock2.h and be the same in every
 * file that has an fd_set: here, only this one. Without it the limit is 64,
 * and the 65th socket is left out in silence. */
#define FD_SETSIZE 8192
#include "common/win.h"

#include <stdlib.h>

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/log.h"
#include "common/map.h"
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
 * server_wake(), which uses nothing but `wake`. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    SOCKET wake; /* a datagram to itself ends the wait */
    struct conn *conns;
    size_t count;
    struct map by_sock; /* the way back from a SOCKET to its client */
    /* Out of sockets until then (GetTickCount64()): newcomers stay in the
     * backlog. */
    ULONGLONG pause_end;
    fd_set
        readable; /* in: the sockets we ask about; out: those that are ready */
    fd_set writable;
};

enum { ACCEPTS_A_ROUND = 64 };

/* How long to wait before accept() is tried again when it has failed. */
enum { RETRY_MS = 1000 };

static void on_accept(struct server *srv);
static void on_readable(struct server *srv, struct conn *c);
static void on_writable(struct server *srv, struct conn *c);
static void conn_close(struct server *srv, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

/* Not FD_SET(), which walks the whole set to find duplicates: with thousands
 * of clients that walk, once per client, would be most of the server's work.
 * The two fields are documented; the caller stays below FD_SETSIZE. */
static void set_add(fd_set *set, SOCKET sock)
{
    set->fd_array[set->fd_count++] = sock;
}

/* select() overwrites the sets with its answer: build them anew every time. */
static void build_sets(struct server *srv, bool paused)
{
    FD_ZERO(&srv->readable);
    FD_ZERO(&srv->writable);

    /* The wake socket is always there, so the sets are never all empty:
     * that would make select() fail at once instead of waiting. */
    set_add(&srv->readable, srv->wake);
    if (!paused)
        set_add(&srv->readable, srv->listener);

    /* A client that owes nothing is always writable. Asking for that would
     * turn the wait into a busy loop, so each is in one set, never in both. */
    for (struct conn *c = srv->conns; c != NULL; c = c->next) {
        if (c->state == CONN_RECEIVING)
            set_add(&srv->readable, c->sock);
        else
            set_add(&srv->writable, c->sock);
    }
}

/* One dead socket makes the whole call fail, for everybody. Ours are closed in
 * one place and taken out of the sets first, so this is a bug's last line of
 * defence: find it and drop it, or the server would serve nobody any more. */
static void drop_dead_sockets(struct server *srv)
{
    bool found = false;
    for (struct conn *c = srv->conns, *next; c != NULL; c = next) {
        int type = 0;
        int len = sizeof type;
        next = c->next;
        if (getsockopt(c->sock, SOL_SOCKET, SO_TYPE, (char *)&type, &len) ==
            SOCKET_ERROR) {
            conn_close(srv, c, WSAGetLastError());
            found = true;
        }
    }
    if (!found)
        die_call("select", WSAENOTSOCK);
}

static void server_run(struct server *srv)
{
    for (;;) {
        bool paused = srv->pause_end > GetTickCount64();
        build_sets(srv, paused);
        struct timeval pause = {.tv_sec = RETRY_MS / 1000};
        if (select(0, &srv->readable, &srv->writable, NULL,
                   paused ? &pause : NULL) == SOCKET_ERROR) {
            int err = WSAGetLastError(); /* the sets are as we built them */
            if (err != WSAENOTSOCK)
                die_call("select", err);
            drop_dead_sockets(srv);
            continue;
        }

        /* The sets hold only the sockets that are ready now. To walk through
         * them costs as much as there is to do; FD_ISSET() for every client
         * would search the whole set each time. Newcomers come last: a socket
         * that was accepted earlier could have the same SOCKET value as one
         * that was closed in this round, and be taken for it. */
        bool newcomer = false;
        for (u_int i = 0; i < srv->writable.fd_count; i++)
            on_writable(srv, map_get(&srv->by_sock, srv->writable.fd_array[i]));
        for (u_int i = 0; i < srv->readable.fd_count; i++) {
            SOCKET sock = srv->readable.fd_array[i];
            if (sock == srv->wake)
                return;
            if (sock == srv->listener)
                newcomer = true;
            else
                on_readable(srv, map_get(&srv->by_sock, sock));
        }
        if (newcomer)
            on_accept(srv);
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

    /* A socket that was ready need not be ready any more when recv() is called:
     * a segment that is dropped late takes the bytes away. A blocking recv()
     * would then hold up all other clients. (On Windows the socket has the mode
     * of the listener already; on other systems it has not.) */
    u_long on = 1;
    if (ioctlsocket(sock, (long)FIONBIO, &on) == SOCKET_ERROR) {
        log_refused_error("ioctlsocket", (unsigned long)WSAGetLastError());
        goto refuse;
    }
    if (!map_put(&srv->by_sock, sock, c)) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
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

/* The state of the client decides in which of the two sets it goes next. */
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
    /* Out of the map before it is closed: the next connection may get the same
     * SOCKET value as soon as closesocket() returns. */
    map_remove(&srv->by_sock, c->sock);
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
    .name = "select",
    .idea = "readiness, asked for with select()",
    .most_clients = FD_SETSIZE - 2,
    .why_limit = "FD_SETSIZE, less the listener and the wake socket",
    .no_threads = "select() serves every client on one thread",
};

/* select() can wait for sockets and for nothing else, so what wakes it has to
 * be one: a datagram socket, connected to itself. */
static SOCKET open_wake_socket(void)
{
    struct sockaddr_in self = {.sin_family = AF_INET};
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int len = sizeof self;
    SOCKET sock = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        die_call("WSASocketW", WSAGetLastError());
    if (bind(sock, (struct sockaddr *)&self, len) == SOCKET_ERROR)
        die_call("bind of the wake socket", WSAGetLastError());
    if (getsockname(sock, (struct sockaddr *)&self, &len) == SOCKET_ERROR)
        die_call("getsockname of the wake socket", WSAGetLastError());
    if (connect(sock, (struct sockaddr *)&self, len) == SOCKET_ERROR)
        die_call("connect of the wake socket", WSAGetLastError());
    return sock;
}

static void server_start(struct server *srv)
{
    u_long on = 1;
    srv->wake = open_wake_socket();
    srv->listener = net_listen(&srv->args);

    /* A client may leave between select() and accept(): a blocking accept()
     * would then wait for the next one, and everybody with it. */
    if (ioctlsocket(srv->listener, (long)FIONBIO, &on) == SOCKET_ERROR)
        die_call("ioctlsocket", WSAGetLastError());
    srv->threads = 1;
}

/* Runs on another thread, while this one waits in select(). */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    if (send(srv->wake, "", 1, 0) == SOCKET_ERROR)
        die_call("send to the wake socket", WSAGetLastError());
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    while (srv->conns != NULL)
        conn_close(srv, srv->conns, 0);
    closesocket(srv->wake);
    map_free(&srv->by_sock);
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
