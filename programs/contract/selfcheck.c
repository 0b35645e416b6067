/* selfcheck.c -- the six servers beside contract.exe, for a report of a fault
 *
 * Writes one text file that says where it ran and what came out. Each line is
 * written at once, and the file ends with a line "end": so the reader of a file
 * that was cut knows it, and still has what was found before.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/args.h"
#include "common/utf8.h"
#include "programs/contract/diagnose.h"
#include "programs/contract/suite.h"
#include "programs/harness/environment.h"
#include "programs/harness/server_process.h"
#include "programs/harness/text.h"

static const char *const models[] = {
    "select",           "asyncselect",        "eventselect",
    "overlapped_event", "overlapped_routine", "iocp"};
enum { MODELS = sizeof models / sizeof models[0] };

static FILE *file;

static void tell_system(const struct suite *suite)
{
    struct environment e;
    environment_read(&e);
    fprintf(file,
            "winsock-models " SUITE_VERSION " self-check, %s\n"
            "system: %s\n"
            "processor: %s, %lu logical, %lu MiB of memory\n"
            "built with: %s, %zu bits\n"
            "options: --seed %llu --scale %g%s%s\n",
            e.date, e.system, e.cpu, e.processors, e.memory_mib, e.compiler,
            sizeof(void *) * 8, (unsigned long long)suite->seed, suite->scale,
            suite->only != NULL ? " --only " : "",
            suite->only != NULL ? suite->only : "");
    fflush(file);
}

void selfcheck_tell(const struct test *tests, size_t count)
{
    size_t found[BLOCKED + 1] = {0};
    double took_ms = 0;
    for (size_t i = 0; i < count; i++) {
        found[tests[i].verdict]++;
        took_ms += tests[i].took_ms;
    }
    fprintf(file, "%zu passed, %zu failed, %zu skipped in %.1f s\n",
            found[PASSED], found[FAILED], found[SKIPPED], took_ms / 1000);
    for (size_t i = 0; i < count; i++) {
        const struct test *t = &tests[i];
        if (t->verdict == SKIPPED)
            fprintf(file, "  skip  %s: %s\n", t->what->id, t->observed);
        if (t->verdict != FAILED)
            continue;
        fprintf(file, "  FAIL  %s %s\n", t->what->id, t->what->title);
        report_steps(file, t);
    }
    fflush(file);
}

/* One that does not even start is a result, too. */
static int check_one(struct suite *suite, const char *model)
{
    char name[64], why[1024];
    snprintf(name, sizeof name, "%s.exe", model);
    printf("-- %s\n", model);
    fprintf(file, "%s: ", model);
    fflush(file);
    char *path = program_beside_us(name);
    if (path == NULL)
        suite_broken("out of memory");
    suite->exe = path;
    *suite->diagnosis = (struct diagnosis){0};
    int result = SUITE_BROKEN;
    if (suite_probe(suite, why, sizeof why)) {
        result = run_all(suite);
    } else {
        text_make_plain(why);
        printf("it does not start: %s\n", why);
        fprintf(file, "it does not start: %s\n", why);
    }
    suite->exe = NULL;
    free(path);
    return result;
}

int selfcheck(struct suite *suite)
{
    int worst = SUITE_PASSED;
    suite->all = true;
    file = utf8_create(suite->selfcheck);
    if (file == NULL)
        suite_broken("%s cannot be written", suite->selfcheck);
    suite->strict = true;
    tell_system(suite);
    for (size_t m = 0; m < MODELS; m++) {
        int result = check_one(suite, models[m]);
        worst = result > worst ? result : worst;
    }
    fprintf(file, "end, exit code %d\n", worst);
    bool ok = ferror(file) == 0;
    if (fclose(file) != 0 || !ok)
        suite_broken("%s cannot be written", suite->selfcheck);
    printf("Written: %s\n", suite->selfcheck);
    return worst;
}
