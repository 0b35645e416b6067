/* peer.c -- see peer.h */
#include "common/win.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "programs/contract/pattern.h"
#include "programs/contract/peer.h"

enum { PIECE = 64 * 1024, LOOK_AROUND = 1024 * 1024, PREVIEW = 12 };

/* ---- trouble -------------------------------------------------------------- */

static const char *const usual_hints[TROUBLES] = {
    [REFUSED] = "Nobody listens on that port any more: the listening socket "
                "was closed.",
    [NO_CONNECT] = "The connection is not accepted. Either the backlog of "
                   "listen() is full because accept() is not called often "
                   "enough, or the server has no place left for a client, or "
                   "the listener is no longer waited for.",
    [SILENT] = "Nothing comes back. Several causes fit: the connection is not "
               "waited for after accept(), what was received is not sent back, "
               "or the server is busy with, or blocked by, somebody else.",
    [STOPS] = "The echo stops part way. Several causes fit: a short send() is "
              "taken for a whole one, after a send that would block nobody "
              "waits until it can go on, or the next receive is never begun.",
    [EARLY_EOF] = "The server closes although bytes are still owed: send all "
                  "that was received before you close.",
    [RESET] = "The server resets the connection instead of closing it: it "
              "closes with unread bytes or a pending operation, or with "
              "SO_LINGER set to 0, or it has crashed.",
    [WRONG_BYTES] = "Something else comes back than was sent.",
    [EXTRA_BYTES] = "More comes back than was sent: use the count that recv() "
                    "returned, not the size of the buffer, and send it once.",
    [NO_EOF] = "All bytes came back, but after the client's FIN (recv() "
               "returns 0) the server has to shut down its sending side and "
               "close.",
};

static void close_socket(struct peer *p)
{
    if (p->sock != INVALID_SOCKET)
        closesocket(p->sock);
    p->sock = INVALID_SOCKET;
    p->connecting = false;
}

/* Reports what the server did to this peer. Returns only for a tolerant peer,
 * which takes no part any more from then on. */
static void trouble(struct peer *p, enum trouble kind, int error,
                    const char *what)
{
    struct test *t = p->test;
    p->error = error;
    if (p->tolerant) {
        close_socket(p);
        return;
    }
    const char *hint =
        t->hints[kind] != NULL ? t->hints[kind] : usual_hints[kind];
    char code[64] = "";
    if (error != 0)
        snprintf(code, sizeof code, ": %s (%d)", err_name((unsigned long)error),
                 error);
    fail(t, hint,
         "client #%u: %s%s, after %llu bytes sent and %llu right ones back",
         p->number, what, code, (unsigned long long)p->sent,
         (unsigned long long)p->received);
}

/* "5a 00 31 |Z.1|" */
static void preview(char *out, size_t size, const char *bytes, size_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < len && i < PREVIEW; i++)
        at += (size_t)snprintf(out + at, size - at, "%02x ",
                               (unsigned char)bytes[i]);
    at += (size_t)snprintf(out + at, size - at, "|");
    for (size_t i = 0; i < len && i < PREVIEW; i++)
        at +=
            (size_t)snprintf(out + at, size - at, "%c",
                             isprint((unsigned char)bytes[i]) ? bytes[i] : '.');
    snprintf(out + at, size - at, "|");
}

static bool all_zero(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return len > 0;
}

/* Where wrong bytes come from, in words, and the mistake that fits. */
struct origin {
    char words[160];
    const char *hint;
};

static bool from_own_stream(struct peer *p, uint64_t at, const char *bytes,
                            size_t len, struct origin *origin)
{
    /* Any number of bytes can be left out; all that were sent are searched. */
    uint64_t low = at > LOOK_AROUND ? at - LOOK_AROUND : 0;
    uint64_t found = pattern_find(p->stream, low, p->sent, bytes, len);
    if (found == PATTERN_NOT)
        return false;
    if (found == at + 1) {
        snprintf(origin->words, sizeof origin->words,
                 "this one byte is left out, the next ones are right");
        origin->hint =
            "Exactly one byte is lost. Usual causes: one place of the buffer "
            "is kept for a terminator, or a count is off by one.";
    } else if (found > at) {
        snprintf(origin->words, sizeof origin->words,
                 "these are bytes from %llu on: %llu bytes are left out",
                 (unsigned long long)found, (unsigned long long)(found - at));
        origin->hint =
            "Bytes are lost, or sent out of order. Usual causes: a short "
            "send() taken for a whole one, a buffer received into again "
            "before all of it was sent, or two operations in flight at once.";
    } else {
        snprintf(origin->words, sizeof origin->words,
                 "these were bytes %llu and on: old bytes come again",
                 (unsigned long long)found);
        origin->hint =
            "Old bytes come again. Usual causes: after a short send() the "
            "whole buffer is sent once more, or the size of the buffer is "
            "sent instead of the count that recv() returned.";
    }
    return true;
}

/* True if the client sent the first of these bytes. The bytes behind them can
 * be from another client: several clients' bytes can be mixed, in pieces of any
 * length. */
static bool did_send(const struct peer *o, const char *bytes, size_t len)
{
    uint64_t low = o->sent > LOOK_AROUND ? o->sent - LOOK_AROUND : 0;
    size_t piece = len < PATTERN_LEAST ? len : PATTERN_LEAST;
    return pattern_find(o->stream, low, o->sent, bytes, piece) != PATTERN_NOT;
}

static const struct peer *find_sender(const struct peer *p, const char *bytes,
                                      size_t len)
{
    for (const struct peer *o = p->test->peers; o != NULL; o = o->next)
        if (o != p && did_send(o, bytes, len))
            return o;
    return NULL;
}

static bool from_other_client(struct peer *p, const char *bytes, size_t len,
                              struct origin *origin)
{
    const struct peer *sender = NULL;
    char place[32] = "these";
    for (size_t i = 0; i < PREVIEW && i < len && sender == NULL; i++) {
        if (i > 0)
            snprintf(place, sizeof place, "the bytes after %zu", i);
        sender = find_sender(p, bytes + i, len - i);
    }
    if (sender == NULL)
        return false;
    snprintf(origin->words, sizeof origin->words,
             "%s are bytes that client #%u sent", place, sender->number);
    origin->hint =
        "One client gets another one's bytes: they share a buffer or a "
        "variable that holds the socket, or an array index points to the "
        "wrong client. Each connection needs state of its own.";
    return true;
}

static struct origin find_origin(struct peer *p, uint64_t at, const char *bytes,
                                 size_t len)
{
    const char *hint = p->test->hints[WRONG_BYTES];
    struct origin origin = {"", usual_hints[WRONG_BYTES]};
    if (from_own_stream(p, at, bytes, len, &origin) ||
        from_other_client(p, bytes, len, &origin))
        return origin;
    if (all_zero(bytes, len) && len > 1) {
        snprintf(origin.words, sizeof origin.words, "only zero bytes");
        origin.hint = "Zero bytes stand in place of data: a terminator is "
                      "written into the buffer, or more of the buffer is sent "
                      "than was received.";
    } else {
        snprintf(origin.words, sizeof origin.words,
                 "no client has sent these bytes in this order");
        origin.hint =
            "Bytes are changed on the way, or others are mixed in. Usual "
            "causes: a text function or text mode handles binary data, the "
            "server adds words of its own (a greeting), or memory was reused "
            "while it was still owed.";
    }
    if (hint != NULL)
        origin.hint = hint;
    return origin;
}

static _Noreturn void wrong_bytes(struct peer *p, const char *expected,
                                  const char *got, size_t len, size_t at)
{
    char should[PREVIEW * 4 + 8], is[PREVIEW * 4 + 8];
    uint64_t offset = p->received + at;
    struct origin origin = find_origin(p, offset, got + at, len - at);
    preview(should, sizeof should, expected + at, len - at);
    preview(is, sizeof is, got + at, len - at);
    fail(p->test, origin.hint,
         "client #%u: byte %llu of %llu is the first to differ: expected %s "
         "but got %s; %s",
         p->number, (unsigned long long)offset, (unsigned long long)p->quota,
         should, is, origin.words);
}

/* ---- moving bytes --------------------------------------------------------- */

static size_t next_piece(struct peer *p)
{
    uint64_t rest = p->quota - p->sent;
    size_t most =
        p->random ? 1 + (size_t)test_random(p->test, p->send_max) : p->send_max;
    return rest < most ? (size_t)rest : most;
}

/* Send one piece, or what the socket takes of it. True if something moved. */
static bool send_piece(struct peer *p)
{
    static char bytes[PIECE];
    size_t len = next_piece(p);
    pattern_fill(p->stream, p->sent, bytes, len);
    int sent = send(p->sock, bytes, (int)len, 0);
    if (sent > 0) {
        p->sent += (uint64_t)sent;
        return true;
    }
    int error = WSAGetLastError();
    if (error != WSAEWOULDBLOCK && p->wants_end)
        close_socket(p);
    else if (error != WSAEWOULDBLOCK)
        trouble(p, RESET, error, "send() failed");
    return false;
}

static void send_fin(struct peer *p)
{
    p->fin_sent = true;
    if (shutdown(p->sock, SD_SEND) == SOCKET_ERROR)
        trouble(p, RESET, WSAGetLastError(), "shutdown() failed");
}

static bool move_out(struct peer *p)
{
    bool moved = p->sent < p->quota && send_piece(p);
    if (p->sock != INVALID_SOCKET && p->fin && !p->fin_sent &&
        p->sent == p->quota) {
        send_fin(p);
        moved = true;
    }
    return moved;
}

static void extra_bytes(struct peer *p, const char *bytes, size_t len)
{
    char is[PREVIEW * 4 + 8], text[320];
    struct origin origin = {"", NULL};
    preview(is, sizeof is, bytes, len);
    if (!p->tolerant && from_other_client(p, bytes, len, &origin))
        hint_for(p->test, EXTRA_BYTES, origin.hint);
    snprintf(text, sizeof text, "%zu bytes too many came back: %s%s%s", len, is,
             origin.words[0] != '\0' ? "; " : "", origin.words);
    trouble(p, EXTRA_BYTES, 0, text);
}

static void check_bytes(struct peer *p, const char *bytes, size_t len)
{
    static char expected[PIECE];
    uint64_t owed = p->sent - p->received;
    size_t known = len < owed ? len : (size_t)owed;
    pattern_fill(p->stream, p->received, expected, len);
    if (memcmp(bytes, expected, known) != 0) {
        size_t at = 0;
        while (bytes[at] == expected[at])
            at++;
        if (p->tolerant)
            trouble(p, WRONG_BYTES, 0, "");
        else
            wrong_bytes(p, expected, bytes, len, at);
        return;
    }
    p->received += known;
    if (known < len)
        extra_bytes(p, bytes + known, len - known);
}

static void at_end(struct peer *p)
{
    p->eof = true;
    if (p->wants_end)
        close_socket(p);
    else if (p->received < p->sent || p->sent < p->quota)
        trouble(p, EARLY_EOF, 0, "the server closed too early");
    else if (!p->fin)
        trouble(p, EARLY_EOF, 0,
                "the server closed although the client had not finished");
}

/* Receive once. True if something moved. */
static bool move_in(struct peer *p)
{
    static char bytes[PIECE];
    int len = recv(p->sock, bytes, (int)p->read_max, 0);
    if (len > 0) {
        check_bytes(p, bytes, (size_t)len);
    } else if (len == 0) {
        at_end(p);
    } else {
        int error = WSAGetLastError();
        if (error == WSAEWOULDBLOCK)
            return false;
        p->error = error;
        if (p->wants_end)
            close_socket(p);
        else
            trouble(p, RESET, error, "recv() failed");
    }
    if (p->read_every > 0)
        p->next_read = clock_ms() + p->read_every;
    return true;
}

static bool finish_connect(struct peer *p)
{
    int error = 0, len = sizeof error;
    if (getsockopt(p->sock, SOL_SOCKET, SO_ERROR, (char *)&error, &len) ==
        SOCKET_ERROR)
        error = WSAGetLastError();
    p->connecting = false;
    if (error == WSAECONNREFUSED)
        trouble(p, REFUSED, error, "the connection is refused");
    else if (error != 0)
        trouble(p, NO_CONNECT, error, "connect() failed");
    return true;
}

static bool has_all(const struct peer *p)
{
    return p->sent == p->quota && p->received == p->quota &&
           (!p->fin || p->eof) && !p->wants_end;
}

/* Whether a wait for all peers has to go on for this one. */
static bool is_busy(const struct peer *p)
{
    if (p->sock == INVALID_SOCKET || p->tolerant)
        return false;
    return p->connecting || (!p->mute && !has_all(p));
}

static bool has_to_send(const struct peer *p)
{
    return p->sent < p->quota || (p->fin && !p->fin_sent);
}

/* Whether there may be echoes that this peer does not want to read now. */
static bool leaves_unread(const struct peer *p, double now)
{
    return (p->mute || now < p->next_read) && p->received < p->sent;
}

/* What to wait for on this peer's socket: 0 for nothing at the moment. */
static short interest(const struct peer *p, double now)
{
    if (p->sock == INVALID_SOCKET)
        return 0;
    if (p->connecting)
        return POLLWRNORM;
    if (leaves_unread(p, now))
        return 0; /* see try_to_send() */
    bool out = has_to_send(p);
    bool in = !p->mute && !(p->sent == p->quota && has_all(p)) &&
              (p->received < p->sent || p->fin_sent || p->wants_end) &&
              now >= p->next_read;
    return (short)((out ? POLLWRNORM : 0) | (in ? POLLRDNORM : 0));
}

static bool on_event(struct peer *p, short events, short happened)
{
    bool moved = false;
    bool broken = (happened & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    if (p->connecting)
        return (happened & POLLWRNORM) != 0 || broken ? finish_connect(p)
                                                      : false;
    /* Receive first, then send: otherwise a peer that only sends would meet the
     * reset of a full connection before it has read what came first. */
    if ((events & POLLRDNORM) != 0 && happened != 0)
        moved = move_in(p) || moved;
    if (p->sock != INVALID_SOCKET && (events & POLLWRNORM) != 0 &&
        ((happened & POLLWRNORM) != 0 || broken))
        moved = move_out(p) || moved;
    return moved;
}

/* The sockets to wait for, rebuilt for every wait. */
static struct {
    WSAPOLLFD *fds;
    struct peer **who;
    size_t count, size;
    size_t from; /* where the next round begins */
} poll_set;

/* One wait has at most so many sockets, and takes at most so long when there
 * are more. For a wait costs something for each socket in it, also for a silent
 * one. */
enum { POLLED_AT_ONCE = 256, TURN_MS = 20 };

static void poll_add(struct peer *p, short events)
{
    if (poll_set.count == poll_set.size) {
        poll_set.size = poll_set.size * 2 + 64;
        poll_set.fds =
            xrealloc(poll_set.fds, poll_set.size * sizeof *poll_set.fds);
        poll_set.who =
            xrealloc(poll_set.who, poll_set.size * sizeof *poll_set.who);
    }
    poll_set.fds[poll_set.count] = (WSAPOLLFD){p->sock, events, 0};
    poll_set.who[poll_set.count++] = p;
}

/* The number of sockets to which something has happened. */
static int poll_sockets(WSAPOLLFD *fds, size_t count, unsigned long ms)
{
    int ready = WSAPoll(fds, (ULONG)count, (INT)ms);
    if (ready == SOCKET_ERROR)
        suite_broken("WSAPoll: %s", err_name((unsigned long)WSAGetLastError()));
    return ready;
}

/* Wine's server spins, and uses a whole processor, as long as anybody waits for
 * a socket that has something to read, even if the wait is only for room to
 * send. So a peer that leaves its echoes unread does not wait for room: it
 * looks whether there is room, and looks again after TRY_MS. True if something
 * moved. (It does not simply try to send: under Wine 10 the server then does
 * not notice when this peer resets the connection.) */
enum { TRY_MS = 10 };

static bool try_to_send(struct peer *p, double now)
{
    if (now < p->next_try)
        return false;
    WSAPOLLFD fd = {p->sock, POLLWRNORM, 0};
    bool moved = poll_sockets(&fd, 1, 0) > 0 && move_out(p);
    p->next_try = moved ? now : now + TRY_MS;
    return moved;
}

/* Move the peers that do not wait, and collect the sockets of those that do. If
 * a peer of the first kind wants to go on before `deadline`, set `deadline` to
 * that time. */
static bool poll_collect(struct test *t, double *deadline)
{
    double now = clock_ms();
    bool moved = false;
    poll_set.count = 0;
    for (struct peer *p = t->peers; p != NULL; p = p->next) {
        short events = interest(p, now);
        if (events != 0)
            poll_add(p, events);
        if (p->sock == INVALID_SOCKET || p->connecting)
            continue;
        if (has_to_send(p) && leaves_unread(p, now)) {
            moved = try_to_send(p, now) || moved;
            if (p->next_try < *deadline)
                *deadline = p->next_try;
        }
        if (p->next_read > now && p->next_read < *deadline)
            *deadline = p->next_read;
    }
    return moved;
}

/* One round: wait until a peer can move, at most until `deadline`, and move
 * all that can. True if something moved. */
static bool round_once(struct test *t, double deadline)
{
    bool moved = poll_collect(t, &deadline);
    unsigned long left = clock_left(deadline);
    if (poll_set.count == 0) {
        /* There are only peers that leave echoes unread, or none at all. So
         * only time can be waited for, and nothing can happen meanwhile. */
        Sleep(left < 20 ? left : 20);
        return moved;
    }
    if (poll_set.from >= poll_set.count)
        poll_set.from = 0;
    size_t first = poll_set.from, end = poll_set.count;
    unsigned long longest = 1000;
    if (end > POLLED_AT_ONCE) {
        end = end - first > POLLED_AT_ONCE ? first + POLLED_AT_ONCE : end;
        longest = TURN_MS;
    }
    poll_set.from = end;
    int ready = poll_sockets(poll_set.fds + first, end - first,
                             left < longest ? left : longest);
    for (size_t i = first; i < end && ready > 0; i++) {
        if (poll_set.fds[i].revents == 0)
            continue;
        ready--;
        moved = on_event(poll_set.who[i], poll_set.fds[i].events,
                         poll_set.fds[i].revents) ||
                moved;
    }
    return moved;
}

/* ---- waiting -------------------------------------------------------------- */

/* The time is up, and this peer is not served. Does not return. */
static void too_late(struct peer *p, unsigned long ms)
{
    char text[96];
    if (p->connecting) {
        snprintf(text, sizeof text, "not connected within %lu ms", ms);
        trouble(p, NO_CONNECT, 0, text);
    } else if (p->received == p->quota && p->sent == p->quota) {
        snprintf(text, sizeof text,
                 "all came back, but no end of stream within %lu ms", ms);
        trouble(p, NO_EOF, 0, text);
    } else {
        snprintf(text, sizeof text, "nothing more within %lu ms", ms);
        trouble(p, p->received == 0 ? SILENT : STOPS, 0, text);
    }
}

static struct peer *first_busy(struct test *t)
{
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        if (is_busy(p))
            return p;
    return NULL;
}

void peers_settle_within(struct test *t, unsigned long ms)
{
    /* The limit is for peers that stand still. Peers that move have more time,
     * but not endless time: a server that sends only a byte now and then is no
     * echo server either. */
    double still = clock_ms() + ms, end = clock_ms() + ms * 20.0;
    for (struct peer *busy; (busy = first_busy(t)) != NULL;) {
        double deadline = still < end ? still : end;
        if (clock_left(deadline) == 0)
            too_late(busy, ms);
        if (round_once(t, deadline))
            still = clock_ms() + ms;
    }
}

void peers_settle(struct test *t)
{
    peers_settle_within(t, limit(t, ANSWER_MS));
}

double peer_settle(struct peer *p, unsigned long ms)
{
    double begun = clock_ms(), deadline = begun + ms;
    while (p->sock != INVALID_SOCKET && (p->connecting || !has_all(p))) {
        if (clock_left(deadline) == 0)
            too_late(p, ms);
        else
            round_once(p->test, deadline);
    }
    return clock_ms() - begun;
}

double peer_echo(struct peer *p, uint64_t bytes)
{
    peer_say(p, bytes);
    return peer_settle(p, limit(p->test, ANSWER_MS));
}

bool peers_stall(struct test *t, unsigned long still, unsigned long ms)
{
    double end = clock_ms() + ms, quiet = clock_ms() + still;
    while (clock_left(end) > 0) {
        if (clock_left(quiet) == 0)
            return true;
        if (round_once(t, quiet))
            quiet = clock_ms() + still;
    }
    return false;
}

void peer_expect_nothing(struct peer *p, unsigned long ms)
{
    WSAPOLLFD fd = {p->sock, POLLRDNORM, 0};
    if (poll_sockets(&fd, 1, ms) > 0)
        (void)move_in(p);
}

bool peer_expect_end(struct peer *p, unsigned long ms)
{
    double deadline = clock_ms() + ms;
    p->wants_end = true;
    p->mute = false;
    p->quota = p->sent;
    while (p->sock != INVALID_SOCKET && clock_left(deadline) > 0)
        round_once(p->test, deadline);
    return p->sock == INVALID_SOCKET;
}

/* ---- connecting and closing ----------------------------------------------- */

struct peer *peer_begin(struct test *t)
{
    const struct sockaddr *to = (struct sockaddr *)&t->target->address;
    int to_len = to->sa_family == AF_INET6 ? (int)sizeof(struct sockaddr_in6)
                                           : (int)sizeof(struct sockaddr_in);
    struct peer *p = xrealloc(NULL, sizeof *p);
    memset(p, 0, sizeof *p);
    p->test = t;
    p->number = ++t->peer_count;
    p->stream = pattern_mix(t->suite->seed + p->number) | 1;
    p->send_max = p->read_max = PIECE;
    p->next = t->peers;
    t->peers = p;

    u_long on = 1;
    BOOL no_delay = TRUE;
    p->sock = target_connection(t->target);
    if (p->sock == INVALID_SOCKET ||
        ioctlsocket(p->sock, (long)FIONBIO, &on) == SOCKET_ERROR ||
        setsockopt(p->sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&no_delay,
                   sizeof no_delay) == SOCKET_ERROR)
        suite_broken("no socket for client #%u: %s", p->number,
                     err_name((unsigned long)WSAGetLastError()));
    p->connecting = connect(p->sock, to, to_len) == SOCKET_ERROR;
    int error = p->connecting ? WSAGetLastError() : 0;
    if (error == WSAEISCONN)
        p->connecting = false; /* the connection of the readiness probe */
    if (p->connecting && error != WSAEWOULDBLOCK) {
        p->connecting = false;
        trouble(p, error == WSAECONNREFUSED ? REFUSED : NO_CONNECT, error,
                "connect() failed");
    }
    return p;
}

struct peer *peer_connect(struct test *t)
{
    struct peer *p = peer_begin(t);
    peer_settle(p, limit(t, ANSWER_MS));
    return p;
}

struct peer *serves(struct test *t)
{
    step(t, "connect a client, send 100 letters", "they come back");
    struct peer *p = peer_connect(t);
    uint64_t stream = p->stream;
    p->stream = PATTERN_LETTERS; /* a later step tests other bytes */
    peer_echo(p, 100);
    p->stream = stream;
    return p;
}

void peers_connect(struct test *t, size_t count)
{
    for (size_t i = 0; i < count; i++)
        peer_begin(t);
    peers_settle(t);
}

struct peer *peer_at(struct test *t, unsigned number)
{
    struct peer *p = t->peers;
    while (p != NULL && p->number != number)
        p = p->next;
    if (p == NULL)
        suite_broken("%s has no client #%u", t->what->id, number);
    return p;
}

void peer_say(struct peer *p, uint64_t bytes)
{
    p->quota += bytes;
}

void peer_close(struct peer *p)
{
    close_socket(p);
}

void peer_reset(struct peer *p)
{
    struct linger hard = {1, 0};
    if (p->sock != INVALID_SOCKET &&
        setsockopt(p->sock, SOL_SOCKET, SO_LINGER, (const char *)&hard,
                   sizeof hard) == SOCKET_ERROR)
        suite_broken("SO_LINGER: %s",
                     err_name((unsigned long)WSAGetLastError()));
    close_socket(p);
}

void peers_free(struct test *t)
{
    while (t->peers != NULL) {
        struct peer *p = t->peers;
        t->peers = p->next;
        close_socket(p);
        free(p);
    }
}

bool peer_try_echo(struct test *t, uint64_t bytes, unsigned long ms)
{
    double deadline = clock_ms() + ms;
    struct peer *p = peer_begin(t);
    p->tolerant = true;
    peer_say(p, bytes);
    while (p->sock != INVALID_SOCKET && !(p->received == bytes) &&
           clock_left(deadline) > 0)
        round_once(t, deadline);
    bool ok = p->received == bytes && p->sock != INVALID_SOCKET;
    /* In the orderly way: a server that a reset harms is not harmed by us. */
    peer_close(p);
    return ok;
}
