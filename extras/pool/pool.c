/* pool.c -- echo server with a queue of our own: the toy completion port
 *
 *   WSAPoll() --who is ready--> [queue] --> N threads: recv(), send() --+
 *      ^      (main thread)      lock + condition variable              |
 *      +----------------- [those to be asked about again] <-------------+
 *
 *   tells us       readiness; a queue of our own hands it to a thread
 *   waits in       WSAPoll(), the main thread; a condition variable, the others
 *   moves bytes    the thread that has taken the client out of the queue
 *   holds at most  65535 clients: nothing in the call limits them
 *   stops by       a datagram to a socket in the array, and a flag
 *   diff with      wsapoll.c (before this), iocp.c (after)
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

enum conn_state {
    CONN_RECEIVING, /* owes nothing, wants to hear more */
    CONN_SENDING    /* owes bytes, and reads no more until they are gone */
};

/* Who has the client. Only the main thread asks. */
enum conn_place {
    CONN_HERE,   /* in the array: WSAPoll() is asked about it */
    CONN_AWAY,   /* in the queue, with a thread, or on its way back */
    CONN_STALLED /* here, but no wait can tell about it: conn_set_state() */
};

/* One client. There is one operation at a time, so one thread has it at a time,
 * and that one needs no lock. */
struct conn {
    /* Only the main thread. */
    size_t slot; /* its place in the two arrays */
    enum conn_place place;
    bool peer_closed; /* WSAPoll() has told that the client sent its end */

    /* The thread that has the client, and the main thread when it is back. */
    SOCKET sock;
    enum conn_state state;
    bool over; /* to be closed, with err as for conn_close() */
    int err;
    int len;  /* bytes in buf */
    int sent; /* of these, bytes that are back with the client */
    struct log_conn log;

    struct conn *next; /* in one of the two lists; under the lock */
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

struct list {
    struct conn *first;
    struct conn *last;
};

struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    HANDLE *workers;
    SOCKET listener;
    SOCKET wake; /* a datagram to itself ends the wait; any thread sends it */
    volatile LONG stopping; /* interlocked */

    SRWLOCK lock;              /* guards the next four */
    CONDITION_VARIABLE filled; /* the queue has one more; used with the lock */
    struct list queue;         /* ready: for the threads */
    struct list back;          /* served: for the main thread */
    bool leave;                /* the threads shall end */

    /* All that follows is only the main thread's. */

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

static unsigned long work_ms; /* --work: that each echo blocks its thread */

static void on_accept(struct server *srv);
static void on_readable(struct server *srv, struct conn *c);
static void on_writable(struct conn *c);
static void conn_set_state(struct server *srv, struct conn *c);
static void conn_close(struct server *srv, struct conn *c, int err);
static void wake_main(struct server *srv);

/* ---- 2. the loop ------------------------------------------------------- */

static void list_add(struct list *list, struct conn *c)
{
    c->next = NULL;
    if (list->first == NULL)
        list->first = c;
    else
        list->last->next = c;
    list->last = c;
}

/* To the threads: from now on the client is not ours, and no wait asks about it. A
 * completion port does this inside Windows: its queue, its threads that wait. */
static void hand_out(struct server *srv, struct conn *c)
{
    srv->stalled -= c->place == CONN_STALLED;
    c->place = CONN_AWAY;
    srv->polls[c->slot].fd = INVALID_SOCKET;
    AcquireSRWLockExclusive(&srv->lock);
    list_add(&srv->queue, c);
    ReleaseSRWLockExclusive(&srv->lock);
    WakeConditionVariable(&srv->filled);
}

/* Back to the main thread, which has to be told when there was nobody before: it
 * takes all of them at once. */
static void hand_back(struct server *srv, struct conn *c)
{
    AcquireSRWLockExclusive(&srv->lock);
    bool first = srv->back.first == NULL;
    list_add(&srv->back, c);
    ReleaseSRWLockExclusive(&srv->lock);
    if (first)
        wake_main(srv);
}

/* The next client that is ready. NULL: the thread shall end. */
static struct conn *take(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    while (srv->queue.first == NULL && !srv->leave)
        if (!SleepConditionVariableSRW(&srv->filled, &srv->lock, INFINITE, 0))
            die_call("SleepConditionVariableSRW", GetLastError());
    struct conn *c = srv->leave ? NULL : srv->queue.first;
    if (c != NULL)
        srv->queue.first = c->next;
    ReleaseSRWLockExclusive(&srv->lock);
    return c;
}

/* A thread of the pool. --work stands for what other servers do between recv()
 * and send(): ask a database, read a file. */
static unsigned __stdcall worker_main(void *arg)
{
    struct server *srv = arg;
    for (struct conn *c; (c = take(srv)) != NULL; hand_back(srv, c))
        if (c->state == CONN_SENDING)
            on_writable(c);
        else
            on_readable(srv, c);
    return 0;
}

/* Those that the threads have served: ask about them again, or close them. */
static void on_back(struct server *srv)
{
    char datagram;
    if (recv(srv->wake, &datagram, 1, 0) == SOCKET_ERROR &&
        !net_is_short(WSAGetLastError())) /* then it is still there */
        die_call("recv from the wake socket", WSAGetLastError());
    AcquireSRWLockExclusive(&srv->lock);
    struct conn *c = srv->back.first;
    srv->back.first = NULL;
    ReleaseSRWLockExclusive(&srv->lock);
    for (struct conn *next; c != NULL; c = next) {
        next = c->next;
        if (c->over)
            conn_close(srv, c, c->err);
        else
            conn_set_state(srv, c);
    }
}

/* WSAPoll() says for each slot what it found. Any answer means: try it, and
 * recv() or send() will tell. wsapoll.c:on_ready says why POLLHUP is no
 * exception. */
static void on_ready(struct server *srv, struct conn *c, SHORT found)
{
    if (found & POLLHUP)
        c->peer_closed = true;
    hand_out(srv, c);
}

static void try_stalled(struct server *srv)
{
    srv->stall_end = GetTickCount64() + STALL_MS;
    for (size_t i = FIRST_CLIENT; i < srv->count; i++)
        if (srv->conns[i]->place == CONN_STALLED)
            hand_out(srv, srv->conns[i]);
}

static void server_run(struct server *srv)
{
    while (!srv->stopping) {
        bool paused = srv->pause_end > GetTickCount64();
        int wait = srv->stalled > 0 ? STALL_MS : paused ? RETRY_MS : -1;

        /* A slot with INVALID_SOCKET is passed over. Others stay in the array,
         * for there has to be one: that of the wake socket. */
        srv->polls[SLOT_LISTENER].fd = paused ? INVALID_SOCKET : srv->listener;
        int ready = WSAPoll(srv->polls, (ULONG)srv->count, wait);
        if (ready == SOCKET_ERROR)
            die_call("WSAPoll", WSAGetLastError());

        /* Newcomers, and those that come back, are last, as the first slots
         * are: until then all others stay in theirs. */
        for (size_t i = srv->count; ready > 0 && i-- > 0;) {
            SHORT found = srv->polls[i].revents;
            if (found == 0 || srv->polls[i].fd == INVALID_SOCKET)
                continue;
            ready--;
            if (i == SLOT_WAKE)
                on_back(srv);
            else if (i == SLOT_LISTENER)
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

/* Main thread. The state of the client decides what the next wait asks about it.
 *
 * Once a client has sent its end, each wait answers POLLHUP for it, whatever it
 * was asked. If we owe it bytes that it does not take yet, every wait would
 * return at once. So its slot is passed over, and it is handed out by the
 * clock, as in wsapoll.c. */
static void conn_set_state(struct server *srv, struct conn *c)
{
    WSAPOLLFD *poll = &srv->polls[c->slot];
    bool stall = c->state == CONN_SENDING && c->peer_closed;
    if (stall && srv->stalled++ == 0)
        srv->stall_end = GetTickCount64() + STALL_MS;
    c->place = stall ? CONN_STALLED : CONN_HERE;
    poll->fd = stall ? INVALID_SOCKET : c->sock;
    poll->events = c->state == CONN_RECEIVING ? POLLRDNORM : POLLWRNORM;
}

/* The connection is over: the main thread closes it. */
static void conn_over(struct conn *c, int err)
{
    c->over = true;
    c->err = err;
}

/* A thread of the pool, like on_writable(). Read once, however much there is: the
 * next round brings the rest, and no flood keeps the others waiting. */
static void on_readable(struct server *srv, struct conn *c)
{
    int len = recv(c->sock, c->buf, (int)srv->args.buffer, 0);
    if (len == SOCKET_ERROR) {
        int err = WSAGetLastError();
        if (err != WSAEWOULDBLOCK)
            conn_over(c, err);
        return;
    }
    if (len == 0) {
        /* The client will say no more, and all that it said is back with it:
         * nothing is received while bytes are owed. */
        conn_over(c, 0);
        return;
    }
    log_received(&c->log, (size_t)len);
    if (work_ms > 0)
        Sleep(work_ms);
    c->len = len;
    c->sent = 0;
    on_writable(c);
}

/* Send what is owed, all of it or until the socket takes no more. Windows
 * usually takes everything or nothing, but promises less: count. */
static void on_writable(struct conn *c)
{
    while (c->sent < c->len) {
        int len = send(c->sock, c->buf + c->sent, c->len - c->sent, 0);
        if (len == SOCKET_ERROR) {
            int err = WSAGetLastError();
            if (err == WSAEWOULDBLOCK)
                c->state = CONN_SENDING;
            else
                conn_over(c, err);
            return;
        }
        c->sent += len;
        log_sent(&c->log, (size_t)len, (size_t)(c->len - c->sent));
    }
    c->state = CONN_RECEIVING;
}

/* ---- 5. close ---------------------------------------------------------- */

/* err 0: the client has its whole echo; tell it that no more will come.
 * Anything else is the trouble of this one client, and only its own. */
static void conn_close(struct server *srv, struct conn *c, int err)
{
    struct conn *last = srv->conns[--srv->count];
    srv->stalled -= c->place == CONN_STALLED;
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

static const struct option own_options[] = {
    {NULL, "--work", &work_ms, option_number, .max = 1000},
    {0},
};

static const struct model model = {
    .name = "pool",
    .idea = "readiness, and a pool of threads behind a queue of our own",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "nothing in the call limits them",
    .own_options = own_options,
    .own_help =
        "      --work MS        each echo blocks its thread for so long\n",
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

static unsigned long processors(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwNumberOfProcessors;
}

static void start_workers(struct server *srv)
{
    srv->threads = srv->args.threads != 0 ? srv->args.threads : processors();
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
    u_long on = 1;
    InitializeSRWLock(&srv->lock);
    InitializeConditionVariable(&srv->filled);
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
    start_workers(srv);
}

/* Ends the wait of the main thread. Any thread. Without this datagram nobody would
 * ever come for the clients that are back: so it is tried until it is sent. */
static void wake_main(struct server *srv)
{
    while (send(srv->wake, "", 1, 0) == SOCKET_ERROR) {
        if (!net_is_short(WSAGetLastError()))
            die_call("send to the wake socket", WSAGetLastError());
        Sleep(STALL_MS);
    }
}

/* Runs on another thread, while the main thread waits in WSAPoll(). */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    wake_main(srv);
}

/* First the threads, then the clients: nobody has one of them any more. */
static void server_stop(struct server *srv)
{
    AcquireSRWLockExclusive(&srv->lock);
    srv->leave = true;
    ReleaseSRWLockExclusive(&srv->lock);
    WakeAllConditionVariable(&srv->filled);
    for (unsigned long i = 0; i < srv->threads; i++) {
        WaitForSingleObject(srv->workers[i], INFINITE);
        CloseHandle(srv->workers[i]);
    }
    free(srv->workers);

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
