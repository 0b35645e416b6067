/* wsapoll.c -- echo server on WSAPoll(): an array instead of select()'s sets
 *
 *   peer --bytes--> [socket] --in the array--> WSAPoll() --> server_run()
 *                      ^                                          |
 *                      +-------------- recv(), send() ------------+
 *
 *   tells us       readiness: "a call on this socket would not block now"
 *   waits in       WSAPoll(), one thread
 *   moves bytes    this thread, with non-blocking recv() and send()
 *   holds at most  65535 clients: nothing in the call limits them
 *   stops by       a datagram to a socket in the array
 *   diff with      select.c (before this)
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
    bool peer_closed; /* WSAPoll() has told that the client sent its end */
    size_t slot;      /* its place in the two arrays */
    int len;          /* bytes in buf */
    int sent;         /* of these, bytes that are back with the client */
    struct log_conn log;
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* The server. Only the thread in server_run() touches it, but for
 * server_wake(), which uses nothing but `wake`. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    SOCKET wake; /* a datagram to itself ends the wait */

    /* What WSAPoll() is asked, and whom it is about: two arrays with the same
     * slots. They stay as they are from wait to wait, and no lookup is needed
     * on the way back from a socket to its client. */
    WSAPOLLFD *polls;
    struct conn **conns;
    size_t count; /* slots in use */
    size_t room;  /* slots that there is memory for */

    /* Out of sockets until then (GetTickCount64()): newcomers stay in the
     * backlog. */
    ULONGLONG pause_end;
    size_t stalled; /* clients that no wait can tell about: conn_set_state() */
    ULONGLONG stall_end;
};

enum { SLOT_WAKE, SLOT_LISTENER, FIRST_CLIENT };

enum { ACCEPTS_A_ROUND = 64 };

/* How long to wait before accept() is tried again when it has failed. */
enum { RETRY_MS = 1000 };

/* How long to wait before a stalled client is tried again. */
enum { STALL_MS = 20 };

static void on_accept(struct server *srv);
static void on_readable(struct server *srv, struct conn *c);
static void on_writable(struct server *srv, struct conn *c);
static void conn_close(struct server *srv, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

/* WSAPoll() says for each slot what it found. Any answer means: try it, and
 * recv() or send() will tell. POLLHUP is no exception: it comes with the
 * client's end while bytes may still wait to be read, and it comes instead of
 * POLLRDNORM when none do. Linux says POLLIN then. Source: WSAPoll function. */
static void on_ready(struct server *srv, struct conn *c, SHORT found)
{
    if (found & POLLHUP)
        c->peer_closed = true;
    if (c->state == CONN_SENDING)
        on_writable(srv, c);
    else
        on_readable(srv, c);
}

/* From the last slot to the first: when a client closes, the last one moves into
 * its slot, and that one has had its turn. */
static void try_stalled(struct server *srv)
{
    srv->stall_end = GetTickCount64() + STALL_MS;
    for (size_t i = srv->count; i-- > FIRST_CLIENT;)
        if (srv->polls[i].fd == INVALID_SOCKET)
            on_writable(srv, srv->conns[i]);
}

static void server_run(struct server *srv)
{
    for (;;) {
        bool paused = srv->pause_end > GetTickCount64();
        int wait = srv->stalled > 0 ? STALL_MS : paused ? RETRY_MS : -1;

        /* A slot with INVALID_SOCKET is passed over. Others stay in the array,
         * for there has to be one: that of the wake socket. */
        srv->polls[SLOT_LISTENER].fd = paused ? INVALID_SOCKET : srv->listener;
        int ready = WSAPoll(srv->polls, (ULONG)srv->count, wait);
        if (ready == SOCKET_ERROR)
            die_call("WSAPoll", WSAGetLastError());

        /* The call says how many are ready, not which: walk through the array
         * until all are found. Newcomers come last, as the first slots do. */
        for (size_t i = srv->count; ready > 0 && i-- > 0;) {
            SHORT found = srv->polls[i].revents;
            if (found == 0 || srv->polls[i].fd == INVALID_SOCKET)
                continue;
            ready--;
            if (i == SLOT_WAKE)
                return;
            if (i == SLOT_LISTENER)
                on_accept(srv);
            else
                on_ready(srv, srv->conns[i], found);
        }
        if (srv->stalled > 0 && GetTickCount64() >= srv->stall_end)
            try_stalled(srv);
    }
}

/* ---- 3. accept --------------------------------------------------------- */

/* Room for one more slot. False: there is no memory. */
static bool make_room(struct server *srv)
{
    if (srv->count < srv->room)
        return true;
    size_t room = 2 * srv->room + 4;
    WSAPOLLFD *polls = realloc(srv->polls, room * sizeof *polls);
    if (polls == NULL)
        return false;
    srv->polls = polls;
    struct conn **conns = realloc(srv->conns, room * sizeof *conns);
    if (conns == NULL)
        return false;
    srv->conns = conns;
    srv->room = room;
    return true;
}

/* Only POLLRDNORM and POLLWRNORM may be asked for: with POLLERR, POLLHUP or
 * POLLPRI the call fails with WSAEINVAL. Wine lets it pass. */
static void slot_add(struct server *srv, SOCKET sock, struct conn *c)
{
    srv->conns[srv->count] = c;
    srv->polls[srv->count++] = (WSAPOLLFD){.fd = sock, .events = POLLRDNORM};
}

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
    if (!make_room(srv)) {
        log_refused_error("realloc", ERROR_NOT_ENOUGH_MEMORY);
        goto refuse;
    }
    c->slot = srv->count;
    slot_add(srv, sock, c);
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
    if (srv->count - FIRST_CLIENT >= srv->args.max_clients) {
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

/* The state of the client decides what the next wait asks about it.
 *
 * Once a client has sent its end, each wait answers POLLHUP for it, whatever it
 * was asked. If we owe it bytes that it does not take yet, every wait would
 * return at once. So its slot is passed over, and send() is tried by the clock:
 * the only place where a server of this suite has to do so. */
static void conn_set_state(struct server *srv, struct conn *c,
                           enum conn_state state)
{
    WSAPOLLFD *poll = &srv->polls[c->slot];
    bool stall = state == CONN_SENDING && c->peer_closed;
    if (poll->fd == INVALID_SOCKET)
        srv->stalled--;
    if (stall && srv->stalled++ == 0)
        srv->stall_end = GetTickCount64() + STALL_MS;
    poll->fd = stall ? INVALID_SOCKET : c->sock;
    poll->events = state == CONN_RECEIVING ? POLLRDNORM : POLLWRNORM;
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
                conn_set_state(srv, c, CONN_SENDING);
            else
                conn_close(srv, c, err);
            return;
        }
        c->sent += len;
        log_sent(&c->log, (size_t)len, (size_t)(c->len - c->sent));
    }
    conn_set_state(srv, c, CONN_RECEIVING);
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct server *srv, struct conn *c, int err)
{
    struct conn *last = srv->conns[--srv->count];
    if (srv->polls[c->slot].fd == INVALID_SOCKET)
        srv->stalled--;
    srv->polls[c->slot] = srv->polls[srv->count];
    srv->conns[c->slot] = last;
    last->slot = c->slot;

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
    .name = "wsapoll",
    .idea = "readiness, asked for with WSAPoll()",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the call limits them",
    .no_threads = "WSAPoll() serves every client on one thread",
};

/* WSAPoll() can wait for sockets and for nothing else, so what wakes it has to
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

    /* A client may leave between WSAPoll() and accept(): a blocking accept()
     * would then wait for the next one, and everybody with it. */
    if (ioctlsocket(srv->listener, (long)FIONBIO, &on) == SOCKET_ERROR)
        die_call("ioctlsocket", WSAGetLastError());
    if (!make_room(srv))
        die_call("realloc", ERROR_NOT_ENOUGH_MEMORY);
    slot_add(srv, srv->wake, NULL);
    slot_add(srv, srv->listener, NULL);
    srv->threads = 1;
}

/* Runs on another thread, while this one waits in WSAPoll(). */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    if (send(srv->wake, "", 1, 0) == SOCKET_ERROR)
        die_call("send to the wake socket", WSAGetLastError());
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    while (srv->count > FIRST_CLIENT)
        conn_close(srv, srv->conns[srv->count - 1], 0);
    closesocket(srv->wake);
    free(srv->polls);
    free(srv->conns);
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
