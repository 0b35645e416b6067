/* e01_echo.c -- E1: every byte comes back, unchanged, in order */
#include "common/win.h"

#include "programs/contract/pattern.h"
#include "programs/contract/peer.h"

static void one_byte(struct test *t)
{
    hint_for(
        t, SILENT,
        "Nothing comes back. Several causes fit: the new connection is not "
        "waited for, what is received is not sent back, or the server "
        "waits for more bytes than were sent.");
    step(t, "connect a client", "it is accepted");
    struct peer *p = peer_connect(t);
    step(t, "send 1 byte", "the same byte comes back");
    peer_echo(p, 1);
    step(t, "send nothing for 200 ms", "nothing comes back");
    peer_expect_nothing(p, stillness(t, 200));
}

static const char *hint_for_value(unsigned value)
{
    switch (value) {
    case 0x00:
        return "A zero byte gets no answer: strlen(), strcpy() or %s is used "
               "on received data. recv() returned the length; C strings end "
               "at the first zero byte.";
    case 0x0A:
    case 0x0D:
        return "A line end gets no answer, or another one: a text function "
               "(fgets, text mode) handles binary data, or the server waits "
               "for whole lines.";
    case 0x1A:
        return "Byte 0x1A (Ctrl+Z) ends text streams on Windows: the data goes "
               "through a stream in text mode.";
    default:
        return "This byte value gets no answer. It is special to nobody but "
               "the server: look for a comparison with it, or for a signed "
               "char taken for an error or the end.";
    }
}

static void every_value(struct test *t)
{
    peer_close(serves(t));
    struct peer *p = peer_connect(t);
    /* Byte n has the value n. */
    p->stream = t->suite->control ? PATTERN_LETTERS : PATTERN_COUNT;
    for (unsigned value = 0; value < 256; value++) {
        hint_for(t, SILENT, hint_for_value(value));
        hint_for(t, STOPS, hint_for_value(value));
        hint_for(t, EARLY_EOF, hint_for_value(value));
        if (value % 64 == 0)
            step(t, "send bytes 0x%02x to 0x%02x, one at a time",
                 "each comes back before the next is sent", value, value + 63);
        peer_echo(p, 1);
    }
    step(t, "send all 256 values in one piece", "the same 256 bytes");
    peer_echo(p, 256);
}

static void sizes(struct test *t, const unsigned *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        hint_for(t, STOPS,
                 "The last bytes of a message of this size stay away. Usual "
                 "causes: one place of the buffer is kept for a terminator, or "
                 "the buffer is not emptied when a message fills it exactly.");
        step(t, "send %u bytes over a new connection",
             "the same bytes come back", list[i]);
        struct peer *p = peer_connect(t);
        peer_echo(p, list[i]);
        step(t, "send %u bytes again", "the same bytes come back", list[i]);
        peer_echo(p, list[i]);
        peer_close(p);
    }
}

/* Without the sizes that are special. */
static void small_sizes(struct test *t)
{
    sizes(t, (const unsigned[]){100, 300, 700}, 3);
}

static void around_1024(struct test *t)
{
    if (t->suite->control)
        small_sizes(t);
    else
        sizes(t, (const unsigned[]){1023, 1024, 1025}, 3);
}

static void large_sizes(struct test *t)
{
    if (t->suite->control)
        small_sizes(t);
    else
        sizes(t, (const unsigned[]){4096, 16384, 65535, 65536, 65537}, 5);
}

static void long_stream(struct test *t)
{
    hint_for(t, STOPS,
             "The stream stops. Several causes fit: a send that would block is "
             "given up, interest in writing is not registered again, or the "
             "next receive is never begun after a short send.");
    struct peer *p = peer_connect(t);
    step(t, "send 64 MiB without a pause, read as fast as it comes",
         "every byte of the 64 MiB comes back, in its place");
    peer_say(p, 64u << 20);
    peers_settle(t);
}

static void behind_reader(struct test *t)
{
    hint_for(t, STOPS,
             "After a send that would block, or was short, the server does "
             "not go on. Interest in writing has to be registered (or the "
             "rest sent again) whenever bytes are owed.");
    struct peer *p = peer_connect(t);
    p->mute = true;
    peer_say(p, 32u << 20);
    step(t, "send 32 MiB without reading until nothing moves any more",
         "the server stops reading");
    peers_stall(t, stillness(t, 400), limit(t, ANSWER_MS));
    p->mute = false;
    step(t, "now read and go on sending", "all 32 MiB come back in order");
    peers_settle(t);
}

static void random_pieces(struct test *t)
{
    hint_for(t, STOPS,
             "TCP has no messages: what is sent in one piece may be received "
             "in several, and several in one. Send back whatever recv() gave, "
             "whatever its size.");
    struct peer *p = peer_connect(t);
    p->random = true;
    p->send_max = 3000;
    step(t,
         "send 2 MiB in pieces of random size, 1 to 3000 bytes (--seed %llu)",
         "the same 2 MiB", (unsigned long long)t->suite->seed);
    peer_say(p, 2u << 20);
    peers_settle(t);
    for (unsigned i = 0; i < 50; i++) {
        unsigned len = 1 + (unsigned)test_random(t, 5000);
        if (i % 10 == 0)
            step(t,
                 "ten messages of random length, each answered before the "
                 "next; the first has %u bytes",
                 "each comes back whole", len);
        peer_echo(p, len);
    }
}

static void no_waiting(struct test *t)
{
    struct peer *p = peer_connect(t);
    p->send_max = 100;
    step(t, "send 3000 messages of 100 bytes without waiting for answers",
         "all of them, in the order in which they were sent");
    peer_say(p, 300000);
    peers_settle(t);
}

static void own_bytes(struct test *t)
{
    enum { CLIENTS = 8 };
    step(t, "connect 8 clients", "all are accepted");
    peers_connect(t, CLIENTS);
    step(t, "each sends 1 MiB of its own bytes, all at the same time",
         "each gets back its own bytes and nobody else's");
    for (struct peer *p = t->peers; p != NULL; p = p->next) {
        p->random = true;
        p->send_max = 20000;
        peer_say(p, 1u << 20);
    }
    peers_settle(t);
}

const struct contract_case e01_echo[] = {
    {"E1.1", "one byte comes back, and nothing more", 2, 0, one_byte},
    {"E1.2", "every byte value, alone and together", 2, 0, every_value},
    {"E1.3", "1023, 1024 and 1025 bytes", 2, 0, around_1024},
    {"E1.4", "4096, 16384, 65535, 65536 and 65537 bytes", 2, 0, large_sizes},
    {"E1.5", "64 MiB in one stream, every byte checked", 2, 0, long_stream},
    {"E1.6", "32 MiB to a client that falls behind and catches up", 2, 0,
     behind_reader},
    {"E1.7", "pieces of random size", 2, 0, random_pieces},
    {"E1.8", "3000 messages without waiting for answers", 2, 0, no_waiting},
    {"E1.9", "8 clients at the same time, each its own bytes", 2, 0, own_bytes},
    {NULL, NULL, 0, 0, NULL}};
