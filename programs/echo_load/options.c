/* options.c -- see options.h */
#include "common/win.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "programs/echo_load/options.h"

static const char help[] =
    "echo_load: load an echo server, check every byte that comes back\n\n"
    "usage: echo_load [options] [HOST[:PORT]] [PORT]\n\n" DIAL_USAGE
    "  -c, --connections N     at once, default 50\n"
    "  -s, --size BYTES        of each echo, default 64; k = 1024, m = 1024 k\n"
    "  -d, --duration TIME     measured, default 5s\n"
    "      --warmup TIME       before that, not measured, default 500ms\n"
    "      --rate N            echoes a second, all together; default 0: as\n"
    "                          fast as possible\n"
    "      --pipeline N        echoes on their way in a connection, default 1\n"
    "      --think TIME        pause between an echo and the next\n"
    "      --churn             connect, echo, close, and again\n"
    "      --half-close        end each connection with a half-close, and\n"
    "                          read until the server closes too\n"
    "      --seed N            other bytes; default 1\n"
    "      --json FILE         the results for programs; - is standard output\n"
    "      --hgrm FILE         the latencies for HdrHistogram's plotters; or "
    "-\n"
    "  -q, --quiet             errors only\n"
    "  -h, --help, -?, /?      this text\n"
    "      --version           the version\n\n"
    "TIME is in seconds, or with a unit: 500ms, 2s; --think alone counts in\n"
    "milliseconds. Numbers may end in k or m. Ctrl+C ends early.\n\n"
    "A latency counts from the moment of sending to the last byte of the "
    "echo;\n"
    "with --rate from the moment when the echo was due, so that a server "
    "which\n"
    "stalls is charged for the echoes that had to wait (corrected for\n"
    "coordinated omission); with --churn it includes the connect. Percentiles\n"
    "are never too low, and at most 0.1 % too high.\n\n"
    "Exit codes: 0 all echoes right, 1 an echo was wrong or lost, or a\n"
    "connection refused or cut, or no echo began in the measured time, 2 bad\n"
    "command line, 3 could not connect.\n";

/* A number without a sign, then a unit of `units`: pairs of name and factor,
 * the first of which counts when there is none. False if it is none, or the
 * result is outside min to max, or no whole number. */
struct unit {
    const char *name;
    double factor;
};

static bool scaled(const char *text, const struct unit *units, double min,
                   double max, uint64_t *out)
{
    char *end = NULL;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits > 24)
        return false;
    double number = strtod(text, &end);
    if (end != text + digits)
        return false;
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (*end == '\0' || _stricmp(end, u->name) == 0) {
            double value = number * u->factor;
            if (!(value >= min && value <= max) || value != floor(value))
                return false;
            *out = (uint64_t)value;
            return true;
        }
    }
    return false;
}

static const struct unit counts[] = {
    {"", 1}, {"k", 1000}, {"m", 1000000}, {NULL, 0}};
static const struct unit bytes[] = {
    {"", 1}, {"k", 1024}, {"m", 1048576}, {NULL, 0}};
static const struct unit seconds[] = {
    {"s", 1e9}, {"ms", 1e6}, {"m", 60e9}, {NULL, 0}};
static const struct unit milliseconds[] = {{"ms", 1e6}, {"s", 1e9}, {NULL, 0}};

/* Options that take a number, with the longer name first. */
static bool read_number(struct load_options *o, char **argv, int *at)
{
    const struct {
        const char *name, *brief;
        uint64_t *out;
        const struct unit *units;
        double min, max;
        const char *wanted;
    } all[] = {
        {"--connections", "-c", &o->connections, counts, 1, 60000,
         "--connections takes 1 to 60000, not"},
        {"--size", "-s", &o->size, bytes, 1, 16777216,
         "--size takes 1 to 16m bytes, not"},
        {"--duration", "-d", &o->duration, seconds, 1e7, 36e11,
         "--duration takes 10ms to 3600s, not"},
        {"--warmup", "--warmup", &o->warmup, seconds, 0, 36e11,
         "--warmup takes 0 to 3600s, not"},
        {"--rate", "--rate", &o->rate, counts, 0, 1e6,
         "--rate takes 0 to 1m echoes a second, not"},
        {"--pipeline", "--pipeline", &o->pipeline, counts, 1, 1024,
         "--pipeline takes 1 to 1024, not"},
        {"--think", "--think", &o->think, milliseconds, 0, 36e11,
         "--think takes 0 to 3600000 milliseconds, not"},
        {"--seed", "--seed", &o->seed, counts, 0, 4294967295.0,
         "--seed takes 0 to 4294967295, not"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const char *value = args_value(all[i].name, argv, at);
        if (value == NULL)
            value = args_value(all[i].brief, argv, at);
        if (value == NULL)
            continue;
        if (!scaled(value, all[i].units, all[i].min, all[i].max, all[i].out))
            args_error(all[i].wanted, value);
        return true;
    }
    return false;
}

static bool read_flag(struct load_options *o, const char *arg)
{
    if (strcmp(arg, "--churn") == 0)
        o->churn = true;
    else if (strcmp(arg, "--half-close") == 0)
        o->half_close = true;
    else if (args_is(arg, "-q", "--quiet"))
        o->quiet = true;
    else
        return false;
    return true;
}

static void read_option(struct load_options *o, char **argv, int *at)
{
    const char *value = NULL;
    args_help(argv[*at], "echo_load", help);
    if ((value = args_value("--json", argv, at)) != NULL)
        o->json = value;
    else if ((value = args_value("--hgrm", argv, at)) != NULL)
        o->hgrm = value;
    else if (!read_flag(o, argv[*at]) && !read_number(o, argv, at))
        dial_option(&o->dial, argv, at);
}

struct load_options load_options_parse(char **argv)
{
    struct load_options o = {.dial = DIAL_DEFAULT,
                             .connections = 50,
                             .size = 64,
                             .duration = 5000000000,
                             .warmup = 500000000,
                             .pipeline = 1,
                             .seed = 1};
    for (int at = 1; argv[at] != NULL; at++)
        read_option(&o, argv, &at);
    if (o.dial.host == NULL)
        o.dial.host = "127.0.0.1";
    if (o.dial.port == 0)
        o.dial.port = 5566;
    if (o.json != NULL && o.hgrm != NULL && strcmp(o.json, "-") == 0 &&
        strcmp(o.hgrm, "-") == 0)
        args_error("one of them only can be standard output: --json, --hgrm",
                   "-");
    if (o.churn && o.pipeline > 1)
        args_error("one echo for each connection: --churn excludes",
                   "--pipeline");
    if (o.think > 0 && o.pipeline > 1)
        args_error("a pause after each echo: --think excludes", "--pipeline");
    if (o.think > 0 && o.rate > 0)
        args_error("the rate says when an echo is due: --rate excludes",
                   "--think");
    return o;
}
