/* asyncselect.c -- echo server on WSAAsyncSelect(): get mail, then do it
 *
 *   peer --bytes--> [socket] --WM_SOCKET--> message queue --> server_run()
 *                      ^                                           |
 *                      +-------- recv(), send() <-- window_proc() -+
 *
 *   tells us       readiness: "a call on this socket would not block now"
 *   waits in       GetMessageW(), one thread with a window
 *   moves bytes    this thread, with non-blocking recv() and send()
 *   holds at most  4900 clients: a queue takes 10,000 messages, two for each
 *   stops by       PostMessageW() of a message of our own
 *   diff with      select.c (before this), eventselect.c (after)
 */
#include "common/win.h"

#include <stdlib.h>

#include "asyncselect/window.h"
#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/log.h"
#include "common/map.h"
#include "common/net.h"
#include "common/stop.h"
#include "watch/watch.h"

/* ---- 1. types ---------------------------------------------------------- */

/* The messages of our own. WM_SOCKET: wParam is the socket, lParam what
 * happened to it. */
#define WM_SOCKET (WM_APP + 1)
#define WM_STOP   (WM_APP + 2)

enum conn_state {
    CONN_RECEIVING, /* owes nothing, wants to hear more */
    CONN_SENDING    /* owes bytes, and reads no more until they are gone */
};

/* One client. Only the thread in server_run() touches it. */
struct conn {
    SOCKET sock;
    enum conn_state state;
    bool peer_closed; /* FD_CLOSE came: read on until recv() says 0 */
    int len;          /* bytes in buf */
    int sent;         /* of these, bytes that are back with the client */
    struct log_conn log;
    struct conn *next; /* in srv->conns */
    struct conn *prev;
    char buf[]; /* srv->args.buffer bytes: all that a client can make us keep */
};

/* The server. Only the thread in server_run() touches it, but for what says
 * otherwise. */
struct server {
    struct args args;
    unsigned long threads; /* that serve clients */
    SOCKET listener;
    HWND window; /* where the messages arrive; nobody sees it. Any thread. */
    struct conn *conns;
    size_t count;
    struct map by_sock;     /* the way back from a SOCKET to its client */
    ULONGLONG pause_end;    /* out of sockets until then; or 0 */
    volatile LONG stopping; /* interlocked */
};

/* How long to wait before accept() is tried again when it has failed. */
enum { RETRY_MS = 1000, RETRY_TIMER = 1 };

static void on_accept(struct server *srv);
static void listener_resume(struct server *srv);
static void on_readable(struct server *srv, struct conn *c);
static void on_writable(struct server *srv, struct conn *c);
static void conn_close(struct server *srv, struct conn *c, int err);

/* ---- 2. the loop ------------------------------------------------------- */

static void server_run(struct server *srv)
{
    while (!srv->stopping) {
        MSG message;
        BOOL got = GetMessageW(&message, NULL, 0, 0);
        if (got == -1) /* a BOOL with three values */
            die_call("GetMessageW", GetLastError());
        DispatchMessageW(&message);
        if (srv->pause_end != 0 && GetTickCount64() >= srv->pause_end)
            listener_resume(srv);
    }
}

/* A message is a hint and no more: it was true when it was posted, and may
 * have waited behind thousands of others. Its socket may be closed by now, and
 * even the value may belong to a newer client. So nothing here believes the
 * message, its error code included; recv() and send() tell how things are. */
static void on_message(struct server *srv, SOCKET sock, int event)
{
    if (sock == srv->listener) {
        on_accept(srv);
        return;
    }
    struct conn *c = map_get(&srv->by_sock, sock);
    if (c == NULL)
        return; /* closed while the message waited */

    /* Windows posts FD_CLOSE once, and does so while bytes of the client may
     * still wait to be read. Closing now would lose them. */
    if (event == FD_CLOSE)
        c->peer_closed = true;

    if (c->state == CONN_SENDING)
        on_writable(srv, c);
    else if (event != FD_WRITE)
        on_readable(srv, c);
}

static LRESULT CALLBACK window_proc(HWND window, UINT message, WPARAM wparam,
                                    LPARAM lparam)
{
    struct server *srv = (void *)GetWindowLongPtrW(window, GWLP_USERDATA);
    if (message == WM_SOCKET)
        on_message(srv, (SOCKET)wparam, WSAGETSELECTEVENT(lparam));
    else if (message == WM_STOP)
        InterlockedExchange(&srv->stopping, TRUE); /* --window was closed */
    else
        return DefWindowProcW(window, message, wparam, lparam);
    return 0;
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

    /* The socket comes with the registration of the listener: give it one of
     * its own. This also makes it non-blocking, and what arrived before is
     * not lost: conditions that are true already are posted at once. */
    if (WSAAsyncSelect(sock, srv->window, WM_SOCKET, FD_READ | FD_CLOSE) ==
        SOCKET_ERROR) {
        log_refused_error("WSAAsyncSelect", (unsigned long)WSAGetLastError());
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
    window_add_client(c->log.number, peer);
    return;

refuse:
    closesocket(sock);
    free(c);
}

/* One newcomer a message. accept() lets Windows post the next FD_ACCEPT, and
 * the clients that are here already get their turn in between. */
static void on_accept(struct server *srv)
{
    struct sockaddr_storage peer;
    int len = sizeof peer;
    SOCKET sock = accept(srv->listener, (struct sockaddr *)&peer, &len);
    if (sock == INVALID_SOCKET) {
        int err = WSAGetLastError();
        if (err == WSAEWOULDBLOCK || net_newcomer_left(err))
            return;
        if (!net_is_short(err))
            die_call("accept", err);
        /* Windows has no more sockets, and tells nobody when it has some again.
         * Newcomers stay in the backlog; the clients that are here notice
         * nothing. The timer only ends the wait: its message comes when the
         * queue is empty, and busy clients never leave it empty. */
        warn_call("accept", err);
        if (WSAAsyncSelect(srv->listener, srv->window, 0, 0) == SOCKET_ERROR)
            die_call("WSAAsyncSelect", WSAGetLastError());
        srv->pause_end = GetTickCount64() + RETRY_MS;
        if (SetTimer(srv->window, RETRY_TIMER, RETRY_MS, NULL) == 0)
            die_call("SetTimer", GetLastError());
        return;
    }
    net_no_inherit(sock);
    if (srv->count >= srv->args.max_clients) {
        closesocket(sock);
        log_refused(srv->args.max_clients);
        return;
    }
    conn_open(srv, sock, &peer);
}

static void listener_watch(struct server *srv)
{
    if (WSAAsyncSelect(srv->listener, srv->window, WM_SOCKET, FD_ACCEPT) ==
        SOCKET_ERROR)
        die_call("WSAAsyncSelect", WSAGetLastError());
}

/* Perhaps there are sockets again. */
static void listener_resume(struct server *srv)
{
    srv->pause_end = 0;
    KillTimer(srv->window, RETRY_TIMER);
    listener_watch(srv);
}

/* ---- 4. echo ----------------------------------------------------------- */

/* The state of the client decides which events Windows posts. To register again
 * replaces the old events; those of the new ones that are true already are
 * posted at once. */
static void conn_set_state(struct server *srv, struct conn *c,
                           enum conn_state state)
{
    if (c->state != state) {
        long events = state == CONN_SENDING ? FD_WRITE : FD_READ;
        if (WSAAsyncSelect(c->sock, srv->window, WM_SOCKET,
                           events | FD_CLOSE) == SOCKET_ERROR) {
            conn_close(srv, c, WSAGetLastError());
            return;
        }
        c->state = state;
    }

    /* After FD_CLOSE Windows posts nothing more for this socket, neither for the
     * bytes that are left nor for the end of the stream behind them. So we post
     * ourselves a message for them. */
    if (state == CONN_RECEIVING && c->peer_closed &&
        !PostMessageW(srv->window, WM_SOCKET, (WPARAM)c->sock,
                      WSAMAKESELECTREPLY(FD_READ, 0)))
        conn_close(srv, c, (int)GetLastError());
}

/* Read once a message, however much there is: recv() lets Windows post the
 * next FD_READ for the rest, and no flood keeps the others waiting. */
static void on_readable(struct server *srv, struct conn *c)
{
    int len = recv(c->sock, c->buf, (int)srv->args.buffer, 0);
    if (len == SOCKET_ERROR) {
        int err = WSAGetLastError();
        if (err == WSAEWOULDBLOCK)
            c->peer_closed = false; /* an FD_CLOSE that was not for this one */
        else
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

/* Send what is owed, all of it or until the socket takes no more: only after
 * WSAEWOULDBLOCK does an FD_WRITE come. Windows usually takes everything or
 * nothing, but promises less: count. */
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
    window_remove_client(c->log.number);
    free(c);
}

/* ---- 6. start and stop ------------------------------------------------- */

static bool show_window;

static const struct option own_options[] = {
    {NULL, "--window", .out = &show_window},
    {0},
};

static const struct model model = {
    .name = "asyncselect",
    .idea = "readiness, told by window messages (WSAAsyncSelect)",
    .most_clients = 4900,
    .why_limit = "a message queue holds 10,000, two for each client",
    .no_threads = "messages arrive on the one thread that owns the window",
    .own_options = own_options,
    .own_help = "      --window         show the clients in a window\n",
};

/* A message-only window: no place on any screen, so it works in a service and
 * on a machine without a desktop. */
static void open_window(struct server *srv)
{
    WNDCLASSW kind = {.lpfnWndProc = window_proc,
                      .hInstance = GetModuleHandleW(NULL),
                      .lpszClassName = L"asyncselect"};
    if (RegisterClassW(&kind) == 0)
        die_call("RegisterClassW", GetLastError());
    srv->window = CreateWindowW(kind.lpszClassName, L"", 0, 0, 0, 0, 0,
                                HWND_MESSAGE, NULL, kind.hInstance, NULL);
    if (srv->window == NULL)
        die_call("CreateWindowW", GetLastError());
    SetWindowLongPtrW(srv->window, GWLP_USERDATA, (LONG_PTR)srv);
}

static void server_start(struct server *srv)
{
    open_window(srv);
    srv->listener = net_listen(&srv->args);
    if (show_window)
        window_open(model.name, srv->listener, srv->window, WM_STOP);
    listener_watch(srv);
    srv->threads = 1;
}

/* Runs on another thread, while this one waits in GetMessageW(). The message
 * only ends that wait, and the flag stops the server. A full queue takes no
 * message, and then the wait ends without it. Nor PostQuitMessage(): its WM_QUIT
 * is held back until the queue has nothing else, and busy clients never leave it
 * empty. Source: About Messages and Message Queues. */
static void server_wake(void *arg)
{
    struct server *srv = arg;
    InterlockedExchange(&srv->stopping, TRUE);
    if (!PostMessageW(srv->window, WM_STOP, 0, 0) &&
        GetLastError() != ERROR_NOT_ENOUGH_QUOTA)
        die_call("PostMessageW", GetLastError());
}

static void server_stop(struct server *srv)
{
    closesocket(srv->listener);
    while (srv->conns != NULL)
        conn_close(srv, srv->conns, 0);
    window_close();
    DestroyWindow(srv->window);
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
