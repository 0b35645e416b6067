/* blocking.c -- echo server without a model: a thread waits for each client
 *
 * This way is older than the six, and their baseline: no server can echo with
 * fewer calls than recv() and send().
 *
 *   peer --bytes--> [socket] --> recv() in the peer's own thread
 *                      ^           |
 *                      +-- send() -+
 *
 *   tells us       nothing: each call waits until it is done
 *   waits in       accept(), recv() and send(), a thread for each client
 *   moves bytes    that thread
 *   holds at most  65535 clients, if there is memory for as many threads
 *   stops by       CancelIoEx() on every socket, until its thread has left
 *   diff with      select.c (after this)
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

/* A thread's address space for its stack, which is a megabyte otherwise. */
enum { STACK_BYTES = 64 * 1024 };

/* How long to wait before accept() is tried again when it has failed, and
 * before a thread that has not left its call is cancelled again. */
enum { RETRY_MS = 1000, CANCEL_MS = 10 };

/* One client. Its own thread uses it; `lock` guards what the others see. */
struct conn {
    struct server *srv;
    SOCKET sock; /* closed by its thread once it is out of srv->conns */
    struct log_conn log;
    struct conn *next; /* in srv->conns, under the lock */
    struct conn *prev;
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

struct server {
    struct args args;
    unsigned long threads; /* that serve clients; here: at the start */
    SOCKET listener;
    HANDLE stop_asked;
    HANDLE acceptor; /* the thread in accept() */
    SRWLOCK lock;
    CONDITION_VARIABLE left; /* a client has left; used with the lock */
    struct conn *conns;
    volatile LONG clients;  /* interlocked: threads that are not done yet */
    volatile LONG stopping; /* interlocked */
};

static void on_accept(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer);
static bool on_readable(struct conn *c, int *err);
static void conn_close(struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

/* Runs on a thread of its own, because accept() can wait for nothing else. */
static unsigned __stdcall accept_main(void *arg)
{
    struct server *srv = arg;
    while (!srv->stopping) {
        struct sockaddr_storage peer;
        int len = sizeof peer;
        SOCKET sock = accept(srv->listener, (struct sockaddr *)&peer, &len);
        if (sock != INVALID_SOCKET) {
            on_accept(srv, sock, &peer);
            continue;
        }
        int err = WSAGetLastError();
        if (srv->stopping || net_newcomer_left(err))
            continue;
        if (!net_is_short(err))
            die_call("accept", err);
        warn_call("accept", err);
        AcquireSRWLockExclusive(&srv->lock); /* until a client of ours leaves */
        if (!srv->stopping)
            (void)SleepConditionVariableSRW(&srv->left, &srv->lock, RETRY_MS,
                                            0);
        ReleaseSRWLockExclusive(&srv->lock);
    }
    return 0;
}

/* The loop that all the others are compared with. */
static unsigned __stdcall conn_main(void *arg)
{
    struct conn *c = arg;
    int err = 0;
    while (on_readable(c, &err))
        continue;
    conn_close(c, err);
    return 0;
}

static void server_run(struct server *srv)
{
    WaitForSingleObject(srv->stop_asked, INFINITE);
}

/* ---- 3. accept --------------------------------------------------------- */

static void conn_open(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    struct conn *c = malloc(sizeof *c + srv->args.buffer);
    HANDLE thread = NULL;
    if (c == NULL) {
        log_refused_error("malloc", ERROR_NOT_ENOUGH_MEMORY);
        closesocket(sock);
        return;
    }
    *c = (struct conn){.srv = srv, .sock = sock};
    thread = (HANDLE)_beginthreadex(
        NULL, STACK_BYTES, conn_main, c,
        CREATE_SUSPENDED | STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread == NULL) {
        log_refused_error("_beginthreadex", GetLastError());
        closesocket(sock);
        free(c);
        return;
    }
    AcquireSRWLockExclusive(&srv->lock);
    c->next = srv->conns;
    if (c->next != NULL)
        c->next->prev = c;
    srv->conns = c;
    InterlockedIncrement(&srv->clients);
    ReleaseSRWLockExclusive(&srv->lock);
    log_opened(&c->log, peer);
    if (ResumeThread(thread) == (DWORD)-1)
        die_call("ResumeThread", GetLastError());
    CloseHandle(thread);
}

static void on_accept(struct server *srv, SOCKET sock,
                      const struct sockaddr_storage *peer)
{
    net_no_inherit(sock);
    if ((unsigned long)srv->clients >= srv->args.max_clients) {
        closesocket(sock);
        log_refused(srv->args.max_clients);
        return;
    }
    conn_open(srv, sock, peer);
}

/* ---- 4. echo ----------------------------------------------------------- */

/* Wait for bytes and send them back. False: the connection is over, with *err
 * as for conn_close(). send() waits until all bytes are sent, but does not
 * promise that: so count them. */
static bool on_readable(struct conn *c, int *err)
{
    int len = recv(c->sock, c->buf, (int)c->srv->args.buffer, 0);
    if (len > 0)
        log_received(&c->log, (size_t)len);
    for (int sent = 0, part; sent < len; sent += part) {
        part = send(c->sock, c->buf + sent, len - sent, 0);
        if (part == SOCKET_ERROR) {
            len = SOCKET_ERROR;
            break;
        }
        log_sent(&c->log, (size_t)part, (size_t)(len - sent - part));
    }
    if (len == SOCKET_ERROR)
        *err = WSAGetLastError();
    return len > 0 && !c->srv->stopping;
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct conn *c, int err)
{
    struct server *srv = c->srv;
    AcquireSRWLockExclusive(&srv->lock);
    if (srv->stopping)
        err = 0; /* we ended the call: 995, 10004, 10053 ... */
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
    log_closed(&c->log, (unsigned long)err);
    free(c);

    /* This comes last: when no client thread is left, server_stop() goes on. */
    InterlockedDecrement(&srv->clients);
    WakeAllConditionVariable(&srv->left);
}

/* ---- 6. start and stop ------------------------------------------------- */

static const struct model model = {
    .name = "blocking",
    .idea = "no model: a thread for each client",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "memory for a thread each",
    .no_threads = "there is a thread for each client",
};

static void server_start(struct server *srv)
{
    InitializeSRWLock(&srv->lock);
    InitializeConditionVariable(&srv->left);
    srv->stop_asked = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (srv->stop_asked == NULL)
        die_call("CreateEventW", GetLastError());
    srv->listener = net_listen(&srv->args);
    srv->acceptor = (HANDLE)_beginthreadex(NULL, 0, accept_main, srv, 0, NULL);
    if (srv->acceptor == NULL)
        die_call("_beginthreadex", GetLastError());
    srv->threads = 1;
}

/* Runs on another thread, while the main thread waits. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    if (!SetEvent(srv->stop_asked))
        die_call("SetEvent", GetLastError());
}

/* Ends the call that a thread waits in. closesocket() would be wrong: another
 * socket could get the same SOCKET value, and the thread would go on with that
 * one. */
static void cancel(SOCKET sock)
{
    if (!CancelIoEx((HANDLE)sock, NULL) && GetLastError() != ERROR_NOT_FOUND)
        warn_call("CancelIoEx", GetLastError());
}

/* Cancel again and again: a thread may just have been on its way into the call.
 * shutdown() is not enough: on Windows it wakes no recv(). */
static void server_stop(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    InterlockedExchange(&srv->stopping, TRUE);
    ReleaseSRWLockExclusive(&srv->lock);
    WakeAllConditionVariable(&srv->left); /* the acceptor may be short */
    do
        cancel(srv->listener);
    while (WaitForSingleObject(srv->acceptor, CANCEL_MS) == WAIT_TIMEOUT);
    CloseHandle(srv->acceptor);
    closesocket(srv->listener);

    AcquireSRWLockExclusive(&srv->lock);
    while (srv->clients > 0) {
        for (struct conn *c = srv->conns; c != NULL; c = c->next)
            cancel(c->sock);
        (void)SleepConditionVariableSRW(&srv->left, &srv->lock, CANCEL_MS, 0);
    }
    ReleaseSRWLockExclusive(&srv->lock);
    CloseHandle(srv->stop_asked);
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
