/* map.h -- from a number to what belongs to it: a hash table
 *
 * The numbers are sockets, other handles or addresses. select() and
 * WSAAsyncSelect() answer with a SOCKET: to search a list for it would make
 * every answer cost as much as there are clients; this costs the same for one
 * client and for thousands. A map grows by itself. It has no lock: it belongs
 * to one thread.
 */
#ifndef COMMON_MAP_H
#define COMMON_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/win.h"

struct map_entry {
    ULONG_PTR key; /* all bits set: an empty place; no handle is that */
    void *value;
};

struct map {
    struct map_entry *entries;
    size_t places; /* a power of two, or 0 before the first put */
    size_t count;
};

/* Start with this: `struct map map = {0};` */

/* Add a key that is not in the map. False, with the map as it was, when
 * there is no memory. Does not own what value points to, which is not NULL. */
bool map_put(struct map *map, ULONG_PTR key, void *value);

/* What was put for the key, or NULL. */
void *map_get(const struct map *map, ULONG_PTR key);

/* Take the key out; if it is not there, nothing happens. A socket goes before
 * it is closed: as soon as closesocket() returns, the next connection may have
 * the same value. */
void map_remove(struct map *map, ULONG_PTR key);

/* Give back the table, not the values. Leaves an empty map. */
void map_free(struct map *map);

#endif
