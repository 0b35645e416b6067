/* report.h -- the result of a run, for people and for programs */
#ifndef ECHO_LOAD_REPORT_H
#define ECHO_LOAD_REPORT_H

#include <stdio.h>

#include "programs/echo_load/run.h"

struct report {
    const struct run *run;
    struct results all; /* of all workers */
    double seconds;     /* measured */
    double ramp;        /* seconds until every connection was made */
    double echoes_per_s;
    double mib_per_s; /* in each direction */
    double connects_per_s;
    bool early;   /* ended before its time */
    bool valid;   /* something was measured, and every echo was right */
    bool nothing; /* nothing was measured, though all went well */
};

/* Call this once the threads of all workers have ended. The caller passes the
 * report to report_free(). */
struct report report_make(const struct run *run);
void report_free(struct report *report);

void report_print(const struct report *report);

/* A failure is left in ferror(out). */
void report_json(const struct report *report, FILE *out);

#endif
