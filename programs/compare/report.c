/* report.c -- see report.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/utf8.h"
#include "programs/compare/report.h"
#include "programs/harness/csv.h"

/* ---- JSON -------------------------------------------------------------- */

static char *clean_copy(const char *text)
{
    char *clean = utf8_clean(text);
    if (clean == NULL)
        die_call("malloc", WSA_NOT_ENOUGH_MEMORY);
    return clean;
}

/* What stands between the quotes of a text. Writes every `<` as \u003c: so in a
 * page no text can end the script around it. */
static void put_letters(FILE *out, const char *raw)
{
    char *clean = clean_copy(raw);
    for (const char *text = clean; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f || c == '<')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    free(clean);
}

static void put_text(FILE *out, const char *text)
{
    if (text == NULL) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    put_letters(out, text);
    fputc('"', out);
}

static void put_number(FILE *out, double value)
{
    if (!is_known(value))
        fputs("null", out);
    else
        fprintf(out, "%.6g", value);
}

static void put_field(FILE *out, const char *before, double value)
{
    fputs(before, out);
    put_number(out, value);
}

static void put_text_field(FILE *out, const char *before, const char *text)
{
    fputs(before, out);
    put_text(out, text);
}

static void put_environment(const struct environment *e, bool pinned, FILE *out)
{
    put_text_field(out, "\"environment\":{\"system\":", e->system);
    put_text_field(out, ",\"wine\":", e->wine[0] != '\0' ? e->wine : NULL);
    put_text_field(out, ",\"cpu\":", e->cpu);
    fprintf(out, ",\"processors\":%lu,\"memory_mib\":%lu", e->processors,
            e->memory_mib);
    put_text_field(out, ",\"build\":", e->compiler);
    fprintf(out, ",\"pinned\":%s", pinned ? "true" : "false");
    put_text_field(out, ",\"cpu_clock\":", subject_cpu_clock());
    fputs("},\n", out);
}

static const char *why_or_null(const char *why)
{
    return why[0] != '\0' ? why : NULL;
}

static void put_counts(const struct counts *c, FILE *out)
{
    fputs(",\"calls\":[", out);
    for (size_t i = 0; i < c->call_count; i++) {
        put_text_field(out,
                       i > 0 ? ",{\"name\":" : "{\"name\":", c->calls[i].name);
        fprintf(out, ",\"per_echo\":%.3g}", c->calls[i].per_echo);
    }
    fputc(']', out);
    put_field(out,
              ",\"calls_per_echo\":", c->has_calls ? c->calls_per_echo : NAN);
    put_field(out,
              ",\"waits_per_echo\":", c->has_calls ? c->waits_per_echo : NAN);
    put_field(out, ",\"sleeps_per_echo\":", c->has_calls ? c->sleeps : NAN);
    put_field(out, ",\"sleeps_at_most\":", c->has_calls ? c->sleeps_most : NAN);
    put_text_field(out, ",\"no_calls\":", why_or_null(c->no_calls));
    put_text_field(out, ",\"no_usage\":", why_or_null(c->no_usage));
    put_field(out, ",\"handles_per_client\":",
              c->has_usage ? c->handles_per_client : NAN);
    put_field(out, ",\"bytes_per_client\":",
              c->has_usage ? c->bytes_per_client : NAN);
    put_field(out, ",\"threads_per_client\":",
              c->has_usage ? c->threads_per_client : NAN);
    put_field(out, ",\"threads\":", c->has_usage ? (double)c->threads : NAN);
}

static void put_subject(const struct subject *s, FILE *out)
{
    put_text_field(out, "{\"name\":", s->name);
    put_text_field(out, ",\"model\":", s->model);
    fputs(",\"path\":\"", out);
    put_letters(out, s->path);
    fputs(s->args[0] != '\0' ? " " : "", out);
    put_letters(out, s->args);
    fprintf(out, "\",\"baseline\":%s", s->baseline ? "true" : "false");
    put_field(out,
              ",\"exe_bytes\":", s->exe_bytes > 0 ? (double)s->exe_bytes : NAN);
    fputs(",\"start_ms\":[", out);
    for (size_t i = 0; s->host[0] == '\0' && i < s->start_count; i++)
        fprintf(out, "%s%.1f", i > 0 ? "," : "", s->start_ms[i]);
    fputc(']', out);
    put_counts(&s->counts, out);
    fputs(",\"capacity\":", out);
    if (s->capacity.why[0] == '\0') {
        fputs("null}", out);
        return;
    }
    put_field(out, "{\"clients\":",
              s->capacity.clients > 0 ? (double)s->capacity.clients : NAN);
    put_text_field(out, ",\"why\":", s->capacity.why);
    fputs("}}", out);
}

/* The order of the columns in a CSV, and of the fields in a round. */
static const struct {
    const char *name;
    size_t offset;
} metrics[] = {
    {"echoes_per_s", offsetof(struct figures, echoes_per_s)},
    {"mib_per_s", offsetof(struct figures, mib_per_s)},
    {"connects_per_s", offsetof(struct figures, connects_per_s)},
    {"p50_us", offsetof(struct figures, p50_us)},
    {"p90_us", offsetof(struct figures, p90_us)},
    {"p99_us", offsetof(struct figures, p99_us)},
    {"p999_us", offsetof(struct figures, p999_us)},
    {"max_us", offsetof(struct figures, max_us)},
    {"cpu_us_per_echo", offsetof(struct figures, cpu_us_per_echo)},
    {"echoes", offsetof(struct figures, echoes)},
    {"fewest_echoes", offsetof(struct figures, fewest)},
    {"median_echoes", offsetof(struct figures, median)},
    {"most_echoes", offsetof(struct figures, most)},
};
enum { METRICS = sizeof metrics / sizeof metrics[0] };

static void put_round(const struct figures *f, FILE *out)
{
    put_field(out, "{\"seconds\":", f->seconds);
    for (size_t i = 0; i < METRICS; i++) {
        fprintf(out, ",\"%s\":", metrics[i].name);
        put_number(out, figure_at(f, metrics[i].offset));
    }
    fputc('}', out);
}

static void put_percentiles(const struct histogram *h, FILE *out)
{
    static const double points[] = {0,  10, 25,   50,   75,    90, 95,
                                    98, 99, 99.5, 99.9, 99.99, 100};
    fputs("\"percentiles\":[", out);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        fprintf(out, "%s[%g,%.1f]", i > 0 ? "," : "", points[i],
                (double)histogram_percentile(h, points[i]) / 1000);
    fputs("]", out);
}

static void put_result(const struct comparison *c, size_t scenario,
                       size_t subject, FILE *out)
{
    const struct result *r = result_of(c, scenario, subject);
    bool counts = result_counts(r);
    put_text_field(out, " {\"server\":", c->subjects[subject].name);
    fprintf(out, ",\"valid\":%s", counts ? "true" : "false");
    put_text_field(out, ",\"why\":",
                   counts              ? NULL
                   : r->why[0] != '\0' ? r->why
                                       : "not measured");
    fprintf(out, ",\"unserved\":%.0f", r->unserved);
    fputs(",\"rounds\":[", out);
    for (size_t i = 0; counts && i < r->count; i++) {
        fputs(i > 0 ? ",\n  " : "\n  ", out);
        put_round(&r->rounds[i], out);
    }
    fputs("],\n  ", out);
    if (counts)
        put_percentiles(r->latency, out);
    else
        fputs("\"percentiles\":[]", out);
    fputc('}', out);
}

void report_json(const struct comparison *c, FILE *out)
{
    put_text_field(out, "{\"format\":1,\"program\":", "compare " SUITE_VERSION);
    put_text_field(out, ",\"date\":", c->environment.date);
    put_text_field(out, ",\"mode\":", mode_name(c->options->mode));
    fputs(",\n", out);
    put_environment(&c->environment, c->options->pin, out);
    fprintf(out, "\"rounds\":%u,\"rounds_asked\":%lu,\n\"servers\":[\n",
            c->rounds, c->options->rounds);
    for (size_t i = 0; i < c->subject_count; i++) {
        put_subject(&c->subjects[i], out);
        fputs(i + 1 < c->subject_count ? ",\n" : "],\n", out);
    }
    fputs("\"scenarios\":[\n", out);
    for (size_t i = 0; i < c->scenario_count; i++) {
        const struct scenario *s = &c->scenarios[i];
        fprintf(out,
                "{\"id\":\"%s\",\"kind\":\"%s\",\"name\":\"%s\","
                "\"clients\":%u,\"bytes\":%u,\"seconds\":%g,\"headline\":%s,"
                "\"results\":[\n",
                s->id, scenario_kind_name(s->kind), s->name, s->clients,
                s->bytes, s->seconds, s->headline ? "true" : "false");
        for (size_t k = 0; k < c->subject_count; k++) {
            put_result(c, i, k, out);
            fputs(k + 1 < c->subject_count ? ",\n" : "]}", out);
        }
        fputs(i + 1 < c->scenario_count ? ",\n" : "]}\n", out);
    }
}

/* ---- the page ---------------------------------------------------------- */

/* page.html, which is in this program as a resource (page.rc). */
static const char *page_template(size_t *len)
{
    HRSRC found = FindResourceA(NULL, "REPORT", (LPCSTR)RT_RCDATA);
    HGLOBAL loaded = found != NULL ? LoadResource(NULL, found) : NULL;
    const char *page = loaded != NULL ? LockResource(loaded) : NULL;
    if (page == NULL)
        die_call("FindResourceA", GetLastError());
    *len = SizeofResource(NULL, found);
    return page;
}

void report_page(const struct comparison *c, FILE *out)
{
    static const char mark[] = "<script id=\"data\" type=\"application/json\">";
    size_t len = 0;
    const char *page = page_template(&len);
    size_t at = 0;
    while (at + sizeof mark + 1 < len &&
           memcmp(page + at, mark, sizeof mark - 1) != 0)
        at++;
    at += sizeof mark - 1;
    if (at + 2 > len || memcmp(page + at, "{}", 2) != 0)
        die_call("the page's place for data", ERROR_RESOURCE_DATA_NOT_FOUND);
    fwrite(page, 1, at, out);
    report_json(c, out);
    fwrite(page + at + 2, 1, len - at - 2, out);
}

/* ---- CSV --------------------------------------------------------------- */

static void put_cell(const char *raw, FILE *out)
{
    char *clean = clean_copy(raw);
    csv_put(out, clean);
    free(clean);
}

static void put_row_head(const struct comparison *c, size_t scenario,
                         size_t subject, double seconds, FILE *out)
{
    const struct scenario *s = &c->scenarios[scenario];
    const struct subject *of = &c->subjects[subject];
    const struct result *r = result_of(c, scenario, subject);
    fprintf(out, "%s,%s,", s->id, scenario_kind_name(s->kind));
    put_cell(s->name, out);
    fprintf(out, ",%u,%u,%g,", s->clients, s->bytes, seconds);
    put_cell(of->name, out);
    fprintf(out, ",%s,%s,%s,", of->model != NULL ? of->model : "",
            of->baseline ? "true" : "false",
            result_counts(r) ? "true" : "false");
    put_cell(r->why, out);
    fprintf(out, ",%.0f", r->unserved);
}

/* Writes a row for each round, and one without figures for an invalid
 * result. */
static void put_rows(const struct comparison *c, size_t scenario,
                     size_t subject, FILE *out)
{
    const struct result *r = result_of(c, scenario, subject);
    size_t rows = result_counts(r) ? r->count : 1;
    for (size_t i = 0; i < rows; i++) {
        put_row_head(c, scenario, subject,
                     result_counts(r) ? r->rounds[i].seconds
                                      : c->scenarios[scenario].seconds,
                     out);
        if (result_counts(r))
            fprintf(out, ",%zu", i + 1);
        else
            fputc(',', out);
        for (size_t m = 0; m < METRICS; m++) {
            fputc(',', out);
            double value = result_counts(r)
                               ? figure_at(&r->rounds[i], metrics[m].offset)
                               : NAN;
            if (is_known(value))
                fprintf(out, "%.6g", value);
        }
        fputs("\r\n", out);
    }
}

void report_csv(const struct comparison *c, FILE *out)
{
    fputs("scenario,kind,name,clients,bytes,seconds,server,model,baseline,"
          "valid,why,unserved,round",
          out);
    for (size_t m = 0; m < METRICS; m++)
        fprintf(out, ",%s", metrics[m].name);
    fputs("\r\n", out);
    for (size_t i = 0; i < c->scenario_count; i++)
        for (size_t k = 0; k < c->subject_count; k++)
            put_rows(c, i, k, out);
}
