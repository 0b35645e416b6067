/* args.c -- see args.h */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/version.h"
#include "extras/linux/common/args.h"
#include "extras/linux/common/err.h"

/* A row of the table of options, which ends with a row of zeros. */
struct option {
    const char *brief; /* "-p", or NULL */
    const char *name;  /* "--port" */
    bool *on;          /* it has no value */
    unsigned long *number;
    unsigned long min, max;
    struct args *address;
    const char *refused; /* why this program does not have it, or NULL */
};

/* The name of an option as it was given, without a value behind '='. */
struct name {
    const char *text;
    int len;
};

static _Noreturn void args_error(const char *format, ...) PRINTF_LIKE(1, 2);

static _Noreturn void args_error(const char *format, ...)
{
    char line[512];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    err_print("%s; --help lists the options", line);
    exit(EXIT_USAGE);
}

static bool read_number(const struct option *option, const char *text)
{
    unsigned long value = 0;
    if (*text == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        value = value * 10 + (unsigned long)(*p - '0');
        if (value > option->max)
            return false; /* also keeps value from ever overflowing */
    }
    if (value < option->min)
        return false;
    *option->number = value;
    return true;
}

/* The port is set when all is read: --port may come first. */
static bool read_address(struct args *args, const char *text)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&args->address;
    memset(&args->address, 0, sizeof args->address);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        args->address_len = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        args->address_len = sizeof *v6;
    } else {
        return false;
    }
    return true;
}

static bool is(struct name given, const char *name)
{
    return name != NULL && strlen(name) == (size_t)given.len &&
           memcmp(name, given.text, (size_t)given.len) == 0;
}

static void read_value(const struct option *option, struct name given,
                       const char *value)
{
    if (value == NULL)
        args_error("%.*s needs a value", given.len, given.text);
    if (option->address != NULL && !read_address(option->address, value))
        args_error("%.*s takes an IPv4 or IPv6 address in figures, not '%s'",
                   given.len, given.text, value);
    if (option->number != NULL && !read_number(option, value))
        args_error("%.*s takes a whole number from %lu to %lu, not '%s'",
                   given.len, given.text, option->min, option->max, value);
}

static _Noreturn void answer(const struct model *model, bool version)
{
    if (version) {
        printf("%s %s\n", model->name, SUITE_VERSION);
        exit(EXIT_STOPPED);
    }
    printf("%s: echo server, %s\n\n"
           "usage: %s [options]\n\n"
           "  -p, --port N         TCP port, default 5566; 0: any free port\n"
           "  -b, --bind ADDRESS   IPv4 or IPv6 literal, default 127.0.0.1\n"
           "  -c, --max-clients N  refuse above N; default and most: %lu\n"
           "                       (%s)\n"
           "  -t, --threads N      threads that serve clients, 1 to 256\n"
           "%s"
           "      --buffer BYTES   echo buffer per connection, default 65536,\n"
           "                       1 to 1048576\n"
           "  -q, --quiet          ready line, summary and errors only\n"
           "  -v, --verbose        also every receive and send\n"
           "      --stop-on-eof    stop when standard input ends\n"
           "  -h, --help, -?, /?   this text\n"
           "      --version        the version\n\n"
           "Ctrl+C stops the server, a second Ctrl+C at once.\n"
           "Exit codes: 0 stopped as asked, 1 failed while serving,\n"
           "            2 bad command line, 3 cannot listen.\n",
           model->name, model->idea, model->name, model->most_clients,
           model->why_limit,
           model->has_edge
               ? "      --edge           be told once of what is ready "
                 "(EPOLLET)\n"
               : "");
    exit(EXIT_STOPPED);
}

/* Read the option at *argv. Returns what comes after it and its value. */
static char **read_option(const struct model *model,
                          const struct option *options, char **argv)
{
    char *arg = *argv;
    char *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    struct name given = {
        arg, (int)(equals != NULL ? equals - arg : (ptrdiff_t)strlen(arg))};
    bool version = is(given, "--version");
    bool help = is(given, "--help") || is(given, "-h") || is(given, "-?") ||
                is(given, "/?");
    const struct option *option = options;
    while (option->name != NULL && !is(given, option->name) &&
           !is(given, option->brief))
        option++;
    if (option->name == NULL && !help && !version)
        args_error("unknown option '%s'", arg);
    if (option->refused != NULL)
        args_error("%.*s does not apply: %s", given.len, given.text,
                   option->refused);
    if (option->number != NULL || option->address != NULL) {
        read_value(option, given, equals != NULL ? equals + 1 : argv[1]);
        return argv + (equals != NULL ? 1 : 2);
    }
    if (equals != NULL)
        args_error("%.*s takes no value, not '%s'", given.len, given.text,
                   equals + 1);
    if (option->name == NULL)
        answer(model, version);
    *option->on = true;
    return argv + 1;
}

struct args args_parse(const struct model *model, int argc, char **argv)
{
    struct args args = {.max_clients = model->most_clients,
                        .buffer = 65536,
                        .address_len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args.address;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    unsigned long port = 5566;
    const char *no_edge =
        model->has_edge ? NULL : "only epoll can be told once or for as long";
    const char *no_strict = "the rules are those of Windows";
    const char *no_trace = "strace(1) tells the calls of a program on Linux";

    const struct option options[] = {
        {"-p", "--port", .number = &port, .max = 65535},
        {"-b", "--bind", .address = &args},
        {"-c", "--max-clients", .number = &args.max_clients, .min = 1,
         .max = model->most_clients},
        {"-t", "--threads", .number = &args.threads, .min = 1, .max = 256},
        {NULL, "--edge", .on = &args.edge, .refused = no_edge},
        {NULL, "--buffer", .number = &args.buffer, .min = 1,
         .max = 1024 * 1024},
        {"-q", "--quiet", .on = &args.quiet},
        {"-v", "--verbose", .on = &args.verbose},
        {NULL, "--stop-on-eof", .on = &args.stop_on_eof},
        {NULL, "--trace", .refused = no_trace},
        {NULL, "--trace-file", .refused = no_trace},
        {NULL, "--strict", .refused = no_strict},
        {NULL, "--window", .refused = "only asyncselect has a window"},
        {0},
    };
    err_program(model->name);
    char **end = argv + argc;
    for (char **at = argv + 1; at < end;) {
        if (**at != '-' && strcmp(*at, "/?") != 0)
            args_error("unexpected '%s'", *at);
        at = read_option(model, options, at);
    }
    if (args.quiet && args.verbose)
        args_error("--quiet and --verbose exclude each other");

    /* The port sits at the same place in both kinds of address. */
    v4->sin_port = htons((unsigned short)port);
    return args;
}
