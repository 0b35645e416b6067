/* flood.h -- clients that never pause, on threads of their own
 *
 * All peers of a case move on one thread (peer.h). So a peer that sends without
 * end pauses while that thread serves another peer, and then a server that
 * prefers it has time for the others. These clients do not pause: each has a
 * thread that sends and one that receives. Their bytes are not checked.
 */
#ifndef CONTRACT_FLOOD_H
#define CONTRACT_FLOOD_H

#include "programs/contract/suite.h"

enum { FLOOD_MOST = 4 };

struct flood {
    size_t count;
    struct flood_client {
        SOCKET sock;
        HANDLE threads[2];
        volatile LONG64 received; /* bytes; interlocked */
        volatile LONG over;       /* its threads end; interlocked */
    } clients[FLOOD_MOST];
};

/* Connect `count` clients to the case's server, and let them send without end.
 * NULL: one of them could not be connected. */
struct flood *flood_begin(struct test *t, size_t count);

/* How many bytes came back to all of them so far. */
uint64_t flood_received(const struct flood *flood);

/* Close their connections, and wait for their threads. */
void flood_end(struct flood *flood);

#endif
