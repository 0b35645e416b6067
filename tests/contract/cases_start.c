/* cases_start.c -- E9: a failed start explains itself; E10: a bad command line
 * does too; E11: who may connect
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/contract/peer.h"

/* ---- E9 ------------------------------------------------------------------- */

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

static void expect_code(struct test *t, struct run_result *result,
                        unsigned long code, const char *hint)
{
    if (result->exit_code == code)
        return;
    char *said = format_text("exit code %lu; standard error: %s",
                             result->exit_code, result->err);
    run_result_free(result);
    t->observed = said; /* the test frees it */
    fail(t, hint, "%s", said);
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
        return; /* how it says so is the suite's own style */
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

const struct contract_case cases_start[] = {
    {"E9.1", "the port is taken", 2, NEED_PROCESS, port_taken},
    {"E9.2", "an address of another machine", 2, NEED_PROCESS | NEED_OPTIONS,
     foreign_address},
    {NULL, NULL, 0, 0, NULL}};

/* ---- E10 ------------------------------------------------------------------ */

/* Each must end with code 2, name what is wrong and point to --help, and leave
 * standard output alone. */
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
 * Which is which is not ours to know: both are right if they are clear. */
static void threads_option(struct test *t)
{
    expect_usage(t, (const char *[]){"--threads", "0", NULL}, "--threads");
    expect_usage(t, (const char *[]){"--threads", "two", NULL}, "--threads");
    expect_usage(t, (const char *[]){"--batch", "0", NULL}, "--batch");
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

const struct contract_case cases_usage[] = {
    {"E10.1", "numbers that are none, or out of range", 2,
     NEED_PROCESS | NEED_OPTIONS, bad_numbers},
    {"E10.2", "unknown options, stray words, bad addresses", 2,
     NEED_PROCESS | NEED_OPTIONS, bad_words},
    {"E10.3", "--threads and --batch with nonsense", 1,
     NEED_PROCESS | NEED_OPTIONS, threads_option},
    {"E10.4", "--help and --version", 1, NEED_PROCESS | NEED_OPTIONS,
     help_and_version},
    {NULL, NULL, 0, 0, NULL}};

/* ---- E11 ------------------------------------------------------------------ */

/* All of 127.0.0.0/8 is this machine. So 127.0.0.2 tells a server that listens
 * on 127.0.0.1 from one that listens everywhere, without any network. */
static void loopback_only(struct test *t)
{
    own_server(t, TARGET_PLAIN, NULL);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&t->target->address;
    struct sockaddr_in right = *v4;
    step(t, "connect to 127.0.0.2, the same port", "nobody listens there");
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    struct peer *p = peer_begin(t);
    p->tolerant = true;
    peer_settle(p, limit(t, ANSWER_MS));
    bool accepted = p->sock != INVALID_SOCKET;
    *v4 = right;
    if (accepted)
        fail(t,
             "The server listens on all addresses of the machine, and anybody "
             "in the network can use it. Bind to 127.0.0.1 (INADDR_LOOPBACK) "
             "unless --bind says otherwise.",
             "the connection was accepted");
}

static void everywhere_on_request(struct test *t)
{
    own_server(t, TARGET_PLAIN, (const char *[]){"--bind", "0.0.0.0", NULL});
    struct sockaddr_in *v4 = (struct sockaddr_in *)&t->target->address;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    step(t, "--bind 0.0.0.0: connect to 127.0.0.2", "it echoes");
    peer_echo(peer_connect(t), 100);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    step(t, "look at standard error", "a warning");
    if (server_wait_text(t->target->process, SERVER_STDERR, "warning",
                         limit(t, ANSWER_MS)) != SERVER_WAIT_OK)
        fail(t,
             "Whoever opens a server to the network should know it: print a "
             "warning for any address that is not loopback.",
             "no warning");
}

static void ip_version_6(struct test *t)
{
    SOCKET probe = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
    struct sockaddr_in6 loopback = {0};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr.s6_addr[15] = 1;
    bool there =
        probe != INVALID_SOCKET &&
        bind(probe, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (probe != INVALID_SOCKET)
        closesocket(probe);
    if (!there)
        skip(t, "this machine has no IPv6");
    step(t, "--bind ::1", "the ready line says [::1]:PORT");
    own_server(t, TARGET_PLAIN, (const char *[]){"--bind", "::1", NULL});
    if (strcmp(t->target->ready.address, "::1") != 0)
        fail(t, "The address of --bind is not used.", "it says %s",
             t->target->ready.address);
    step(t, "connect over IPv6, echo 1000 bytes", "they come back");
    peer_echo(peer_connect(t), 1000);
}

const struct contract_case cases_bind[] = {
    {"E11.1", "loopback by default", 2, NEED_PROCESS, loopback_only},
    {"E11.2", "--bind 0.0.0.0 works and warns", 1, NEED_PROCESS | NEED_OPTIONS,
     everywhere_on_request},
    {"E11.3", "--bind ::1", 1, NEED_PROCESS | NEED_OPTIONS, ip_version_6},
    {NULL, NULL, 0, 0, NULL}};
