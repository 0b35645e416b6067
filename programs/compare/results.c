/* results.c -- see results.h */
#include "common/win.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "programs/compare/results.h"

struct result *result_of(const struct comparison *c, size_t scenario,
                         size_t subject)
{
    return &c->results[scenario * c->subject_count + subject];
}

void comparison_make(struct comparison *c, const struct options *options)
{
    *c = (struct comparison){.options = options, .began_ms = clock_ms()};
    environment_read(&c->environment);
    c->subjects = options->subjects;
    c->subject_count = options->subject_count;
    c->scenarios = scenarios_make(options, &c->scenario_count);
    size_t measurements = c->scenario_count * c->subject_count;
    c->results =
        calloc(measurements + 1, sizeof *c->results); /* never 0 of them */
    for (size_t i = 0; c->results != NULL && i < measurements; i++) {
        c->results[i].latency = histogram_new();
        c->results[i].rounds = calloc(options->rounds, sizeof(struct figures));
        if (c->results[i].latency == NULL || c->results[i].rounds == NULL)
            die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    }
    if (c->results == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
}

void comparison_free(struct comparison *c)
{
    for (size_t i = 0; i < c->scenario_count * c->subject_count; i++) {
        free(c->results[i].latency);
        free(c->results[i].rounds);
    }
    free(c->results);
    free(c->scenarios);
}

void result_add(struct result *r, const struct figures *figures)
{
    r->rounds[r->count++] = *figures;
}

bool result_counts(const struct result *r)
{
    return r->why[0] == '\0' && r->count > 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double figure_at(const struct figures *figures, size_t offset)
{
    double value = NAN;
    memcpy(&value, (const char *)figures + offset, sizeof value);
    return value;
}

double result_median(const struct result *r, size_t offset)
{
    double *values = calloc(r->count + 1, sizeof *values);
    size_t count = 0;
    if (values == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    for (size_t i = 0; result_counts(r) && i < r->count; i++) {
        double value = figure_at(&r->rounds[i], offset);
        if (is_known(value))
            values[count++] = value;
    }
    qsort(values, count, sizeof *values, compare_doubles);
    double median = count == 0 ? NAN
                    : count % 2 > 0
                        ? values[count / 2]
                        : (values[count / 2 - 1] + values[count / 2]) / 2;
    free(values);
    return median;
}
