/* real.h -- Windows' own functions, from inside the layer
 *
 * For this folder only. In our servers recv() is Winsock's, as for anybody: only
 * the servers' files see the #defines of watch.h. In libwatch.a the name recv
 * itself is the layer's, so Winsock's is asked for at run time.
 */
#ifndef WATCH_REAL_H
#define WATCH_REAL_H

#include "watch/layer.h"

#ifdef TRACE

#ifdef WATCH_LIBRARY

/* Filled before the first call. */
extern struct watch_real {
#define CALL(name, dll, result, types, ...) result(WINAPI *name) types;
#define CALL_VOID(name, dll, types, ...)    void(WINAPI * name) types;
#define CALL_NONE(name, dll, result, ...)   result(WINAPI *name)(void);
#include "watch/calls.h"
} watch_real;

#define REAL(name) watch_real.name

/* Before anything else is done. Any thread, as often as it likes. */
void library_begin(void);

/* Before the process ends. Any thread, as often as it likes. */
void library_end(void);

#else

#define REAL(name)      name
#define library_begin() ((void)0)
#define library_end()   trace_writer_end()

#endif
#endif
#endif
