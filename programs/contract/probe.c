/* probe.c -- simple questions to a fresh server; see diagnose.h
 *
 * A client here is a socket and nothing more. It sends letters, one by one,
 * with which no server has trouble, and says what it has seen.
 */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "programs/contract/diagnose.h"

/* How long a server may take for an answer before it counts as silent. It has
 * nothing else to do; and a server that polls still answers. */
enum { SILENCE_MS = 1500, SILENCE_LEAST_MS = 1000, LOOK_MS = 100 };
enum { BURST = 40, MORE_LETTERS = 100 };

/* An exit code from here on is a crash. */
#define CRASH 0x80000000UL

enum answer { RIGHT, NONE, CLOSED, WRONG, UNCONNECTED };

static const char *const answers[] = {
    "echoed", "not answered", "closed or reset by the server",
    "answered with something else", "not connected"};

static unsigned long silence(const struct suite *suite)
{
    double ms = SILENCE_MS * suite->scale;
    return ms < SILENCE_LEAST_MS ? SILENCE_LEAST_MS : (unsigned long)ms;
}

static void find(struct finding *found, enum fact fact, unsigned clients,
                 const char *format, ...)
    __attribute__((format(gnu_printf, 4, 5)));

static void find(struct finding *found, enum fact fact, unsigned clients,
                 const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(found->seen, sizeof found->seen, format, list);
    va_end(list);
    found->fact = fact;
    found->clients = clients;
}

/* ---- a client ------------------------------------------------------------- */

/* Wait until the socket can be read or written. */
static bool can(SOCKET sock, short event, unsigned long ms)
{
    WSAPOLLFD fd = {sock, event, 0};
    return WSAPoll(&fd, 1, (INT)ms) > 0;
}

/* INVALID_SOCKET when the server does not take it. */
static SOCKET join(struct suite *suite, struct target *target)
{
    const struct sockaddr *to = (const struct sockaddr *)&target->address;
    SOCKET sock = target_connection(target);
    u_long on = 1;
    if (sock == INVALID_SOCKET ||
        ioctlsocket(sock, (long)FIONBIO, &on) == SOCKET_ERROR)
        suite_broken("no socket: error %d", WSAGetLastError());
    WSAPOLLFD fd = {sock, POLLWRNORM, 0};
    int len = to->sa_family == AF_INET6 ? (int)sizeof(struct sockaddr_in6)
                                        : (int)sizeof(struct sockaddr_in);
    if (connect(sock, to, len) == 0 || WSAGetLastError() == WSAEISCONN)
        return sock;
    if (WSAPoll(&fd, 1, (INT)silence(suite)) > 0 &&
        (fd.revents & POLLWRNORM) != 0)
        return sock;
    closesocket(sock);
    return INVALID_SOCKET;
}

static void leave(SOCKET *sock)
{
    if (*sock != INVALID_SOCKET)
        closesocket(*sock);
    *sock = INVALID_SOCKET;
}

/* Wait for exactly these bytes. *bytes is then what is still missing. */
static enum answer hear_rest(SOCKET sock, const char **bytes, unsigned long ms)
{
    double deadline = clock_ms() + ms;
    while (**bytes != '\0') {
        char buffer[64];
        size_t most = strlen(*bytes);
        if (!can(sock, POLLRDNORM, clock_left(deadline)))
            return NONE;
        most = most < sizeof buffer ? most : sizeof buffer;
        int more = recv(sock, buffer, (int)most, 0);
        if (more <= 0)
            return CLOSED;
        if (memcmp(buffer, *bytes, (size_t)more) != 0)
            return WRONG;
        *bytes += more;
    }
    return RIGHT;
}

static enum answer hear(SOCKET sock, const char *bytes, unsigned long ms)
{
    return hear_rest(sock, &bytes, ms);
}

/* Send these bytes, and wait for `expected`. */
static enum answer ask(struct suite *suite, SOCKET sock, const char *bytes,
                       const char *expected)
{
    size_t len = strlen(bytes);
    if (sock == INVALID_SOCKET)
        return UNCONNECTED;
    if (send(sock, bytes, (int)len, 0) != (int)len)
        return CLOSED;
    return hear(sock, expected, silence(suite));
}

static enum answer ask_letter(struct suite *suite, SOCKET sock, unsigned number)
{
    char letter[2] = {(char)('a' + number % 26), '\0'};
    return ask(suite, sock, letter, letter);
}

static bool lives(struct target *target)
{
    return server_alive(target->process);
}

/* NULL: the server does not start any more, and what the probe finds is not
 * used. */
static struct target *fresh(struct suite *suite)
{
    char why[1024];
    struct target *target =
        target_start(suite, TARGET_PLAIN, NULL, why, sizeof why);
    if (target == NULL && suite->gone == NULL)
        suite->gone = format_text("%s", why);
    return target;
}

/* ---- one client at a time ------------------------------------------------- */

/* Nothing has come for the letter a. What does the server wait for? */
static void what_it_waits_for(struct suite *suite, SOCKET sock,
                              struct finding *found)
{
    enum { MOST = 128 * 1024 };
    static char letters[MOST];
    unsigned long ms = silence(suite);
    if (ask(suite, sock, "b", "ab") == RIGHT) {
        find(found, LOSES_SIGNAL, 0,
             "one byte was not answered within %lu ms; when one more was sent, "
             "both came back",
             ms);
        return;
    }
    if (ask(suite, sock, "\n", "ab\n") == RIGHT) {
        find(found, WAITS_FOR_LINE, 0,
             "`a` and then `b` were not answered within %lu ms each; when a "
             "newline was sent, all three bytes came back",
             ms);
        return;
    }
    size_t sent = 3;
    memset(letters, 'c', sizeof letters);
    for (size_t part = 1; part <= MOST / 2; part *= 2) {
        if (send(sock, letters, (int)part, 0) != (int)part)
            break;
        sent += part;
        if (can(sock, POLLRDNORM, LOOK_MS) && hear(sock, "a", 0) == RIGHT) {
            find(found, WAITS_FOR_MORE, 0,
                 "one byte was not answered within %lu ms, nor the next few; "
                 "when %zu bytes had been sent, an answer came",
                 ms, sent);
            return;
        }
    }
    bool ended = shutdown(sock, SD_SEND) == 0;
    enum answer last = hear(sock, "ab\nccc", ms);
    if (ended && last == RIGHT)
        find(found, WAITS_FOR_END, 0,
             "no answer to %zu bytes; after the client's FIN they came back",
             sent);
    else if (last == NONE || last == CLOSED)
        find(found, NEVER_ANSWERS, 0,
             "no answer to a byte, to a line, to %zu bytes; after the client's "
             "FIN the connection was %s",
             sent, last == NONE ? "still open" : answers[CLOSED]);
}

/* A client that sends letters. */
struct talk {
    SOCKET sock;
    unsigned back;           /* letters that came back */
    char letters[BURST + 1]; /* that were sent last */
    const char *rest;        /* of them, what did not come back */
};

/* Send this many letters, and wait for them. */
static enum answer ask_burst(struct suite *suite, struct talk *talk,
                             unsigned count)
{
    enum answer got = RIGHT;
    talk->rest = talk->letters;
    for (unsigned i = 0; i < count && got == RIGHT; i++) {
        talk->letters[i] = (char)('a' + (talk->back + i) % 26);
        talk->letters[i + 1] = '\0';
        if (send(talk->sock, &talk->letters[i], 1, 0) != 1)
            got = CLOSED;
    }
    if (got == RIGHT)
        got = hear_rest(talk->sock, &talk->rest, silence(suite));
    talk->back += (unsigned)(talk->rest - talk->letters);
    return got;
}

/* Each letter waits for the one before to come back. */
static enum answer ask_letters(struct suite *suite, struct talk *talk,
                               unsigned count)
{
    enum answer got = RIGHT;
    for (unsigned i = 0; i < count && got == RIGHT; i++)
        got = ask_burst(suite, talk, 1);
    return got;
}

/* Letters that wait for each other, then letters that do not: a server that
 * loses signals loses one of those. */
static enum answer ask_often(struct suite *suite, struct talk *talk)
{
    enum { LETTERS = 200, BURSTS = 100 };
    enum answer got = ask_letters(suite, talk, LETTERS);
    for (unsigned i = 0; i < BURSTS && got == RIGHT; i++)
        got = ask_burst(suite, talk, BURST);
    return got;
}

/* The client is still connected, and has had no answer to its last letters, nor
 * to one more. Letters that wait for each other show whether it is the number
 * of them that matters. If not, it was chance. */
static void always_there(struct suite *suite, struct target *target,
                         const struct talk *talk, struct finding *found)
{
    struct talk other = {.sock = join(suite, target)};
    enum answer got =
        other.sock != INVALID_SOCKET
            ? ask_letters(suite, &other, talk->back + MORE_LETTERS)
            : UNCONNECTED;
    bool chance = got == RIGHT || (got == NONE && other.back != talk->back);
    find(found,
         chance && other.back > 0 ? LOSES_SIGNAL
         : talk->back == 1        ? HEARS_ONCE
                                  : STOPS_ANSWERING,
         0,
         "%u letters of a client came back, and nothing for the next one "
         "within %lu ms, nor for one more; the connection stays open; of "
         "the next client's letters, each of which waited for the one before, "
         "%u came back",
         talk->back, silence(suite), other.back);
    leave(&other.sock);
}

static void why_no_more(struct suite *suite, struct target *target,
                        const struct talk *talk, enum answer got,
                        struct finding *found)
{
    char all[BURST + 2];
    snprintf(all, sizeof all, "%s!", talk->rest);
    enum answer more = got == NONE ? ask(suite, talk->sock, "!", all) : got;
    if (more == CLOSED && talk->back == 1)
        find(found, CLOSES_AFTER_ECHO, 0,
             "a client sent one byte and got it back; then the server closed "
             "or reset the connection, with nothing owed");
    else if (got == NONE && more == RIGHT)
        find(found, LOSES_SIGNAL, 0,
             "%u letters of a client came back, and nothing for the next one "
             "within %lu ms; when one more was sent, all came back",
             talk->back, silence(suite));
    else if (more == NONE)
        always_there(suite, target, talk, found);
}

/* Nobody is served after the first client. Is accept() called only once? */
static bool accepts_two(struct suite *suite)
{
    struct target *target = fresh(suite);
    if (target == NULL)
        return false;
    SOCKET socks[] = {join(suite, target), join(suite, target)};
    bool both = ask_letter(suite, socks[0], 0) == RIGHT &&
                ask_letter(suite, socks[1], 1) == RIGHT;
    leave(&socks[0]);
    leave(&socks[1]);
    target_free(target);
    return both;
}

/* The first client leaves. Is the next one served? */
static void probe_next(struct suite *suite, struct target *target, SOCKET *sock,
                       struct finding *found)
{
    unsigned long ms = silence(suite), code = 0;
    char end;
    bool said = shutdown(*sock, SD_SEND) == 0;
    bool noticed =
        said && can(*sock, POLLRDNORM, ms) && recv(*sock, &end, 1, 0) == 0;
    leave(sock);
    SOCKET next = join(suite, target);
    enum answer got = ask_letter(suite, next, 0);
    leave(&next);
    if (got == RIGHT || got == WRONG)
        return;
    if (server_wait_exit(target->process, ms, &code) == SERVER_WAIT_OK &&
        code >= CRASH)
        return; /* each case says so itself */
    if (!lives(target))
        find(found, ENDS_WITH_CLIENT, 0,
             "a client echoed and left; then the server ended, exit code %lu",
             code);
    else if (!noticed)
        find(found, OVERLOOKS_END, 0,
             "a client echoed and sent its FIN; the server did not close its "
             "side within %lu ms; the next client was %s",
             ms, answers[got]);
    else if (accepts_two(suite))
        find(found, DEAF_AFTER_LEAVES, 0,
             "two clients at once were served; but when a first client had "
             "echoed and left, the next one was %s",
             answers[got]);
    else
        find(found, ACCEPTS_ONCE, 0,
             "a client echoed, sent its FIN, and the server closed its side; "
             "the next client was %s",
             answers[got]);
}

void probe_one(struct suite *suite, struct finding *found)
{
    struct target *target = fresh(suite);
    if (target == NULL)
        return;
    struct talk talk = {.sock = join(suite, target)};
    enum answer got =
        talk.sock != INVALID_SOCKET ? ask_often(suite, &talk) : UNCONNECTED;
    if (got == NONE && talk.back == 0)
        what_it_waits_for(suite, talk.sock, found);
    else if (got == RIGHT)
        probe_next(suite, target, &talk.sock, found);
    else if (talk.back > 0)
        why_no_more(suite, target, &talk, got, found);
    leave(&talk.sock);
    target_free(target);
}

/* ---- several clients ------------------------------------------------------ */

void probe_two(struct suite *suite, struct finding *found)
{
    struct target *target = fresh(suite);
    if (target == NULL)
        return;
    unsigned long ms = silence(suite);
    SOCKET first = join(suite, target);
    enum answer before = ask_letter(suite, first, 0);
    SOCKET second = join(suite, target);
    enum answer beside = ask_letter(suite, second, 1);
    if (before == RIGHT && (beside == NONE || beside == UNCONNECTED)) {
        leave(&first);
        if (beside == UNCONNECTED)
            second = join(suite, target);
        enum answer after = beside == NONE ? hear(second, "b", ms)
                                           : ask_letter(suite, second, 1);
        find(found, after == RIGHT ? ONE_AT_A_TIME : SECOND_UNSERVED, 1,
             "while client #1 stayed, client #2 was %s within %lu ms; when #1 "
             "left, #2 was %s",
             answers[beside], ms, answers[after]);
    } else if (before == RIGHT && beside == RIGHT) {
        enum answer again = ask_letter(suite, first, 2);
        char stray = 0;
        bool crossed = again != RIGHT && can(second, POLLRDNORM, 0) &&
                       recv(second, &stray, 1, 0) == 1 && stray == 'c';
        if (crossed)
            find(found, CROSSES, 1,
                 "client #1 echoed, client #2 echoed; what #1 sent then came "
                 "to #2");
        else if ((again == NONE || again == CLOSED) && lives(target))
            find(found, FORGETS_FIRST, 1,
                 "client #1 echoed, client #2 came and echoed; then a byte of "
                 "#1 was %s",
                 answers[again]);
    }
    leave(&first);
    leave(&second);
    target_free(target);
}

/* Clients come one after the other and stay, until one is not served. */
static void probe_crowd(struct suite *suite, struct finding *found,
                        unsigned most)
{
    enum { MOST = 70 };
    struct target *target = fresh(suite);
    if (target == NULL)
        return;
    unsigned long ms = silence(suite);
    SOCKET socks[MOST];
    unsigned count = 0;
    enum answer got = RIGHT;
    while (count < most && got == RIGHT) {
        socks[count] = join(suite, target);
        got = ask_letter(suite, socks[count++], 0);
    }
    unsigned served = count - 1;
    if (got == NONE && served > 1) {
        leave(&socks[0]);
        enum answer after = hear(socks[served], "a", ms);
        if (after == RIGHT)
            find(found, FEW_AT_A_TIME, served,
                 "%u clients were served at the same time; the next one was "
                 "not answered within %lu ms; when one of them left, it was "
                 "answered",
                 served, ms);
    } else if (got == CLOSED && served > 1 && lives(target)) {
        find(found, TURNS_AWAY, served,
             "%u clients were served at the same time; the next one was %s",
             served, answers[got]);
    }
    while (count > 0)
        leave(&socks[--count]);
    target_free(target);
}

void probe_some(struct suite *suite, struct finding *found)
{
    probe_crowd(suite, found, 12);
}

void probe_many(struct suite *suite, struct finding *found)
{
    probe_crowd(suite, found, 70);
}

/* ---- clients that leave --------------------------------------------------- */

static unsigned long threads_of(struct target *target)
{
    struct server_usage usage = {0};
    return server_measure(target->process, &usage) ? usage.threads : 0;
}

static void depart(struct suite *suite, SOCKET *sock, bool reset)
{
    struct linger hard = {1, 0};
    char end;
    if (reset && setsockopt(*sock, SOL_SOCKET, SO_LINGER, (const char *)&hard,
                            sizeof hard) == SOCKET_ERROR)
        suite_broken("SO_LINGER: error %d", WSAGetLastError());
    if (!reset && shutdown(*sock, SD_SEND) == 0 &&
        can(*sock, POLLRDNORM, silence(suite)))
        (void)recv(*sock, &end, 1, 0); /* its end of the stream, or an error */
    leave(sock);
}

static void probe_departures(struct suite *suite, struct finding *found,
                             bool reset)
{
    enum { TIMES = 24 };
    struct target *target = fresh(suite);
    if (target == NULL)
        return;
    unsigned long before = 0;
    unsigned served = 0;
    enum answer got = RIGHT;
    while (served < TIMES && got == RIGHT) {
        SOCKET sock = join(suite, target);
        got = ask_letter(suite, sock, 0);
        if (got == RIGHT)
            depart(suite, &sock, reset);
        if (got == RIGHT && ++served == 1)
            before = threads_of(target);
        leave(&sock);
    }
    if (got == NONE && served > 0 && lives(target)) {
        unsigned long after = threads_of(target);
        /* One fewer may be the first client's own thread, which takes a moment
         * to leave. */
        bool fewer = after > 0 && after + 1 < before;
        find(found,
             fewer   ? LOSES_THREADS
             : reset ? DEAF_AFTER_RESETS
                     : DEAF_AFTER_LEAVES,
             0,
             "clients echoed and left %s, %u of them; the next one was "
             "connected and not answered; the process runs, with %lu threads "
             "after the first of them and %lu now",
             reset ? "by a reset" : "in the orderly way", served, before,
             after);
        found->resets_only = reset;
    }
    target_free(target);
}

void probe_leaves(struct suite *suite, struct finding *found)
{
    probe_departures(suite, found, false);
}

void probe_resets(struct suite *suite, struct finding *found)
{
    probe_departures(suite, found, true);
}
