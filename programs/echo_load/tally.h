/* tally.h -- what went wrong, by name, and how often
 *
 * Every trouble is counted; only the first few of a run are printed in a line
 * of their own, because a server that ends causes one for each connection.
 */
#ifndef ECHO_LOAD_TALLY_H
#define ECHO_LOAD_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "common/win.h"

struct tally_entry {
    const char *name; /* a constant: WSAECONNRESET, WRONG_BYTE */
    uint64_t count;
};

/* Begins as {0}; the owner frees `entries`. One thread at a time. */
struct tally {
    struct tally_entry *entries;
    size_t len;
};

void tally_add(struct tally *tally, const char *name, uint64_t count);
void tally_merge(struct tally *tally, const struct tally *from);

/* Print it as one line on standard error, if few were printed so far. Any
 * thread. */
void tally_tell(const char *format, ...) PRINTF_LIKE(1, 2);

/* How many were not printed. */
long tally_untold(void);

#endif
