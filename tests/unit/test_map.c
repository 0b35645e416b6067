/* test_map.c -- the hash table against the plainest model there is */
#include "common/win.h"

#include <stdint.h>
#include <string.h>

#include "common/map.h"
#include "tests/unit/unit.h"

static char values[4096]; /* only their addresses matter */

static void empty_map(void)
{
    struct map map = {0};
    CHECK(map_get(&map, 4) == NULL);
    map_remove(&map, 4);
    CHECK_INT(map.count, 0);
    map_free(&map);
    CHECK(map.entries == NULL);
}

static void socket_zero_and_the_largest(void)
{
    struct map map = {0};
    CHECK(map_put(&map, 0, &values[0]));
    CHECK(map_put(&map, INVALID_SOCKET - 1, &values[1]));
    CHECK(map_get(&map, 0) == &values[0]);
    CHECK(map_get(&map, INVALID_SOCKET - 1) == &values[1]);
    CHECK(map_get(&map, 4) == NULL);
    map_remove(&map, 0);
    CHECK(map_get(&map, 0) == NULL);
    CHECK(map_get(&map, INVALID_SOCKET - 1) == &values[1]);
    map_free(&map);
}

static void removing_what_is_not_there(void)
{
    struct map map = {0};
    CHECK(map_put(&map, 100, &values[0]));
    map_remove(&map, 104);
    map_remove(&map, 100);
    map_remove(&map, 100);
    CHECK_INT(map.count, 0);
    map_free(&map);
}

static void same_socket_again_after_removal(void)
{
    struct map map = {0};
    for (size_t i = 0; i < 1000; i++) {
        CHECK(map_put(&map, 256, &values[i]));
        CHECK(map_get(&map, 256) == &values[i]);
        map_remove(&map, 256);
    }
    CHECK_INT(map.count, 0);
    CHECK(map.places <= 64); /* nothing is left behind by removals */
    map_free(&map);
}

static void growth_to_20000(void)
{
    struct map map = {0};
    const size_t many = 20000;
    for (size_t i = 0; i < many; i++)
        CHECK(map_put(&map, 4 * (SOCKET)i, &values[i % sizeof values]));
    CHECK_INT(map.count, many);
    CHECK(map.places >= 2 * many); /* at most half full */
    for (size_t i = 0; i < many; i++)
        CHECK(map_get(&map, 4 * (SOCKET)i) == &values[i % sizeof values]);
    for (size_t i = 0; i < many; i += 2)
        map_remove(&map, 4 * (SOCKET)i);
    for (size_t i = 0; i < many; i++)
        CHECK(map_get(&map, 4 * (SOCKET)i) ==
              (i % 2 ? &values[i % sizeof values] : NULL));
    map_free(&map);
}

/* The model holds, for each of a few keys, the value that was put. Few keys in
 * a small table collide all the time, and the long runs wrap around its end. */
static void random_against_model(void)
{
    enum { KEYS = 200, STEPS = 200000 };
    void *model[KEYS] = {0};
    SOCKET keys[KEYS];
    struct map map = {0};
    size_t count = 0;
    for (unsigned i = 0; i < KEYS; i++)
        keys[i] = ((SOCKET)random_below(1u << 20) << 10) + ((SOCKET)i << 2);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = random_below(KEYS);
        test_note("step %u, key %u", step, i);
        if (!CHECK(map_get(&map, keys[i]) == model[i]))
            break;
        if (model[i] == NULL && random_below(100) < 60) {
            model[i] = &values[random_below(sizeof values)];
            count++;
            CHECK(map_put(&map, keys[i], model[i]));
        } else if (model[i] != NULL) {
            model[i] = NULL;
            count--;
            map_remove(&map, keys[i]);
        }
        if (!CHECK_INT(map.count, count))
            break;
        for (unsigned k = 0; step % 97 == 0 && k < KEYS; k++)
            CHECK(map_get(&map, keys[k]) == model[k]);
    }
    map_free(&map);
}

void test_map(void)
{
    RUN(empty_map);
    RUN(socket_zero_and_the_largest);
    RUN(removing_what_is_not_there);
    RUN(same_socket_again_after_removal);
    RUN(growth_to_20000);
    RUN(random_against_model);
}
