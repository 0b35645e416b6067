/* report.c -- see report.h */
#include "common/win.h"

#include <stdlib.h>

#include "common/err.h"
#include "common/utf8.h"
#include "programs/echo_load/report.h"

static const double us = 1e3; /* in nanoseconds, as ms and s */
static const double ms = 1e6;
static const double s = 1e9;

/* ---- adding up --------------------------------------------------------- */

static void add_results(struct results *all, const struct results *one)
{
    all->echoes += one->echoes;
    all->connects += one->connects;
    all->all_connects += one->all_connects;
    all->all_echoes += one->all_echoes;
    all->lost += one->lost;
    all->wrong_bytes += one->wrong_bytes;
    all->waiting += one->waiting;
    all->skipped += one->skipped;
    tally_merge(&all->errors, &one->errors);
    histogram_merge(all->latency, one->latency);
    histogram_merge(all->connect, one->connect);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* All connections of all workers, as one array would have them. */
static const struct conn *conn_at(const struct run *run, size_t i)
{
    unsigned worker = 0;
    while (i >= run->workers[worker].count)
        i -= run->workers[worker++].count;
    return &run->workers[worker].conns[i];
}

static bool waited_long(const struct conn *c, double measured)
{
    return (double)c->waited >= measured / 2 && (double)c->waited >= 0.1 * s;
}

/* `measured` is in nanoseconds. */
static struct shares share_out(const struct run *run, double measured)
{
    size_t count = (size_t)run->options.connections;
    uint64_t *got = calloc(count, sizeof *got);
    struct shares shares = {.all_the_time = true};
    double served_got = 0;
    bool moves = false; /* the queue */
    if (got == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    for (size_t i = 0; i < count; i++) {
        const struct conn *c = conn_at(run, i);
        got[i] = c->got;
        if (c->got > 0 && !waited_long(c, measured)) {
            shares.served++;
            served_got += (double)c->got;
        }
        if (c->got > 0 &&
            (double)(c->first - run->measure_from) >= measured / 2)
            moves = true;
    }
    for (size_t i = 0; i < count && shares.served > 0 && !moves; i++) {
        const struct conn *c = conn_at(run, i);
        double meanwhile =
            served_got / (double)shares.served * (double)c->waited / measured;
        if (!waited_long(c, measured) ||
            meanwhile < 10.0 * (double)run->options.pipeline)
            continue;
        shares.unserved++;
        if (c->got > 0 || (double)c->waited < measured * 0.9)
            shares.all_the_time = false;
    }
    qsort(got, count, sizeof *got, compare_numbers);
    shares.fewest = got[0];
    shares.median = got[count / 2];
    shares.most = got[count - 1];
    free(got);
    return shares;
}

struct report report_make(const struct run *run)
{
    const struct load_options *o = &run->options;
    struct report r = {.run = run};
    uint64_t ended = 0;
    r.all.latency = histogram_new();
    r.all.connect = histogram_new();
    if (r.all.latency == NULL || r.all.connect == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    for (unsigned i = 0; i < run->worker_count; i++) {
        add_results(&r.all, &run->workers[i].results);
        if (run->workers[i].ended > ended)
            ended = run->workers[i].ended;
    }
    if (run->start > 0) {
        r.ramp = (double)(run->start - run->began) / s;
        if (ended > run->measure_from)
            r.seconds = (double)(ended - run->measure_from) / s;
    }
    r.early = run->start == 0 || ended < run->until;
    if (r.seconds > 0) {
        r.echoes_per_s = (double)r.all.echoes / r.seconds;
        r.mib_per_s = r.echoes_per_s * (double)o->size / 1048576.0;
    }
    double connecting = o->churn ? r.seconds : r.ramp;
    if (connecting > 0)
        r.connects_per_s = (double)r.all.connects / connecting;
    r.shares = share_out(run, r.seconds * s);
    r.valid =
        r.all.echoes > 0 && r.all.errors.len == 0 && r.shares.unserved == 0;
    r.nothing = r.all.echoes == 0 && r.all.errors.len == 0 && !run->stop;
    return r;
}

void report_free(struct report *r)
{
    free(r->all.errors.entries);
    free(r->all.latency);
    free(r->all.connect);
}

/* ---- for people -------------------------------------------------------- */

static double latency(const struct report *r, double percent)
{
    return (double)histogram_percentile(r->all.latency, percent);
}

static const char *counted_from(const struct load_options *o)
{
    if (o->rate > 0)
        return "from the time each echo was due: corrected for coordinated "
               "omission";
    return o->churn ? "from the begin of the connect to the last byte back"
                    : "from send to the last byte back";
}

static void print_troubles(const struct report *r)
{
    const struct tally *errors = &r->all.errors;
    printf("  errors    ");
    for (size_t i = 0; i < errors->len; i++)
        printf("%s %llu%s", errors->entries[i].name, errors->entries[i].count,
               i + 1 < errors->len ? ", " : "");
    puts(errors->len == 0 ? "none" : "");
    if (tally_untold() > 0)
        printf("             (%ld of them were not told above)\n",
               tally_untold());
    if (r->all.wrong_bytes > 0)
        printf("  wrong     %llu bytes\n", r->all.wrong_bytes);
    if (r->all.lost > 0)
        printf("  lost      %llu echoes did not come back, or not right\n",
               r->all.lost);
}

void report_unserved(const struct report *r, char *out, size_t size)
{
    snprintf(out, size, "served %llu of %llu connections; %llu waited %s",
             r->shares.served, r->run->options.connections, r->shares.unserved,
             r->shares.all_the_time ? "the whole time"
                                    : "for half of the time or longer");
}

static void print_verdict(const struct report *r)
{
    char what[160];
    if (r->run->out_of_ports)
        snprintf(what, sizeof what, "the ports of this machine were used up");
    else if (r->all.echoes == 0)
        snprintf(what, sizeof what, "no echo was measured");
    else if (r->shares.unserved > 0)
        report_unserved(r, what, sizeof what);
    else
        snprintf(what, sizeof what,
                 "an echo was wrong or lost, or a connection refused or cut");
    printf("not valid: %s\n", what);
}

void report_print(const struct report *r)
{
    const struct load_options *o = &r->run->options;
    const struct results *all = &r->all;
    printf("%llu connection%s to %s, %llu bytes, %.3f s measured%s\n",
           o->connections, o->connections == 1 ? "" : "s", r->run->to_name,
           o->size, r->seconds, r->early ? " (ended early)" : "");
    printf("  echoes    %llu, %.1f/s, %.3f MiB/s each way\n", all->echoes,
           r->echoes_per_s, r->mib_per_s);
    printf("  connects  %llu, %.1f/s, p50 %.3f p99 %.3f max %.3f ms\n",
           all->connects, r->connects_per_s,
           (double)histogram_percentile(all->connect, 50.0) / ms,
           (double)histogram_percentile(all->connect, 99.0) / ms,
           (double)all->connect->max / ms);
    printf("  latency   p50 %.3f p90 %.3f p99 %.3f p99.9 %.3f max %.3f ms\n"
           "            (%s)\n",
           latency(r, 50.0) / ms, latency(r, 90.0) / ms, latency(r, 99.0) / ms,
           latency(r, 99.9) / ms, latency(r, 100.0) / ms, counted_from(o));
    if (all->skipped > 0)
        printf("  behind    %llu more echoes were due, but no connection was "
               "free for them\n",
               all->skipped);
    if (all->waiting > 0)
        printf("  waiting   %llu more echoes were owed when the time ended, or "
               "never came\n",
               all->waiting);
    if (all->skipped + all->waiting > 0)
        puts("            (the latency has the time that they have waited)");
    printf("  fairness  fewest %llu, median %llu, most %llu echoes of one "
           "client\n",
           r->shares.fewest, r->shares.median, r->shares.most);
    print_troubles(r);
    if (!r->valid)
        print_verdict(r);
}

/* ---- for programs ------------------------------------------------------ */

static void put_text(FILE *out, const char *raw)
{
    char *clean = utf8_clean(raw);
    if (clean == NULL)
        die_call("malloc", GetLastError());
    fputc('"', out);
    for (const char *text = clean; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
    free(clean);
}

static const char *yes_or_no(bool yes)
{
    return yes ? "true" : "false";
}

static void put_options(const struct run *run, FILE *out)
{
    const struct load_options *o = &run->options;
    fputs("  \"host\": ", out);
    put_text(out, o->dial.host);
    fprintf(out,
            ",\n  \"port\": %lu,\n  \"connections\": %llu,\n"
            "  \"size\": %llu,\n  \"duration_s\": %.3f,\n"
            "  \"warmup_s\": %.3f,\n  \"rate\": %llu,\n"
            "  \"pipeline\": %llu,\n  \"think_ms\": %.3f,\n"
            "  \"churn\": %s,\n  \"half_close\": %s,\n  \"seed\": %llu,\n"
            "  \"timeout_s\": %lu,\n",
            o->dial.port, o->connections, o->size, (double)o->duration / s,
            (double)o->warmup / s, o->rate, o->pipeline, (double)o->think / ms,
            yes_or_no(o->churn), yes_or_no(o->half_close), o->seed,
            o->dial.timeout);
}

static void put_percentiles(const struct report *r, FILE *out)
{
    static const double points[] = {
        0,  1,     5,    10,    20,   25,    30,    40,     50,   60, 70,
        75, 80,    85,   90,    92.5, 95,    96,    97,     97.5, 98, 98.5,
        99, 99.25, 99.5, 99.75, 99.9, 99.95, 99.99, 99.999, 100};
    size_t count = sizeof points / sizeof points[0];
    fputs("  \"percentiles\": [", out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s[%g, %.1f]",
                i == 0       ? ""
                : i % 5 == 0 ? ",\n    "
                             : ", ",
                points[i], latency(r, points[i]) / us);
    fputs("],\n", out);
}

void report_json(const struct report *r, FILE *out)
{
    const struct results *all = &r->all;
    fputs("{\n", out);
    put_options(r->run, out);
    fprintf(out,
            "  \"seconds\": %.6f,\n  \"echoes\": %llu,\n  \"bytes\": %llu,\n"
            "  \"connects\": %llu,\n  \"echoes_per_s\": %.1f,\n"
            "  \"mib_per_s\": %.6f,\n  \"connects_per_s\": %.1f,\n",
            r->seconds, all->echoes, all->echoes * r->run->options.size,
            all->connects, r->echoes_per_s, r->mib_per_s, r->connects_per_s);
    fprintf(out,
            "  \"latency_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
            "\"p999\": %.1f,\n    \"max\": %.1f, \"mean\": %.1f},\n",
            latency(r, 50.0) / us, latency(r, 90.0) / us, latency(r, 99.0) / us,
            latency(r, 99.9) / us, latency(r, 100.0) / us,
            histogram_mean(all->latency) / us);
    fprintf(out,
            "  \"connect_us\": {\"p50\": %.1f, \"p99\": %.1f, "
            "\"max\": %.1f},\n",
            (double)histogram_percentile(all->connect, 50.0) / us,
            (double)histogram_percentile(all->connect, 99.0) / us,
            (double)all->connect->max / us);
    fprintf(out, "  \"corrected\": %s,\n", yes_or_no(r->run->options.rate > 0));
    put_percentiles(r, out);
    fputs("  \"histogram_ns\": ", out);
    histogram_json(all->latency, out);
    fputs(",\n  \"errors\": {", out);
    for (size_t i = 0; i < all->errors.len; i++)
        fprintf(out, "%s\"%s\": %llu", i > 0 ? ", " : "",
                all->errors.entries[i].name, all->errors.entries[i].count);
    fprintf(out,
            "},\n  \"wrong_bytes\": %llu,\n  \"lost_echoes\": %llu,\n"
            "  \"behind\": %llu,\n  \"waiting\": %llu,\n  \"early\": %s,\n"
            "  \"nothing_measured\": %s,\n  \"out_of_ports\": %s,\n",
            all->wrong_bytes, all->lost, all->skipped, all->waiting,
            yes_or_no(r->early), yes_or_no(r->nothing),
            yes_or_no(r->run->out_of_ports != 0));
    fprintf(out,
            "  \"echoes_of_a_client\": {\"fewest\": %llu, \"median\": %llu, "
            "\"most\": %llu},\n"
            "  \"served\": %llu,\n  \"unserved\": %llu,\n"
            "  \"valid\": %s\n}\n",
            r->shares.fewest, r->shares.median, r->shares.most,
            r->shares.served, r->shares.unserved, yes_or_no(r->valid));
}
