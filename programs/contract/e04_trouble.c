/* e04_trouble.c -- E4: one client's trouble ends that client only */
#include "common/win.h"

#include <stdlib.h>

#include "programs/contract/peer.h"

static const char bystander_hint[] =
    "Another client's reset ended this connection. An error on one socket ends "
    "that one connection: close it and go on with the rest.";

static const char deaf_hint[] =
    "This connection is open, but since another client's reset it gets no "
    "answer. Several causes fit: the thread that serves it has ended or waits, "
    "the loop was left, or the wrong client was forgotten.";

/* A client that must not notice what happens to others. */
static struct peer *bystander(struct test *t)
{
    struct peer *p = serves(t);
    hint_for(t, EARLY_EOF, bystander_hint);
    hint_for(t, RESET, bystander_hint);
    hint_for(t, SILENT, deaf_hint);
    hint_for(t, STOPS, deaf_hint);
    return p;
}

/* Leave by a reset; in a control, read all and leave in the orderly way. */
static void leave(struct peer *p)
{
    if (p->test->suite->control && p->sock != INVALID_SOCKET) {
        p->mute = false;
        p->quota = p->sent;
        p->fin = true;
        peer_settle(p, limit(p->test, ANSWER_MS));
    }
    peer_reset(p);
}

static void still_served(struct peer *p)
{
    step(p->test, "the first client, a bystander, echoes 1000 bytes",
         "as if nothing had happened");
    peer_echo(p, 1000);
}

static void reset_at_once(struct test *t)
{
    struct peer *watching = bystander(t);
    step(t, "20 clients connect and reset before sending anything",
         "the server closes those 20 only");
    for (unsigned i = 0; i < 20; i++)
        leave(peer_connect(t));
    still_served(watching);
    step(t, "20 clients echo 10 bytes and reset",
         "the server closes those 20 only");
    for (unsigned i = 0; i < 20; i++) {
        struct peer *p = peer_connect(t);
        peer_echo(p, 10);
        leave(p);
    }
    still_served(watching);
}

/* Send until nothing moves: the server is now inside a send to this client, or
 * waits to finish one. Then reset the connection. */
static void reset_mid_send(struct test *t)
{
    struct peer *watching = bystander(t);
    for (unsigned i = 0; i < 3; i++) {
        step(t,
             "a client sends without reading until it is stopped, then "
             "resets",
             "the server closes that one only");
        struct peer *p = peer_connect(t);
        p->mute = true;
        p->tolerant = true;
        peer_say(p, 64u << 20);
        peers_stall(t, stillness(t, 200), limit(t, ANSWER_MS));
        leave(p);
        still_served(watching);
    }
}

static void reset_unread(struct test *t)
{
    struct peer *watching = bystander(t);
    step(t,
         "20 clients send 200000 bytes and close with the echo unread, "
         "which resets",
         "the server closes those 20 only");
    for (unsigned i = 0; i < 20; i++) {
        struct peer *p = peer_connect(t);
        p->mute = true;
        p->tolerant = true;
        peer_say(p, 200000);
        peers_stall(t, stillness(t, 30), limit(t, ANSWER_MS));
        if (t->suite->control)
            leave(p);
        else
            peer_close(p);
    }
    still_served(watching);
}

static void vanish(struct test *t)
{
    enum { TIMES = 500 };
    struct peer *watching = bystander(t);
    step(t, "%u clients connect and vanish at once, every other by a reset",
         "the server takes no harm", TIMES);
    for (unsigned i = 0; i < TIMES; i++) {
        struct peer *p = peer_begin(t);
        if (i % 3 != 0) /* every third client does not wait to be accepted */
            peer_settle(p, limit(t, ANSWER_MS));
        if (i % 2 == 0)
            peer_reset(p);
        else
            peer_close(p);
    }
    still_served(watching);
    static const char full_hint[] =
        "After many clients that came and vanished nobody new is served: "
        "their places are not given back, or accepting has ended with the "
        "first connection that was gone already.";
    for (enum trouble kind = 0; kind < TROUBLES; kind++)
        hint_for(t, kind, full_hint);
    step(t, "a new client echoes", "it is accepted and served");
    peer_echo(peer_connect(t), 1000);
}

static void last_leaves_first(struct test *t)
{
    enum { CLIENTS = 10 };
    step(t, "connect clients #1 to #%u, each echoes 10 bytes", "they do",
         CLIENTS);
    peers_connect(t, CLIENTS);
    for (unsigned n = 1; n <= CLIENTS; n++)
        peer_echo(peer_at(t, n), 10);
    hint_for(t, EARLY_EOF,
             "The wrong connection was closed: an index that no longer fits. "
             "Taking an entry out of an array moves another one.");
    hint_for(t, SILENT,
             "A client that stays is not served any more once another has "
             "left: the entry of the one that left is still there, or took "
             "the wrong neighbour with it.");
    hint_for(t, STOPS, t->hints[SILENT]);
    for (unsigned gone = CLIENTS; gone > 1; gone--) {
        step(t, "client #%u leaves, the last of those present; the others echo",
             "the others are served", gone);
        peer_close(peer_at(t, gone));
        for (unsigned n = 1; n < gone; n++)
            peer_echo(peer_at(t, n), 10);
    }
}

const struct contract_case e04_trouble[] = {
    {"E4.1", "reset before data, and after an echo", 3, 0, reset_at_once},
    {"E4.2", "reset while the server is sending", 3, 0, reset_mid_send},
    {"E4.3", "close with the echo unread", 3, 0, reset_unread},
    {"E4.4", "500 clients connect and vanish", 3, 0, vanish},
    {"E4.5", "the last to join leaves first", 3, 0, last_leaves_first},
    {NULL, NULL, 0, 0, NULL}};
