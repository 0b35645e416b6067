/* contract.c -- contract.exe: does an echo server keep the contract?
 *
 * Reads the command line, runs the cases in order and reports. The contract is
 * docs/contract.md; each case carries the number of the clause it tests.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/err.h"
#include "programs/contract/diagnose.h"
#include "programs/contract/pattern.h"
#include "programs/contract/stages.h"

/* ---- the command line ----------------------------------------------------- */

static const char help[] =
    "contract: tests an echo server against docs/contract.md\n"
    "\n"
    "usage: contract --exe PATH [options]\n"
    "       contract --connect HOST:PORT [options]\n"
    "       contract --each FOLDER [options]\n"
    "       contract --selfcheck FILE [options]\n"
    "\n"
    "  --exe PATH           start this server, as PATH --port N, and test it\n"
    "  --connect HOST:PORT  test a server that runs (no process is measured,\n"
    "                       started or stopped)\n"
    "  --each FOLDER        test every .exe in it, one after the other, and "
    "write\n"
    "                       a table with a row for each; exit code 1 unless\n"
    "                       all pass\n"
    "  --csv FILE           that table as CSV; default grades.csv\n"
    "  --html FILE          that table as a page; default grades.html\n"
    "  --selfcheck FILE     test the six servers beside this program, and "
    "write\n"
    "                       what a report of a fault has to tell into FILE\n"
    "  --arg X              one more argument for the server; repeat for "
    "more;\n"
    "                       %n in it is the number of the start, %p the\n"
    "                       port: for a server whose port is its argv[1]\n"
    "                       that is --arg %p, and it gets no --port\n"
    "  --strict             the server claims the whole contract: one without\n"
    "                       the ready line is wrong, not merely simpler; and\n"
    "                       it has to hold 4000 clients\n"
    "  --model NAME         refuse a server that does not use this model, as\n"
    "                       far as its imports and threads tell: select,\n"
    "                       asyncselect, eventselect, overlapped_event,\n"
    "                       overlapped_routine or iocp\n"
    "  --all                every case; without it a stage begins only when "
    "the\n"
    "                       one before has passed\n"
    "  --stage N            only the cases of this stage, 1 to 8\n"
    "  --only LIST          only these: E2, or E2.3, or E1,E2.3\n"
    "  --list               print the cases and end\n"
    "  --junit FILE         also write the results as JUnit XML\n"
    "  --seed N             of the random numbers; printed at the start\n"
    "  --scale F            stretch all time limits, 0.1 to 100; default 1\n"
    "  --prove              the exe is broken.exe: show that each case fails\n"
    "                       for the mistake it is made for\n"
    "  -h, --help, -?, /?   this text\n"
    "  --version            the version\n"
    "\n"
    "Exit codes: 0 all passed, 1 some failed, 2 bad command line,\n"
    "            4 the suite itself could not run. A server that ends this\n"
    "            program chooses the code: only a run with its last line, and\n"
    "            a JUnit file with errors=\"0\", is whole (docs/grading.md).\n";

static bool split_host(char *text, char **host, char **port)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0')
        return false;
    *colon = '\0';
    *host = text;
    *port = colon + 1;
    if (text[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        *host = text + 1;
    }
    return true;
}

/* out: struct suite */
static bool read_address(const struct option *option, char *value)
{
    struct suite *suite = option->out;
    char *text = format_text("%s", value), *host = NULL, *port = NULL;
    struct addrinfo hints = {0}, *found = NULL;
    hints.ai_socktype = SOCK_STREAM;
    bool right = split_host(text, &host, &port);
    if (right && getaddrinfo(host, port, &hints, &found) != 0)
        suite_broken("no address for %s", value);
    if (right) {
        memcpy(&suite->connect_to, found->ai_addr, found->ai_addrlen);
        suite->connect_given = true;
        freeaddrinfo(found);
    }
    free(text);
    return right;
}

/* out: struct suite */
static bool read_argument(const struct option *option, char *value)
{
    struct suite *suite = option->out;
    suite->args =
        xrealloc(suite->args, (suite->arg_count + 1) * sizeof *suite->args);
    suite->args[suite->arg_count++] = value;
    return true;
}

static void parse(struct suite *suite, struct each *each, int argc, char **argv)
{
    unsigned long seed = (unsigned long)suite->seed;
    const struct option options[] = {
        {NULL, "--exe", &suite->exe, .read = option_text},
        {NULL, "--connect", suite, read_address, .takes = "HOST:PORT"},
        {NULL, "--each", &each->folder, .read = option_text},
        {NULL, "--csv", &each->csv, .read = option_text},
        {NULL, "--html", &each->html, .read = option_text},
        {NULL, "--selfcheck", &suite->selfcheck, .read = option_text},
        {NULL, "--arg", suite, .read = read_argument},
        {NULL, "--strict", .out = &suite->strict},
        {NULL, "--model", &suite->model, .read = option_text},
        {NULL, "--all", .out = &suite->all},
        {NULL, "--stage", &suite->stage, option_number, .min = 1,
         .max = STAGES},
        {NULL, "--only", &suite->only, .read = option_text},
        {NULL, "--list", .out = &suite->list},
        {NULL, "--junit", &suite->junit, .read = option_text},
        {NULL, "--seed", &seed, option_number, .max = 4294967295},
        {NULL, "--scale", &suite->scale, option_real, .min = 0.1, .max = 100,
         .takes = "a number from 0.1 to 100"},
        {NULL, "--prove", .out = &suite->prove},
        {0},
    };
    const struct program program = {.name = "contract", .help = help};
    args_read(&program, options, argc, argv);
    suite->seed = seed;
    int given = (suite->exe != NULL) + suite->connect_given +
                (suite->selfcheck != NULL) + (each->folder != NULL);
    if (given > 1 || (given == 0 && !suite->list))
        args_error("give one of --exe PATH, --connect HOST:PORT, --each FOLDER "
                   "and --selfcheck FILE");
    if (suite->junit != NULL && suite->selfcheck != NULL)
        args_error("--junit is about one server, and --selfcheck about six");
    if (each->folder != NULL &&
        (suite->list || suite->prove || suite->junit != NULL))
        args_error("--each goes without --list, --prove and --junit");
    if (suite->prove && suite->exe == NULL)
        args_error("--prove needs --exe");
    if (suite->prove && suite->junit != NULL)
        args_error("--prove writes no --junit");
    if (suite->model != NULL && !model_known(suite->model))
        args_error("--model: there is no model %s", suite->model);
    if (suite->model != NULL &&
        (suite->connect_given || suite->selfcheck != NULL))
        args_error("--model needs --exe or --each: the program's file is "
                   "looked at");
    if (suite->strict && names_port(suite))
        args_error("--strict is for a server that takes --port, not %%p");
}

/* ---- which cases ---------------------------------------------------------- */

static void list_cases(const struct suite *suite)
{
    for (size_t c = 0; c < CLAUSES; c++)
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++)
            if (case_wanted(suite, k))
                printf("%-6s %u  %s\n", k->id, k->points, k->title);
}

static void add_test(struct test **tests, size_t *count,
                     const struct contract_case *what, struct suite *suite)
{
    *tests = xrealloc(*tests, (*count + 1) * sizeof **tests);
    struct test *t = &(*tests)[(*count)++];
    test_make(t, what, suite);
    test_not_run(t, BLOCKED, "the run has not come so far");
}

/* The cases that are asked for, in the order of their clauses. */
static struct test *make_tests(struct suite *suite, size_t *count)
{
    struct test *tests = NULL;
    if (suite->model != NULL)
        add_test(&tests, count, &model_case, suite);
    for (size_t c = 0; c < CLAUSES; c++)
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++)
            if (case_wanted(suite, k) &&
                (suite->stage == 0 || place_of(k)->stage == suite->stage))
                add_test(&tests, count, k, suite);
    return tests;
}

/* One case has its result. */
static void tell(struct test *tests, size_t count, size_t i)
{
    report_case(&tests[i]);
    if (!junit_so_far(tests[i].suite, tests, count))
        suite_broken("--junit: see above");
}

/* The case of --model comes first, before the stages. It looks at the file, and
 * so nothing else can be the cause. False: the server is refused. */
static bool run_model(struct test *tests, size_t count, struct target **shared)
{
    struct test *t = &tests[0];
    test_free(t);
    test_run(t, &model_case, t->suite, shared);
    tell(tests, count, 0);
    for (size_t i = 1; i < count && t->verdict == FAILED; i++) {
        test_free(&tests[i]);
        test_make(&tests[i], tests[i].what, t->suite);
        test_not_run(&tests[i], BLOCKED, "another model");
    }
    return t->verdict != FAILED;
}

/* False when it failed, or cannot be judged. */
static bool run_one(struct test *tests, size_t count, size_t i,
                    struct target **shared)
{
    struct test *t = &tests[i];
    struct suite *suite = t->suite;
    const struct contract_case *what = t->what;
    const char *cause = diagnosis_blocks(suite, what);
    if (cause != NULL && case_misses(suite, what) == NULL) {
        test_not_run(t, BLOCKED, cause);
    } else {
        test_free(t);
        judge(t, what, suite, shared);
    }
    tell(tests, count, i);
    return t->verdict == PASSED || t->verdict == SKIPPED;
}

/* Returns the first stage that did not pass, or 0. */
static unsigned run_stages(struct test *tests, size_t count,
                           struct target **shared)
{
    bool passed = true;
    unsigned stage = 0;
    while (passed && stage++ < STAGES) {
        printf("-- stage %u of %d: %s\n", stage, STAGES, stage_name(stage));
        for (size_t i = 0; i < count; i++)
            if (place_of(tests[i].what)->stage == stage)
                passed = run_one(tests, count, i, shared) && passed;
    }
    if (passed)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const char *misses = case_misses(tests[i].suite, tests[i].what);
        if (place_of(tests[i].what)->stage > stage)
            test_not_run(&tests[i], misses != NULL ? SKIPPED : BLOCKED,
                         misses != NULL ? misses : "an earlier stage");
    }
    return stage;
}

/* Returns the first stage that did not pass, or 0. */
static unsigned run_cases(const struct suite *suite, struct test *tests,
                          size_t count, struct target **shared)
{
    size_t first = suite->model != NULL ? 1 : 0;
    if (first > 0 && !run_model(tests, count, shared))
        return 1;
    if (!suite->all && suite->only == NULL && suite->stage == 0)
        return run_stages(tests, count, shared);
    for (size_t i = first; i < count; i++)
        (void)run_one(tests, count, i, shared); /* see the report */
    return 0;
}

static bool holds_case(const struct test *tests, size_t count,
                       const struct contract_case *what)
{
    for (size_t i = 0; i < count; i++)
        if (tests[i].what == what)
            return true;
    return false;
}

int run_all(struct suite *suite)
{
    struct target *shared = NULL;
    size_t count = 0;
    struct test *tests = make_tests(suite, &count);
    if (holds_case(tests, count, &e14_patience[0]))
        idle_begin(suite);
    unsigned stage = run_cases(suite, tests, count, &shared);
    idle_end();
    target_free(shared);
    int result = report_end(suite, stage, tests, count);
    if (fflush(stdout) != 0 || ferror(stdout))
        suite_broken("standard output takes no more");
    if (!junit_whole(suite, tests, count))
        suite_broken("--junit: see above");
    if (suite->selfcheck != NULL)
        selfcheck_tell(tests, count);
    for (size_t i = 0; i < count; i++)
        test_free(&tests[i]);
    free(tests);
    return result;
}

static bool any_wanted(const struct suite *suite)
{
    for (size_t c = 0; c < CLAUSES; c++)
        for (const struct contract_case *k = all_cases[c]; k->id != NULL; k++)
            if (case_wanted(suite, k))
                return true;
    return false;
}

static int run_suite(struct suite *suite)
{
    char why[1536];
    if (!any_wanted(suite))
        args_error("no case is called '%s'", suite->only);
    if (!junit_so_far(suite, NULL, 0))
        args_error("--junit: the file cannot be written");
    if (suite->exe != NULL &&
        !graded_open(&suite->graded, suite->exe, why, sizeof why))
        suite_broken("%s", why);
    if (!junit_so_far(suite, NULL, 0)) /* with what is graded */
        suite_broken("--junit: see above");
    if (!suite_probe(suite, why, sizeof why))
        suite_broken("%s", why);
    printf("contract: %s%s%s%s, --seed %llu --scale %g\n",
           suite->exe != NULL ? suite->exe : "the server at --connect",
           suite->name[0] != '\0' ? " (" : "", suite->name,
           suite->name[0] != '\0' ? ")" : "", (unsigned long long)suite->seed,
           suite->scale);
    if (suite->exe != NULL)
        printf("graded: %s, SHA-256 %s\n", suite->graded.path,
               suite->graded.sha256);
    fflush(stdout);
    return suite->prove ? prove(suite) : run_all(suite);
}

int main(int argc, char **argv)
{
    int helper_code = 0;
    args_begin(&argc, &argv);
    if (server_press_helper(argc, argv, &helper_code))
        return helper_code;

    err_program("contract");
    clock_leave_out_sleep();
    WSADATA data;
    int error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0)
        suite_broken("WSAStartup: %s", err_name((unsigned long)error));

    struct suite suite = {0};
    struct diagnosis diagnosis = {0};
    suite.diagnosis = &diagnosis;
    suite.seed = pattern_mix((uint64_t)(clock_ms() * 1000.0)) % 1000000;
    suite.scale = 1.0;
    struct each each = {.csv = "grades.csv", .html = "grades.html"};
    parse(&suite, &each, argc, argv);
    int result = SUITE_PASSED;
    if (suite.list)
        list_cases(&suite);
    else if (suite.selfcheck != NULL)
        result = selfcheck(&suite);
    else if (each.folder != NULL)
        result = each_run(&suite, &each, argc, argv);
    else
        result = run_suite(&suite);
    free(suite.args);
    free(suite.gone);
    graded_close(&suite.graded);
    WSACleanup();
    return result;
}
