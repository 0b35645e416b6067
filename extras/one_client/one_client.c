/* one_client.c -- everybody's first echo server: one client after the other
 *
 * Whoever comes meanwhile waits in the backlog, for ever if this client says
 * nothing. So by its nature it cannot keep E1.9, E2.6, E3, E4, E5, E7, and what
 * E6, E8, E12 and E13 say with two clients or more (tests/servers/contract.py).
 *
 *   peer --bytes--> [socket] --> recv() --> send() --> back to recv()
 *                                  |
 *   the next peer <-- accept() <---+ the end of this one
 *
 *   tells us       nothing: each call waits until it is done
 *   waits in       accept(), recv() and send(), one thread
 *   moves bytes    that thread
 *   holds at most  1 client: its thread is in recv(), and not in accept()
 *   stops by       CancelIoEx() on its socket, until the thread has left
 *   diff with      blocking.c (after this)
 */
#include "common/win.h"

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/stop.h"
#include "watch/watch.h"

/* ---- 1. types ---------------------------------------------------------- */

/* How long to wait before accept() is tried again when it has failed, and
 * before the thread is cancelled again. */
enum { RETRY_MS = 1000, CANCEL_MS = 10, STOPPING = 1, LEFT };

struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    volatile SOCKET waits_for; /* the listener, or the one client */
    volatile LONG stop; /* interlocked: 0; STOPPING; LEFT, by the main thread */
};

/* ---- 2. the loop ------------------------------------------------------- */

/* Until the client has sent its end: 0; or the error that ended it. send() waits
 * until all bytes are sent, but does not promise that: so count them. */
static int echo(struct server *srv, SOCKET sock, struct log_conn *log)
{
    static char buf[1024 * 1024]; /* --buffer says how much of it is used */
    int len = 0;
    while (!srv->stop &&
           (len = recv(sock, buf, (int)srv->args.buffer, 0)) > 0) {
        log_received(log, (size_t)len);
        for (int sent = 0, part; sent < len; sent += part) {
            part = send(sock, buf + sent, len - sent, 0);
            if (part == SOCKET_ERROR)
                return WSAGetLastError();
            log_sent(log, (size_t)part, (size_t)(len - sent - part));
        }
    }
    return len >= 0 ? 0 : WSAGetLastError();
}

/* Whoever comes while echo() runs is connected already, and waits in the
 * backlog. */
static void server_run(struct server *srv)
{
    while (!srv->stop) {
        struct log_conn log;
        struct sockaddr_storage peer;
        int len = sizeof peer;
        SOCKET sock = accept(srv->listener, (struct sockaddr *)&peer, &len);
        int err = WSAGetLastError();
        if (sock != INVALID_SOCKET) {
            net_no_inherit(sock);
            log_opened(&log, &peer);
            srv->waits_for = sock;
            err = echo(srv, sock, &log);
            srv->waits_for = srv->listener;
            if (err == 0 || srv->stop)
                shutdown(sock, SD_SEND); /* may fail: it may have gone */
            else
                net_reset_on_close(sock);
            closesocket(sock);
            log_closed(&log, srv->stop ? 0 : (unsigned long)err);
        } else if (net_is_short(err)) {
            warn_call("accept", err);
            Sleep(RETRY_MS); /* nobody tells when Windows has sockets again */
        } else if (!srv->stop && !net_newcomer_left(err)) {
            die_call("accept", err);
        }
    }
    InterlockedExchange(&srv->stop, LEFT);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "one_client",
    .idea = "one client after the other",
    .most_clients = 1,
    .why_limit = "the others wait in the backlog",
    .no_threads = "one thread serves one client",
};

static void server_start(struct server *srv)
{
    srv->listener = srv->waits_for = net_listen(&srv->args);
    srv->threads = 1;
}

/* Runs on another thread, while the main thread waits in a call that hears of
 * nothing, or is just on its way into one: so cancel again and again. Not
 * closesocket(): Windows forbids it while another thread is in a call on that
 * socket. To cancel one that was closed just now does no harm: only the main
 * thread opens any. Source: closesocket function.
 *
 * No other server_wake() waits. This one may: the main thread needs nothing of it
 * before it has left. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    for (InterlockedExchange(&srv->stop, STOPPING); srv->stop != LEFT;) {
        (void)CancelIoEx((HANDLE)srv->waits_for, NULL);
        Sleep(CANCEL_MS);
    }
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
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
