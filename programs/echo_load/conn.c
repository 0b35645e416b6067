/* conn.c -- see conn.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "programs/echo_load/conn.h"
#include "programs/echo_load/pattern.h"
#include "programs/echo_load/turns.h"
#include "programs/echo_load/worker.h"
#include "programs/harness/source.h"

enum {
    BUFFER_MOST = 64 * 1024,
    PORTS_PER_ADDRESS = 10000, /* of the 16384 that Windows hands out */
    STOP_PATIENCE_S = 1        /* for owed echoes, when the user wants to end */
};

static const uint64_t second = 1000000000;

/* ---- how it ends ------------------------------------------------------- */

static void conn_trouble(struct worker *w, const struct conn *c,
                         const char *call, DWORD err)
{
    char what[320];
    err_describe(err, what, sizeof what);
    tally_tell("connection %llu: %s: %s, with %llu of %llu bytes back%s",
               c->serial, call, what, c->back, c->asked,
               err == WSAECONNREFUSED ? "; is a server running there?" : "");
    tally_add(&w->results.errors, err_name(err), 1);
}

/* Once nothing is pending, frees it for the next connection, or takes it out of
 * use. */
static void conn_release(struct worker *w, struct conn *c)
{
    if (c->in.pending || c->out.pending)
        return;
    if (c->sock != INVALID_SOCKET && closesocket(c->sock) == SOCKET_ERROR)
        conn_trouble(w, c, "closesocket", (DWORD)WSAGetLastError());
    c->sock = INVALID_SOCKET;
    c->state = CONN_NONE;
    if (c->given_up || w->phase == PHASE_DRAIN) {
        c->given_up = true;
        w->live--;
    } else {
        turns_add(w, c, clock_ns() + w->run->options.think);
    }
}

/* How many of its echoes have begun and are not back. */
static uint64_t conn_owed(const struct worker *w, const struct conn *c)
{
    uint64_t size = w->run->options.size;
    if (c->state == CONN_CONNECTING && w->run->options.churn)
        return 1; /* it began with the connect */
    return (c->asked - c->back + size - 1) / size;
}

/* When the echo that is owed next began. */
static uint64_t conn_owed_from(const struct worker *w, const struct conn *c)
{
    const struct load_options *o = &w->run->options;
    return c->from[c->back / o->size % o->pipeline];
}

/* What is still owed will not come: the age of these echoes is the least that
 * they have cost. */
static void conn_count_ages(struct worker *w, const struct conn *c)
{
    const struct load_options *o = &w->run->options;
    uint64_t now = clock_ns();
    uint64_t first = c->back / o->size;
    if (now < w->run->measure_from)
        return;
    for (uint64_t n = first; n < first + conn_owed(w, c); n++) {
        uint64_t from = c->from[n % o->pipeline];
        w->results.waiting++;
        histogram_add(w->results.latency, now > from ? now - from : 0);
    }
}

/* Cancel, await the packets, and only then close: closing a socket on which an
 * operation is pending makes Windows send a reset (Wine does not), and the
 * operation's memory stays the system's until its packet is here. */
static void conn_close(struct worker *w, struct conn *c)
{
    conn_count_ages(w, c);
    c->state = CONN_CLOSING;
    if ((c->in.pending || c->out.pending) &&
        !CancelIoEx((HANDLE)c->sock, NULL) && GetLastError() != ERROR_NOT_FOUND)
        conn_trouble(w, c, "CancelIoEx", GetLastError());
    conn_release(w, c);
}

/* The connection is of no use any more; the echoes that it owes are lost. */
static void conn_give_up(struct worker *w, struct conn *c)
{
    w->results.lost += conn_owed(w, c);
    c->given_up = true;
    conn_close(w, c);
}

static void conn_fail(struct worker *w, struct conn *c, const char *call,
                      DWORD err)
{
    conn_trouble(w, c, call, err);
    conn_give_up(w, c);
}

/* All bytes are back: close in the orderly way. */
static void conn_finish(struct worker *w, struct conn *c)
{
    if (!w->run->options.half_close) {
        conn_close(w, c);
        return;
    }
    c->state = CONN_HALF_CLOSED;
    c->progress = clock_ns();
    if (shutdown(c->sock, SD_SEND) == SOCKET_ERROR)
        conn_fail(w, c, "shutdown", (DWORD)WSAGetLastError());
}

static void conn_silent(struct worker *w, struct conn *c)
{
    tally_tell("connection %llu: WSAETIMEDOUT (%d) silent for %lu s, with "
               "%llu of %llu bytes back%s",
               c->serial, WSAETIMEDOUT, w->run->options.dial.timeout, c->back,
               c->asked,
               c->state == CONN_HALF_CLOSED
                   ? "; the server did not close after our half-close"
                   : "");
    tally_add(&w->results.errors, err_name(WSAETIMEDOUT), 1);
    conn_give_up(w, c);
}

static void conn_cut(struct worker *w, struct conn *c)
{
    tally_tell("connection %llu: end of stream: the server closed early, with "
               "%llu of %llu bytes back",
               c->serial, c->back, c->asked);
    tally_add(&w->results.errors, "CLOSED_EARLY", 1);
    conn_give_up(w, c);
}

/* The bytes in buf are no echo. Nobody could tell which later bytes are right,
 * so this connection ends here. */
static void conn_wrong(struct worker *w, struct conn *c, size_t len)
{
    static const char *const names[] = {"WRONG_BYTE", "MISSING_BYTE",
                                        "SURPLUS_BYTE"};
    static const char *const words[] = {"altered", "missing", "too many"};
    const unsigned char *got = (const unsigned char *)c->buf;
    const unsigned char *sent = pattern_at(c->serial, c->back);
    uint64_t owed = c->asked - c->back;
    size_t sent_len = owed < PATTERN_SPAN ? (size_t)owed : PATTERN_SPAN;
    struct pattern_report r = pattern_compare(sent, sent_len, got, len);
    char expected[24] = "nothing";
    if (r.at < sent_len)
        snprintf(expected, sizeof expected, "0x%02x", sent[r.at]);
    tally_tell("connection %llu: byte %llu (counted from 0): expected %s, "
               "got 0x%02x; %zu byte%s %s",
               c->serial, c->back + r.at, expected, got[r.at], r.count,
               r.count == 1 ? "" : "s", words[r.what]);
    w->results.wrong_bytes += r.count;
    c->back += r.at;
    tally_add(&w->results.errors, names[r.what], 1);
    conn_give_up(w, c);
}

/* ---- connect ----------------------------------------------------------- */

/* ConnectEx() needs a bound socket. Go on to the next address before the ports
 * of this one are used up. Runs in a row begin with different addresses,
 * because each run has its own seed. */
static int bind_source(const struct run *run, const struct conn *c)
{
    return source_bind(c->sock, (const struct sockaddr *)&run->to, run->to_len,
                       INADDR_LOOPBACK,
                       c->serial / PORTS_PER_ADDRESS + run->options.seed);
}

/* Without a port no connection can be made, and that is not the server's
 * fault: so the run ends here. */
static void conn_unmade(struct worker *w, struct conn *c, const char *call,
                        DWORD err)
{
    if (source_used_up(err) &&
        InterlockedExchange(&w->run->out_of_ports, 1) == 0) {
        err_print("%s: %s", err_name(err), source_used_up_hint);
        run_stop(w->run);
    }
    conn_fail(w, c, call, err);
}

/* Makes a socket for ConnectEx(), which still has to be bound. If that fails, returns the name
 * of the call, and its error is in WSAGetLastError(). */
static const char *make_socket(const struct worker *w, struct conn *c)
{
    BOOL on = TRUE;
    u_long no_wait = 1;
    c->sock = WSASocketW(w->run->to.ss_family, SOCK_STREAM, IPPROTO_TCP, NULL,
                         0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (c->sock == INVALID_SOCKET)
        return "WSASocketW";
    if (setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                   sizeof on) == SOCKET_ERROR)
        return "setsockopt(TCP_NODELAY)";
    if (ioctlsocket(c->sock, (long)FIONBIO, &no_wait) == SOCKET_ERROR)
        return "ioctlsocket(FIONBIO)";
    if (CreateIoCompletionPort((HANDLE)c->sock, w->port, (ULONG_PTR)c, 0) ==
        NULL)
        return "CreateIoCompletionPort";
    return NULL;
}

void conn_open(struct worker *w, struct conn *c, uint64_t from)
{
    c->serial = 1 + w->index + w->run->worker_count * w->serials++;
    c->asked = c->handed = c->back = 0;
    c->dialed = c->progress = clock_ns();
    c->from[0] = from;
    const char *failed = make_socket(w, c);
    if (failed != NULL) {
        conn_fail(w, c, failed, (DWORD)WSAGetLastError());
        return;
    }
    if (bind_source(w->run, c) == SOCKET_ERROR) {
        conn_unmade(w, c, "bind", (DWORD)WSAGetLastError());
        return;
    }
    c->state = CONN_CONNECTING;
    c->out.ov = (OVERLAPPED){0};
    if (!w->run->connect_ex(c->sock, (const struct sockaddr *)&w->run->to,
                            w->run->to_len, NULL, 0, NULL, &c->out.ov)) {
        int err = WSAGetLastError();
        if (err != WSA_IO_PENDING) {
            conn_unmade(w, c, "ConnectEx", (DWORD)err);
            return;
        }
    }
    c->out.pending = true;
    w->connecting++;
}

/* ---- echo -------------------------------------------------------------- */

/* Tries send() first: while the system has room, it is done at once, and there
 * is no packet to wait for. Only bytes that find no room are left to a
 * WSASend(). A send that blocks would be wrong: a server that is pushed back
 * would wait for us to receive, and we would wait for it. */
static void conn_send(struct worker *w, struct conn *c)
{
    while (!c->out.pending && c->handed < c->asked) {
        uint64_t rest = c->asked - c->handed;
        ULONG len = rest < PATTERN_SPAN ? (ULONG)rest : PATTERN_SPAN;
        const char *bytes = (const char *)pattern_at(c->serial, c->handed);
        int done = send(c->sock, bytes, (int)len, 0);
        if (done != SOCKET_ERROR) {
            c->handed += (uint64_t)done;
            continue;
        }
        int err = WSAGetLastError();
        if (err != WSAEWOULDBLOCK) {
            conn_fail(w, c, "send", (DWORD)err);
            return;
        }
        WSABUF owed = {.buf = (char *)bytes, .len = len};
        c->out.ov = (OVERLAPPED){0};
        if (WSASend(c->sock, &owed, 1, NULL, 0, &c->out.ov, NULL) != 0) {
            err = WSAGetLastError();
            if (err != WSA_IO_PENDING) {
                conn_fail(w, c, "WSASend", (DWORD)err);
                return;
            }
        }
        c->out.pending = true;
    }
}

void conn_echo(struct worker *w, struct conn *c, uint64_t from)
{
    const struct load_options *o = &w->run->options;
    uint64_t room = o->pipeline - (c->asked - c->back + o->size - 1) / o->size;
    uint64_t count = o->rate == 0 ? room : 1;
    if (c->asked == c->back)
        c->progress = clock_ns();
    for (uint64_t i = 0; i < count; i++) {
        c->from[c->asked / o->size % o->pipeline] = from;
        c->asked += o->size;
    }
    conn_send(w, c);
    if (c->state == CONN_OPEN && count < room)
        turns_add(w, c, 0);
}

/* len more bytes are back, and right. */
static void conn_settle(struct worker *w, struct conn *c, DWORD len,
                        uint64_t now)
{
    const struct load_options *o = &w->run->options;
    struct results *r = &w->results;
    uint64_t ended = (c->back + len) / o->size;
    for (uint64_t n = c->back / o->size; n < ended; n++) {
        uint64_t from = c->from[n % o->pipeline];
        bool counts = from >= w->run->measure_from;
        bool late = !counts && w->ended > w->run->measure_from;
        r->all_echoes++;
        r->echoes += counts;
        r->waiting += late;
        if (counts || late)
            histogram_add(r->latency, now > from ? now - from : 0);
        InterlockedIncrement64(&w->done);
    }
    if (w->phase == PHASE_RUN && now >= w->run->measure_from) {
        if (c->got == 0)
            c->first = now;
        c->got += ended - c->back / o->size;
    }
    c->back += len;
    c->progress = now;
}

/* ---- packets ----------------------------------------------------------- */

static void on_connected(struct worker *w, struct conn *c, DWORD err)
{
    uint64_t now = clock_ns();
    if (err != 0) {
        conn_unmade(w, c, "ConnectEx", err);
        return;
    }
    /* Until this call shutdown() and getpeername() fail on Windows. Wine does
     * not need it. Source: ConnectEx function, SO_UPDATE_CONNECT_CONTEXT. */
    /* cppcheck-suppress nullPointer -- this option has no value */
    if (setsockopt(c->sock, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) ==
        SOCKET_ERROR) {
        conn_fail(w, c, "setsockopt(SO_UPDATE_CONNECT_CONTEXT)",
                  (DWORD)WSAGetLastError());
        return;
    }
    bool churn = w->run->options.churn;
    w->results.all_connects++;
    if (!churn || c->from[0] >= w->run->measure_from) {
        w->results.connects++;
        histogram_add(w->results.connect, now - c->dialed);
    }
    c->state = CONN_OPEN;
    if (churn)
        conn_echo(w, c, c->from[0]);
}

static void on_recv(struct worker *w, struct conn *c, DWORD len, DWORD err)
{
    if (err != 0) {
        conn_fail(w, c, "WSARecv", err);
        return;
    }
    if (len == 0) {
        if (c->state == CONN_HALF_CLOSED)
            conn_close(w, c); /* the answer to our own end */
        else
            conn_cut(w, c);
        return;
    }
    if (len > c->asked - c->back ||
        memcmp(c->buf, pattern_at(c->serial, c->back), len) != 0) {
        conn_wrong(w, c, len);
        return;
    }
    uint64_t now = clock_ns();
    conn_settle(w, c, len, now);
    const struct load_options *o = &w->run->options;
    if (w->phase == PHASE_DRAIN || o->churn) {
        if (c->asked == c->back)
            conn_finish(w, c);
    } else if (c->asked - c->back <= (o->pipeline - 1) * o->size) {
        turns_add(w, c, now + o->think);
    }
}

static void on_sent(struct worker *w, struct conn *c, DWORD len, DWORD err)
{
    if (err != 0) {
        conn_fail(w, c, "WSASend", err);
        return;
    }
    c->handed += len;
    conn_send(w, c);
}

void conn_packet(struct worker *w, struct conn *c, OVERLAPPED *ov, DWORD len,
                 bool ok)
{
    DWORD err = 0;
    DWORD flags = 0;
    /* The port gives Win32's error code, this call gives Winsock's. */
    if (!ok && !WSAGetOverlappedResult(c->sock, ov, &len, FALSE, &flags))
        err = (DWORD)WSAGetLastError();

    bool is_in = ov == &c->in.ov;
    bool connecting = c->out.pending && !is_in && c->asked == 0;
    struct op *op = is_in ? &c->in : &c->out;
    op->pending = false;
    if (connecting)
        w->connecting--;
    if (c->state == CONN_CLOSING)
        conn_release(w, c);
    else if (c->state == CONN_CONNECTING)
        on_connected(w, c, err);
    else if (is_in)
        on_recv(w, c, len, err);
    else
        on_sent(w, c, len, err);
}

/* ---- for the worker ---------------------------------------------------- */

size_t conn_buffer_size(const struct load_options *o)
{
    uint64_t most = o->size * o->pipeline + 1;
    return most < BUFFER_MOST ? (size_t)most : BUFFER_MOST;
}

/* 0 and WSA_IO_PENDING both mean that a packet will come. */
void conn_receive(struct worker *w, struct conn *c)
{
    WSABUF room = {.buf = c->buf,
                   .len = (ULONG)conn_buffer_size(&w->run->options)};
    DWORD flags = 0;
    if ((c->state != CONN_OPEN && c->state != CONN_HALF_CLOSED) ||
        c->in.pending)
        return;
    c->in.ov = (OVERLAPPED){0};
    if (WSARecv(c->sock, &room, 1, NULL, &flags, &c->in.ov, NULL) != 0) {
        int err = WSAGetLastError();
        if (err != WSA_IO_PENDING) {
            conn_fail(w, c, "WSARecv", (DWORD)err);
            return;
        }
    }
    c->in.pending = true;
}

void conn_drain(struct worker *w, struct conn *c)
{
    if (c->given_up)
        return;
    if (conn_owed(w, c) > 0) {
        uint64_t since = conn_owed_from(w, c);
        if (since < w->run->measure_from)
            since = w->run->measure_from;
        c->waited = w->ended > since ? w->ended - since : 0;
    }
    switch (c->state) {
    case CONN_NONE: conn_release(w, c); break;
    case CONN_CONNECTING:
        if (w->run->stop)
            conn_close(w, c);
        break; /* with --churn its echo has begun, and is owed */
    case CONN_OPEN:
        if (c->asked == c->back)
            conn_finish(w, c);
        break;
    case CONN_HALF_CLOSED:
    case CONN_CLOSING: break;
    }
}

void conn_check(struct worker *w, struct conn *c, uint64_t now)
{
    bool owed = c->state == CONN_CONNECTING || c->state == CONN_HALF_CLOSED ||
                (c->state == CONN_OPEN && c->asked > c->back);
    if (!owed)
        return;
    /* We stop first: so nobody can say that these echoes would not have
     * come. */
    if (w->run->stop && w->phase == PHASE_DRAIN &&
        now > w->ended + STOP_PATIENCE_S * second)
        conn_close(w, c);
    else if (now > c->progress + w->run->options.dial.timeout * second)
        conn_silent(w, c);
}
