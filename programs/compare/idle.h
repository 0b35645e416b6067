/* idle.h -- clients that are there, and silent */
#ifndef COMPARE_IDLE_H
#define COMPARE_IDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "programs/compare/subject.h"

struct idle {
    SOCKET *socks;
    size_t count;
};

/* Connect `count` clients, one after the other, and get a byte echoed on the
 * last one: when it is served, so are those before it. On failure `why` tells.
 * Ends by idle_close() in either case. */
bool idle_open(struct idle *idle, const struct running *running, size_t count,
               char *why, size_t size);
void idle_close(struct idle *idle);

#endif
