/* layer.h -- between a program and Windows: counts always, tells when asked
 *
 * Each call of calls.h has a function here that stands in its place: watch_recv()
 * for recv(), with the same arguments, result and last error. How a program comes
 * to call it is watch.h's affair. It takes no lock, waits for nothing, and changes
 * no counter that threads share. Any thread.
 */
#ifndef WATCH_LAYER_H
#define WATCH_LAYER_H

#ifdef TRACE

#include <stdbool.h>

#include "common/log.h"
#include "common/registered_io.h"
#include "common/win.h"

/* The types of a row, as they are needed: the parameters a0, a1 ...; their
 * values as words; and words as values again. */
#define WATCH_COUNT(...)                                                       \
    WATCH_PICK(__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define WATCH_PICK(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, pick,    \
                   ...)                                                        \
    pick
#define WATCH_PASTE(a, b)  WATCH_PASTE_(a, b)
#define WATCH_PASTE_(a, b) a##b

#define WATCH_PARAMS(...)                                                      \
    WATCH_PASTE(WATCH_P, WATCH_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define WATCH_P1(a)                      a a0
#define WATCH_P2(a, b)                   WATCH_P1(a), b a1
#define WATCH_P3(a, b, c)                WATCH_P2(a, b), c a2
#define WATCH_P4(a, b, c, d)             WATCH_P3(a, b, c), d a3
#define WATCH_P5(a, b, c, d, e)          WATCH_P4(a, b, c, d), e a4
#define WATCH_P6(a, b, c, d, e, f)       WATCH_P5(a, b, c, d, e), f a5
#define WATCH_P7(a, b, c, d, e, f, g)    WATCH_P6(a, b, c, d, e, f), g a6
#define WATCH_P8(a, b, c, d, e, f, g, h) WATCH_P7(a, b, c, d, e, f, g), h a7
#define WATCH_P9(a, b, c, d, e, f, g, h, i)                                    \
    WATCH_P8(a, b, c, d, e, f, g, h), i a8
#define WATCH_P10(a, b, c, d, e, f, g, h, i, j)                                \
    WATCH_P9(a, b, c, d, e, f, g, h, i), j a9
#define WATCH_P11(a, b, c, d, e, f, g, h, i, j, k)                             \
    WATCH_P10(a, b, c, d, e, f, g, h, i, j), k a10
#define WATCH_P12(a, b, c, d, e, f, g, h, i, j, k, l)                          \
    WATCH_P11(a, b, c, d, e, f, g, h, i, j, k), l a11

/* What begins a thread. */
typedef unsigned __stdcall watch_start(void *arg);

enum trace_id {
#define CALL(name, ...)      TRACE_##name,
#define CALL_VOID(name, ...) TRACE_##name,
#define CALL_NONE(name, ...) TRACE_##name,
#include "watch/calls.h"
    TRACE_IDS
};

#define CALL(name, dll, result, types, ...)                                    \
    result WINAPI watch_##name(WATCH_PARAMS types);
#define CALL_VOID(name, dll, types, ...)                                       \
    void WINAPI watch_##name(WATCH_PARAMS types);
#define CALL_NONE(name, dll, result, ...) result WINAPI watch_##name(void);
#include "watch/calls.h"

/* Set once by trace_begin(), before there is another thread. */
extern bool trace_on;

/* Somebody wants to know where calls are made. Set like trace_on. */
extern bool watch_places;

/* The next call of this thread that is watched stands here in the source, with
 * these arguments. The strings have to last. */
void watch_at(const char *file, const char *function, int line,
              const char *arguments);

/* Start to tell and to keep what is called from now on; with neither, nothing
 * but the counting is done. `file` (or NULL) ends in .json or .jsonl, which
 * args_parse() has made sure of. Ends the process with EXIT_LISTEN when the
 * file cannot be written. The trace ends with the process, however that ends.
 * Main thread, once. The strings have to last. */
void trace_begin(const char *model, bool narrate, const char *file);

/* Enforce Windows' rules from now on: strict.h. Ends the process with EXIT_USAGE
 * when `options` are not understood; with a NULL nothing is done. Main thread,
 * once, after trace_begin(). */
void strict_begin(const char *options);

/* This socket is the listener. Returns it. */
SOCKET trace_listener(SOCKET sock);

/* The connection from this peer has the number that it has in the log. Without
 * that, connections are numbered in the order in which they come. */
void trace_opened(const struct log_conn *log,
                  const struct sockaddr_storage *peer);

/* The function that stops the server, on a thread that is nobody else's. Returns
 * what is to be called instead. Once. */
typedef void trace_wake(void *arg);
trace_wake *trace_stop(trace_wake *wake);

/* Print a table of the calls made so far: how many, how many of them were made
 * for echoes, and these per echo. The others belong to the start, the stop, and
 * clients that come and go. */
void trace_summary(unsigned long long echoes);

#endif
#endif
