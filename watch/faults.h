/* faults.h -- calls that fail when a test says so
 *
 * Told by the environment, WATCH_FAULTS=call=recv,every=5,code=WSAENOBUFS, with
 *
 *   call=NAME    a row of calls.h, or malloc and the others of faulty.h; or an
 *                answer that Windows gives and Wine does not: FD_CLOSE, APC,
 *                POLLHUP, PENDING, MIXED, AT_ONCE or GROUPS, see faults.c
 *   every=N      while it serves, each time of such a number fails
 *   at=N         while it starts, the time of that number fails
 *   code=CODE    the error, by name or number; otherwise the first of codes.h
 *   while=FILE   while it serves, and there is such a file, each time fails, or
 *                with `every` each time of such a number. It comes last.
 *
 * A line "fault: recv" on standard error tells of each call that failed. The
 * pool of threads has its books checked as long as WATCH_FAULTS is there at all.
 */
#ifndef WATCH_FAULTS_H
#define WATCH_FAULTS_H

#ifdef TRACE

#include <stdbool.h>

#include "common/win.h"

/* Set by faults_begin(), before there is another thread. */
extern bool faults_on;

/* `wish` is what WATCH_FAULTS is otherwise asked for, or NULL. Ends the process
 * with EXIT_USAGE when it is not understood. Main thread, once. */
void faults_begin(const char *wish);

/* The program is ready: from now on `every` counts, and `at` no more. */
void faults_serving(void);

/* Shall this call, of a file that is not watched, fail? Then the last error is
 * set. */
bool faults_strike(const char *call);

/* For this folder only, each only with faults_on. */
struct trace_call;

/* True: the call is not to be made; call->instead and the last error are set. */
bool faults_instead(struct trace_call *call);

/* What the program gets of a call that was made. */
LONG_PTR faults_changed(struct trace_call *call, LONG_PTR result);

/* A callback of this PTP_IO begins, or has returned. */
void faults_callback(PTP_IO io, bool begins);

#endif
#endif
