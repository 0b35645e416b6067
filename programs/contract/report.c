/* report.c -- what the suite prints, and the JUnit file */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "programs/contract/diagnose.h"
#include "programs/contract/stages.h"
#include "programs/harness/output_file.h"

void report_steps(FILE *out, const struct test *t)
{
    for (size_t i = 0; i < t->step_count; i++)
        fprintf(out, "     %s %2zu. %s\n            expected: %s\n",
                i + 1 == t->step_count ? ">>" : "  ", i + 1, t->steps[i].action,
                t->steps[i].expect);
    fprintf(out, "            observed: %s\n", t->observed);
    fprintf(out, "            hint: %s\n", t->hint);
}

void report_case(const struct test *t)
{
    static const char *const words[] = {"ok  ", "FAIL", "skip"};
    if (t->verdict == BLOCKED) {
        printf("----  %-6s %-58s blocked\n", t->what->id, t->what->title);
        return;
    }
    printf("%s  %-6s %-58s %6.0f ms\n", words[t->verdict], t->what->id,
           t->what->title, t->took_ms);
    if (t->verdict == FAILED)
        report_steps(stdout, t);
    else if (t->verdict == SKIPPED)
        printf("             skipped: %s\n", t->observed);
    else if (t->seen != NULL)
        printf("             seen: %s\n", t->seen);
    fflush(stdout);
}

/* ---- points --------------------------------------------------------------- */

static size_t clause_len(const char *id)
{
    return strcspn(id, ".");
}

static bool same_clause(const struct test *a, const struct test *b)
{
    size_t len = clause_len(a->what->id);
    return len == clause_len(b->what->id) &&
           memcmp(a->what->id, b->what->id, len) == 0;
}

static void print_points(const struct test *tests, size_t count)
{
    unsigned all_got = 0, all_most = 0;
    printf("points:");
    for (size_t i = 0; i < count;) {
        unsigned got = 0, most = 0;
        size_t first = i;
        for (; i < count && same_clause(&tests[first], &tests[i]); i++) {
            if (tests[i].verdict == SKIPPED)
                continue;
            most += tests[i].what->points;
            got += tests[i].verdict == PASSED ? tests[i].what->points : 0;
        }
        if (most > 0)
            printf(" %.*s %u/%u", (int)clause_len(tests[first].what->id),
                   tests[first].what->id, got, most);
        all_got += got;
        all_most += most;
    }
    printf(", all %u/%u\n", all_got, all_most);
}

static size_t count_verdict(const struct test *tests, size_t count,
                            enum verdict verdict)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (tests[i].verdict == verdict)
            found++;
    return found;
}

static void print_stage(const struct suite *suite, unsigned stage,
                        const struct test *tests, size_t count)
{
    const char *sentence = diagnosis_sentence(suite->diagnosis->found.fact);
    bool in_stages = !suite->all && suite->only == NULL && suite->stage == 0;
    if (!in_stages)
        return;
    if (count > 0 && tests[0].what == &model_case && tests[0].verdict == FAILED)
        printf("no stage was begun, for the model is another one\n");
    else if (stage == 0)
        printf("all %d stages passed\n", STAGES);
    else
        printf("stage %u of %d (%s) did not pass%s%s\n", stage, STAGES,
               stage_name(stage), sentence != NULL ? ": " : "",
               sentence != NULL ? sentence : "");
}

int report_end(const struct suite *suite, unsigned stage,
               const struct test *tests, size_t count)
{
    size_t passed = count_verdict(tests, count, PASSED);
    size_t failed = count_verdict(tests, count, FAILED);
    size_t blocked = count_verdict(tests, count, BLOCKED);
    print_points(tests, count);
    if (blocked > 0)
        printf("%zu cases did not run because of what failed before; they give "
               "no points\n",
               blocked);
    print_stage(suite, stage, tests, count);
    printf("%zu passed, %zu failed", passed, failed);
    if (passed + failed < count)
        printf(", %zu skipped", count - passed - failed);
    printf("\n");
    return failed > 0 ? SUITE_FAILED : SUITE_PASSED;
}

/* ---- JUnit ---------------------------------------------------------------- */

/* XML allows no other characters below the space than these, not even escaped,
 * and not the two last ones of 65,536; and the output of a server need not be
 * UTF-8. */
void put_xml(FILE *out, const char *text)
{
    char *clean = utf8_clean(text);
    if (clean == NULL)
        suite_broken("out of memory");
    for (const char *in = clean; *in != '\0'; in++) {
        unsigned char c = (unsigned char)*in;
        if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c == '\n')
            fputs("&#10;", out);
        else if (c < ' ')
            fputc('?', out);
        else if (strncmp(in, "\xEF\xBF\xBE", 3) == 0 ||
                 strncmp(in, "\xEF\xBF\xBF", 3) == 0) {
            fputc('?', out);
            in += 2;
        } else
            fputc(c, out);
    }
    free(clean);
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    put_xml(out, value);
    fputc('"', out);
}

static void put_failure(FILE *out, const struct test *t)
{
    fputs("      <failure type=\"contract\"", out);
    put_attribute(out, "message", t->observed);
    fputc('>', out);
    for (size_t i = 0; i < t->step_count; i++) {
        char *line =
            format_text("%s%zu. %s; expected: %s\n", i == 0 ? "\n" : "", i + 1,
                        t->steps[i].action, t->steps[i].expect);
        put_xml(out, line);
        free(line);
    }
    char *end = format_text("observed: %s\nhint: %s\n", t->observed, t->hint);
    put_xml(out, end);
    free(end);
    fputs("</failure>\n", out);
}

static void put_case(FILE *out, const struct suite *suite, const struct test *t)
{
    char *name = format_text("%s %s", t->what->id, t->what->title);
    char *group = format_text("contract.%s%s%.*s", suite->name,
                              suite->name[0] != '\0' ? "." : "",
                              (int)clause_len(t->what->id), t->what->id);
    fputs("    <testcase", out);
    put_attribute(out, "classname", group);
    put_attribute(out, "name", name);
    fprintf(out, " time=\"%.3f\">\n", t->took_ms / 1000.0);
    free(name);
    free(group);
    if (t->verdict == FAILED)
        put_failure(out, t);
    if (t->verdict == SKIPPED || t->verdict == BLOCKED) {
        char *why = format_text(
            "%s%s", t->verdict == BLOCKED ? "blocked by: " : "", t->observed);
        fputs("      <skipped", out);
        put_attribute(out, "message", why);
        fputs("/>\n", out);
        free(why);
    }
    fputs("    </testcase>\n", out);
}

static void put_totals(FILE *out, const char *element, const char *name,
                       const struct test *tests, size_t count, bool unfinished)
{
    double took_ms = 0;
    for (size_t i = 0; i < count; i++)
        took_ms += tests[i].took_ms;
    fprintf(out, "<%s", element);
    put_attribute(out, "name", name);
    fprintf(out,
            " tests=\"%zu\" failures=\"%zu\" errors=\"%d\" skipped=\"%zu\""
            " time=\"%.3f\">\n",
            count + unfinished, count_verdict(tests, count, FAILED), unfinished,
            count_verdict(tests, count, SKIPPED) +
                count_verdict(tests, count, BLOCKED),
            took_ms / 1000.0);
}

static void put_property(FILE *out, const char *name, const char *value)
{
    fputs("      <property", out);
    put_attribute(out, "name", name);
    put_attribute(out, "value", value);
    fputs("/>\n", out);
}

/* A reader of JUnit counts this as an error, like a case. */
static void put_unfinished(FILE *out, const char *reason)
{
    fputs("    <testcase classname=\"contract\" name=\"the run as a whole\" "
          "time=\"0\">\n      <error type=\"unfinished\"",
          out);
    put_attribute(out, "message", reason);
    fputs("/>\n    </testcase>\n", out);
}

static bool write_junit(const struct suite *suite, const struct test *tests,
                        size_t count, const char *unfinished)
{
    struct output_file file;
    if (!output_open(&file, suite->junit))
        return false;
    FILE *out = file.file;
    const char *name = suite->exe != NULL ? suite->exe : "--connect";
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
    put_totals(out, "testsuites", "contract", tests, count, unfinished != NULL);
    fputs("  ", out);
    put_totals(out, "testsuite", name, tests, count, unfinished != NULL);
    if (suite->graded.sha256[0] != '\0') {
        fputs("    <properties>\n", out);
        put_property(out, "exe", suite->graded.path);
        put_property(out, "sha256", suite->graded.sha256);
        fputs("    </properties>\n", out);
    }
    for (size_t i = 0; i < count; i++)
        put_case(out, suite, &tests[i]);
    if (unfinished != NULL)
        put_unfinished(out, unfinished);
    fputs("  </testsuite>\n</testsuites>\n", out);
    return output_keep(&file);
}

/* What is known so far, for a run that cannot go on. */
static struct {
    const struct suite *suite; /* NULL: there is no file, or it is whole */
    const struct test *tests;
    size_t count;
} known;

bool junit_so_far(const struct suite *suite, const struct test *tests,
                  size_t count)
{
    if (suite->junit == NULL)
        return true;
    known.suite = suite;
    known.tests = tests;
    known.count = count;
    return write_junit(suite, tests, count,
                       "unfinished: contract.exe has not come to its end");
}

bool junit_whole(const struct suite *suite, const struct test *tests,
                 size_t count)
{
    known.suite = NULL;
    return suite->junit == NULL || write_junit(suite, tests, count, NULL);
}

void junit_broken(const char *reason)
{
    const struct suite *suite = known.suite;
    known.suite = NULL; /* writing it can break the suite, too */
    if (suite != NULL)
        (void)write_junit(suite, known.tests, known.count, reason);
}
