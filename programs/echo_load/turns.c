/* turns.c -- see turns.h */
#include "common/win.h"

#include "programs/echo_load/turns.h"

void turns_add(struct worker *w, struct conn *c, uint64_t ready_at)
{
    if (c->idle)
        return;
    c->idle = true;
    c->ready_at = ready_at;
    c->next_idle = NULL;
    if (w->idle != NULL)
        w->idle_last->next_idle = c;
    else
        w->idle = c;
    w->idle_last = c;
}

struct conn *turns_take(struct worker *w)
{
    struct conn *c = w->idle;
    w->idle = c->next_idle;
    c->idle = false;
    return c;
}

uint64_t turns_due(const struct worker *w, uint64_t n)
{
    const struct run *run = w->run;
    return run->start +
           (w->index + n * run->worker_count) * 1000000000 / run->options.rate;
}

uint64_t turns_next(const struct worker *w)
{
    uint64_t at = w->idle->ready_at;
    if (w->run->options.rate == 0)
        return at;
    uint64_t turn = turns_due(w, w->arrivals);
    return turn > at ? turn : at;
}
