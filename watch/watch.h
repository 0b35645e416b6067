/* watch.h -- follow what a server asks of Windows; include it last
 *
 * From here on `recv(...)` calls watch_recv() with the arguments as written, and
 * that calls Winsock's own recv(). In between the call is counted and, when that
 * was asked for, told: --trace tells it on standard error, --trace-file keeps it
 * (docs/tracing.md). Nothing else in a server knows of it. Built with PLAIN=1
 * this file does nothing at all; `gcc -E` shows the difference.
 *
 * No argument may itself contain a call that is watched: the place in the source
 * is that of the last one. tests/static/shape.py sees to it.
 */
#ifndef WATCH_WATCH_H
#define WATCH_WATCH_H

#ifdef TRACE

#include "watch/faults.h"
#include "watch/faulty.h"
#include "watch/layer.h"

#define WATCH_HERE(text)                                                       \
    (watch_places ? watch_at(__FILE__, __func__, __LINE__, text) : (void)0)
#define WATCH(name, text)          (WATCH_HERE(text), watch_##name)
#define WATCH_POINTER(given, text) (WATCH_HERE(text), given)

/* A #define for each row of calls.h, made by the Makefile:
 * #define recv(...) WATCH(recv, #__VA_ARGS__)(__VA_ARGS__) */
#include "watch/redirect.h"

/* What our servers have in common/ is told here, too: who the listener is, the
 * number of a connection in the log, how many echoes there were, on which thread
 * the server is stopped, and when it begins to serve. */
#define log_begin(model, args)                                                 \
    (faults_begin(NULL), log_begin(model, args),                               \
     trace_begin((model)->name, (args)->trace, (args)->trace_file),            \
     strict_begin((args)->strict))
#define net_listen(args)      (WATCH_HERE(#args), trace_listener(net_listen(args)))
#define stop_begin(wake, ...) stop_begin(trace_stop(wake), __VA_ARGS__)
#define log_ready(...)        (faults_serving(), log_ready(__VA_ARGS__))
#define log_opened(log, peer)                                                  \
    (log_opened(log, peer), WATCH_HERE(#log), trace_opened(log, peer))
#define log_summary() (log_summary(), trace_summary(log_echoes()))

#endif
#endif
