/* prove.c -- each case fails for the mistake it is made for, and no other is
 * named
 *
 * A test that cannot fail proves nothing. So every case runs against a server
 * that has exactly the mistake which the case is made for (broken/broken.c).
 * There it has to fail, with the hint that names this mistake. It also runs
 * against the same server without a mistake, and there it has to pass. A cause
 * that explains many failures (diagnose.h) is found where the list of bugs says
 * so, and nowhere else.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/contract/diagnose.h"

/* Most of the time here goes into waiting for something that will not come. So
 * the limits are shorter than for a server that may be good. */
#define PROVE_SCALE 0.4

struct proof {
    const char *name;  /* of the bug; empty: none */
    const char *cases; /* E1.2,E1.3 */
    const char *hint;  /* words that must occur */
    const char *cause; /* the name of the one that is found; empty: none */
};

struct tally {
    size_t good, bad, skipped;
};

static const struct contract_case *find_case(const char *id, size_t len)
{
    for (size_t c = 0; c < CLAUSES; c++)
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++)
            if (strlen(k->id) == len && memcmp(k->id, id, len) == 0)
                return k;
    suite_broken("there is no case %.*s", (int)len, id);
}

static bool holds(const char *text, const char *words)
{
    return text != NULL && strstr(text, words) != NULL;
}

static const char *name_of(const struct suite *suite)
{
    const char *name = diagnosis_name(suite->diagnosis->found.fact);
    return name != NULL ? name : "";
}

/* The hint names the mistake, and nothing else is named. */
static bool names_it(const struct test *test, const struct proof *proof)
{
    if (strcmp(name_of(test->suite), proof->cause) != 0)
        return false;
    return holds(test->hint, proof->hint) ||
           holds(test->observed, proof->hint) ||
           holds(diagnosis_sentence(test->suite->diagnosis->found.fact),
                 proof->hint);
}

/* One bug against one case. */
static void prove_one(struct suite *with, const struct proof *proof,
                      const struct contract_case *what, struct tally *tally)
{
    free(with->gone);
    with->gone = NULL;
    struct target *shared = NULL;
    struct test test;
    judge(&test, what, with, &shared);
    target_free(shared);

    bool good = test.verdict == FAILED && names_it(&test, proof);
    printf("%s  %-6s finds %-22s %6.0f ms\n",
           test.verdict == SKIPPED ? "skip"
           : good                  ? "ok  "
                                   : "FAIL",
           what->id, proof->name, test.took_ms);
    if (test.verdict == PASSED)
        printf("            it passes all the same\n");
    else if (test.verdict == SKIPPED)
        printf("             skipped: %s\n", test.observed);
    else if (!good)
        printf("            %s\n            hint: %s\n            cause: %s\n"
               "            wanted: %s|%s\n",
               test.observed, test.hint, name_of(with), proof->hint,
               proof->cause);
    fflush(stdout);
    tally->good += good;
    tally->skipped += test.verdict == SKIPPED;
    tally->bad += !good && test.verdict != SKIPPED;
    test_free(&test);
}

/* Mark a case, to see at the end which cases have no bug. */
static void mark_proven(bool *proven, const struct contract_case *what)
{
    size_t n = 0;
    for (size_t c = 0; c < CLAUSES; c++)
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++)
            proven[n++] |= k == what;
}

/* Without a bug every case has to pass, or its failures prove nothing. */
static void prove_innocence(struct suite *suite, bool *proven,
                            struct tally *tally)
{
    struct target *shared = NULL;
    struct test test;
    for (size_t c = 0; c < CLAUSES; c++) {
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++) {
            if (!case_wanted(suite, k))
                continue;
            test_run(&test, k, suite, &shared);
            report_case(&test);
            tally->good += test.verdict == PASSED;
            tally->bad += test.verdict == FAILED;
            tally->skipped += test.verdict == SKIPPED;
            if (test.verdict == SKIPPED)
                mark_proven(proven, k); /* it cannot run here at all */
            test_free(&test);
        }
    }
    target_free(shared);
}

/* Cut "NAME CASES WORDS OF THE HINT|CAUSE" in four, in place. */
static bool split(char *line, struct proof *proof)
{
    char *cases = strchr(line, ' ');
    char *hint = cases != NULL ? strchr(cases + 1, ' ') : NULL;
    char *cause = hint != NULL ? strchr(hint + 1, '|') : NULL;
    if (cause == NULL)
        return false;
    *cases = *hint = *cause = '\0';
    cause[1 + strcspn(cause + 1, "\r")] = '\0';
    *proof = (struct proof){line, cases + 1, hint + 1, cause + 1};
    return true;
}

static void report_unproven(const struct suite *suite, const bool *proven,
                            struct tally *tally)
{
    size_t n = 0;
    for (size_t c = 0; c < CLAUSES; c++)
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++)
            if (!proven[n++] && case_wanted(suite, k)) {
                printf("FAIL  %-6s no broken server proves it\n", k->id);
                tally->bad++;
            }
}

/* One bug against all its cases. */
static void prove_bug(const struct suite *suite, const struct proof *proof,
                      bool *proven, struct tally *tally)
{
    struct suite with = *suite;
    struct diagnosis diagnosis = {0};
    with.diagnosis = &diagnosis;
    with.scale *= PROVE_SCALE;
    with.strict = with.all = true;
    with.args = xrealloc(NULL, (suite->arg_count + 2) * sizeof *with.args);
    if (suite->arg_count > 0)
        memcpy(with.args, suite->args, suite->arg_count * sizeof *with.args);
    with.args[with.arg_count++] = "--bug";
    with.args[with.arg_count++] = proof->name;
    for (const char *id = proof->cases; *id != '\0';) {
        size_t len = strcspn(id, ",");
        const struct contract_case *what = find_case(id, len);
        mark_proven(proven, what);
        if (case_wanted(suite, what))
            prove_one(&with, proof, what, tally);
        id += len + (id[len] == ',');
    }
    free(with.args);
}

static void prove_list(const struct suite *suite, char *list, bool *proven,
                       struct tally *tally)
{
    for (char *line = strtok(list, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        struct proof proof;
        if (!split(line, &proof))
            suite_broken("--list-bugs printed '%s'", line);
        prove_bug(suite, &proof, proven, tally);
    }
}

/* The broken server's own list of its bugs. The caller frees it. */
static char *bug_list(const struct suite *suite)
{
    static const char *const args[] = {"--list-bugs"};
    char why[512];
    unsigned long code = 0;
    struct server_start start = {
        .exe = suite->exe, .args = args, .arg_count = 1};
    struct server_process *process = server_start(&start, why, sizeof why);
    if (process == NULL)
        suite_broken("%s", why);
    if (server_wait_exit(process, 10 * ANSWER_MS, &code) != SERVER_WAIT_OK ||
        code != 0)
        suite_broken("%s knows no --list-bugs", suite->exe);
    char *list = server_output(process, SERVER_STDOUT);
    server_free(process);
    if (list == NULL)
        suite_broken("out of memory");
    return list;
}

int prove(struct suite *suite)
{
    enum { MOST_CASES = 200 };
    bool proven[MOST_CASES] = {false};
    struct tally tally = {0, 0, 0};
    char *list = bug_list(suite);
    if (case_wanted(suite, &e14_patience[0]))
        idle_begin(suite);
    prove_innocence(suite, proven, &tally);
    idle_end();
    prove_list(suite, list, proven, &tally);
    report_unproven(suite, proven, &tally);
    free(list);
    printf("%zu passed, %zu failed", tally.good, tally.bad);
    if (tally.skipped > 0)
        printf(", %zu skipped", tally.skipped);
    printf("\n");
    return tally.bad > 0 ? SUITE_FAILED : SUITE_PASSED;
}
