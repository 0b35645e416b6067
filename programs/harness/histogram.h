/* histogram.h -- how often each duration was seen, with a bounded error
 *
 * The bucket scheme of HdrHistogram: 2048 buckets of one nanosecond, then 1024
 * for each doubling. So whatever the size of a value, its bucket is at most
 * 1/1024 of that value wide: a percentile read here is never below the true
 * one, and never more than 0.1 % above it. 270 KB hold everything up to an
 * hour. Source: HdrHistogram, "Histogram variants and internal representation".
 *
 * One thread at a time. Values are nanoseconds.
 */
#ifndef HARNESS_HISTOGRAM_H
#define HARNESS_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum {
    HISTOGRAM_HALF_BITS = 10,
    HISTOGRAM_HALF = 1 << HISTOGRAM_HALF_BITS,
    HISTOGRAM_VALUE_BITS = 42, /* 4398 s: a longer time counts as this */
    HISTOGRAM_BUCKETS =
        (HISTOGRAM_VALUE_BITS - HISTOGRAM_HALF_BITS + 1) * HISTOGRAM_HALF
};

struct histogram {
    uint64_t total;
    uint64_t max; /* exact */
    double sum;   /* exact enough for a mean */
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* An empty one, or NULL when out of memory. The caller frees it. */
struct histogram *histogram_new(void);

void histogram_add(struct histogram *h, uint64_t value);

/* The same, `count` times. */
void histogram_add_many(struct histogram *h, uint64_t value, uint64_t count);

/* Add all that `from` has seen. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The smallest value that so many percent of all are not above; 0 when empty.
 * 100 gives the exact maximum. */
uint64_t histogram_percentile(const struct histogram *h, double percent);

double histogram_mean(const struct histogram *h);

/* [[NANOSECONDS, HOW OFTEN], ...] in JSON, rising: what histogram_add_many()
 * needs to make the same histogram again. A failure is left in ferror(out). */
void histogram_json(const struct histogram *h, FILE *out);

/* HdrHistogram's percentile distribution (.hgrm), values in milliseconds, as
 * its plotters read it. A failure is left in ferror(out). */
void histogram_write(const struct histogram *h, FILE *out);

#endif
