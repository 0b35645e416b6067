/* caller.h -- what the layer keeps for each thread that calls
 *
 * For this folder only. Nothing here is shared between threads while calls are
 * made: each thread counts for itself, and the counts are added up when they
 * are read.
 */
#ifndef WATCH_CALLER_H
#define WATCH_CALLER_H

#include "watch/record.h"

#ifdef TRACE

#include "common/map.h"

/* A turn is what a thread does from the beginning of one wait to the beginning
 * of the next. It belongs to an echo when bytes came or went in it. The calls of
 * all other turns are for the start, the stop, and clients that come and go. */
enum { OTHERS, ECHOES, THIS_TURN, KINDS };

struct caller {
    LONG64 calls[KINDS][TRACE_IDS];
    bool echo;           /* bytes came or went in this turn */
    bool only_wait;      /* nothing was called in it but the wait */
    int kind_before;     /* ECHOES or OTHERS: the turn before this one */
    bool waited;         /* the thread has called something that only waits */
    struct map routines; /* OVERLAPPED -> completion routine of the program */
    struct trace_ring *ring;    /* made at the first record; it stays */
    char name[TRACE_NAME_SIZE]; /* of the thread, when it is known */
    ULONG_PTR began_in;         /* else the function in which it began, or 0 */
    struct trace_place here;    /* see watch_at() */
    const char *source;
    ULONG_PTR refused; /* under strict: the socket that had to wait just now */
    ULONG_PTR close_told; /* ... the one whose close was told just now */
    bool in_call;         /* ... a call is made in which an APC may run */
    unsigned interrupted; /* ... functions that run inside such a call */
    unsigned nested;      /* ... waits that let them run */
    struct caller *next;  /* under a lock of caller.c */
    struct caller *prev;
};

/* Before the first call. Main thread. */
void caller_begin(void);

/* This thread's own, made at its first call; NULL when there is no memory, and
 * then that is counted. May change the last error. */
struct caller *caller_mine(void);

/* Count one call; a wait begins a new turn. */
void caller_count(struct caller *mine, enum trace_id id);

/* A new turn begins, though none of the calls that are watched waits: the thread
 * pool waits for its threads. */
void caller_turn(struct caller *mine);

#endif
#endif
