/* e02_half_close.c -- E2: after the client's FIN it still gets all its bytes
 */
#include "common/win.h"

#include "programs/contract/peer.h"

static const char eof_hint[] =
    "After the client's FIN the rest of the echo is missing. recv() returning "
    "0 says only that the client will send no more: what was received still "
    "has to be sent, then shutdown(SD_SEND), then closesocket().";

static const char reset_hint[] =
    "The server resets the connection at the end instead of closing it, and "
    "what is still on its way is lost. It closes with SO_LINGER {1, 0}, with "
    "bytes unread, or with an operation pending.";

static void half_close_hints(struct test *t)
{
    hint_for(t, EARLY_EOF, eof_hint);
    hint_for(t, RESET, reset_hint);
}

static void nothing_owed(struct test *t)
{
    struct peer *p = serves(t);
    half_close_hints(t);
    hint_for(t, NO_EOF,
             "The client's FIN is overlooked: recv() returns 0 (or FD_CLOSE "
             "comes, or an operation completes with 0 bytes), and the server "
             "has to shut down its sending side and close.");
    step(t, "it shuts down its sending side",
         "the server closes its side: recv() returns 0");
    p->fin = true;
    peers_settle(t);
    step(t, "connect another, shut down without sending anything",
         "the server closes its side");
    p = peer_connect(t);
    p->fin = true;
    peers_settle(t);
}

static void byte_and_fin(struct test *t)
{
    half_close_hints(t);
    for (unsigned i = 0; i < 20; i++) {
        if (i == 0)
            step(t, "20 times: connect, send 1 byte and FIN at once, read",
                 "the byte comes back, then the server's FIN");
        struct peer *p = peer_connect(t);
        peer_say(p, 1);
        p->fin = true;
        peers_settle(t);
        peer_close(p);
    }
}

static void owed(struct test *t, unsigned mib)
{
    half_close_hints(t);
    struct peer *p = peer_connect(t);
    step(t, "send %u MiB and FIN, reading nothing until no more can be sent",
         "the server takes what fits into the buffers between us", mib);
    p->mute = true;
    p->fin = true;
    peer_say(p, (uint64_t)mib << 20);
    peers_stall(t, stillness(t, 200), limit(t, ANSWER_MS));
    p->mute = false;
    step(t, "read everything", "all %u MiB come back, then the server's FIN",
         mib);
    peers_settle(t);
}

static void owed_1(struct test *t)
{
    owed(t, 1);
}

static void owed_5(struct test *t)
{
    owed(t, 5);
}

static void slow_reader(struct test *t)
{
    half_close_hints(t);
    hint_for(t, EARLY_EOF,
             "The server gives up on a client that reads slowly after its FIN. "
             "There is no hurry: the rest goes out as the client reads.");
    hint_for(t, RESET,
             "The connection is reset while a slow client still reads. Usual "
             "causes: a time limit after the FIN, or a close that does not "
             "wait for what is owed.");
    struct peer *p = peer_connect(t);
    step(t, "send 1 MiB and FIN; read 32 KiB every 40 ms",
         "all of it, at the client's pace, then the server's FIN");
    p->read_max = 32 * 1024;
    p->read_every = 40;
    p->fin = true;
    peer_say(p, 1u << 20);
    peers_settle(t);
}

static void wrong_one_hints(struct test *t)
{
    static const char closed[] =
        "The wrong connection was closed. When a client's entry is taken out "
        "of an array, another one moves into its place: the index no longer "
        "means the same client.";
    static const char forgotten[] =
        "A client that stays is forgotten when another leaves.";
    hint_for(t, EARLY_EOF, closed);
    hint_for(t, RESET, closed);
    hint_for(t, SILENT, forgotten);
    hint_for(t, STOPS, forgotten);
}

static void others_stay(struct test *t)
{
    half_close_hints(t);
    step(t, "connect clients #1 to #5, each echoes 100 bytes", "they do");
    peers_connect(t, 5);
    for (unsigned n = 1; n <= 5; n++)
        peer_echo(peer_at(t, n), 100);
    for (unsigned gone = 3; gone <= 4; gone++) {
        half_close_hints(t);
        step(t, "client #%u sends 5000 bytes and FIN",
             "it gets them back and the server's FIN", gone);
        peer_say(peer_at(t, gone), 5000);
        peer_at(t, gone)->fin = true;
        peers_settle(t);
        peer_close(peer_at(t, gone));
        step(t, "the others echo 100 bytes", "as before");
        wrong_one_hints(t);
        for (unsigned n = 1; n <= 5; n++)
            if (n < 3 || n > gone)
                peer_echo(peer_at(t, n), 100);
    }
}

const struct contract_case e02_half_close[] = {
    {"E2.1", "FIN with nothing owed is answered by FIN", 2, 0, nothing_owed},
    {"E2.2", "one byte and FIN at once", 2, 0, byte_and_fin},
    {"E2.3", "FIN with 1 MiB owed", 2, 0, owed_1},
    {"E2.4", "FIN with 5 MiB owed", 2, 0, owed_5},
    {"E2.5", "FIN while the client reads slowly", 2, 0, slow_reader},
    {"E2.6", "one client's FIN leaves the others alone", 2, 0, others_stay},
    {NULL, NULL, 0, 0, NULL}};
