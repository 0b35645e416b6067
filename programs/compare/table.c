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
        double rate = median_rate(c, i, subject);
        if (!c->scenarios[i].headline)
            continue;
        if (!is_known(rate)) {
            printf(" %12s", "invalid");
            continue;
        }
        printf(" %7.0f", rate);
        print_number(" %4.2f", "    -", rate / baseline_rate(c, i));
    }
    print_number("  %5.2f", "      -", n->has_calls ? n->calls_per_echo : NAN);
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
    printf("\n%-*s", NAME_WIDTH, "");
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
    print_lengthened(c);
}
