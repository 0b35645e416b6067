/* sockmap.c -- see sockmap.h
 *
 * Open addressing: a socket lies at its home place or, when that is taken, at
 * the next free one after it. At least half of the places stay empty, so the
 * walk is short. Removing moves later entries back instead of leaving marks,
 * so a server that runs for months does not fill up with them.
 */
#include "common/win.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/sockmap.h"

enum { FIRST_PLACES = 64 };

static size_t home_of(const struct sockmap *map, SOCKET sock)
{
    /* Socket values are multiples of four and close together; the
     * multiplication (Knuth's, with the golden ratio) spreads them. */
    uint64_t hash = (uint64_t)sock * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32) & (map->places - 1);
}

static size_t next_place(const struct sockmap *map, size_t place)
{
    return (place + 1) & (map->places - 1);
}

/* The place where the socket lies, or the empty one where it would go. */
static size_t place_of(const struct sockmap *map, SOCKET sock)
{
    size_t place = home_of(map, sock);
    while (map->entries[place].sock != INVALID_SOCKET &&
           map->entries[place].sock != sock)
        place = next_place(map, place);
    return place;
}

static bool grow(struct sockmap *map)
{
    struct sockmap bigger = {.places = map->places * 2};
    if (bigger.places == 0)
        bigger.places = FIRST_PLACES;
    bigger.entries = malloc(bigger.places * sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return false;
    for (size_t i = 0; i < bigger.places; i++)
        bigger.entries[i] =
            (struct sockmap_entry){.sock = INVALID_SOCKET, .value = NULL};
    for (size_t i = 0; i < map->places; i++) {
        SOCKET sock = map->entries[i].sock;
        if (sock != INVALID_SOCKET)
            bigger.entries[place_of(&bigger, sock)] = map->entries[i];
    }
    bigger.count = map->count;
    free(map->entries);
    *map = bigger;
    return true;
}

bool sockmap_put(struct sockmap *map, SOCKET sock, void *value)
{
    if (map->count + 1 > map->places / 2 && !grow(map))
        return false;
    map->entries[place_of(map, sock)] =
        (struct sockmap_entry){.sock = sock, .value = value};
    map->count++;
    return true;
}

void *sockmap_get(const struct sockmap *map, SOCKET sock)
{
    return map->places == 0 ? NULL : map->entries[place_of(map, sock)].value;
}

void sockmap_remove(struct sockmap *map, SOCKET sock)
{
    if (sockmap_get(map, sock) == NULL)
        return;
    size_t hole = place_of(map, sock);
    for (size_t i = next_place(map, hole);
         map->entries[i].sock != INVALID_SOCKET; i = next_place(map, i)) {
        /* Entry i may fill the hole unless its home lies behind the hole,
         * counted round the end of the table. */
        size_t home = home_of(map, map->entries[i].sock);
        size_t mask = map->places - 1;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] =
        (struct sockmap_entry){.sock = INVALID_SOCKET, .value = NULL};
    map->count--;
}

void sockmap_free(struct sockmap *map)
{
    free(map->entries);
    *map = (struct sockmap){0};
}
