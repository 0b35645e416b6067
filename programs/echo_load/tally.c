/* tally.c -- see tally.h */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "programs/echo_load/tally.h"

enum { TOLD_MOST = 5 };

static volatile LONG troubles; /* interlocked */

void tally_add(struct tally *tally, const char *name, uint64_t count)
{
    for (size_t i = 0; i < tally->len; i++) {
        if (strcmp(tally->entries[i].name, name) == 0) {
            tally->entries[i].count += count;
            return;
        }
    }
    struct tally_entry *grown =
        realloc(tally->entries, (tally->len + 1) * sizeof *grown);
    if (grown == NULL)
        die_call("realloc", WSA_NOT_ENOUGH_MEMORY);
    tally->entries = grown;
    tally->entries[tally->len++] =
        (struct tally_entry){.name = name, .count = count};
}

void tally_merge(struct tally *tally, const struct tally *from)
{
    for (size_t i = 0; i < from->len; i++)
        tally_add(tally, from->entries[i].name, from->entries[i].count);
}

void tally_tell(const char *format, ...)
{
    char text[600];
    if (InterlockedIncrement(&troubles) > TOLD_MOST)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    err_print("%s", text);
}

long tally_untold(void)
{
    return troubles > TOLD_MOST ? troubles - TOLD_MOST : 0;
}
