/* load.h -- echo_load.exe as a child, and what it measured */
#ifndef COMPARE_LOAD_H
#define COMPARE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "programs/harness/histogram.h"

struct load_order {
    const char *host;
    unsigned short port;
    unsigned connections;
    unsigned bytes;
    unsigned pipeline;
    bool churn;
    uintptr_t processors; /* a bit for each that it may use; 0: all */
    double warmup;        /* seconds */
    double seconds;
};

struct load_figures {
    double echoes;
    double echoes_per_s;
    double mib_per_s;
    double connects_per_s;
    double fewest, median, most; /* echoes of one client */
    double unserved;             /* clients that got nothing while others did */
};

struct load;

/* Where echo_load.exe has to be: beside this program. The caller frees it. */
char *load_path(void);

/* Start one. Returns NULL, with the reason in `why`, if that fails. load_free()
 * has to follow; it ends the process too. */
struct load *load_start(const struct load_order *order, char *why, size_t size);

/* Wait until all are connected and the echoes begin. False when it ended
 * before that, or takes too long; load_finish() tells why. */
bool load_wait_begin(struct load *load);

/* Wait so many seconds. False when it has ended meanwhile. */
bool load_wait(struct load *load, double seconds);

/* Wait for its end. True: every byte was right, and nobody was unserved; then
 * the figures are set, and the latencies of all echoes are added to `latency`,
 * unless that is NULL. Perhaps no echo was measured at all, because the time
 * was too short. Otherwise `unserved` is set, and all else only in parts. */
bool load_finish(struct load *load, struct load_figures *figures,
                 struct histogram *latency, char *why, size_t size);

void load_free(struct load *load);

#endif
