/* args.c -- see args.h */
#include "common/win.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"

static _Noreturn void usage_error(const char *format, const char *a,
                                  const char *b)
{
    char line[512];
    snprintf(line, sizeof line, format, a, b);
    err_print("%s; --help lists the options", line);
    err_exit(EXIT_USAGE);
}

static void print_help(const struct model *model)
{
    printf("%s: echo server, %s\n\n"
           "usage: %s [options]\n\n"
           "  -p, --port N         TCP port, default 5566; 0: any free port\n"
           "  -b, --bind ADDRESS   IPv4 or IPv6 literal, default 127.0.0.1\n"
           "  -c, --max-clients N  refuse above N; default and most: %lu\n"
           "                       (%s)\n",
           model->name, model->idea, model->name, model->most_clients,
           model->why_limit);
    if (model->no_threads == NULL)
        printf("  -t, --threads N      worker threads, 1 to 256\n");
    if (model->has_window)
        printf("      --window         show the clients in a window\n");
    printf(
        "      --buffer BYTES   echo buffer per connection, default 65536,\n"
        "                       1 to 1048576\n"
        "  -q, --quiet          ready line, summary and errors only\n"
        "  -v, --verbose        also every receive and send\n"
        "      --stop-on-eof    stop when standard input ends\n"
        "      --trace          tell every Winsock call on standard error\n"
        "      --trace-file F   keep the calls in F: .json for Perfetto and\n"
        "                       chrome://tracing, .jsonl for programs\n"
        "  -h, --help, -?, /?   this text\n"
        "      --version        the version\n\n"
        "Ctrl+C stops the server, a second Ctrl+C at once.\n"
        "Exit codes: 0 stopped as asked, 1 failed while serving,\n"
        "            2 bad command line, 3 cannot listen (or write F).\n");
}

bool args_number(const char *text, unsigned long min, unsigned long max,
                 unsigned long *out)
{
    unsigned long long value = 0;
    if (*text == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        value = value * 10 + (unsigned long long)(*p - '0');
        if (value > max)
            return false; /* also keeps value from ever overflowing */
    }
    if (value < min)
        return false;
    *out = (unsigned long)value;
    return true;
}

char *args_value(const char *name, char **argv, int *at)
{
    size_t len = strlen(name);
    char *arg = argv[*at];
    if (strncmp(arg, name, len) != 0 || (arg[len] != '\0' && arg[len] != '='))
        return NULL;
    if (arg[len] == '=')
        return arg + len + 1;
    if (argv[*at + 1] == NULL)
        args_error("a value is missing after", name);
    return argv[++*at];
}

bool args_is(const char *arg, const char *short_name, const char *long_name)
{
    return strcmp(arg, short_name) == 0 || strcmp(arg, long_name) == 0;
}

void args_help(const char *arg, const char *name, const char *help)
{
    if (args_is(arg, "-h", "--help") || args_is(arg, "-?", "/?"))
        fputs(help, stdout);
    else if (strcmp(arg, "--version") == 0)
        printf("%s %s\n", name, SUITE_VERSION);
    else
        return;
    exit(EXIT_STOPPED);
}

void args_error(const char *what, const char *text)
{
    err_print("%s '%s'; --help shows the usage", what, text);
    err_exit(EXIT_USAGE);
}

/* The command line as it is being read. */
struct reader {
    const struct model *model;
    int argc;
    char **argv;
    int at;            /* argv[at] is the option being read */
    char name[32];     /* its name, without a value */
    const char *value; /* what stood behind '=', or NULL */
};

static bool is(const struct reader *r, const char *short_name,
               const char *long_name)
{
    return strcmp(r->name, long_name) == 0 ||
           (short_name != NULL && strcmp(r->name, short_name) == 0);
}

static const char *take_value(struct reader *r)
{
    if (r->value != NULL)
        return r->value;
    if (r->at + 1 >= r->argc)
        usage_error("%s needs a value%s", r->name, "");
    return r->argv[++r->at];
}

static unsigned long take_number(struct reader *r, unsigned long min,
                                 unsigned long max)
{
    const char *text = take_value(r);
    unsigned long number = 0;
    if (!args_number(text, min, max, &number)) {
        char range[80];
        snprintf(range, sizeof range, "%s takes a whole number from %lu to %lu",
                 r->name, min, max);
        usage_error("%s, not '%s'", range, text);
    }
    return number;
}

static bool take_flag(const struct reader *r)
{
    if (r->value != NULL)
        usage_error("%s takes no value, not '%s'", r->name, r->value);
    return true;
}

static void take_address(struct reader *r, struct args *args)
{
    const char *text = take_value(r);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&args->address;
    memset(&args->address, 0, sizeof args->address);
    if (InetPtonA(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        args->address_len = sizeof *v4;
    } else if (InetPtonA(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        args->address_len = sizeof *v6;
    } else {
        usage_error("%s takes an IPv4 or IPv6 address in figures, not '%s'",
                    r->name, text);
    }
}

static bool read_trace_option(struct reader *r, struct args *args)
{
    if (is(r, NULL, "--trace")) {
        args->trace = take_flag(r);
    } else if (is(r, NULL, "--trace-file")) {
        const char *name = take_value(r);
        const char *end = strrchr(name, '.');
        if (end == NULL ||
            (_stricmp(end, ".json") != 0 && _stricmp(end, ".jsonl") != 0))
            usage_error("%s takes a name that ends in .json or .jsonl, not "
                        "'%s'",
                        r->name, name);
        args->trace_file = name;
    } else {
        return false;
    }
#ifndef TRACE
    usage_error("%s: this program was built without tracing%s", r->name, "");
#endif
    return true;
}

/* The options that only some of the models have. */
static bool read_model_option(struct reader *r, struct args *args)
{
    const struct model *model = r->model;
    if (is(r, "-t", "--threads")) {
        if (model->no_threads != NULL)
            usage_error("%s does not apply: %s", r->name, model->no_threads);
        args->threads = take_number(r, 1, 256);
    } else if (model->has_window && is(r, NULL, "--window")) {
        args->window = take_flag(r);
    } else {
        return false;
    }
    return true;
}

static void read_option(struct reader *r, struct args *args,
                        unsigned long *port)
{
    if (is(r, "-h", "--help") || is(r, "-?", "/?")) {
        (void)take_flag(r);
        print_help(r->model);
        exit(EXIT_STOPPED);
    } else if (is(r, NULL, "--version")) {
        (void)take_flag(r);
        printf("%s %s\n", r->model->name, SUITE_VERSION);
        exit(EXIT_STOPPED);
    } else if (is(r, "-p", "--port")) {
        *port = take_number(r, 0, 65535);
    } else if (is(r, "-b", "--bind")) {
        take_address(r, args);
    } else if (is(r, "-c", "--max-clients")) {
        args->max_clients = take_number(r, 1, r->model->most_clients);
    } else if (is(r, NULL, "--buffer")) {
        args->buffer = take_number(r, 1, 1024 * 1024);
    } else if (is(r, "-q", "--quiet")) {
        args->quiet = take_flag(r);
    } else if (is(r, "-v", "--verbose")) {
        args->verbose = take_flag(r);
    } else if (is(r, NULL, "--stop-on-eof")) {
        args->stop_on_eof = take_flag(r);
    } else if (!read_trace_option(r, args) && !read_model_option(r, args)) {
        usage_error("unknown option '%s'%s", r->argv[r->at], "");
    }
}

/* Cut "--port=5566" in two; everything else is a name alone. */
static void split_option(struct reader *r)
{
    const char *arg = r->argv[r->at];
    const char *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);
    if (len >= sizeof r->name)
        usage_error("unknown option '%s'%s", arg, "");
    memcpy(r->name, arg, len);
    r->name[len] = '\0';
    r->value = equals != NULL ? equals + 1 : NULL;
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

    err_program(model->name);
    struct reader r = {.model = model, .argc = argc, .argv = argv};
    for (r.at = 1; r.at < argc; r.at++) {
        if (argv[r.at][0] != '-' && strcmp(argv[r.at], "/?") != 0)
            usage_error("unexpected '%s'%s", argv[r.at], "");
        split_option(&r);
        read_option(&r, &args, &port);
    }
    if (args.quiet && args.verbose)
        usage_error("--quiet and --verbose exclude each other%s%s", "", "");

    /* The port sits at the same place in both kinds of address. */
    v4->sin_port = htons((unsigned short)port);
    return args;
}
