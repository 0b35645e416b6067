/* strict_state.h -- what the files of strict have in common
 *
 * All of it is under one lock: strict looks for mistakes, not for speed.
 */
#ifndef WATCH_STRICT_STATE_H
#define WATCH_STRICT_STATE_H

#include "watch/real.h"
#include "watch/strict.h"

#ifdef TRACE

enum { STRICT_RULES = 21 };

/* Where and by which call something was done. */
struct strict_spot {
    const char *call;
    struct trace_place place;
    const void *from; /* where the program goes on */
};

/* One operation. */
struct strict_op {
    OVERLAPPED ov;      /* the system's; first */
    OVERLAPPED *theirs; /* the program's, which it has to leave alone: */
    OVERLAPPED posted;  /* as it was when the operation began */
    enum trace_id id;
    enum {
        OP_FLYING,
        OP_TOLD, /* done at once, and its packet or routine is still to come */
        OP_OVER
    } state;
    LONG held; /* by the call that began it, by whoever hears of its end ... */
    bool spoiled; /* its OVERLAPPED has been used for another one */
    bool packet;  /* its end is told by a port, a routine or the pool */
    bool stays;   /* ... by a port or the pool: the thread may end */
    unsigned reaped;
    unsigned char poison;
    DWORD tid;
    ULONG_PTR sock;
    ULONG_PTR newcomer; /* of AcceptEx() */
    unsigned long long number;
    struct strict_spot began;
    struct strict_spot reaper;
    WSABUF *bufs; /* the program's */
    DWORD count;
    WSABUF own;
    char *saved; /* what was in the program's buffer */
    DWORD len;   /* told by the call itself */
    struct strict_op *next;
    struct strict_op *prev;
};

struct strict_sock {
    ULONG_PTR sock;
    unsigned long long number; /* of the connection; 0: none */
    char peer[64];
    unsigned choices;
    bool closed;
    bool non_blocking;
    bool registered; /* WSAAsyncSelect() or WSAEventSelect() */
    bool half;       /* from AcceptEx(), which is not all */
    bool bound;
    bool reuse;
    bool port;        /* of a completion port or of the pool */
    bool skips;       /* no packet for what is done at once */
    bool refused[2];  /* recv(), send(): the last one had to wait, by us */
    bool recv_failed; /* told by WSAGetOverlappedResult() */
    HWND window;
    HANDLE event;
    long mask;
    bool shut;       /* by the program, for sending */
    bool close_told; /* FD_CLOSE, by us */
    char *ahead;     /* what the program has not asked for yet */
    size_t ahead_len;
    size_t ahead_at;
    int ahead_error; /* and what came then */
    UINT message;
    unsigned inside; /* threads that are in a call that may wait */
    struct strict_spot in;
    size_t owed_len; /* the first bytes of what a short send has left over */
    char owed[64];
    struct strict_spot spot; /* of closed, reuse, recv_failed, owed or port */
    struct strict_op *ops;
};

extern SRWLOCK strict_lock;

/* What is known of a socket; made when it is not there. NULL: no memory. Under
 * strict_lock, as all that follows. */
struct strict_sock *strict_sock_of(ULONG_PTR sock);
/* The same, but it is not made. */
struct strict_sock *strict_sock_known(ULONG_PTR sock);
/* The value belongs to a new socket. */
struct strict_sock *strict_sock_new(ULONG_PTR sock);
/* Go on with each socket there is, from *at = 0; NULL at the end. */
struct strict_sock *strict_sock_next(size_t *at);

struct strict_spot strict_spot_of(const struct trace_call *call);

/* Is this rule looked at? And a number below `of`, or once in `of` times true. */
bool strict_has(int rule);
unsigned strict_number(struct strict_sock *s, unsigned of);
bool strict_chance(int rule, struct strict_sock *s, unsigned of);

/* Tell it: `where` is the call that breaks the rule, or NULL, `before` what came
 * before it, or NULL, whose relation to it is `how`. */
void strict_broken(int rule, unsigned long long number,
                   const struct strict_spot *where,
                   const struct strict_spot *before, const char *how,
                   const char *what, const char *windows);

/* A connection has come. */
void strict_newcomer(struct strict_sock *s);

/* The rules of calls; without the lock. */
bool strict_call_begins(struct trace_call *call, ULONG_PTR *w);

/* What is told of sockets. */
bool strict_ahead(struct strict_sock *s, struct trace_call *call);
void strict_told_events(struct strict_sock *s, struct trace_call *call);
void strict_told_message(struct trace_call *call);
void strict_look_at_close(struct strict_sock *s, const struct trace_call *call);
/* Say FD_READ of the socket. */
void strict_post(HWND window, UINT message, SOCKET sock);

/* The rules of operations. */
bool strict_op_begins(struct trace_call *call, ULONG_PTR *w);
LONG_PTR strict_op_ends(struct trace_call *call, LONG_PTR result);
void strict_op_asked(struct trace_call *call, ULONG_PTR *w);
void strict_op_posted(struct trace_call *call);
/* Before closesocket(). True: Windows would send a reset. */
bool strict_op_closes(struct strict_sock *s, const struct trace_call *call);
/* Is it in the buffer of a receive in flight on this socket? Or NULL. */
const struct strict_op *strict_op_at(const struct strict_sock *s,
                                     const char *bytes, size_t len);

#endif
#endif
