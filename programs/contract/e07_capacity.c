/* e07_capacity.c -- E7: the limit is told, kept, and gives places back */
#include "common/win.h"

#include <string.h>

#include "common/clock.h"
#include "programs/contract/peer.h"

enum { PLACES = 5 };
static const char *const five_places[] = {"--max-clients", "5", NULL};

static void fill_places(struct test *t)
{
    step(t, "--max-clients %d: connect as many, each echoes 10 bytes",
         "all are served", PLACES);
    peers_connect(t, PLACES);
    for (unsigned n = 1; n <= PLACES; n++)
        peer_echo(peer_at(t, n), 10);
}

/* This client is one too many. A server may close before or after it has
 * noticed the connection; the client sees an end or a reset, never an echo. */
static void expect_refusal(struct test *t)
{
    struct peer *p = peer_begin(t);
    peer_say(p, 10);
    p->wants_end = true;
    peers_stall(t, stillness(t, 200), limit(t, 2000));
    bool ended = peer_expect_end(p, limit(t, 2000));
    if (p->received > 0)
        fail(t,
             "--max-clients is not kept: count the clients that are connected "
             "and compare before a new one is served.",
             "client #%u got %llu bytes back", p->number,
             (unsigned long long)p->received);
    if (!ended)
        fail(t,
             "The client above the limit is neither served nor sent away; it "
             "would wait for ever. Accept it and close it at once.",
             "client #%u is still connected after %lu ms", p->number,
             limit(t, 2000));
}

static void refuse_one_more(struct test *t)
{
    own_server(t, TARGET_PLAIN, five_places);
    fill_places(t);
    step(t, "connect clients #6 and #7, each sends 10 bytes",
         "no echo: each is accepted and closed at once");
    expect_refusal(t);
    expect_refusal(t);
    step(t, "the first five echo again", "as before");
    for (unsigned n = 1; n <= PLACES; n++)
        peer_echo(peer_at(t, n), 1000);
}

/* The place is free only when the server has noticed that its client left, so
 * the newcomer tries until it is served. */
static void expect_place(struct test *t, const char *hint)
{
    double deadline = clock_ms() + limit(t, ANSWER_MS);
    while (!peer_try_echo(t, 10, clock_left(deadline)))
        if (clock_left(deadline) == 0)
            fail(t, hint, "nobody new is served within %lu ms",
                 limit(t, ANSWER_MS));
}

static void freed_place(struct test *t)
{
    static const char hint[] =
        "The place of a client that left is not given back: count down on "
        "every way a connection can end (FIN, reset, error), once each.";
    own_server(t, TARGET_PLAIN, five_places);
    fill_places(t);
    step(t, "client #2 shuts down and closes; a new one connects",
         "it is served");
    peer_at(t, 2)->fin = true;
    peers_settle(t);
    peer_close(peer_at(t, 2));
    expect_place(t, hint);
    step(t, "client #4 resets; a new one connects", "it is served");
    peer_reset(peer_at(t, 4));
    expect_place(t, hint);
    step(t, "20 times: a client comes, echoes and leaves by a reset",
         "all are served");
    for (unsigned i = 0; i < 20; i++)
        expect_place(t, hint);
    step(t, "clients #1, #3 and #5 echo", "as before");
    peer_echo(peer_at(t, 1), 10);
    peer_echo(peer_at(t, 3), 10);
    peer_echo(peer_at(t, 5), 10);
}

static void refusal_logged(struct test *t)
{
    own_server(t, TARGET_LOGS, five_places);
    fill_places(t);
    step(t, "connect client #6", "it is closed");
    expect_refusal(t);
    step(t, "look at standard output", "a line `#N refused: 5 clients ...`");
    if (server_wait_text(t->target->process, SERVER_STDOUT,
                         " refused: 5 clients",
                         limit(t, ANSWER_MS)) != SERVER_WAIT_OK)
        fail(t,
             "A refusal has to be logged, or nobody learns why clients are "
             "turned away; and the line has to be flushed.",
             "no such line within %lu ms", limit(t, ANSWER_MS));
    step(t, "end standard input, read the summary", "it counts `1 refused`");
    server_close_stdin(t->target->process);
    t->may_end = true;
    if (server_wait_text(t->target->process, SERVER_STDOUT, ", 1 refused",
                         limit(t, ANSWER_MS)) != SERVER_WAIT_OK)
        fail(t, "Refused clients are not counted, or not in the summary.",
             "no `, 1 refused` in it");
}

/* Many clients at once. The last client to join leaves first: this order shows
 * mistakes with array indexes. */
static void many(struct test *t, unsigned count)
{
    static const char wall[] =
        "There is a wall below this number. Usual causes: FD_SETSIZE is 64 "
        "unless defined before winsock2.h; an event wait takes 64 handles; an "
        "array with a fixed number of places.";
    serves(t);
    hint_for(t, NO_CONNECT, wall);
    hint_for(t, SILENT, wall);
    hint_for(t, RESET, wall);
    hint_for(t, EARLY_EOF, wall);
    step(t, "connect %u clients", "all are accepted", count);
    for (unsigned i = 0; i < count; i += 100) {
        peers_connect(t, count - i < 100 ? count - i : 100);
    }
    step(t, "each echoes 100 bytes, all at the same time",
         "all get their bytes back");
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        peer_say(p, 100);
    peers_settle(t);
    step(t, "the last ten leave, the last one first; then each other echoes",
         "all others are served as before");
    for (unsigned i = 0; i < 10; i++)
        peer_close(peer_at(t, t->peer_count - i));
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        if (p->sock != INVALID_SOCKET)
            peer_say(p, 100);
    peers_settle(t);
    step(t, "connect ten new clients", "all are served");
    for (unsigned i = 0; i < 10; i++)
        peer_echo(peer_connect(t), 100);
}

static void many_65(struct test *t)
{
    many(t, 65);
}

static void many_130(struct test *t)
{
    many(t, 130);
}

static void many_1000(struct test *t)
{
    many(t, 1000);
}

static void many_4000(struct test *t)
{
    many(t, 4000);
}

const struct contract_case e07_capacity[] = {
    {"E7.1", "the client above the limit is closed at once", 2,
     NEED_PROCESS | NEED_OPTIONS, refuse_one_more},
    {"E7.2", "a freed place serves again", 2, NEED_PROCESS | NEED_OPTIONS,
     freed_place},
    {"E7.3", "refusals are logged and counted", 1, NEED_PROCESS | NEED_OPTIONS,
     refusal_logged},
    {"E7.4", "65 clients at once, the last leave first", 2, 0, many_65},
    {"E7.5", "130 clients at once, the last leave first", 2, 0, many_130},
    {"E7.6", "1000 clients at once, the last leave first", 2, 0, many_1000},
    {"E7.7", "4000 clients at once, the last leave first", 1, NEED_STRICT,
     many_4000},
    {NULL, NULL, 0, 0, NULL}};
