/* echo_load_worker.h -- connections that echo, and what was measured
 *
 *   [worker 0]  one completion port, every second connection, its own figures
 *   [worker 1]  the same; nothing is shared, so nothing has to be locked
 *
 * A run has four phases, the same for all workers. Every connection is made
 * first; when the last worker has made its own, they begin together:
 *
 *   RAMP: connect    ->  RUN: warm-up, then the measured time
 *                    ->  DRAIN: begin nothing new, await what is owed  ->  end
 */
#ifndef CLIENT_ECHO_LOAD_WORKER_H
#define CLIENT_ECHO_LOAD_WORKER_H

#include "client/echo_load_options.h"
#include "client/echo_load_tally.h"
#include "client/histogram.h"
#include "common/net.h"
#include "common/win.h"

enum { LOAD_WORKERS = 2 };

enum phase { PHASE_RAMP, PHASE_RUN, PHASE_DRAIN };

/* An echo counts when it began (with --rate: was due) in the measured time,
 * whenever it came back: leaving out the late ones would flatter a server. */
struct results {
    uint64_t echoes;
    uint64_t connects;     /* in the measured time */
    uint64_t all_connects; /* from the beginning */
    uint64_t all_echoes;
    uint64_t lost;        /* echoes that did not come, or not right */
    uint64_t wrong_bytes; /* altered, missing or too many */
    uint64_t skipped;     /* were due, but no connection was free to the end */
    struct tally errors;
    struct histogram *latency;
    struct histogram *connect;
};

struct conn;
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
    uint64_t slept_since; /* with something to begin at a certain time */
    uint64_t next_sweep;
    uint64_t serials; /* connections made so far */
    uint64_t ended;   /* when DRAIN began */
    struct results results;
};

/* One run. Workers only read it; the last three are written by the worker that
 * is ready last, before it tells the others to begin. */
struct run {
    struct load_options options;
    struct sockaddr_storage to;
    int to_len;
    char to_name[NET_NAME_SIZE];
    LPFN_CONNECTEX connect_ex;
    struct worker workers[LOAD_WORKERS];
    unsigned worker_count;
    uint64_t began;        /* the first connect */
    volatile LONG stop;    /* asked to end early */
    volatile LONG ramping; /* workers that are not ready yet */
    uint64_t start;        /* 0: it did not come to that */
    uint64_t measure_from;
    uint64_t until;
};

/* Nanoseconds since an arbitrary moment. Any thread. */
uint64_t load_now(void);

/* Main thread. With `to`, `to_len` and `options` set: make the workers, let
 * them go, tell them to end early (any thread), free what is theirs. */
void run_prepare(struct run *run);
void run_start(struct run *run);
void run_stop(void *arg);
void run_free(struct run *run);

#endif
