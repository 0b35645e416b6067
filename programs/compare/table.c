/* table.c -- the headline of a comparison, for a terminal; see report.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "programs/compare/report.h"

enum { SHOWN_MOST = 3, NAME_WIDTH = 18 };

/* The loads that the headline quotes: the fewest clients, the most, and 64. */
static size_t headline_loads(const struct comparison *c, size_t *shown)
{
    size_t first = c->scenario_count, middle = first, last = first;
    size_t count = 0;
    for (size_t i = c->scenario_count; i-- > 0;) {
        if (c->scenarios[i].kind != KIND_ECHO)
            continue;
        first = i;
        if (last == c->scenario_count)
            last = i;
        if (c->scenarios[i].clients == 64)
            middle = i;
    }
    const size_t wanted[SHOWN_MOST] = {first, middle, last};
    for (size_t i = 0; i < SHOWN_MOST; i++)
        if (wanted[i] < c->scenario_count &&
            (count == 0 || shown[count - 1] != wanted[i]))
            shown[count++] = wanted[i];
    return count;
}

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

static void print_row(const struct comparison *c, size_t subject,
                      const size_t *shown, size_t count)
{
    const struct subject *s = &c->subjects[subject];
    const struct counts *n = &s->counts;
    printf("%-*.*s", NAME_WIDTH, NAME_WIDTH, s->name);
    for (size_t i = 0; i < count; i++) {
        double rate = median_rate(c, shown[i], subject);
        if (!is_known(rate)) {
            printf(" %12s", "invalid");
            continue;
        }
        printf(" %7.0f", rate);
        print_number(" %4.2f", "    -", rate / baseline_rate(c, shown[i]));
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

/* Where a load was measured longer than asked for. */
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
    size_t shown[SHOWN_MOST];
    size_t count = headline_loads(c, shown);
    printf("\n%-*s", NAME_WIDTH, "");
    for (size_t i = 0; i < count; i++) {
        char head[24];
        snprintf(head, sizeof head, "%u client%s",
                 c->scenarios[shown[i]].clients,
                 c->scenarios[shown[i]].clients == 1 ? "" : "s");
        printf(" %12s", head);
    }
    printf("  calls  idle client\n%-*s", NAME_WIDTH, "");
    for (size_t i = 0; i < count; i++)
        printf(" %12s", "echoes/s");
    printf("   /echo handles   KiB\n");
    for (size_t i = 0; i < c->subject_count; i++)
        print_row(c, i, shown, count);
    print_troubles(c);
    print_lengthened(c);
}
