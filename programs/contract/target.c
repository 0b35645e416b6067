/* target.c -- the servers under test: starting, checking, measuring them */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "programs/contract/peer.h"
#include "programs/contract/suite.h"
#include "programs/harness/listening.h"

enum { READY_MS = 10 * 1000, TAIL = 400, PORTS_TRIED = 3 };
enum { LOOK_MS = 250, SAYS_NOTHING_MS = 2000 };
enum { IDLE_WINDOW_MS = 1000, IDLE_WINDOWS = 3 };

unsigned short target_port(const struct target *target)
{
    /* The port sits at the same place in both kinds of address. */
    return ntohs(((const struct sockaddr_in *)&target->address)->sin_port);
}

unsigned short free_port(void)
{
    unsigned short port = server_free_port();
    if (port == 0)
        suite_broken("no free port: %s",
                     err_name((unsigned long)WSAGetLastError()));
    return port;
}

/* ---- start ---------------------------------------------------------------- */

struct arg_list {
    const char **items;
    size_t count;
    char **filled; /* of the items, those that were made here */
    size_t filled_count;
};

static void add_arg(struct arg_list *list, const char *arg)
{
    list->items =
        xrealloc(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = arg;
}

static void add_args(struct arg_list *list, const char *const *args)
{
    for (; args != NULL && *args != NULL; args++)
        add_arg(list, *args);
}

/* Put `text` in the place of the first `mark` of the argument. NULL: it has no
 * such mark. */
static char *replaced(const char *arg, const char *mark, const char *text)
{
    const char *at = strstr(arg, mark);
    return at == NULL ? NULL
                      : format_text("%.*s%s%s", (int)(at - arg), arg, text,
                                    at + strlen(mark));
}

/* "%n" in an argument becomes the number of the server that is started, so that
 * each can have a file of its own; "%p" becomes its port. */
static void add_filled_arg(struct arg_list *list, const char *arg,
                           const char *port)
{
    static unsigned long starts;
    char number[16];
    snprintf(number, sizeof number, "%lu", starts + 1);
    char *numbered = replaced(arg, "%n", number);
    starts += numbered != NULL;
    char *text = replaced(numbered != NULL ? numbered : arg, "%p", port);
    if (text == NULL)
        text = numbered;
    else
        free(numbered);
    if (text == NULL) {
        add_arg(list, arg);
        return;
    }
    list->filled =
        xrealloc(list->filled, (list->filled_count + 1) * sizeof(char *));
    list->filled[list->filled_count++] = text;
    add_arg(list, text);
}

static void free_args(struct arg_list *list)
{
    for (size_t i = 0; i < list->filled_count; i++)
        free(list->filled[i]);
    free(list->filled);
    free(list->items);
}

bool names_port(const struct suite *suite)
{
    for (size_t i = 0; i < suite->arg_count; i++)
        if (strstr(suite->args[i], "%p") != NULL)
            return true;
    return false;
}

/* The usual arguments, then --arg of our own command line, then the case's:
 * the last one counts. */
static struct arg_list usual_args(const struct suite *suite, unsigned flags,
                                  const char *port, const char *const *args)
{
    struct arg_list list = {0};
    if (!names_port(suite)) {
        add_arg(&list, "--port");
        add_arg(&list, port);
    }
    if (suite->full)
        add_arg(&list, "--stop-on-eof");
    if (suite->full && (flags & TARGET_LOGS) == 0)
        add_arg(&list, "--quiet");
    for (size_t i = 0; i < suite->arg_count; i++)
        add_filled_arg(&list, suite->args[i], port);
    add_args(&list, args);
    return list;
}

static void say_output(char *why, size_t size, const char *what,
                       struct server_process *process)
{
    char *out = server_said(process, SERVER_STDOUT);
    char *err = server_said(process, SERVER_STDERR);
    snprintf(why, size, "%s; standard output: %s; standard error: %s", what,
             *out == '\0' ? "(nothing)" : text_tail(out, TAIL),
             *err == '\0' ? "(nothing)" : text_tail(err, TAIL));
    free(out);
    free(err);
}

/* The value of the last --name VALUE, --name=VALUE or -n VALUE in the list: the
 * one that counts. NULL without one. */
static const char *last_value(const struct arg_list *list, const char *brief,
                              const char *name)
{
    const char *value = NULL;
    size_t len = strlen(name);
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items[i];
        bool alone = strcmp(item, name) == 0 || strcmp(item, brief) == 0;
        if (alone && i + 1 < list->count)
            value = list->items[++i];
        else if (strncmp(item, name, len) == 0 && item[len] == '=')
            value = item + len + 1;
    }
    return value;
}

/* False: the text is no address. */
static bool read_ip(const char *text, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
        v4->sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        v6->sin6_family = AF_INET6;
    return address->ss_family != 0;
}

/* 0.0.0.0 and :: are addresses to listen on, not to connect to. */
static void any_to_loopback(struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    if (v4->sin_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (v6->sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
        v6->sin6_addr.s6_addr[15] = 1;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    return v4->sin_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == 127
                                     : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* The ready line is only the server's word. Somebody else who listens at what
 * it names would get some thousand connections, and be graded for the server.
 * So the port has to be the one that it was told, on which nobody listened when
 * it was started; and the address is of this machine alone, unless our own
 * arguments say another one. */
static bool is_where_it_was_told(const struct target *target,
                                 const struct arg_list *list)
{
    const char *port = last_value(list, "-p", "--port");
    const char *bound = last_value(list, "-b", "--bind");
    struct sockaddr_storage told;
    if (port == NULL || strtoul(port, NULL, 10) != target->ready.port)
        return false;
    if (is_loopback(&target->address))
        return true;
    return bound != NULL && read_ip(bound, &told) &&
           memcmp(&told, &target->address, sizeof told) == 0;
}

/* It has printed its last, and perhaps ended. */
static void say_end(char *what, size_t size, struct server_process *process,
                    unsigned long ms)
{
    unsigned long code = 0;
    if (server_wait_exit(process, ms, &code) == SERVER_WAIT_OK) {
        char ending[80];
        snprintf(what, size, "the server ended at once, exit code %s",
                 server_exit_text(code, ending, sizeof ending));
    } else {
        snprintf(what, size, "the server has closed its standard output");
    }
}

static void drop_waiting(struct target *target)
{
    if (target->waiting != 0)
        closesocket((SOCKET)target->waiting);
    target->waiting = 0;
}

SOCKET target_connection(struct target *target)
{
    SOCKET waiting = (SOCKET)target->waiting;
    target->waiting = 0;
    return waiting != 0
               ? waiting
               : WSASocketW(target->address.ss_family, SOCK_STREAM, IPPROTO_TCP,
                            NULL, 0,
                            WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
}

/* Where a server without a ready line was looked for, and what to try if it is
 * elsewhere. The caller frees it. */
static char *tell_port(const struct suite *suite, unsigned short port)
{
    static const char connect[] =
        "start it yourself and test it with --connect HOST:PORT";
    if (suite->full)
        return format_text("%s", "");
    if (names_port(suite))
        return format_text(" at 127.0.0.1:%u (its port, in the place of %%p). "
                           "If it cannot be told its port, %s",
                           port, connect);
    return format_text(" at 127.0.0.1:%u (it was told --port %u). If it takes "
                       "its port as argv[1], say --arg %%p; if it cannot be "
                       "told its port, %s",
                       port, port, connect);
}

/* A server that listens, and has not said so two seconds later, has no ready
 * line: to wait longer for one would be no use. */
static enum server_wait wait_ready(struct suite *suite, struct target *target,
                                   unsigned short port)
{
    double end = clock_ms() + READY_MS * suite->scale;
    bool listens = false;
    for (;;) {
        unsigned long left = clock_left(end);
        enum server_wait result = server_wait_ready(
            target->process, &target->ready, left < LOOK_MS ? left : LOOK_MS);
        if (result != SERVER_WAIT_TIMEOUT || clock_left(end) == 0)
            return result;
        if (!listens && !suite->strict && port_is_listened_on(port)) {
            listens = true;
            end = clock_ms() + SAYS_NOTHING_MS * suite->scale;
        }
    }
}

/* Wait until the server serves; fills target->address. */
static bool wait_serving(struct suite *suite, struct target *target,
                         const struct arg_list *list, unsigned short port,
                         char *why, size_t size)
{
    unsigned long ms = (unsigned long)(READY_MS * suite->scale);
    struct server_ready *ready = &target->ready;
    enum server_wait result;
    if (suite->full) {
        result = wait_ready(suite, target, port);
    } else {
        result =
            server_wait_connection(target->process, port, ms, &target->waiting);
        snprintf(ready->address, sizeof ready->address, "127.0.0.1");
        ready->port = port;
    }
    bool good =
        result == SERVER_WAIT_OK && read_ip(ready->address, &target->address);
    any_to_loopback(&target->address);
    if (good && (!suite->full || is_where_it_was_told(target, list))) {
        /* The port sits at the same place in both kinds of address. */
        ((struct sockaddr_in *)&target->address)->sin_port = htons(ready->port);
        return true;
    }
    suite->ready_line = result == SERVER_WAIT_OK;
    char *tried = tell_port(suite, port), *what = NULL;
    char end[200];
    if (result == SERVER_WAIT_OK) {
        what = format_text(
            "its ready line names %s port %u, but it was told --port %u: "
            "nobody connects to another place",
            ready->address, ready->port, port);
    } else if (result == SERVER_WAIT_EXITED) {
        say_end(end, sizeof end, target->process, ms);
        what = format_text("%s%s%s", end,
                           suite->full ? "" : ", so nobody is accepted", tried);
    } else {
        what = format_text("%s%s",
                           suite->full ? "no ready line in time"
                                       : "the server accepts nobody",
                           tried);
    }
    free(tried);
    say_output(why, size, what, target->process);
    free(what);
    return false;
}

static struct target *start_on(struct suite *suite, unsigned short port,
                               unsigned flags, const char *const *args,
                               char *why, size_t size)
{
    struct target *target = xrealloc(NULL, sizeof *target);
    memset(target, 0, sizeof *target);
    char port_text[8];
    snprintf(port_text, sizeof port_text, "%u", port);
    struct arg_list list = usual_args(suite, flags, port_text, args);
    struct server_start start = {.exe = suite->exe,
                                 .args = list.items,
                                 .arg_count = list.count,
                                 .console = (flags & TARGET_CONSOLE) != 0};
    target->process = server_start(&start, why, size);
    bool ok = target->process != NULL &&
              wait_serving(suite, target, &list, port, why, size);
    free_args(&list);
    if ((flags & TARGET_ALONE) != 0)
        drop_waiting(target);
    if (ok)
        return target;
    target_free(target);
    return NULL;
}

struct target *target_start(struct suite *suite, unsigned flags,
                            const char *const *args, char *why, size_t size)
{
    struct target *target = NULL;
    unsigned short port = 0;
    if (suite->connect_given) {
        target = xrealloc(NULL, sizeof *target);
        memset(target, 0, sizeof *target);
        target->address = suite->connect_to;
        return target;
    }
    /* If somebody else takes the port before the server does, the server is not
     * to blame: it gets another one. */
    for (int tries = 0; target == NULL && tries < PORTS_TRIED; tries++) {
        if (tries > 0 && server_port_is_free(port))
            break;
        port = free_port();
        target = start_on(suite, port, flags, args, why, size);
    }
    return target;
}

void target_free(struct target *target)
{
    if (target == NULL)
        return;
    drop_waiting(target);
    server_free(target->process);
    free(target);
}

/* Whether anybody listens at --connect. Otherwise every case would fail for
 * this one reason. */
static bool answers_connect(const struct target *target)
{
    const struct sockaddr *to = (const struct sockaddr *)&target->address;
    SOCKET sock = socket(to->sa_family, SOCK_STREAM, IPPROTO_TCP);
    bool ok = sock != INVALID_SOCKET &&
              connect(sock, to, (int)sizeof target->address) == 0;
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    return ok;
}

bool suite_probe(struct suite *suite, char *why, size_t size)
{
    suite->full = !suite->connect_given && !names_port(suite);
    struct target *target = target_start(suite, TARGET_PLAIN, NULL, why, size);
    if (target == NULL && suite->full && !suite->strict && !suite->ready_line) {
        suite->full = false;
        target = target_start(suite, TARGET_PLAIN, NULL, why, size);
    }
    if (target == NULL)
        return false;
    if (suite->connect_given && !answers_connect(target)) {
        snprintf(why, size, "nobody accepts connections at --connect");
        target_free(target);
        return false;
    }
    snprintf(suite->name, sizeof suite->name, "%s", target->ready.name);
    target_free(target);
    return true;
}

void own_server(struct test *t, unsigned flags, const char *const *args)
{
    char why[1024];
    t->own = target_start(t->suite, flags, args, why, sizeof why);
    if (t->own == NULL && (flags & TARGET_CONSOLE) != 0 &&
        strstr(why, "onsole") != NULL)
        skip(t, "no console to press keys on: %s", why);
    if (t->own == NULL)
        fail(t, "The server does not start with the arguments of this case.",
             "%s", why);
    t->target = t->own;
}

/* ---- run to the end ------------------------------------------------------- */

void run_server(struct test *t, const char *const *args,
                struct run_result *result)
{
    char why[1024];
    struct arg_list list = {0};
    for (size_t i = 0; i < t->suite->arg_count; i++)
        add_arg(&list, t->suite->args[i]);
    add_args(&list, args);
    struct server_start start = {
        .exe = t->suite->exe, .args = list.items, .arg_count = list.count};
    struct server_process *process = server_start(&start, why, sizeof why);
    free_args(&list);
    if (process == NULL)
        fail(t, "The server started before, and now it does not.", "%s", why);
    bool ended = server_wait_exit(process, limit(t, ANSWER_MS),
                                  &result->exit_code) == SERVER_WAIT_OK;
    result->out = server_said(process, SERVER_STDOUT);
    result->err = server_said(process, SERVER_STDERR);
    if (!ended)
        say_output(why, sizeof why, "the server runs", process);
    server_free(process);
    if (!ended) {
        run_result_free(result);
        fail(t,
             "The server starts as if nothing were wrong: check every argument "
             "and the result of every start-up call.",
             "after %lu ms %s", limit(t, ANSWER_MS), why);
    }
}

void run_result_free(struct run_result *result)
{
    free(result->out);
    free(result->err);
    result->out = result->err = NULL;
}

void expect_code(struct test *t, struct run_result *result, unsigned long code,
                 const char *hint)
{
    if (result->exit_code == code)
        return;
    char *said = format_text("exit code %lu; standard error: %s",
                             result->exit_code, result->err);
    run_result_free(result);
    t->observed = said; /* the test frees it */
    fail(t, hint, "%s", said);
}

void expect_exit(struct test *t, unsigned long code, unsigned long ms,
                 const char *hint_time, const char *hint_code)
{
    unsigned long got = 0;
    t->may_end = true;
    if (server_wait_exit(t->target->process, ms, &got) != SERVER_WAIT_OK)
        fail(t, hint_time, "after %lu ms the server still runs", ms);
    if (got == code)
        return;
    char *err = server_said(t->target->process, SERVER_STDERR);
    char *said = format_text("exit code %lu (0x%lx); standard error: %s", got,
                             got, *err != '\0' ? err : "empty");
    free(err);
    t->observed = said; /* the test frees it */
    fail(t, hint_code, "%s", said);
}

/* ---- look after ----------------------------------------------------------- */

/* Sanitizers report on standard error and let the program go on, if they can.
 * A report is a failure of the case that has caused it. */
static bool sanitizer_report(struct target *target, char *why, size_t size)
{
    char *err = server_output_since(target->process, SERVER_STDERR,
                                    &target->stderr_seen);
    if (err == NULL)
        suite_broken("out of memory");
    const char *found = strstr(err, "Sanitizer:");
    if (found == NULL)
        found = strstr(err, "runtime error:");
    if (found != NULL)
        snprintf(why, size, "the server's sanitizer reports: %.*s", TAIL,
                 found);
    free(err);
    return found != NULL;
}

static bool has_ended(struct target *target, char *why, size_t size)
{
    unsigned long code = 0;
    if (target->process == NULL ||
        server_wait_exit(target->process, 0, &code) != SERVER_WAIT_OK)
        return false;
    char what[128], ending[80];
    snprintf(what, sizeof what, "the server has ended, exit code %s",
             server_exit_text(code, ending, sizeof ending));
    say_output(why, size, what, target->process);
    return true;
}

bool target_check(struct test *t, struct target *target, unsigned long ms,
                  char *why, size_t size)
{
    /* A server takes a moment to notice that its clients have left, and may be
     * at its limit until then. */
    double deadline = clock_ms() + ms;
    do {
        if (has_ended(target, why, size))
            return false;
        if (peer_try_echo(t, 64, clock_left(deadline)))
            return target->process == NULL ||
                   !sanitizer_report(target, why, size);
        Sleep(10); /* between two attempts: no event tells us more */
    } while (clock_left(deadline) > 0);
    snprintf(why, size, "a new client gets no echo within %lu ms", ms);
    return false;
}

struct server_usage measure(struct test *t)
{
    struct server_usage usage = {0};
    if (!server_measure(t->target->process, &usage))
        fail(t, "", "the server could not be measured");
    return usage;
}

void expect_idle(struct test *t, const char *hint)
{
    double percent = 0;
    for (int i = 0; i < IDLE_WINDOWS; i++) {
        peers_stall(t, limit(t, 200), limit(t, 2000));
        struct server_usage before = measure(t);
        double begun = clock_ms();
        Sleep(IDLE_WINDOW_MS); /* not to wait for an event, but to see none */
        struct server_usage after = measure(t);
        percent = (after.cpu_ms - before.cpu_ms) * 100.0 / (clock_ms() - begun);
        if (percent <= IDLE_PERCENT)
            return;
    }
    fail(t, hint, "%.1f %% of a processor, for %d seconds", percent,
         IDLE_WINDOWS);
}
