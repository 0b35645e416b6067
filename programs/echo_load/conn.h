/* conn.h -- one connection of echo_load
 *
 * All calls belong to the thread of its worker.
 */
#ifndef ECHO_LOAD_CONN_H
#define ECHO_LOAD_CONN_H

#include "programs/echo_load/run.h"

/* Bytes that one WSARecv() takes: all that may be on its way and one more, so
 * that one byte too many is seen; but not more than is any use. */
size_t conn_buffer_size(const struct load_options *options);

/* Begin to connect. With --churn that is also the beginning of its one echo,
 * which counts from `from`. */
void conn_open(struct worker *w, struct conn *c, uint64_t from);

/* Begin one echo, which counts from `from`; as many as the pipeline takes when
 * there is no rate to keep. Only if OPEN, with room in its pipeline. */
void conn_echo(struct worker *w, struct conn *c, uint64_t from);

/* A packet has come for it. */
void conn_packet(struct worker *w, struct conn *c, OVERLAPPED *ov, DWORD len,
                 bool ok);

/* Ask for the bytes of echoes that are on their way; nothing happens if it has
 * asked already, or if there is nothing to come. */
void conn_receive(struct worker *w, struct conn *c);

/* Begin nothing new: close, as soon as all that is owed is back. */
void conn_drain(struct worker *w, struct conn *c);

/* Has it been silent for too long? */
void conn_check(struct worker *w, struct conn *c, uint64_t now);

#endif
