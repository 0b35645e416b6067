/* record.h -- from the threads that call to the one that writes
 *
 * For this folder only. Each thread puts its records into a
 * ring of its own, one thread takes them out of all rings and writes them: so
 * no thread that serves a client waits for a lock or for a disk.
 */
#ifndef WATCH_RECORD_H
#define WATCH_RECORD_H

#include <stddef.h>

#include "watch/layer.h"

#ifdef TRACE

/* A row of calls.h. */
struct watched {
    const char *name;
    const char *args;
    enum {
        TOLD_OK,
        TOLD_NOTHING,
        TOLD_NUMBER,
        TOLD_BYTES,
        TOLD_POSTED,
        TOLD_SOCKET,
        TOLD_EVENT,
        TOLD_SETS,
        TOLD_READY,
        TOLD_RESULTS,
        TOLD_MESSAGE,
        TOLD_PEEKED,
        TOLD_SLOT,
        TOLD_WAIT,
        TOLD_SLEEP,
        TOLD_PACKET,
        TOLD_PACKETS,
        TOLD_EVENTS,
        TOLD_REAPED
    } told;
    enum {
        FAILS_NEVER,
        FAILS_MINUS_1,
        FAILS_ZERO,
        FAILS_WAIT,
        FAILS_NOT_0
    } fails;
    enum {
        WAITS_NOT,
        WAITS_ALWAYS,
        WAITS_BLOCKING,
        WAITS_UNPOSTED,
        WAITS_LAST,
        WAITS_IF_3,
        WAITS_MODEL,
        WAITS_MODEL_IF_3
    } waits;
    int operation; /* 0: the call begins none */
};

/* The last one, TRACE_IDS, is of records that are no call. */
extern const struct watched watched[TRACE_IDS + 1];

/* The number of the argument that is a completion routine, or 0. */
static inline int watched_routine(enum trace_id id)
{
    return watched[id].told == TOLD_POSTED && watched[id].fails == FAILS_MINUS_1
               ? watched[id].operation + 1
               : 0;
}

/* Does the call take a message out of the queue, or does it hand one on? */
static inline bool watched_takes(enum trace_id id)
{
    return watched[id].told == TOLD_MESSAGE || watched[id].told == TOLD_PEEKED;
}
static inline bool watched_dispatches(enum trace_id id)
{
    return watched[id].args[0] == 'M';
}

/* No call has more arguments, and none tells more by what it writes. Of the
 * bytes that are sent or received, so many are told. */
enum { TRACE_NAME_SIZE = 32 };
enum { TRACE_ARGS = 12, TRACE_OUT = 4, TRACE_TEXT = 16 };

/* Where in the source something is done. */
struct trace_place {
    const char *file;
    const char *function;
    int line;
};

/* Of the sets of select() and the events of a wait, so many are kept. */
enum { TRACE_LIST_MOST = 64 };

enum trace_kind {
    RECORD_PAD,      /* nothing: the rest of the ring is too short */
    RECORD_CALL,     /* a call, from its begin to its end */
    RECORD_WAIT,     /* a call that may wait has begun */
    RECORD_WOKE,     /* and is over */
    RECORD_DONE,     /* a completion runs: OVERLAPPED, bytes; a routine of the
                         server, or a callback of the thread pool */
    RECORD_APC,      /* a function that was queued runs; source begins with its
                         name */
    RECORD_LEAVE,    /* a callback has returned to the thread pool */
    RECORD_NEWCOMER, /* args[0] is a SOCKET, list its peer */
    RECORD_OPENED,   /* args[0] is a number in the log, list a peer */
    RECORD_LISTENER, /* args[0] is a SOCKET */
    RECORD_THREAD    /* text is the name of this thread, if it has one */
};

struct trace_record {
    unsigned size; /* in bytes, with the lists */
    enum trace_kind kind;
    enum trace_id id;
    unsigned depth; /* how many waits of this thread are open around it */
    /* The order of all records, without a gap: 0, 1, 2... For a call it is the
     * order in which they began. */
    LONG64 seq;
    /* 0, or one more than the seq of a call of this thread that is not over:
     * on Windows some calls wait alertably inside, and an APC may run there.
     * That call is recorded after what ran in it. */
    LONG64 inside;
    LONG64 began; /* clock_ns() */
    LONG64 ended;
    const void *caller; /* the address that a call returns to */
    struct trace_place place;
    const char *source;
    LONG64 result;
    DWORD error;
    ULONG_PTR args[TRACE_ARGS];
    ULONG_PTR out[TRACE_OUT]; /* what the call wrote; see trace.c */
    unsigned text_len;
    char text[TRACE_TEXT]; /* the first bytes that were sent or received */
    unsigned list_len[2];  /* all of them; in `list`, what was kept */
    ULONG_PTR list[];
};

enum {
    TRACE_RECORD_MOST =
        sizeof(struct trace_record) + 2 * TRACE_LIST_MOST * sizeof(ULONG_PTR)
};

/* A ring of records. Its thread alone moves `head`, the writer alone moves
 * `tail`; both only grow, and what lies between them is not read yet. */
enum { TRACE_RING_SIZE = 256 * 1024 }; /* a power of two */

struct trace_ring {
    struct trace_ring *next; /* never taken out of the list */
    DWORD tid;
    volatile LONG64 head;
    volatile LONG64 tail;
    volatile LONG dropped; /* records there was no room for */
    unsigned depth;        /* the thread's own: waits that are open */
    LONG64 open;           /* likewise: what `inside` is for its records */
    unsigned owed;         /* likewise: calls that have a number, no record */
    LONG dropped_told;     /* the writer's own, like what follows */
    struct trace_thread *thread;
    char bytes[TRACE_RING_SIZE];
};

/* Argument number `index` of a call, counted from 0, as it stands in the source.
 * Not terminated. */
const char *trace_argument(const char *source, unsigned index, size_t *len);

/* All rings, the newest first. */
extern struct trace_ring *volatile trace_rings;

/* Set when the state of events is asked for: that costs a call for each. */
extern bool trace_event_flags;

/* Start the thread that writes; ends the process when it cannot. It is woken
 * with trace_writer_wake(), by a thread that has just moved its `head`. */
void trace_writer_begin(const char *model, bool narrate, const char *file_name);
void trace_writer_wake(void);

/* Write what there is, and nothing more from then on. Any thread, as often as it
 * likes. */
void trace_writer_end(void);

#endif
#endif
