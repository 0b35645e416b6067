/* e09_start.c -- E9: a start that fails explains itself */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/contract/peer.h"

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void expect_words(struct test *t, struct run_result *result,
                         const char *const *words)
{
    char *err = format_text("%s", result->err);
    run_result_free(result);
    t->observed = err; /* the test frees it */
    for (; *words != NULL; words++)
        if (strstr(err, *words) == NULL)
            fail(t,
                 "The message does not help: it has to name the call, the "
                 "address, and the error by name and number, and say what to "
                 "do about it.",
                 "no `%s` in: %s", *words, err);
    if (count_lines(err) != 1)
        fail(t, "One failure, one line: more hides what matters.",
             "%zu lines: %s", count_lines(err), err);
}

static const char start_hint[] =
    "A server that cannot listen has to say so and end with code 3: check the "
    "result of bind() and of listen().";

static void port_taken(struct test *t)
{
    struct run_result result;
    char port[8], address[32];
    own_server(t, TARGET_PLAIN, NULL);
    snprintf(port, sizeof port, "%u", target_port(t->target));
    snprintf(address, sizeof address, "127.0.0.1:%s", port);
    step(t, "start a second server on port %s, which the first has",
         "it ends, with an exit code that is not 0", port);
    run_server(t, (const char *[]){"--port", port, NULL}, &result);
    if (result.exit_code == 0) {
        run_result_free(&result);
        fail(t, start_hint, "exit code 0");
    }
    if (!t->suite->full) {
        run_result_free(&result);
        return; /* the rest is a rule only for servers with our options */
    }
    step(t, "look at its end", "exit code 3");
    expect_code(t, &result, 3, start_hint);
    bool access = strstr(result.err, "WSAEACCES") != NULL;
    step(t, "look at standard error",
         "one line: bind, 127.0.0.1:%s, WSAEADDRINUSE, 10048, a hint", port);
    expect_words(t, &result,
                 (const char *[]){"bind", address,
                                  access ? "WSAEACCES" : "WSAEADDRINUSE",
                                  access ? "10013" : "10048", ";", NULL});
}

static void foreign_address(struct test *t)
{
    struct run_result result;
    step(t, "--bind 203.0.113.1, which this machine does not have",
         "exit code 3");
    run_server(t,
               (const char *[]){"--port", "0", "--bind", "203.0.113.1", NULL},
               &result);
    expect_code(t, &result, 3, start_hint);
    step(t, "look at standard error",
         "one line: bind, 203.0.113.1, WSAEADDRNOTAVAIL, 10049, a hint");
    expect_words(t, &result,
                 (const char *[]){"bind", "203.0.113.1", "WSAEADDRNOTAVAIL",
                                  "10049", ";", NULL});
}

const struct contract_case e09_start[] = {
    {"E9.1", "the port is taken", 2, NEED_PROCESS, port_taken},
    {"E9.2", "an address of another machine", 2, NEED_PROCESS | NEED_OPTIONS,
     foreign_address},
    {NULL, NULL, 0, 0, NULL}};
