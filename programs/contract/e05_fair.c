/* e05_fair.c -- E5: no client starves, whatever the others do */
#include "common/win.h"

#include "common/clock.h"
#include "programs/contract/peer.h"

static void burst(struct test *t, size_t count, const char *hint)
{
    hint_for(t, NO_CONNECT, hint);
    hint_for(t, REFUSED, hint);
    hint_for(t, SILENT, hint);
    hint_for(t, RESET, hint);
    hint_for(t, EARLY_EOF, hint);
    step(t, "connect %u clients in the same instant, each sends 100 bytes",
         "all are accepted and get their bytes back", (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        struct peer *p = peer_begin(t);
        peer_say(p, 100);
        if (t->suite->control)
            peers_settle(t); /* served before the next one connects */
    }
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

const struct contract_case e05_fair[] = {
    {"E5.1", "8 clients in the same instant, five times", 3, 0, same_instant},
    {"E5.2", "300 clients in one burst", 3, 0, burst_300},
    {"E5.3", "six floods beside one ping", 3, 0, floods_beside_ping},
    {NULL, NULL, 0, 0, NULL}};
