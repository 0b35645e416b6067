/* echo_load_conn.h -- one connection of echo_load
 *
 *   NONE -> CONNECTING -> OPEN -> (HALF_CLOSED ->) CLOSING -> NONE
 *
 * All calls belong to the thread of its worker.
 */
#ifndef CLIENT_ECHO_LOAD_CONN_H
#define CLIENT_ECHO_LOAD_CONN_H

#include "client/echo_load_worker.h"

enum conn_state {
    CONN_NONE,
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_HALF_CLOSED, /* we have said all, and wait for the server's end */
    CONN_CLOSING      /* cancelled; waits for the packets still to come */
};

/* One operation. While it is pending, ov and its bytes are the system's. */
struct op {
    OVERLAPPED ov;
    bool pending;
};

struct conn {
    struct op in;  /* WSARecv(), always pending while echoes are */
    struct op out; /* ConnectEx(), later a WSASend() that had to wait */
    SOCKET sock;
    enum conn_state state;
    bool given_up;     /* it failed, or the run is over: not used again */
    uint64_t serial;   /* the 17 of "connection 17" */
    uint64_t dialed;   /* when the connect began */
    uint64_t progress; /* the last sign of life */

    /* Counted in bytes of the stream; back <= handed <= asked. */
    uint64_t asked;  /* to be sent */
    uint64_t handed; /* taken by the system */
    uint64_t back;   /* received, and right */

    uint64_t *from; /* echo n began at from[n % pipeline] */
    char *buf;

    /* In the worker's list of those that are free for an echo. */
    bool idle;
    uint64_t ready_at;
    struct conn *next_idle;
};

/* Bytes that one WSARecv() takes: all that may be on its way and one more, so
 * that one byte too many is seen; but not more than is any use. */
size_t conn_buffer_size(const struct load_options *options);

/* Begin to connect. With --churn that is also the beginning of its one echo,
 * which counts from `from`. */
void conn_open(struct worker *w, struct conn *c, uint64_t from);

/* Begin one echo, which counts from `from`; as many as the pipeline takes when
 * there is no rate to keep. Only if OPEN, with room in its pipeline. */
void conn_echo(struct worker *w, struct conn *c, uint64_t from);

/* A packet has come for it. */
void conn_packet(struct worker *w, struct conn *c, OVERLAPPED *ov, DWORD len,
                 bool ok);

/* Begin nothing new: close, as soon as all that is owed is back. */
void conn_drain(struct worker *w, struct conn *c);

/* Has it been silent for too long? */
void conn_check(struct worker *w, struct conn *c, uint64_t now);

/* For conn.c: `c` is free for an echo from `ready_at` on. Begin what is due. */
void worker_idle(struct worker *w, struct conn *c, uint64_t ready_at);
void worker_pump(struct worker *w);

#endif
