/* e10_usage.c -- E10: a bad command line is refused, with the reason */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/contract/peer.h"

/* The server must end with code 2, name what is wrong, point to --help, and
 * print nothing on standard output. */
static void expect_usage(struct test *t, const char *const *args,
                         const char *word)
{
    char line[160] = "";
    for (size_t i = 0; args[i] != NULL; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s%s",
                 i > 0 ? " " : "", args[i][0] != '\0' ? args[i] : "\"\"");
    step(t, "start it with `%s`",
         "exit code 2; standard error names %s and --help", line, word);
    struct run_result result;
    run_server(t, args, &result);
    expect_code(t, &result, 2,
                "A bad command line has to be refused with exit code 2. For "
                "numbers: atoi() takes anything; the whole text has to be "
                "digits, and the number in range.");
    bool good = strstr(result.err, word) != NULL &&
                strstr(result.err, "--help") != NULL;
    char *err = format_text("%s", result.err);
    run_result_free(&result);
    t->observed = err; /* the test frees it */
    if (!good)
        fail(t,
             "The message has to name what was wrong and how to get help, on "
             "standard error.",
             "standard error: %s", *err != '\0' ? err : "(empty)");
    free(err);
    t->observed = NULL;
}

static void bad_numbers(struct test *t)
{
    static const char *const lines[][3] = {
        {"--port", "65536", NULL},
        {"--port", "-1", NULL},
        {"--port", "80x", NULL},
        {"--port", "0x50", NULL},
        {"--port", "", NULL},
        {"--port", " 80", NULL},
        {"--port", "18446744073709551616", NULL},
        {"--port=65536", NULL, NULL},
        {"--max-clients", "0", NULL},
        {"--max-clients", "4294967297", NULL},
        {"--buffer", "0", NULL},
        {"--buffer", "1048577", NULL},
        {"--port", NULL, NULL}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(lines[i][0], "="),
                 lines[i][0]);
        expect_usage(t, lines[i], name);
    }
}

static void bad_words(struct test *t)
{
    expect_usage(t, (const char *[]){"--nonsense", NULL}, "--nonsense");
    expect_usage(t, (const char *[]){"-x", NULL}, "-x");
    expect_usage(t, (const char *[]){"stray", NULL}, "stray");
    expect_usage(t, (const char *[]){"--port", "0", "5566", NULL}, "5566");
    expect_usage(t, (const char *[]){"--bind", "no.such.name", NULL}, "--bind");
    expect_usage(t, (const char *[]){"--bind", "127.0.0.256", NULL}, "--bind");
    expect_usage(t, (const char *[]){"--quiet=1", NULL}, "--quiet");
}

/* Models with workers take --threads; the others have to say why they do not.
 * The suite does not know which models have workers: both answers are right if
 * they are clear. */
static void threads_option(struct test *t)
{
    expect_usage(t, (const char *[]){"--threads", "0", NULL}, "--threads");
    expect_usage(t, (const char *[]){"--threads", "two", NULL}, "--threads");
}

static void expect_help(struct test *t, const char *option)
{
    struct run_result result;
    step(t, "start it with `%s`",
         "exit code 0; usage on standard output, nothing on standard error",
         option);
    run_server(t, (const char *[]){option, NULL}, &result);
    expect_code(t, &result, 0, "Asking for help is no mistake: exit code 0.");
    bool good = strstr(result.out, "--port") != NULL &&
                strstr(result.out, "--stop-on-eof") != NULL &&
                result.err[0] == '\0';
    run_result_free(&result);
    if (!good)
        fail(t,
             "Help that was asked for goes to standard output, complete, so "
             "that it can be read page by page.",
             "it is not there, or on standard error");
}

static void help_and_version(struct test *t)
{
    static const char *const options[] = {"--help", "-h", "-?", "/?"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        expect_help(t, options[i]);
    struct run_result result;
    step(t, "start it with `--version`", "exit code 0; `%s N.N.N`",
         t->suite->name);
    run_server(t, (const char *[]){"--version", NULL}, &result);
    expect_code(t, &result, 0, "Asking for the version is no mistake.");
    char name[32];
    unsigned a, b, c;
    bool good = sscanf(result.out, "%31s %u.%u.%u", name, &a, &b, &c) == 4 &&
                strcmp(name, t->suite->name) == 0;
    run_result_free(&result);
    if (!good)
        fail(t, "Print the name and three numbers, as in `iocp 1.0.0`.",
             "something else");
}

const struct contract_case e10_usage[] = {
    {"E10.1", "numbers that are none, or out of range", 2,
     NEED_PROCESS | NEED_OPTIONS, bad_numbers},
    {"E10.2", "unknown options, stray words, bad addresses", 2,
     NEED_PROCESS | NEED_OPTIONS, bad_words},
    {"E10.3", "--threads with nonsense", 1, NEED_PROCESS | NEED_OPTIONS,
     threads_option},
    {"E10.4", "--help and --version", 1, NEED_PROCESS | NEED_OPTIONS,
     help_and_version},
    {NULL, NULL, 0, 0, NULL}};
