/* e05_fair.c -- E5: no client starves, whatever the others do */
#include "common/win.h"

#include "common/clock.h"
#include "programs/contract/flood.h"
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

/* What a server that prefers one client does to the others shows only while that
 * client really has something to say all the time. */
static void floods_without_pause(struct test *t)
{
    enum { FLOODS = 2, PINGS = 20, WORST_MS = 2000, LOOK_MS = 20 };
    struct peer *pings[2] = {serves(t), NULL};
    step(t, "%u clients on threads of their own send without a pause",
         "they are served", FLOODS);
    struct flood *flood = flood_begin(t, FLOODS);
    if (flood == NULL)
        fail(t, "The server accepts nobody while a client is connected.",
             "a second client is not accepted");
    double until = clock_ms() + limit(t, ANSWER_MS);
    while (flood_received(flood) == 0 && clock_left(until) > 0)
        peers_stall(t, LOOK_MS, LOOK_MS);
    if (flood_received(flood) == 0) {
        flood_end(flood);
        fail(t,
             "The server serves nobody else while a client is connected, or "
             "sends nothing back before its client pauses.",
             "the floods got nothing back within %lu ms", limit(t, ANSWER_MS));
    }
    pings[1] = peer_connect(t);
    step(t,
         "a client from before them and one from after them send 64 bytes %u "
         "times, waiting for each answer",
         "each answer comes within %lu ms", PINGS, limit(t, WORST_MS));
    /* A failure does not come back here, and the flood has to end first. */
    pings[0]->tolerant = pings[1]->tolerant = true;
    unsigned answered = 0;
    uint64_t before = flood_received(flood);
    while (answered < PINGS) {
        struct peer *p = pings[answered % 2];
        peer_say(p, 64);
        peer_settle(p, limit(t, WORST_MS));
        if (p->sock == INVALID_SOCKET)
            break;
        answered++;
    }
    uint64_t moved = flood_received(flood) - before;
    flood_end(flood);
    if (answered == PINGS)
        return;
    const struct peer *p = pings[answered % 2];
    bool ended = p->eof || p->error != 0;
    fail(t,
         ended ? "The connection ended although its client waited for an "
                 "answer: this is not about fairness, and other cases tell "
                 "more of it."
         : moved == 0
             ? "Nobody is served any more: two clients that never pause are "
               "enough to stop the server."
             : "A client that never pauses starves the others. Usual causes: "
               "the wait names the lowest ready index, and only this one is "
               "served before the next wait; or one client is served until it "
               "has nothing more to say. Look at each client once in every "
               "turn.",
         "the client from %s the floods got no answer %u%s, while the floods "
         "got %llu bytes back",
         answered % 2 == 0 ? "before" : "after", answered / 2 + 1,
         ended ? ", for its connection ended" : "", (unsigned long long)moved);
}

const struct contract_case e05_fair[] = {
    {"E5.1", "8 clients in the same instant, five times", 3, 0, same_instant},
    {"E5.2", "300 clients in one burst", 3, 0, burst_300},
    {"E5.3", "six floods beside one ping", 3, 0, floods_beside_ping},
    {"E5.4", "two floods without a pause beside one ping", 3, 0,
     floods_without_pause},
    {NULL, NULL, 0, 0, NULL}};
