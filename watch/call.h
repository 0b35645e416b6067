/* call.h -- one call, on its way through the layer
 *
 * For this folder only. The functions of wrappers.c make one, and what happens
 * before and after the real call is the same for all of them.
 */
#ifndef WATCH_CALL_H
#define WATCH_CALL_H

#include "watch/caller.h"

#ifdef TRACE

/* On the stack of the thread that calls. */
struct trace_call {
    enum trace_id id;
    struct caller *mine;     /* NULL: no memory; the call is just made */
    struct trace_ring *ring; /* where to record it; NULL: nowhere */
    const void *caller;      /* the address that the call returns to */
    struct trace_place place;
    const char *source; /* the arguments as they stand in the source, or NULL */
    bool waits;
    LONG64 seq;
    LONG64 began; /* clock_ns() */
    /* As the program gave them. What an argument points to may belong to the
     * system after the call, or be free already: so it is looked at before. */
    ULONG_PTR args[TRACE_ARGS];
    ULONG_PTR out[TRACE_OUT];
    LONG_PTR instead; /* the result of a call that is not made */
    unsigned text_len;
    char text[TRACE_TEXT];
    /* For strict_ends(), and set by strict_begins(). */
    struct strict_op *op;
    DWORD len;
    bool refuses;
    bool resets;
    bool inside;
    bool in_call;
};

/* Around the real call. Both leave the last error as it was. Of a new call only
 * `caller` and `args` are set; all else is 0. */
void call_begins(struct trace_call *t, enum trace_id id);
void call_ends(struct trace_call *t, LONG_PTR result);

/* Before a function of the program that the system calls. When that is about a
 * completion, so many bytes have come or gone. They leave the last error as it
 * was. */
void call_done(const OVERLAPPED *ov, DWORD len, DWORD error);
void call_apc(const char *source, ULONG_PTR which,
              PAPCFUNC theirs); /* see RECORD_APC */

/* Around a callback of the thread pool: no call that is watched waits for it, so
 * this is where a turn of the thread begins. */
void call_pool(const OVERLAPPED *ov, DWORD len, DWORD error);
void call_pool_leaves(void);

/* At the beginning of a thread. In "worker #" the # stands for a number. */
void call_thread(const char *name);

/* Likewise, when the name of that function is to be looked up. */
void call_thread_in(ULONG_PTR began_in);

#endif
#endif
