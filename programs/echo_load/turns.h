/* turns.h -- which connection begins the next echo, and when
 *
 * A worker's connections that are free for an echo stand in a queue. The queue
 * is in the order of their times, because the pause (--think) is always the
 * same. All calls belong to the thread of the worker.
 */
#ifndef ECHO_LOAD_TURNS_H
#define ECHO_LOAD_TURNS_H

#include "programs/echo_load/run.h"

/* `c` is free for an echo from `ready_at` on. If it is in the queue already,
 * nothing happens. */
void turns_add(struct worker *w, struct conn *c, uint64_t ready_at);

/* Take the first one out of a queue that is not empty. */
struct conn *turns_take(struct worker *w);

/* With --rate: when the worker's echo number n is due. Nothing that the server
 * does changes that: otherwise a server that stalls would delay the very echoes
 * that should show the stall (coordinated omission). */
uint64_t turns_due(const struct worker *w, uint64_t n);

/* When the first one in a queue that is not empty may begin. */
uint64_t turns_next(const struct worker *w);

#endif
