/* subject.h -- one of the servers that are compared: start it, ask it, stop it
 *
 * Each start is a cold start of the exe that people run. A server with our own
 * command line gets `--port N --stop-on-eof --quiet` and says when it is ready.
 * Any other server gets `--port N`, or whatever its own arguments say, and is
 * ended by force. With a server that runs already, perhaps elsewhere, we only
 * talk.
 */
#ifndef COMPARE_SUBJECT_H
#define COMPARE_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/win.h"
#include "programs/harness/server_process.h"

enum {
    WHY_SIZE = 512,
    PATIENCE_MS = 10000, /* with a server that does nothing */
    CALLS_MOST = 32      /* names in a server's table of calls */
};

struct call {
    char name[64];
    double per_echo;
};

/* What the idle clients and counted echoes of counts.c have shown. */
struct counts {
    bool has_calls;
    char no_calls[WHY_SIZE]; /* otherwise: why */
    char no_usage[WHY_SIZE];
    struct call calls[CALLS_MOST];
    size_t call_count;
    double calls_per_echo;
    double waits_per_echo;
    /* SleepEx() returns when one completion routine has run, or several: how
     * often it is called is a matter of timing. Each WSARecv() and WSASend()
     * has one routine, so more sleeps than these calls there cannot be. */
    double sleeps;      /* of the calls above: these were counted */
    double sleeps_most; /* 0: the calls are exact */
    bool has_usage;
    double handles_per_client;
    double bytes_per_client; /* working set */
    double threads_per_client;
    unsigned long threads; /* without clients */
};

/* The limit that the server itself tells. */
struct capacity {
    unsigned long clients; /* 0: no figure */
    char why[160];         /* empty: it says nothing */
};

/* What it understands: all of our command line, or --port and no more. */
enum command_line {
    COMMAND_LINE_UNKNOWN,
    COMMAND_LINE_OURS,
    COMMAND_LINE_PORT_ONLY
};

struct subject {
    char name[64];     /* in the report */
    const char *model; /* one of the six, or NULL */
    bool baseline;
    char *path;           /* of its exe, or HOST:PORT of one that runs */
    char args[512];       /* its own */
    uintptr_t processors; /* a bit for each that it may use; 0: all */
    uintptr_t load_processors;
    char host[64]; /* of one that runs; empty: we start it */
    unsigned short port;

    enum command_line command_line;
    char unusable[WHY_SIZE]; /* why it could not start; then it is left out */
    struct counts counts;
    struct capacity capacity;
    unsigned long long exe_bytes;
    double *start_ms; /* from the start to the first answer */
    size_t start_count;
};

/* A server that runs. */
struct running {
    struct subject *subject;
    struct server_process *process; /* NULL: not ours */
    char host[64];
    unsigned short port;
    struct sockaddr_in address; /* host and port, resolved (IPv4) */
    double start_ms;
};

/* Start it and get a byte echoed. On failure `why` tells the reason, and
 * nothing runs. */
bool subject_start(struct subject *subject, struct running *running, char *why,
                   size_t size);

/* Stop it. False when it does not stop as asked, or had ended already. In any
 * case nothing of it is left. `output`, unless NULL, gets what the server
 * printed, which the caller frees, or NULL. */
bool subject_stop(struct running *running, char **output, char *why,
                  size_t size);

/* Stop it by force, because it is of no use any more. Adds to `why` what is
 * known of its end: an exit code, a line that it wrote. */
void subject_abandon(struct running *running, char *why, size_t size);

/* Processor time so far in ms, or NAN; and what that is read from. */
double subject_cpu_ms(const struct running *running);
const char *subject_cpu_clock(void);

/* Connect to it, with TCP_NODELAY and a time limit for send and receive.
 * Returns INVALID_SOCKET, with the reason in `why`, if that fails. */
SOCKET subject_dial(const struct running *running, char *why, size_t size);

/* Get one byte echoed. */
bool subject_ping(SOCKET sock, char *why, size_t size);

#endif
