/* e06_prompt.c -- E6: no client waits for a clock, and an idle server does
 * nothing */
#include "common/win.h"

#include <stdlib.h>

#include "common/clock.h"
#include "programs/contract/peer.h"

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value in the middle: a loaded machine spoils some measurements, not
 * most. */
static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

static void newcomer(struct test *t)
{
    enum { IDLE = 50, TIMES = 11, MOST_MS = 100 };
    step(t, "connect %u clients and leave them idle", "they are accepted",
         IDLE);
    peers_connect(t, IDLE);
    step(t, "%u times: connect one more, send 1 byte at once",
         "the byte is back within %lu ms (median)", TIMES, limit(t, MOST_MS));
    double took[TIMES];
    for (unsigned i = 0; i < TIMES; i++) {
        double begun = clock_ms();
        struct peer *p = peer_connect(t);
        peer_echo(p, 1);
        took[i] = clock_ms() - begun;
    }
    double middle = median(took, TIMES);
    if (middle > limit(t, MOST_MS))
        fail(t,
             "A newcomer waits for a clock: the server polls, with a time-out "
             "or Sleep() in its loop, or a new connection is not added to what "
             "is being waited for until that wait ends by itself.",
             "median %.0f ms, worst %.0f ms", middle, took[TIMES - 1]);
}

/* A newcomer that says one byte: whether it comes back. */
static bool newcomer_served(struct test *t, struct peer **newcomer)
{
    struct peer *p = *newcomer = peer_begin(t);
    p->tolerant = true;
    peer_say(p, 1);
    peer_settle(p, limit(t, ANSWER_MS));
    return p->received == 1;
}

static bool has_ended(const struct peer *p)
{
    return p->eof || p->error == WSAECONNRESET || p->error == WSAECONNABORTED;
}

/* It was accepted and closed, and so is the next one, which says nothing. The
 * reset of `p` alone is no evidence: a system may also reset a client that has
 * waited too long in the full queue of the listener, when that one sends. A
 * silent one hears only from a server that has accepted it. */
static bool turned_away(struct test *t, const struct peer *p)
{
    if (!has_ended(p))
        return false;
    struct peer *silent = peer_begin(t);
    silent->tolerant = true;
    (void)peer_expect_end(silent, limit(t, ANSWER_MS));
    return has_ended(silent);
}

/* False: not all of them get in, silent or not. */
static bool connect_silent(struct test *t, unsigned count)
{
    bool all = true;
    for (unsigned i = 0; i < count; i++)
        peer_begin(t)->tolerant = true;
    for (struct peer *p = t->peers; p != NULL && count-- > 0; p = p->next) {
        peer_settle(p, limit(t, all ? ANSWER_MS : 0));
        all = all && p->sock != INVALID_SOCKET;
    }
    return all;
}

/* Whether clients that only hold a connection keep others out. An accept that
 * waits for the first bytes too is taken up by a client that says nothing, and
 * there may be hundreds of such accepts. A server may hold fewer clients than
 * come here; that is not what this case is about. */
static void silent_crowd(struct test *t)
{
    enum { CROWD = 1000, AT_ONCE = 100 };
    serves(t);
    step(t, "connect %u clients that say nothing",
         "they are accepted, or turned away at once", CROWD);
    unsigned silent = 0;
    while (silent < CROWD && connect_silent(t, AT_ONCE))
        silent += AT_ONCE;
    step(t, "connect one more, send 1 byte",
         "it comes back, or the client is turned away");
    struct peer *p = NULL;
    if (newcomer_served(t, &p) || turned_away(t, p))
        return;
    step(t, "each of the silent ones sends 1 byte; one more client comes",
         "it is served no better than before");
    for (struct peer *o = t->peers; o != NULL; o = o->next)
        if (o->sock != INVALID_SOCKET && o->sent == 0)
            peer_say(o, 1);
    peers_stall(t, stillness(t, 500), limit(t, ANSWER_MS));
    if (newcomer_served(t, &p))
        fail(t,
             "Clients that connect and say nothing keep all others out. The "
             "usual cause: AcceptEx() with a receive length, which ends only "
             "when the first bytes have come; each silent client holds one of "
             "the accepts that are posted. Give it a length of 0.",
             "with %u silent clients or more a newcomer got no answer within "
             "%lu ms, "
             "and one that came after they had spoken got it",
             silent, limit(t, ANSWER_MS));
    skip(t,
         "a newcomer gets no answer while %u others or more are connected, "
         "whether they speak or not: E7 tests how many the server holds",
         silent);
}

static void round_trip(struct test *t)
{
    enum { TIMES = 31, MOST_MS = 25 };
    struct peer *p = peer_connect(t);
    step(t, "%u times: send 20000 bytes, wait for them",
         "they are back within %lu ms (median)", TIMES, limit(t, MOST_MS));
    double took[TIMES];
    for (unsigned i = 0; i < TIMES; i++)
        took[i] = peer_echo(p, 20000);
    double middle = median(took, TIMES);
    if (middle > limit(t, MOST_MS))
        fail(t,
             "Each answer stalls. Either Nagle's algorithm meets the delayed "
             "acknowledgement (set TCP_NODELAY: it shows when an echo leaves "
             "in two pieces), or the server pauses between receiving and "
             "sending.",
             "median %.1f ms, worst %.1f ms", middle, took[TIMES - 1]);
}

static void idle_empty(struct test *t)
{
    own_server(t, TARGET_ALONE, NULL);
    step(t, "start the server, let nobody connect, for a second",
         "less than %d %% of a processor is used", IDLE_PERCENT);
    expect_idle(t,
                "Without clients the server spins: a wait with nothing to wait "
                "for fails at once, and the loop begins again. Keep the "
                "listener (or a wake-up event) among what is waited for.");
    step(t, "a client comes, echoes, and leaves; then a second of nothing",
         "less than %d %% of a processor is used", IDLE_PERCENT);
    struct peer *p = peer_connect(t);
    peer_echo(p, 100);
    p->fin = true;
    peers_settle(t);
    expect_idle(t,
                "After its last client has left the server spins: the closed "
                "socket is still waited for, or the wait fails because nothing "
                "is left to wait for.");
}

static void idle_300(struct test *t)
{
    step(t, "connect 300 clients, each echoes 10 bytes", "all are served");
    peers_connect(t, 300);
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        peer_say(p, 10);
    peers_settle(t);
    step(t, "nobody says anything for a second",
         "less than %d %% of a processor is used", IDLE_PERCENT);
    expect_idle(t,
                "With idle clients the server spins. Usual causes: it asks to "
                "be told when it may write although it owes nothing (a socket "
                "is nearly always writable), or it polls without a pause.");
}

const struct contract_case e06_prompt[] = {
    {"E6.1", "a newcomer's first byte is answered at once", 3, 0, newcomer},
    {"E6.2", "no answer waits for a timer", 3, 0, round_trip},
    {"E6.3", "no CPU with no clients, before and after one", 3, NEED_PROCESS,
     idle_empty},
    {"E6.4", "no CPU with 300 idle clients", 3, NEED_PROCESS, idle_300},
    {"E6.5", "1000 silent clients keep nobody out", 2, 0, silent_crowd},
    {NULL, NULL, 0, 0, NULL}};
