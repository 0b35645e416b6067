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
    {NULL, NULL, 0, 0, NULL}};
