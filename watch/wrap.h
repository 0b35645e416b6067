/* wrap.h -- how a row of calls.h becomes a function
 *
 * For this folder only.
 */
#ifndef WATCH_WRAP_H
#define WATCH_WRAP_H

#include "watch/call.h"
#include "watch/real.h"

#ifdef TRACE

/* Around the real call. `w` are the arguments on their way to Windows, and may be
 * changed. False: the call is not to be made, and call->instead is what it gives,
 * with the last error. The second returns what the program gets. */
bool wrap_begins(struct trace_call *call, enum trace_id id, ULONG_PTR *w);
LONG_PTR wrap_ends(struct trace_call *call, const ULONG_PTR *w,
                   LONG_PTR result);

/* The arguments as words, and as what they were. */
#define WORDS(...)                        WATCH_PASTE(W, WATCH_COUNT(__VA_ARGS__))
#define W1                                (ULONG_PTR) a0
#define W2                                W1, (ULONG_PTR)a1
#define W3                                W2, (ULONG_PTR)a2
#define W4                                W3, (ULONG_PTR)a3
#define W5                                W4, (ULONG_PTR)a4
#define W6                                W5, (ULONG_PTR)a5
#define W7                                W6, (ULONG_PTR)a6
#define W8                                W7, (ULONG_PTR)a7
#define W9                                W8, (ULONG_PTR)a8
#define W10                               W9, (ULONG_PTR)a9
#define W11                               W10, (ULONG_PTR)a10
#define W12                               W11, (ULONG_PTR)a11
#define VALUES(...)                       WATCH_PASTE(V, WATCH_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define V1(a)                             (a) w[0]
#define V2(a, b)                          V1(a), (b)w[1]
#define V3(a, b, c)                       V2(a, b), (c)w[2]
#define V4(a, b, c, d)                    V3(a, b, c), (d)w[3]
#define V5(a, b, c, d, e)                 V4(a, b, c, d), (e)w[4]
#define V6(a, b, c, d, e, f)              V5(a, b, c, d, e), (f)w[5]
#define V7(a, b, c, d, e, f, g)           V6(a, b, c, d, e, f), (g)w[6]
#define V8(a, b, c, d, e, f, g, h)        V7(a, b, c, d, e, f, g), (h)w[7]
#define V9(a, b, c, d, e, f, g, h, i)     V8(a, b, c, d, e, f, g, h), (i)w[8]
#define V10(a, b, c, d, e, f, g, h, i, j) V9(a, b, c, d, e, f, g, h, i), (j)w[9]
#define V11(a, b, c, d, e, f, g, h, i, j, k)                                   \
    V10(a, b, c, d, e, f, g, h, i, j), (k)w[10]
#define V12(a, b, c, d, e, f, g, h, i, j, k, l)                                \
    V11(a, b, c, d, e, f, g, h, i, j, k), (l)w[11]

#ifdef _MSC_VER
#define CALLER _ReturnAddress()
#else
#define CALLER __builtin_return_address(0)
#endif

/* Let the APCs run that are due, as a call does that waits alertably inside. By
 * SleepEx(), which is asked for at run time: only a server that calls it itself
 * shall import it. */
void wrap_run_apcs(void);

/* What WSAIoctl() gave to the program, which has our functions instead. All
 * sockets of a program have one provider. */
extern struct watch_given {
#define CALL(...)
#define CALL_VOID(...)
#define CALL_NONE(...)
#define CALL_POINTER(name, pointer, result, types, ...)                        \
    result(WINAPI *name) types;
#include "watch/calls.h"
} watch_given;

#define FUNCTION(real, name, result, types)                                    \
    result WINAPI watch_##name(WATCH_PARAMS types)                             \
    {                                                                          \
        struct trace_call call = {.caller = CALLER};                           \
        ULONG_PTR w[TRACE_ARGS] = {WORDS types};                               \
        LONG_PTR value = wrap_begins(&call, TRACE_##name, w)                   \
                             ? (LONG_PTR)real(VALUES types)                    \
                             : call.instead;                                   \
        return (result)wrap_ends(&call, w, value);                             \
    }

#define FUNCTION_VOID(name, types)                                             \
    void WINAPI watch_##name(WATCH_PARAMS types)                               \
    {                                                                          \
        struct trace_call call = {.caller = CALLER};                           \
        ULONG_PTR w[TRACE_ARGS] = {WORDS types};                               \
        if (wrap_begins(&call, TRACE_##name, w))                               \
            REAL(name)(VALUES types);                                          \
        wrap_ends(&call, w, 0);                                                \
    }
#define FUNCTION_NONE(name, result)                                            \
    result WINAPI watch_##name(void)                                           \
    {                                                                          \
        struct trace_call call = {.caller = CALLER};                           \
        ULONG_PTR w[TRACE_ARGS] = {0};                                         \
        LONG_PTR value = wrap_begins(&call, TRACE_##name, w)                   \
                             ? (LONG_PTR)REAL(name)()                          \
                             : call.instead;                                   \
        return (result)wrap_ends(&call, w, value);                             \
    }

#endif
#endif
