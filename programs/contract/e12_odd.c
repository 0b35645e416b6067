/* e12_odd.c -- E12: odd clients cause no crash, no leak, no spin */
#include "common/win.h"

#include <string.h>

#include "common/clock.h"
#include "programs/contract/peer.h"

/* ---- urgent data ---------------------------------------------------------- */

/* Exactly these bytes, or these with the urgent one among them, are right. */
static void expect_around_urgent(struct peer *p)
{
    static const char without[] = "beforeafter", with[] = "before!after";
    char got[32] = "";
    size_t len = 0;
    double deadline = clock_ms() + limit(p->test, ANSWER_MS);
    while (len < sizeof without - 1 ||
           (memcmp(got, without, sizeof without - 1) != 0 &&
            len < sizeof with - 1)) {
        WSAPOLLFD fd = {p->sock, POLLRDNORM, 0};
        int ready = WSAPoll(&fd, 1, (INT)clock_left(deadline));
        int more =
            ready > 0 ? recv(p->sock, got + len, (int)(sizeof got - 1 - len), 0)
                      : 0;
        if (more <= 0)
            fail(p->test,
                 "Urgent data ends or blocks the connection. It needs no "
                 "treatment: do not ask for it (exceptfds, FD_OOB), or read it "
                 "with MSG_OOB and go on.",
                 "only `%s` came back", got);
        len += (size_t)more;
    }
    if (memcmp(got, without, sizeof without - 1) != 0 &&
        memcmp(got, with, sizeof with - 1) != 0)
        fail(p->test, "Urgent data upsets the order of the rest.",
             "`%s` came back", got);
}

static void send_raw(struct peer *p, const char *bytes, int len, int flags)
{
    if (send(p->sock, bytes, len, flags) != len)
        fail(p->test, "", "send() failed: %d", WSAGetLastError());
}

static void urgent(struct test *t)
{
    int flags = t->suite->control ? 0 : MSG_OOB;
    struct peer *bystander = serves(t);
    step(t,
         "connect another; it sends `before`, an urgent `!` (MSG_OOB), `after`",
         "`beforeafter` comes back, with or without the `!` in its place");
    struct peer *p = peer_connect(t);
    send_raw(p, "before", 6, 0);
    send_raw(p, "!", 1, flags);
    send_raw(p, "after", 5, 0);
    expect_around_urgent(p);
    step(t, "send one more urgent byte and keep the connection",
         "the bystander echoes");
    send_raw(p, "!", 1, flags);
    peer_echo(bystander, 1000);
    if (t->target->process == NULL)
        return;
    step(t, "nobody says anything for a second",
         "less than %d %% of a processor is used", IDLE_PERCENT);
    expect_idle(
        t, "Urgent data that is announced and never read is announced again "
           "and again: the server spins. Do not wait for it, or read it.");
}

/* ---- thousands that come and go ------------------------------------------- */

static void come_and_go(struct test *t, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct peer *p = peer_connect(t);
        peer_echo(p, 20);
        /* A reset leaves no TIME_WAIT here, so ports do not run out. Every 20th
         * client closes in the orderly way. */
        if (i % 20 == 0) {
            p->fin = true;
            peer_settle(p, limit(t, ANSWER_MS));
            peer_close(p);
        } else {
            peer_reset(p);
        }
        peers_free(t); /* a long list of peers would slow us down */
    }
}

/* The server closes its side a moment after us. So look until it has at most
 * `handles` handles, or until it has closed nothing more for a while. */
static struct server_usage come_to_rest(struct test *t, unsigned long handles)
{
    enum { WHILE_MS = 300, LOOK_MS = 50 };
    struct server_usage usage = measure(t);
    double quiet = clock_ms() + limit(t, WHILE_MS);
    while (usage.handles > handles && clock_left(quiet) > 0) {
        peers_stall(t, LOOK_MS, LOOK_MS);
        struct server_usage now = measure(t);
        if (now.handles < usage.handles)
            quiet = clock_ms() + limit(t, WHILE_MS);
        usage = now;
    }
    return usage;
}

static void five_thousand(struct test *t)
{
    enum { WARM_UP = 100, TIMES = 5000, PART = 1000, HANDLES = 16, MIB = 4 };
    static const char handle_hint[] =
        "Handles leak, some with every connection: each socket, event and "
        "thread has to be closed on every way a connection can end.";
    static const char memory_hint[] =
        "Memory leaks, some with every connection: free the connection's "
        "buffer and state on every way it can end.";
    own_server(t, TARGET_PLAIN, NULL);
    step(t, "%u clients come, echo and go, one after the other",
         "all are served", WARM_UP);
    come_and_go(t, WARM_UP);
    struct server_usage before = come_to_rest(t, 0);
    for (unsigned done = 0; done < TIMES; done += PART) {
        step(t, "%u more come, echo and go", "all are served", PART);
        come_and_go(t, PART);
        step(t, "measure the server: handles and memory",
             "at most %d handles and %d MiB more than before", HANDLES, MIB);
        struct server_usage after = come_to_rest(t, before.handles + HANDLES);
        if (after.handles > before.handles + HANDLES)
            fail(t, handle_hint, "%lu handles before, %lu after",
                 before.handles, after.handles);
        if (after.working_set > before.working_set + ((uint64_t)MIB << 20))
            fail(t, memory_hint, "%.1f MiB before, %.1f MiB after",
                 (double)before.working_set / 1048576.0,
                 (double)after.working_set / 1048576.0);
    }
}

/* ---- what is left when clients vanish ------------------------------------- */

static void rest_after_vanishing(struct test *t)
{
    own_server(t, TARGET_PLAIN, NULL);
    step(t, "60 clients connect; 20 echo, 20 send and do not read, all vanish",
         "the server closes them");
    peers_connect(t, 60);
    for (unsigned n = 1; n <= 40; n++) {
        struct peer *p = peer_at(t, n);
        p->tolerant = true;
        p->mute = n > 20;
        peer_say(p, n > 20 ? 1000000 : 100);
    }
    peers_stall(t, stillness(t, 100), limit(t, ANSWER_MS));
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        if (p->number % 2 == 0)
            peer_reset(p);
        else
            peer_close(p);
    step(t, "a second of nothing", "less than %d %% of a processor is used",
         IDLE_PERCENT);
    expect_idle(t, "The server spins on connections that are gone: a failed "
                   "send or receive is tried again for ever, or an end of "
                   "stream is taken for data. Any error but \"would block\" "
                   "ends the connection.");
}

const struct contract_case e12_odd[] = {
    {"E12.1", "urgent data", 2, 0, urgent},
    {"E12.2", "5000 clients one after the other leave nothing behind", 3,
     NEED_PROCESS, five_thousand},
    {"E12.3", "no CPU after clients have vanished in every state", 2,
     NEED_PROCESS, rest_after_vanishing},
    {NULL, NULL, 0, 0, NULL}};
