/* stats.h -- what a server says: ready line, a line per connection, summary
 *
 * Lines go to standard output, each written whole and at once. Counters are
 * exact whatever the number of threads. After stats_begin() everything may be
 * called from any thread.
 */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/args.h"
#include "common/win.h"

/* Before the first connection. Keeps the model's name. Main thread. */
void stats_begin(const struct model *model, const struct args *args);

/* `name: listening on ADDRESS, pid N, N threads (Ctrl+C stops)`: programs that
 * start a server wait for this line, so call it when the port accepts. */
void stats_ready(SOCKET listener, unsigned long threads);

/* A connection came. Returns its number, the #17 of all later lines. */
unsigned long stats_opened(SOCKET sock, const struct sockaddr_storage *peer);

/* A connection came and was turned away at the limit of `limit` clients. */
void stats_refused(unsigned long limit);

/* A connection came and was turned away because a call failed. */
void stats_refused_error(const char *call, unsigned long code);

/* Bytes moved for connection `id`; `owed` bytes are still to be sent, and with
 * none left one echo is complete. Printed with --verbose only. */
void stats_received(unsigned long id, size_t len);
void stats_sent(unsigned long id, size_t len, size_t owed);

/* How connection `id` ended: code 0 for an orderly close, the error that ended
 * it otherwise. `echoed` is the number of bytes it got back. */
void stats_closed(unsigned long id, unsigned long long echoed,
                  unsigned long code);

/* The last lines: totals, and the Winsock calls per echo. */
void stats_summary(void);

#endif
