/* report.h -- the result of a run, for people and for programs */
#ifndef ECHO_LOAD_REPORT_H
#define ECHO_LOAD_REPORT_H

#include <stdio.h>

#include "programs/echo_load/run.h"

/* How the echoes of the measured time were shared out. A connection is unserved
 * when it still waited at the end of the time, had waited for at least half of
 * it, and the others got ten echoes or more each meanwhile. A zero alone would
 * prove nothing: in 0.2 s a server that is right gives each of 1,000 clients
 * about one echo, and so none to some of them. Nor does a queue prove anything
 * while it moves: a busy machine needs seconds to start 1,000 threads. So nobody
 * is called unserved if somebody got a first echo in the second half of the
 * time. */
struct shares {
    uint64_t fewest, median, most; /* echoes of a connection */
    uint64_t served;               /* connections that got echoes, and had not
                                    * waited for so long */
    uint64_t unserved;
    bool all_the_time; /* that is how long the unserved ones have waited */
};

struct report {
    const struct run *run;
    struct results all; /* of all workers */
    double seconds;     /* measured */
    double ramp;        /* seconds until every connection was made */
    double echoes_per_s;
    double mib_per_s; /* in each direction */
    double connects_per_s;
    struct shares shares;
    bool early;   /* ended before its time */
    bool valid;   /* something was measured, every echo was right, and nobody
                   * was unserved */
    bool nothing; /* nothing was measured, though all went well */
};

/* Call this once the threads of all workers have ended. The caller passes the
 * report to report_free(). */
struct report report_make(const struct run *run);
void report_free(struct report *report);

/* "served 1 of 64 connections; 63 waited the whole time" */
void report_unserved(const struct report *report, char *out, size_t size);

void report_print(const struct report *report);

/* A failure is left in ferror(out). */
void report_json(const struct report *report, FILE *out);

#endif
