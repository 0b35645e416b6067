/* source.h -- the address and the port that a connection comes from
 *
 * The side that closes first keeps its port for minutes (TIME_WAIT), and an
 * address has 16,384 of them on Windows. This machine has more addresses:
 * 127.0.0.1, 127.0.0.2 and so on, which all lead to a server on 127.0.0.1.
 */
#ifndef HARNESS_SOURCE_H
#define HARNESS_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/win.h"

/* Bind a new socket before it connects to `to`: to the address number n, which
 * counts round, from `first` (127.x.y.z in host order) on. If `to` is no IPv4
 * address of this machine, to any address. 0 or SOCKET_ERROR, as bind(). */
int source_bind(SOCKET sock, const struct sockaddr *to, int to_len,
                unsigned long first, uint64_t n);

/* Did bind() or a connect fail with `err` because no port is left? */
bool source_used_up(unsigned long err);

/* What to say then: why, and what to do. */
extern const char source_used_up_hint[];

#endif
