/* cases_fair.c -- E5: nobody starves; E6: nobody waits for a clock */
#include "common/win.h"

#include <stdlib.h>

#include "harness/clock.h"
#include "tests/contract/peer.h"

/* ---- E5 ------------------------------------------------------------------- */

static void burst(struct test *t, size_t count, const char *hint)
{
    hint_for(t, NO_CONNECT, hint);
    hint_for(t, REFUSED, hint);
    hint_for(t, SILENT, hint);
    hint_for(t, RESET, hint);
    hint_for(t, EARLY_EOF, hint);
    step(t, "connect %u clients in the same instant, each sends 100 bytes",
         "all are accepted and get their bytes back", (unsigned)count);
    for (size_t i = 0; i < count; i++)
        peer_say(peer_begin(t), 100);
    peers_settle(t);
}

static void same_instant(struct test *t)
{
    serves(t);
    for (unsigned i = 0; i < 5; i++) {
        burst(t, 8,
              "Of clients that connect at the same moment some are lost. "
              "Usual causes: new sockets are handed to another thread through "
              "one variable, or one wake-up is taken for one connection.");
        peers_free(t);
    }
}

static void burst_300(struct test *t)
{
    serves(t);
    burst(t, 300,
          "A burst of connections is not served completely. Several causes "
          "fit: a small backlog in listen() (use SOMAXCONN), one accept() per "
          "turn of a slow loop, or a table with fewer places.");
}

static void floods_beside_ping(struct test *t)
{
    enum { FLOODS = 6, PINGS = 100, WORST_MS = 1000, RUN_UP_MS = 500 };
    static const char hint[] =
        "A busy client starves the others. Usual causes: one client is served "
        "until it has nothing more to say, or the wait names only the lowest "
        "ready index and the rest is never looked at. One receive per client "
        "and turn is fair.";
    struct peer *pings[2] = {serves(t), NULL};
    hint_for(t, SILENT, hint);
    hint_for(t, STOPS, hint);
    step(t, "%u clients send without end and read what comes",
         "they are served", FLOODS);
    for (unsigned i = 0; i < FLOODS; i++)
        peer_say(peer_connect(t), (uint64_t)1 << 40);
    /* A list of clients may be served from either end. */
    pings[1] = peer_connect(t);
    peers_stall(t, stillness(t, RUN_UP_MS), stillness(t, RUN_UP_MS));
    step(t,
         "a client from before them and one from after them send 64 bytes %u "
         "times, waiting for each answer",
         "no answer takes longer than %lu ms", PINGS, limit(t, WORST_MS));
    double worst = 0;
    for (unsigned i = 0; i < PINGS; i++) {
        double took = peer_echo(pings[i % 2], 64);
        if (took > worst)
            worst = took;
    }
    if (worst > limit(t, WORST_MS))
        fail(t, hint, "the worst of %u answers took %.0f ms", PINGS, worst);
}

const struct contract_case cases_fair[] = {
    {"E5.1", "8 clients in the same instant, five times", 3, 0, same_instant},
    {"E5.2", "300 clients in one burst", 3, 0, burst_300},
    {"E5.3", "six floods beside one ping", 3, 0, floods_beside_ping},
    {NULL, NULL, 0, 0, NULL}};

/* ---- E6 ------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one: a loaded machine spoils some measurements, not most. */
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
    own_server(t, TARGET_PLAIN, NULL);
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

const struct contract_case cases_prompt[] = {
    {"E6.1", "a newcomer's first byte is answered at once", 3, 0, newcomer},
    {"E6.2", "no answer waits for a timer", 3, 0, round_trip},
    {"E6.3", "no CPU with no clients, before and after one", 3, NEED_PROCESS,
     idle_empty},
    {"E6.4", "no CPU with 300 idle clients", 3, NEED_PROCESS, idle_300},
    {NULL, NULL, 0, 0, NULL}};
