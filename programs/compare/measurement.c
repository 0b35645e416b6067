/* measurement.c -- see measurement.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "programs/compare/measurement.h"
#include "programs/compare/idle.h"
#include "programs/compare/load.h"
#include "programs/harness/source.h"

static const double warmup = 0.1; /* seconds */
static const double flood_lead = 0.5;

enum { FLOOD_BYTES = 65536, FLOOD_DEPTH = 4 };

/* Processor time between two moments, and the wall time between them. */
struct span {
    double cpu_ms;
    double ms;
};

/* Watches from the first echo on, and stops before the last one. So connecting
 * is not charged, nor what a server does when its clients leave. */
static struct span watch(struct load *load, const struct running *running,
                         double seconds)
{
    struct span span = {.cpu_ms = NAN};
    if (!load_wait_begin(load))
        return span;
    double cpu = subject_cpu_ms(running);
    double began = clock_ms();
    if (!load_wait(load, (warmup + seconds) * 0.7))
        return span;
    span.cpu_ms = subject_cpu_ms(running) - cpu;
    span.ms = clock_ms() - began;
    return span;
}

static void set_figures(struct figures *f, const struct load_figures *got,
                        const struct histogram *latency,
                        const struct scenario *scenario, struct span span)
{
    *f = (struct figures){
        .seconds = scenario->seconds,
        .echoes = got->echoes,
        .echoes_per_s = got->echoes_per_s,
        .mib_per_s = got->mib_per_s,
        .connects_per_s =
            scenario->kind == KIND_CHURN ? got->connects_per_s : NAN,
        .p50_us = (double)histogram_percentile(latency, 50) / 1000,
        .p90_us = (double)histogram_percentile(latency, 90) / 1000,
        .p99_us = (double)histogram_percentile(latency, 99) / 1000,
        .p999_us = (double)histogram_percentile(latency, 99.9) / 1000,
        .max_us = (double)latency->max / 1000,
        .fewest = got->fewest,
        .median = got->median,
        .most = got->most,
        .cpu_us_per_echo = span.cpu_ms / span.ms * 1e6 / got->echoes_per_s};
    /* Floods use the processor too: that time would be charged to the ping. */
    if (scenario->kind == KIND_FLOODS)
        f->cpu_us_per_echo = NAN;
}

static bool measured_load(const struct running *running,
                          const struct scenario *s, struct figures *figures,
                          struct histogram *all, char *why, size_t size)
{
    struct load_order order = {.host = running->host,
                               .port = running->port,
                               .connections = s->clients,
                               .bytes = s->bytes,
                               .pipeline = s->pipeline,
                               .churn = s->kind == KIND_CHURN,
                               .processors = running->subject->load_processors,
                               .warmup = warmup,
                               .seconds = s->seconds};
    struct load_figures got;
    struct histogram *latency = histogram_new();
    struct load *load = latency != NULL ? load_start(&order, why, size) : NULL;
    bool ok = false;
    if (load != NULL) {
        struct span span = watch(load, running, s->seconds);
        ok = load_finish(load, &got, latency, why, size);
        if (ok) {
            set_figures(figures, &got, latency, s, span);
            if (!scenario_too_short(s, got.echoes, got.fewest))
                histogram_merge(all, latency);
        }
        figures->unserved = got.unserved;
    }
    load_free(load);
    free(latency);
    return ok;
}

/* Floods begin before the ping and end after it; their bytes count too. */
static bool beside_floods(const struct running *running,
                          const struct scenario *s, struct figures *figures,
                          struct histogram *latency, char *why, size_t size)
{
    struct load_order order = {.host = running->host,
                               .port = running->port,
                               .connections = s->others,
                               .bytes = FLOOD_BYTES,
                               .pipeline = FLOOD_DEPTH,
                               .processors = running->subject->load_processors,
                               .warmup = 0,
                               .seconds = warmup + s->seconds + flood_lead};
    struct load_figures got;
    struct load *flood = load_start(&order, why, size);
    if (flood == NULL)
        return false;
    bool begun = load_wait_begin(flood);
    bool ok = begun && measured_load(running, s, figures, latency, why, size);
    if (ok || !begun) { /* otherwise the ping's trouble counts */
        ok = load_finish(flood, &got, NULL, why, size) && ok;
        figures->unserved += got.unserved;
    }
    load_free(flood);
    return ok;
}

static bool beside_idle(const struct running *running, const struct scenario *s,
                        struct figures *figures, struct histogram *latency,
                        char *why, size_t size)
{
    struct idle idle;
    bool ok = idle_open(&idle, running, s->others, why, size) &&
              measured_load(running, s, figures, latency, why, size);
    idle_close(&idle);
    return ok;
}

enum measurement_end measurement_run(struct subject *subject,
                                     const struct scenario *s,
                                     struct figures *figures,
                                     struct histogram *latency,
                                     double *start_ms, char *why, size_t size)
{
    struct running running;
    *figures = (struct figures){.unserved = 0};
    why[0] = '\0';
    if (!subject_start(subject, &running, why, size)) {
        if (strstr(why, source_used_up_hint) != NULL)
            return MEASUREMENT_NO_PORTS;
        snprintf(subject->unusable, sizeof subject->unusable, "%s", why);
        return MEASUREMENT_WRONG;
    }
    *start_ms = running.start_ms;
    bool ok = s->kind == KIND_FLOODS
                  ? beside_floods(&running, s, figures, latency, why, size)
              : s->kind == KIND_IDLE
                  ? beside_idle(&running, s, figures, latency, why, size)
                  : measured_load(&running, s, figures, latency, why, size);
    if (!ok) {
        subject_abandon(&running, why, size);
        return figures->unserved > 0                      ? MEASUREMENT_UNSERVED
               : strstr(why, source_used_up_hint) != NULL ? MEASUREMENT_NO_PORTS
                                                          : MEASUREMENT_WRONG;
    }
    if (!subject_stop(&running, NULL, why, size))
        return MEASUREMENT_WRONG;
    if (!scenario_too_short(s, figures->echoes, figures->fewest))
        return MEASUREMENT_RIGHT;
    snprintf(why, size,
             "%.0f echoes in %g s are too few for %u client%s; no longer time "
             "is tried",
             figures->echoes, s->seconds, s->clients,
             s->clients == 1 ? "" : "s");
    return MEASUREMENT_TOO_SHORT;
}
