/* table.c -- the headline of a comparison, for a terminal; see report.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "programs/compare/report.h"

enum { NAME_WIDTH = 18 };

static double median_rate(const struct comparison *c, size_t scenario,
                          size_t subject)
{
    return result_median(result_of(c, scenario, subject),
                         offsetof(struct figures, echoes_per_s));
}

static double baseline_rate(const struct comparison *c, size_t scenario)
{
    for (size_t i = 0; i < c->subject_count; i++)
        if (c->subjects[i].baseline)
            return median_rate(c, scenario, i);
    return NAN;
}

static void print_number(const char *format, const char *none, double value)
{
    if (!is_known(value))
        fputs(none, stdout);
    else
        printf(format, value);
}

static void print_row(const struct comparison *c, size_t subject)
{
    const struct subject *s = &c->subjects[subject];
    const struct counts *n = &s->counts;
    printf("%-*.*s", NAME_WIDTH, NAME_WIDTH, s->name);
    for (size_t i = 0; i < c->scenario_count; i++) {
        const struct result *r = result_of(c, i, subject);
        double rate = median_rate(c, i, subject);
        char none[24] = "invalid";
        if (!c->scenarios[i].headline)
            continue;
        if (r->unserved > 0)
            snprintf(none, sizeof none, "%.0f unserved", r->unserved);
        else if (r->why[0] == '\0')
            snprintf(none, sizeof none, "not measured");
        if (!is_known(rate)) {
            printf(" %12s", none);
            continue;
        }
        printf(" %7.0f", rate);
        print_number(" %4.2f", "    -", rate / baseline_rate(c, i));
    }
    if (n->has_calls && n->sleeps_most > 0) {
        char range[24];
        double exact = n->calls_per_echo - n->sleeps;
        snprintf(range, sizeof range, "%.0f-%.0f", exact,
                 exact + n->sleeps_most);
        printf("  %5s", range);
    } else
        print_number("  %5.2f", "      -",
                     n->has_calls ? n->calls_per_echo : NAN);
    print_number(" %7.2f", "       -",
                 n->has_usage ? n->handles_per_client : NAN);
    print_number(" %5.1f", "     -",
                 n->has_usage ? n->bytes_per_client / 1024 : NAN);
    putchar('\n');
}

static void print_troubles(const struct comparison *c)
{
    for (size_t k = 0; k < c->subject_count; k++) {
        const char *last = "";
        for (size_t i = 0; i < c->scenario_count; i++) {
            const struct result *r = result_of(c, i, k);
            if (r->why[0] == '\0' || strcmp(r->why, last) == 0)
                continue;
            last = r->why;
            printf("\n%s, %s: %s\n", c->subjects[k].name, c->scenarios[i].name,
                   r->why);
        }
    }
}

/* Tells where some client got nothing, though its queue moved. */
static void print_fewest(const struct comparison *c)
{
    const char *before = "\n";
    for (size_t i = 0; i < c->scenario_count; i++)
        for (size_t k = 0; k < c->subject_count; k++) {
            const struct result *r = result_of(c, i, k);
            unsigned rounds = 0;
            for (size_t n = 0; result_counts(r) && n < r->count; n++)
                rounds += r->rounds[n].fewest < 1;
            if (rounds == 0 || c->scenarios[i].kind == KIND_CHURN)
                continue;
            printf("%s%s, %s: a client got no echo in %u of %zu rounds\n",
                   before, c->subjects[k].name, c->scenarios[i].id, rounds,
                   r->count);
            before = "";
        }
}

/* Why there is a "-" in the table. */
static void print_missing(const struct comparison *c)
{
    const char *before = "\n";
    for (size_t k = 0; k < c->subject_count; k++) {
        const struct subject *s = &c->subjects[k];
        const struct counts *n = &s->counts;
        bool one_reason = strcmp(n->no_calls, n->no_usage) == 0;
        if (n->no_calls[0] != '\0') {
            printf("%s%s, no %s: %s\n", before, s->name,
                   one_reason ? "counts" : "calls", n->no_calls);
            before = "";
        }
        if (n->no_usage[0] != '\0' && !one_reason) {
            printf("%s%s, no idle client: %s\n", before, s->name, n->no_usage);
            before = "";
        }
    }
    for (size_t i = 0; i < c->scenario_count; i++)
        if (c->scenarios[i].headline && !is_known(baseline_rate(c, i))) {
            printf("%sNo shares with %u client%s: the baseline, \"blocking\", "
                   "has no figure there.\n",
                   before, c->scenarios[i].clients,
                   c->scenarios[i].clients == 1 ? "" : "s");
            before = "";
        }
}

/* Tells which loads were measured longer than asked for. */
static void print_lengthened(const struct comparison *c)
{
    const char *before = "\n";
    for (size_t i = 0; i < c->scenario_count; i++) {
        const struct scenario *s = &c->scenarios[i];
        double asked = c->options->seconds;
        double shortest = s->seconds;
        if (s->seconds == asked)
            continue;
        for (size_t k = 0; k < c->subject_count; k++) {
            const struct result *r = result_of(c, i, k);
            for (size_t n = 0; result_counts(r) && n < r->count; n++)
                if (r->rounds[n].seconds < shortest)
                    shortest = r->rounds[n].seconds;
        }
        printf("%s%s: rounds of ", before, s->id);
        if (shortest < s->seconds)
            printf("%g to ", shortest);
        printf("%g s; %g s were too short for %u client%s\n", s->seconds, asked,
               s->clients, s->clients == 1 ? "" : "s");
        before = "";
    }
}

void report_print(const struct comparison *c)
{
    printf("\n%u of %lu rounds%s\n%-*s", c->rounds, c->options->rounds,
           c->options->pin ? ", pinned" : "", NAME_WIDTH, "");
    for (size_t i = 0; i < c->scenario_count; i++) {
        const struct scenario *s = &c->scenarios[i];
        char head[24];
        snprintf(head, sizeof head, "%u client%s", s->clients,
                 s->clients == 1 ? "" : "s");
        if (s->headline)
            printf(" %12s", head);
    }
    printf("  calls  idle client\n%-*s", NAME_WIDTH, "");
    for (size_t i = 0; i < c->scenario_count; i++)
        if (c->scenarios[i].headline)
            printf(" %12s", "echoes/s");
    printf("   /echo handles   KiB\n");
    for (size_t i = 0; i < c->subject_count; i++)
        print_row(c, i);
    print_troubles(c);
    print_missing(c);
    print_fewest(c);
    print_lengthened(c);
}
