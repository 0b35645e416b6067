/* results.h -- what a comparison is made of, and what it has found
 *
 *              echo-1   echo-64   bulk  ...        scenarios
 *   select     result   result    result           a result: the rounds of one
 *   iocp       result   result    result           server under one load
 *   subjects
 *
 * compare.c owns all of it and fills it in; the writers only read. Main thread.
 */
#ifndef COMPARE_RESULTS_H
#define COMPARE_RESULTS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "programs/compare/options.h"
#include "programs/compare/scenario.h"
#include "programs/compare/subject.h"
#include "programs/harness/environment.h"
#include "programs/harness/histogram.h"

/* NAN stands for a figure that does not apply, or is not known. */
static inline bool is_known(double value)
{
    return value - value == 0; /* MinGW's isnan() warns about doubles */
}

/* One server, one load, one round. */
struct figures {
    double seconds; /* measured: rounds of one load may differ in it */
    double echoes;  /* in that time, every byte compared */
    double echoes_per_s;
    double mib_per_s;
    double connects_per_s;
    double p50_us, p90_us, p99_us, p999_us, max_us;
    double cpu_us_per_echo;      /* of the server's process */
    double fewest, median, most; /* echoes of one client */
    double unserved; /* clients that got nothing while others did: if there are
                      * any, only this figure is set */
};

/* The rounds of one server under one load. One wrong byte in one of them makes
 * the result invalid, and so does one client that was unserved: then `why`
 * tells the reason, and nothing of the result is charted. */
struct result {
    char why[WHY_SIZE]; /* empty: valid */
    double unserved;    /* clients, in the round that made it invalid */
    struct figures *rounds;
    size_t count;
    struct histogram *latency; /* of all rounds */
};

struct comparison {
    const struct options *options;
    struct environment environment;
    struct scenario *scenarios;
    size_t scenario_count;
    struct subject *subjects;
    size_t subject_count;
    struct result *results; /* scenario_count times subject_count */
    unsigned rounds;        /* that are complete */
    double began_ms;        /* by clock_ms() */
};

/* Make the table for options->subjects and the scenarios of their mode, or free
 * it. */
void comparison_make(struct comparison *c, const struct options *options);
void comparison_free(struct comparison *c);

struct result *result_of(const struct comparison *c, size_t scenario,
                         size_t subject);

/* Keep the figures of one more round. */
void result_add(struct result *r, const struct figures *figures);

/* Valid, and there is something to show. */
bool result_counts(const struct result *r);

/* The figure that stands at `offset` bytes in the struct. */
double figure_at(const struct figures *figures, size_t offset);

/* The median of that figure over all rounds; NAN when there is none. */
double result_median(const struct result *r, size_t offset);

#endif
