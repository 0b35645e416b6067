/* run.h -- what a run consists of: workers, connections, and figures
 *
 *   [worker 0]  one completion port, every second connection, its own figures
 *   [worker 1]  the same; nothing is shared, so nothing has to be locked
 *
 * A run has four phases, the same for all workers. Every connection is made
 * first; when the last worker has made its own, they begin together:
 *
 *   RAMP: connect    ->  RUN: warm-up, then the measured time
 *                    ->  DRAIN: begin nothing new, await what is owed  ->  end
 *
 * and each connection goes through its own states:
 *
 *   NONE -> CONNECTING -> OPEN -> (HALF_CLOSED ->) CLOSING -> NONE
 */
#ifndef ECHO_LOAD_RUN_H
#define ECHO_LOAD_RUN_H

#include "common/net.h"
#include "programs/echo_load/options.h"
#include "programs/echo_load/tally.h"
#include "programs/harness/histogram.h"
#include "common/win.h"

enum { LOAD_WORKERS = 2 };

enum phase { PHASE_RAMP, PHASE_RUN, PHASE_DRAIN };

/* An echo counts when it began (with --rate: was due) in the measured time,
 * whenever it came back: to leave out the late ones would make a server look
 * better. For the same reason the latency knows three more kinds, which are no
 * echoes of this time: those that began in the warm-up and were still owed when
 * the time ended, those that never came, and those that were due and could not
 * begin. The last two have the age that they had when we gave up. */
struct results {
    uint64_t echoes;
    uint64_t connects;     /* in the measured time */
    uint64_t all_connects; /* from the beginning */
    uint64_t all_echoes;
    uint64_t lost;        /* echoes that did not come, or came wrong */
    uint64_t wrong_bytes; /* altered, missing or too many */
    uint64_t waiting;     /* in the latency, and not in echoes */
    uint64_t skipped;     /* were due, but no connection was free to the end */
    struct tally errors;
    struct histogram *latency;
    struct histogram *connect;
};

enum conn_state {
    CONN_NONE,
    CONN_CONNECTING,
    CONN_OPEN,
    CONN_HALF_CLOSED, /* we have sent all, and wait for the server's end */
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

    uint64_t got;    /* echoes that came back in the measured time */
    uint64_t first;  /* when the first of these came */
    uint64_t waited; /* at its end, and in it, for the next one that is owed */

    /* In the worker's list of those that are free for an echo. */
    bool idle;
    uint64_t ready_at;
    struct conn *next_idle;
};

struct run;

struct worker {
    struct run *run;
    unsigned index;
    HANDLE port;
    HANDLE thread;
    volatile LONG64 done; /* echoes so far, written here, read by main */

    /* All else is the worker's own until its thread has ended. */
    enum phase phase;
    bool ready; /* all connects have ended, in RAMP */
    struct conn *conns;
    size_t count;   /* of conns */
    uint64_t *from; /* theirs, and their buffers */
    char *buffers;
    size_t next;       /* the first that has not been tried yet */
    size_t connecting; /* in RAMP */
    size_t live;       /* not given up */
    struct conn *idle; /* free for an echo, in the order they became so */
    struct conn *idle_last;
    uint64_t arrivals;    /* echoes that were due, with --rate */
    uint64_t slept_since; /* while an echo waits for its time */
    uint64_t next_sweep;
    uint64_t serials; /* connections made so far */
    uint64_t ended;   /* when DRAIN began; 0 before */
    struct results results;
};

/* One run. Workers only read it, except for the flags; the last three are
 * written by the worker that is ready last, before it tells the others to
 * begin. */
struct run {
    struct load_options options;
    struct sockaddr_storage to;
    int to_len;
    char to_name[NET_NAME_SIZE];
    LPFN_CONNECTEX connect_ex;
    struct worker workers[LOAD_WORKERS];
    unsigned worker_count;
    uint64_t began;             /* the first connect */
    volatile LONG stop;         /* asked to end early */
    volatile LONG out_of_ports; /* and that is why */
    volatile LONG ramping;      /* workers that are not ready yet */
    uint64_t start;             /* 0: PHASE_RUN never began */
    uint64_t measure_from;
    uint64_t until;
};

#endif
