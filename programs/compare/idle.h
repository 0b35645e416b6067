/* idle.h -- clients that are connected, and silent */
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
 * last one: when that one is served, those before it are too. On failure `why`
 * tells the reason. In either case idle_close() has to follow. */
bool idle_open(struct idle *idle, const struct running *running, size_t count,
               char *why, size_t size);
void idle_close(struct idle *idle);

#endif
