/* e03_push_back.c -- E3: a client that does not read is not read from */
#include "common/win.h"

#include "programs/contract/peer.h"

/* More than the buffers of both sockets and both directions can hold on any
 * system we know; a server that takes this much keeps it in its own memory. */
enum { TOO_MUCH_MIB = 64 };

static const char no_limit_hint[] =
    "The server goes on receiving while the client reads nothing, and queues "
    "it all. Receive again only when everything received before has been "
    "sent: then TCP itself slows the client down.";

static struct peer *stuffed_client(struct test *t)
{
    struct peer *p = peer_connect(t);
    p->mute = true;
    peer_say(p, (uint64_t)TOO_MUCH_MIB << 20);
    return p;
}

static void must_stall(struct test *t)
{
    /* Long enough for a server that has to wait on a loaded machine. */
    peers_stall(t, stillness(t, 1000), limit(t, 6 * ANSWER_MS));
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        if (p->mute && p->sent == p->quota)
            fail(t, no_limit_hint,
                 "client #%u could send all %u MiB without reading one byte",
                 p->number, TOO_MUCH_MIB);
}

static void stall_and_resume(struct test *t)
{
    serves(t);
    hint_for(t, STOPS,
             "After the pause the server does not go on. When a send would "
             "block, register interest in writing (or send again on the next "
             "writable event), and receive again once all is sent.");
    hint_for(t, SILENT, t->hints[STOPS]);
    step(t, "send up to %u MiB and read nothing",
         "after a few MiB no more can be sent", TOO_MUCH_MIB);
    struct peer *p = stuffed_client(t);
    must_stall(t);
    step(t, "now read", "exactly the bytes sent so far come back");
    p->quota = p->sent;
    p->mute = false;
    peers_settle(t);
    step(t, "send 1000 bytes more", "they come back");
    peer_echo(p, 1000);
}

static void beside_a_reader(struct test *t)
{
    static const char hint[] =
        "One client that does not read blocks the others: the server waits "
        "inside a blocking send(), or holds a lock meanwhile. Sockets have to "
        "be non-blocking, or their sends overlapped.";
    struct peer *reader = serves(t);
    hint_for(t, SILENT, hint);
    hint_for(t, STOPS, hint);
    hint_for(t, NO_CONNECT, hint);
    step(t, "client #2 sends and never reads", "it is stopped after a few MiB");
    stuffed_client(t);
    must_stall(t);
    step(t, "client #1 echoes 100 times 1000 bytes meanwhile",
         "each within the limit");
    for (unsigned i = 0; i < 100; i++)
        peer_echo(reader, 1000);
    step(t, "a new client connects and echoes", "it is served as well");
    peer_echo(peer_connect(t), 1000);
}

static void bounded_memory(struct test *t)
{
    enum { CLIENTS = 8, MOST_MIB = 24 };
    step(t, "measure the server's memory", "it is known");
    own_server(t, TARGET_PLAIN, NULL);
    peer_echo(peer_connect(t), 1000);
    struct server_usage before = measure(t);
    step(t, "%u clients send and never read", "each is stopped", CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++)
        stuffed_client(t);
    must_stall(t);
    step(t, "measure the server's memory again",
         "it grew by less than %u MiB: a buffer per connection", MOST_MIB);
    struct server_usage after = measure(t);
    if (after.working_set > before.working_set + ((uint64_t)MOST_MIB << 20))
        fail(t, no_limit_hint, "it grew from %.1f to %.1f MiB",
             (double)before.working_set / 1048576.0,
             (double)after.working_set / 1048576.0);
}

const struct contract_case e03_push_back[] = {
    {"E3.1", "a client that does not read is stopped, then goes on", 3, 0,
     stall_and_resume},
    {"E3.2", "a client that never reads beside one that does", 3, 0,
     beside_a_reader},
    {"E3.3", "clients that never read do not cost memory", 3, NEED_PROCESS,
     bounded_memory},
    {NULL, NULL, 0, 0, NULL}};
