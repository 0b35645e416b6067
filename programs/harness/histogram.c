/* histogram.c -- see histogram.h */
#include "common/win.h"

#include <math.h>
#include <stdlib.h>

#include "programs/harness/histogram.h"

/* Lines of an .hgrm each time that the rest above is halved. */
enum { TICKS_PER_HALVING = 5 };

struct histogram *histogram_new(void)
{
    return calloc(1, sizeof(struct histogram));
}

/* Shift the value until it has 11 bits: the number of shifts is the doubling,
 * what remains is the place in it. The first doubling begins at 0 and so has
 * both its halves, all others only the upper one. */
static size_t bucket_of(uint64_t value)
{
    unsigned shift = 0;
    while (value >> shift >= 2 * HISTOGRAM_HALF)
        shift++;
    return ((size_t)shift << HISTOGRAM_HALF_BITS) + (size_t)(value >> shift);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_top(size_t bucket)
{
    size_t shift = bucket >> HISTOGRAM_HALF_BITS;
    shift = shift > 0 ? shift - 1 : 0;
    uint64_t place = bucket - (shift << HISTOGRAM_HALF_BITS);
    return ((place + 1) << shift) - 1;
}

void histogram_add_many(struct histogram *h, uint64_t value, uint64_t count)
{
    const uint64_t most = ((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1;
    h->counts[bucket_of(value < most ? value : most)] += count;
    h->total += count;
    h->sum += (double)value * (double)count;
    if (value > h->max)
        h->max = value;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    histogram_add_many(h, value, 1);
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->counts[i] += from->counts[i];
    h->total += from->total;
    h->sum += from->sum;
    if (from->max > h->max)
        h->max = from->max;
}

static uint64_t value_at(const struct histogram *h, size_t bucket)
{
    uint64_t top = bucket_top(bucket);
    return top < h->max ? top : h->max;
}

uint64_t histogram_percentile(const struct histogram *h, double percent)
{
    if (percent >= 100.0)
        return h->max;
    double wanted = percent / 100.0 * (double)h->total;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen > 0 && (double)seen >= wanted)
            return value_at(h, i);
    }
    return h->max;
}

double histogram_mean(const struct histogram *h)
{
    return h->total > 0 ? h->sum / (double)h->total : 0.0;
}

void histogram_json(const struct histogram *h, FILE *out)
{
    unsigned printed = 0;
    fputc('[', out);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (h->counts[i] > 0)
            fprintf(out, "%s[%llu, %llu]",
                    printed++ == 0     ? ""
                    : printed % 5 == 1 ? ",\n    "
                                       : ", ",
                    (unsigned long long)value_at(h, i),
                    (unsigned long long)h->counts[i]);
    fputc(']', out);
}

static double deviation(const struct histogram *h)
{
    double mean = histogram_mean(h);
    double squares = 0.0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double away = (double)value_at(h, i) - mean;
        if (h->counts[i] > 0)
            squares += away * away * (double)h->counts[i];
    }
    return h->total > 0 ? sqrt(squares / (double)h->total) : 0.0;
}

/* The next percent to tell: five steps to the middle of what is left, then
 * five smaller ones to the middle of the rest, and so on towards 100. */
static double next_level(double percent)
{
    double halvings = floor(log2(100.0 / (100.0 - percent))) + 1.0;
    return percent + 100.0 / (TICKS_PER_HALVING * exp2(halvings));
}

void histogram_write(const struct histogram *h, FILE *out)
{
    uint64_t seen = 0;
    double level = 0.0;
    fprintf(out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && seen < h->total; i++) {
        seen += h->counts[i];
        double percent = 100.0 * (double)seen / (double)h->total;
        while (h->counts[i] > 0 && seen < h->total && level <= percent) {
            fprintf(out, "%12.6f %2.12f %10llu %14.2f\n",
                    (double)value_at(h, i) / 1e6, level / 100.0,
                    (unsigned long long)seen, 100.0 / (100.0 - level));
            level = next_level(level);
        }
    }
    /* Nothing is above 100 %: the plotters expect no fourth column here. */
    fprintf(out, "%12.6f %2.12f %10llu\n", (double)h->max / 1e6, 1.0,
            (unsigned long long)h->total);
    fprintf(out,
            "#[Mean    = %12.6f, StdDeviation   = %12.6f]\n"
            "#[Max     = %12.6f, Total count    = %12llu]\n"
            "#[Buckets = %12d, SubBuckets     = %12d]\n",
            histogram_mean(h) / 1e6, deviation(h) / 1e6, (double)h->max / 1e6,
            (unsigned long long)h->total,
            HISTOGRAM_VALUE_BITS - HISTOGRAM_HALF_BITS, 2 * HISTOGRAM_HALF);
}
