/* map.c -- see map.h
 *
 * Open addressing: a key lies at its home place or, when that is taken, at
 * the next free one after it. At least half of the places stay empty, so the
 * walk is short. Removing moves later entries back instead of leaving marks,
 * so a server that runs for months does not fill up with them.
 */
#include "common/win.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/map.h"

enum { FIRST_PLACES = 64 };
static const ULONG_PTR NO_KEY = ~(ULONG_PTR)0;

static size_t home_of(const struct map *map, ULONG_PTR key)
{
    /* Socket values are multiples of four and close together; the
     * multiplication (Knuth's, with the golden ratio) spreads them. */
    uint64_t hash = (uint64_t)key * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32) & (map->places - 1);
}

static size_t next_place(const struct map *map, size_t place)
{
    return (place + 1) & (map->places - 1);
}

/* The place where the key lies, or the empty one where it would go. */
static size_t place_of(const struct map *map, ULONG_PTR key)
{
    size_t place = home_of(map, key);
    while (map->entries[place].key != NO_KEY && map->entries[place].key != key)
        place = next_place(map, place);
    return place;
}

static bool grow(struct map *map)
{
    struct map bigger = {.places = map->places * 2};
    if (bigger.places == 0)
        bigger.places = FIRST_PLACES;
    bigger.entries = malloc(bigger.places * sizeof *bigger.entries);
    if (bigger.entries == NULL)
        return false;
    for (size_t i = 0; i < bigger.places; i++)
        bigger.entries[i] = (struct map_entry){.key = NO_KEY, .value = NULL};
    for (size_t i = 0; i < map->places; i++) {
        ULONG_PTR key = map->entries[i].key;
        if (key != NO_KEY)
            bigger.entries[place_of(&bigger, key)] = map->entries[i];
    }
    bigger.count = map->count;
    free(map->entries);
    *map = bigger;
    return true;
}

bool map_put(struct map *map, ULONG_PTR key, void *value)
{
    if (map->count + 1 > map->places / 2 && !grow(map))
        return false;
    map->entries[place_of(map, key)] =
        (struct map_entry){.key = key, .value = value};
    map->count++;
    return true;
}

void *map_get(const struct map *map, ULONG_PTR key)
{
    return map->places == 0 ? NULL : map->entries[place_of(map, key)].value;
}

void map_remove(struct map *map, ULONG_PTR key)
{
    if (map_get(map, key) == NULL)
        return;
    size_t hole = place_of(map, key);
    for (size_t i = next_place(map, hole); map->entries[i].key != NO_KEY;
         i = next_place(map, i)) {
        /* Entry i may fill the hole unless its home lies behind the hole,
         * counted round the end of the table. */
        size_t home = home_of(map, map->entries[i].key);
        size_t mask = map->places - 1;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (struct map_entry){.key = NO_KEY, .value = NULL};
    map->count--;
}

void map_free(struct map *map)
{
    free(map->entries);
    *map = (struct map){0};
}
