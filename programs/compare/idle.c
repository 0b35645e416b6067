/* idle.c -- see idle.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "programs/compare/idle.h"

bool idle_open(struct idle *idle, const struct running *running, size_t count,
               char *why, size_t size)
{
    *idle = (struct idle){.socks = calloc(count, sizeof *idle->socks)};
    if (idle->socks == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    while (idle->count < count) {
        SOCKET sock = subject_dial(running, why, size);
        if (sock == INVALID_SOCKET)
            break;
        idle->socks[idle->count++] = sock;
    }
    if (idle->count == count && subject_ping(idle->socks[count - 1], why, size))
        return true;
    size_t len = strlen(why);
    snprintf(why + len, size - len, " (client %zu of %zu)", idle->count, count);
    return false;
}

void idle_close(struct idle *idle)
{
    for (size_t i = 0; i < idle->count; i++)
        closesocket(idle->socks[i]);
    free(idle->socks);
    *idle = (struct idle){0};
}
