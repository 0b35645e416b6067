/* conn.h -- one connection of echo_load
 *
 * All calls belong to the thread of its worker.
 */
#ifndef ECHO_LOAD_CONN_H
#define ECHO_LOAD_CONN_H

#include "programs/echo_load/run.h"

/* The number of bytes that one WSARecv() takes: all that may be on their way
 * and one more, so that one byte too many is seen; but not more than is
 * useful. */
size_t conn_buffer_size(const struct load_options *options);

/* Begin to connect. With --churn that is also the beginning of its one echo,
 * which counts from `from`. */
void conn_open(struct worker *w, struct conn *c, uint64_t from);

/* Begin one echo, which counts from `from`. If there is no rate to keep, begin
 * as many as the pipeline takes. The connection has to be OPEN, with room in
 * its pipeline. */
void conn_echo(struct worker *w, struct conn *c, uint64_t from);

/* A packet has come for it. */
void conn_packet(struct worker *w, struct conn *c, OVERLAPPED *ov, DWORD len,
                 bool ok);

/* Ask for the bytes of echoes that are on their way. Nothing happens if it has
 * asked already, or if no bytes are to come. */
void conn_receive(struct worker *w, struct conn *c);

/* Begin no new echo, and close as soon as all owed bytes are back. */
void conn_drain(struct worker *w, struct conn *c);

/* Give it up if it has been silent for too long. */
void conn_check(struct worker *w, struct conn *c, uint64_t now);

#endif
