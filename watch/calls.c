/* calls.c -- see calls.h and record.h */
#include "common/win.h"

#include "watch/trace.h"

#ifdef TRACE

#include "watch/record.h"

const struct watched watched[TRACE_IDS + 1] = {
#define X(name, args, told, fails, waits, operation)                           \
    {#name, args, TOLD_##told, FAILS_##fails, WAITS_##waits, operation},
    TRACE_CALLS(X)
#undef X
};

#endif
