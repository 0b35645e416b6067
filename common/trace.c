/* trace.c -- see trace.h */
#include "common/win.h"

#include <stdio.h>

#include "common/trace.h"

#ifdef TRACE

static const char *const names[TRACE_IDS] = {
#define X(name) #name,
    TRACE_CALLS(X)
#undef X
};

static volatile LONG64 counts[TRACE_IDS];

void trace_count(enum trace_id id)
{
    InterlockedIncrement64(&counts[id]);
}

void trace_summary(unsigned long long echoes)
{
    LONG64 all = 0;
    printf("\n  %-28s %12s %10s\n", "Winsock and Win32 calls", "calls",
           "per echo");
    for (int id = 0; id < TRACE_IDS; id++) {
        if (counts[id] == 0)
            continue;
        all += counts[id];
        printf("  %-28s %12lld", names[id], (long long)counts[id]);
        if (echoes > 0)
            printf(" %10.3f", (double)counts[id] / (double)echoes);
        printf("\n");
    }
    printf("  %-28s %12lld", "together", (long long)all);
    if (echoes > 0)
        printf(" %10.3f", (double)all / (double)echoes);
    printf("\n");
}

#endif
