/* state.h -- what the records say about the server, put together
 *
 * For this folder only, and only for the thread that writes the trace: it
 * applies every record in order, and so knows after each of them which clients are
 * connected, which operations are in flight and what each thread waits for.
 */
#ifndef WATCH_STATE_H
#define WATCH_STATE_H

#include "watch/record.h"

#ifdef TRACE

#include "common/map.h"

enum { TRACE_DEPTH_MOST = 4, TRACE_PEER_SIZE = 64 };

/* A handle that has a name: "#17", "listener", "wake". An event has the name
 * of the socket it belongs to. */
struct trace_handle {
    ULONG_PTR handle;
    ULONG_PTR owner;       /* of an event: the socket; else 0 */
    bool of_owner;         /* the name is that of the socket */
    unsigned long long id; /* of a connection: its number; else 0 */
    bool skips;            /* what is done at once sends it no packet */
    ULONG_PTR interest;    /* what was registered with WSAAsyncSelect() */
    bool of_sockets;       /* of a message: it was given to WSAAsyncSelect() */
    char name[TRACE_NAME_SIZE];
    char peer[TRACE_PEER_SIZE];  /* of a connection; of a listener its own */
    unsigned long accepted_by;   /* the operation that made it, or 0 */
    unsigned long long received; /* bytes, as the server was told */
    unsigned long long sent;
    struct trace_handle *next;
    struct trace_handle *prev;
};

enum trace_op_state {
    OP_PENDING, /* asked for; we were not told yet that it is done */
    OP_DONE,    /* we were told, by a result, an event or a packet */
    OP_REAPED   /* the model has seen how it ended: the buffer is ours again */
};

/* One overlapped operation, the last one of its OVERLAPPED. */
struct trace_op {
    unsigned long number;
    ULONG_PTR ov;
    ULONG_PTR sock;
    enum trace_id id; /* of the call that began it */
    enum trace_op_state state;
    LONG64 began;
    char name[TRACE_NAME_SIZE]; /* of its socket */
    ULONG_PTR accepts;          /* of AcceptEx(): the socket to be connected */
    const char *routine;        /* of the server, as in the source; or NULL */
    size_t routine_len;
    struct trace_op *next;
    struct trace_op *prev;
};

/* A wait that is open. */
struct trace_wait {
    enum trace_id id;
    LONG64 began;
    struct trace_place place;
};

struct trace_thread {
    DWORD tid;
    char name[TRACE_NAME_SIZE];
    unsigned depth; /* open waits; those deeper than the array are not kept */
    struct trace_wait waits[TRACE_DEPTH_MOST];
    bool asleep; /* in the innermost of them, and nothing runs inside it */
    /* Where it was seen last, and on whose behalf. */
    struct trace_place place;
    const char *function; /* not terminated; or NULL */
    size_t function_len;
    ULONG_PTR sock; /* or 0 */
    /* The array of its last WSAWaitForMultipleEvents(). */
    unsigned events;
    ULONG_PTR event[TRACE_LIST_MOST];
    ULONG_PTR signalled; /* a bit for each */
    struct trace_thread *next;
};

/* The sets of select(), in or out. */
struct trace_sets {
    bool known;
    unsigned len[2]; /* read, write */
    unsigned kept[2];
    ULONG_PTR sock[2][TRACE_LIST_MOST];
};

/* A packet, a message or an APC that waits to be taken. */
struct trace_posted {
    enum trace_id id; /* of the call that sent it */
    ULONG_PTR what[2];
    unsigned long number;
    struct trace_posted *next;
};

struct trace_state {
    const char *model;
    DWORD pid;
    LONG64 began;     /* the start of the trace: clock_ns() */
    char *command;    /* the command line, UTF-8 */
    char system[128]; /* see system_name() */
    DWORD processors;
    LONG64 qpc; /* what QueryPerformanceCounter() said at the start */
    LONG64 qpf;

    struct map by_handle;
    struct trace_handle *handles; /* the newest first, like the rest */
    struct map by_ov;
    struct trace_op *ops;
    struct trace_thread *threads;
    unsigned long next_op;
    unsigned long clients;
    bool logged;                /* the connections have the numbers of a log */
    unsigned long long numbers; /* given out, when they have not */
    const struct trace_handle *opened; /* the connection of this record */
    unsigned long pending;             /* operations in flight */

    struct trace_sets asked;
    struct trace_sets answered;
    unsigned long events_made;
    unsigned long messages; /* taken out of the queue */
    ULONG_PTR message[3];   /* the last one */
    unsigned long apcs_queued;
    unsigned long apcs_run;
    unsigned long packets;       /* taken from the port */
    struct trace_posted *posted; /* the oldest first */
    unsigned long next_posted;
    bool port;  /* there is one */
    bool async; /* WSAAsyncSelect() was used */
    bool full;  /* there was no memory for a name or an operation */
};

/* What one record has changed. The operations stay until the next record. */
struct trace_change {
    struct trace_op *begun;
    struct trace_op *ended[TRACE_LIST_MOST / 3];
    unsigned ended_count;
    unsigned long posted[TRACE_LIST_MOST / 3]; /* what was sent, or has come */
    unsigned posted_count;
    bool clients;
    bool thread_named;
};

/* Apply the next record. */
struct trace_change trace_apply(struct trace_state *state,
                                struct trace_thread *thread,
                                const struct trace_record *rec);

/* To be called when the record has been written: what it closed has no name any
 * more, and its value may come back as something else. */
void trace_forget(struct trace_state *state, const struct trace_record *rec);

/* A thread that was not there before; NULL without memory. */
struct trace_thread *trace_thread_new(struct trace_state *state, DWORD tid);

struct trace_handle *trace_handle_of(const struct trace_state *state,
                                     ULONG_PTR handle);
struct trace_op *trace_op_of(const struct trace_state *state, ULONG_PTR ov);

/* The handle by which the name of a message is kept. It is odd, and no handle
 * of Windows is. */
ULONG_PTR trace_message_handle(ULONG_PTR message);

/* The function of the program in which it happened, or NULL. Not terminated. */
const char *trace_function(const struct trace_state *state,
                           const struct trace_record *rec, size_t *len);

/* The name of a function that is argument number `index` of a call: as in the
 * source, or what lies at its address. Not terminated. */
const char *trace_code(const char *source, unsigned index, ULONG_PTR address,
                       size_t *len);

/* Microseconds from the start of the trace. */
double trace_us(const struct trace_state *state, LONG64 ns);

/* Did the call fail, other than by saying that it is not done yet? */
bool trace_failed(const struct trace_record *rec);

/* A post that was accepted: its completion will come. */
bool trace_posted(const struct trace_record *rec);

/* Of such a post: it was done when the call returned. */
bool trace_at_once(const struct trace_record *rec);

#endif
#endif
