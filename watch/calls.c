/* calls.c -- see calls.h and record.h */
#include "common/win.h"

#include "watch/layer.h"

#ifdef TRACE

#include "watch/record.h"

const struct watched watched[TRACE_IDS + 1] = {
#define ROW(name, args, told, fails, waits, operation)                         \
    {#name, args, TOLD_##told, FAILS_##fails, WAITS_##waits, operation},
#define CALL(name, dll, result, types, ...) ROW(name, __VA_ARGS__)
#define CALL_VOID(name, dll, types, ...)    ROW(name, __VA_ARGS__)
#define CALL_NONE(name, dll, result, ...)   ROW(name, __VA_ARGS__)
#include "watch/calls.h"
};

const char *trace_argument(const char *source, unsigned index, size_t *len)
{
    const char *from = source;
    int depth = 0;
    for (const char *at = source;; at++) {
        depth += (*at == '(') - (*at == ')');
        if (*at != '\0' && (*at != ',' || depth > 0))
            continue;
        if (index-- == 0 || *at == '\0') {
            *len = (size_t)(at - from);
            return from;
        }
        from = at + 1;
        from += *from == ' ';
    }
}

#endif
