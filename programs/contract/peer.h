/* peer.h -- a client of the server under test
 *
 * A peer sends bytes of its own pattern and checks everything that comes back.
 * Peers move only while one of the waiting functions below runs. Then all of a
 * test's peers move at once, in one loop over non-blocking sockets. Each wait
 * has a time limit, so a server that hangs cannot hang the suite. A peer that
 * meets trouble fails its test, unless it is `tolerant`.
 */
#ifndef CONTRACT_PEER_H
#define CONTRACT_PEER_H

#include "programs/contract/suite.h"

struct peer {
    struct test *test;
    struct peer *next;
    unsigned number; /* from 1, in the order of connecting */
    SOCKET sock;     /* INVALID_SOCKET once closed */
    bool connecting;

    uint64_t stream;   /* which pattern */
    uint64_t quota;    /* bytes to send, in all */
    uint64_t sent;     /* so far */
    uint64_t received; /* and found right */
    bool fin;          /* shut down after the last byte, expect the same */
    bool fin_sent;
    bool eof;  /* the server has shut down its side */
    int error; /* the Winsock code that ended it, or 0 */

    bool mute;       /* does not read */
    bool tolerant;   /* trouble is recorded, not reported */
    bool wants_end;  /* waits for the server to close or reset */
    bool random;     /* sends pieces of random size, up to send_max */
    size_t send_max; /* bytes per send() */
    size_t read_max; /* bytes per recv() */
    double read_every, next_read; /* ms; for a slow reader */
    double next_try;              /* ms; to send, while it reads nothing */
};

/* Connect one peer, or several in the same instant. */
struct peer *peer_connect(struct test *t);
void peers_connect(struct test *t, size_t count);

/* Start to connect, and do not wait. */
struct peer *peer_begin(struct test *t);

/* The peer with this number, 1 for the first of the test. */
struct peer *peer_at(struct test *t, unsigned number);

/* Give the peer `bytes` more to send; they are sent when the test waits. */
void peer_say(struct peer *p, uint64_t bytes);

/* Wait until each peer has sent all and has all of it back; a peer with `fin`
 * has then also seen the end of the server's stream. */
void peers_settle(struct test *t);
void peers_settle_within(struct test *t, unsigned long ms);

/* The same for one peer; the others move meanwhile, but are not waited for.
 * Returns how long it took, in ms. */
double peer_settle(struct peer *p, unsigned long ms);

/* peer_say() and peer_settle() with the usual limit. */
double peer_echo(struct peer *p, uint64_t bytes);

/* Let peers move until none has moved a byte for `still` ms, at most `ms`.
 * Returns false if they still moved at the end. */
bool peers_stall(struct test *t, unsigned long still, unsigned long ms);

/* Make sure that nothing comes for this long. */
void peer_expect_nothing(struct peer *p, unsigned long ms);

/* Wait for the server to end this connection in whatever way; false: it did
 * not. What it sends before that is read and must be right. */
bool peer_expect_end(struct peer *p, unsigned long ms);

/* Close at once; peer_reset() closes so that the server sees a reset. The peer
 * stays in the list, but takes no part any more. */
void peer_close(struct peer *p);
void peer_reset(struct peer *p);

/* Close all peers of a test and forget them. */
void peers_free(struct test *t);

/* Returns whether a newcomer is accepted and gets `bytes` back; it never fails
 * the test. */
bool peer_try_echo(struct test *t, uint64_t bytes, unsigned long ms);

#endif
