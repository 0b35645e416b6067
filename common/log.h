/* log.h -- what a server says: ready line, a line per connection, summary
 *
 * Lines go through a queue (common/output.h): a connection's line is dropped when
 * nobody reads them as fast; the ready line and the summary are not. After
 * log_begin() every function may be called on any thread, but the log_conn of one
 * connection only on one thread at a time. The totals of the summary are exact
 * once every connection is closed.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/args.h"
#include "common/win.h"

/* Before the first connection. Keeps the model's name. Main thread. */
void log_begin(const struct model *model, const struct args *args);

/* `name: listening on ADDRESS, pid N, N threads (Ctrl+C stops)`: programs that
 * start a server wait for this line, so call it when the port accepts. */
void log_ready(SOCKET listener, unsigned long threads);

/* What the log keeps of one connection. It is part of the model's own struct,
 * so that an echo changes no counter that threads share. */
struct log_conn {
    unsigned long long number; /* the #17 of the log */
    unsigned long long bytes;  /* that went back to the client */
    unsigned long long echoes; /* times when nothing was owed any more */
};

/* A connection came: give it the next number, and counts of 0. */
void log_opened(struct log_conn *conn, const struct sockaddr_storage *peer);

/* A connection came and was turned away at the limit of `limit` clients. */
void log_refused(unsigned long limit);

/* A connection came and was turned away because a call failed. */
void log_refused_error(const char *call, unsigned long code);

/* So many bytes came from the client, or went back to it. `owed` bytes are
 * still to be sent; with none left, one echo is complete. A line only with
 * --verbose. */
void log_received(const struct log_conn *conn, size_t len);
void log_sent(struct log_conn *conn, size_t len, size_t owed);

/* The connection has ended: code 0 for an orderly close, otherwise the error
 * that ended it. */
void log_closed(const struct log_conn *conn, unsigned long code);

/* The last line: totals. Waits until all lines are written, unless nobody reads
 * them. */
void log_summary(void);

/* Echoes of the connections that are closed. */
unsigned long long log_echoes(void);

#endif
