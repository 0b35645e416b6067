/* scenario.c -- see scenario.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "programs/compare/scenario.h"

enum { MESSAGE = 64, LARGE = 65536, DEPTH = 8 };

/* All scenarios, in the order of the report. `from` is the first mode that has
 * it: a later mode does all that an earlier one does. */
static const struct {
    struct scenario is;
    enum mode from;
} all[] = {
    {{KIND_ECHO, "echo-1", "1 client, 64 bytes", 1, 0, MESSAGE, 1, 0, 0, false},
     MODE_QUICK},
    {{KIND_ECHO, "echo-16", "16 clients, 64 bytes", 16, 0, MESSAGE, 1, 0, 0,
      false},
     MODE_DEFAULT},
    {{KIND_ECHO, "echo-64", "64 clients, 64 bytes", 64, 0, MESSAGE, 1, 0, 0,
      false},
     MODE_QUICK},
    {{KIND_ECHO, "echo-256", "256 clients, 64 bytes", 256, 0, MESSAGE, 1, 0, 0,
      false},
     MODE_DEFAULT},
    {{KIND_ECHO, "echo-1000", "1,000 clients, 64 bytes", 1000, 0, MESSAGE, 1, 0,
      0, false},
     MODE_QUICK},
    {{KIND_ECHO, "echo-4000", "4,000 clients, 64 bytes", 4000, 0, MESSAGE, 1, 0,
      0, false},
     MODE_FULL},
    {{KIND_SIZE, "size-64", "16 clients, 64 bytes", 16, 0, MESSAGE, 1, 0, 0,
      false},
     MODE_DEFAULT},
    {{KIND_SIZE, "size-1024", "16 clients, 1 KiB", 16, 0, 1024, 1, 0, 0, false},
     MODE_DEFAULT},
    {{KIND_SIZE, "size-8192", "16 clients, 8 KiB", 16, 0, 8192, 1, 0, 0, false},
     MODE_DEFAULT},
    {{KIND_SIZE, "size-65536", "16 clients, 64 KiB", 16, 0, LARGE, 1, 0, 0,
      false},
     MODE_DEFAULT},
    {{KIND_BULK, "bulk", "One bulk stream", 1, 0, LARGE, DEPTH, 0, 0, false},
     MODE_QUICK},
    {{KIND_CHURN, "churn", "16 clients: connect, echo, close", 16, 0, MESSAGE,
      1, 0, 0, false},
     MODE_QUICK},
    {{KIND_IDLE, "idle", "1,000 idle clients, 10 busy ones", 10, 1000, MESSAGE,
      1, 0, 0, false},
     MODE_DEFAULT},
    {{KIND_FLOODS, "floods", "Six floods beside a ping", 1, 6, MESSAGE, 1, 0, 0,
      false},
     MODE_DEFAULT},
};

/* Chooses among the plain echoes: the fewest clients, 64, and the most. */
static void choose_headline(struct scenario *list, size_t count)
{
    size_t most = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i].kind == KIND_ECHO && list[i].clients > list[most].clients)
            most = i;
    for (size_t i = 0; i < count; i++)
        list[i].headline =
            list[i].kind == KIND_ECHO &&
            (list[i].clients == 1 || list[i].clients == 64 || i == most);
}

struct scenario *scenarios_make(const struct options *options, size_t *count)
{
    struct scenario *made = calloc(sizeof all / sizeof all[0], sizeof *made);
    if (made == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    *count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].from > options->mode)
            continue;
        made[*count] = all[i].is;
        made[*count].asked = options->seconds;
        made[(*count)++].seconds = options->seconds;
    }
    choose_headline(made, *count);
    return made;
}

bool scenario_too_short(const struct scenario *s, double echoes, double fewest)
{
    /* With churn there is no turn: each client that comes is a new one. */
    if (s->kind == KIND_CHURN)
        return echoes < 1;
    return echoes < s->clients || (fewest < 1 && s->seconds <= s->asked);
}

bool scenario_lengthen(struct scenario *s)
{
    const double most = 60;
    if (s->seconds >= most)
        return false;
    s->seconds = s->seconds * 4 < most ? s->seconds * 4 : most;
    return true;
}

const char *scenario_kind_name(enum scenario_kind kind)
{
    static const char *const names[] = {"echo",  "size", "bulk",
                                        "churn", "idle", "floods"};
    return names[kind];
}
