/* sockmap.h -- from a socket to what belongs to it: a hash table
 *
 * select() and WSAAsyncSelect() answer with a SOCKET. Searching a list for it
 * would make every answer cost as much as there are clients; this costs the
 * same for one client and for thousands. Grows by itself, and has no lock: it
 * belongs to one thread.
 */
#ifndef COMMON_SOCKMAP_H
#define COMMON_SOCKMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/win.h"

struct sockmap_entry {
    SOCKET sock; /* INVALID_SOCKET: an empty place */
    void *value;
};

struct sockmap {
    struct sockmap_entry *entries;
    size_t places; /* a power of two, or 0 before the first put */
    size_t count;
};

/* Start with this: `struct sockmap map = {0};` */

/* Add a socket that is not in the map. False, with the map as it was, when
 * there is no memory. Does not own what value points to, which is not NULL. */
bool sockmap_put(struct sockmap *map, SOCKET sock, void *value);

/* What was put for the socket, or NULL. */
void *sockmap_get(const struct sockmap *map, SOCKET sock);

/* Take the socket out, before it is closed: as soon as closesocket() returns,
 * the next connection may have the same value. Not there: nothing happens. */
void sockmap_remove(struct sockmap *map, SOCKET sock);

/* Give back the table, not the values. Leaves an empty map. */
void sockmap_free(struct sockmap *map);

#endif
