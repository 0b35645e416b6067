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
    "An echo that is owed when the time ends, or that was due and could not\n"
    "begin, is in the latency with the time that it has waited. A connection\n"
    "is unserved when it still waits at the end, has waited for half of the\n"
    "time or longer, and the others got ten echoes or more each meanwhile;\n"
    "but not while the queue moves, and others get their first echo.\n\n"
    "Exit codes: 0 all echoes right, 1 an echo was wrong or lost, or a\n"
    "connection refused or cut or unserved, or no echo began in the measured\n"
    "time, 2 bad command line, 3 could not connect.\n";

/* ---- numbers with a unit ------------------------------------------------- */

struct unit {
    const char *name;
    double factor;
};

/* Reads a number without a sign, then perhaps one of the units; without a unit,
 * the first one counts. False if it is no such number, or the result is outside
 * the option's range, or is no whole number. */
static bool read_scaled(const struct option *option, const char *text,
                        const struct unit *units)
{
    char *end = NULL;
    size_t digits = strspn(text, "0123456789.");
    if (digits == 0 || digits > 24)
        return false;
    double number = strtod(text, &end);
    if (end != text + digits)
        return false;
    const struct unit *u = units;
    while (u->name != NULL && *end != '\0' && _stricmp(end, u->name) != 0)
        u++;
    if (u->name == NULL)
        return false;
    double value = number * u->factor;
    if (!(value >= option->min && value <= option->max) ||
        value != floor(value))
        return false;
    *(uint64_t *)option->out = (uint64_t)value;
    return true;
}

static bool read_count(const struct option *option, char *value)
{
    static const struct unit units[] = {
        {"", 1}, {"k", 1000}, {"m", 1000000}, {NULL, 0}};
    return read_scaled(option, value, units);
}

static bool read_bytes(const struct option *option, char *value)
{
    static const struct unit units[] = {
        {"", 1}, {"k", 1024}, {"m", 1048576}, {NULL, 0}};
    return read_scaled(option, value, units);
}

static bool read_seconds(const struct option *option, char *value)
{
    static const struct unit units[] = {
        {"s", 1e9}, {"ms", 1e6}, {"m", 60e9}, {NULL, 0}};
    return read_scaled(option, value, units);
}

static bool read_milliseconds(const struct option *option, char *value)
{
    static const struct unit units[] = {{"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
    return read_scaled(option, value, units);
}

/* ---- the table ----------------------------------------------------------- */

static bool both_to_stdout(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, "-") == 0 && strcmp(b, "-") == 0;
}

static void check(const struct load_options *o)
{
    if (both_to_stdout(o->json, o->hgrm))
        args_error("--json - and --hgrm - exclude each other: both go to "
                   "standard output");
    if (o->churn && o->pipeline > 1)
        args_error("--churn and --pipeline exclude each other: a connection "
                   "has one echo");
    if (o->think > 0 && o->pipeline > 1)
        args_error("--think and --pipeline exclude each other: the pause "
                   "comes after each echo");
    if (o->think > 0 && o->rate > 0)
        args_error("--think and --rate exclude each other: the rate says when "
                   "an echo is due");
}

struct load_options load_options_parse(int argc, char **argv)
{
    enum { MS = 1000000 };
    const double hour = 3600e9; /* in nanoseconds */
    struct load_options o = {.dial = DIAL_DEFAULT,
                             .connections = 50,
                             .size = 64,
                             .duration = 5000000000,
                             .warmup = 500000000,
                             .pipeline = 1,
                             .seed = 1};
    const struct option options[] = {
        DIAL_OPTIONS(&o.dial),
        {"-c", "--connections", &o.connections, read_count, .min = 1,
         .max = 60000},
        {"-s", "--size", &o.size, read_bytes, .min = 1, .max = 16777216,
         .takes = "1 to 16m bytes"},
        {"-d", "--duration", &o.duration, read_seconds, .min = 10 * MS,
         .max = hour, .takes = "10ms to 3600s"},
        {NULL, "--warmup", &o.warmup, read_seconds, .min = 0, .max = hour,
         .takes = "0 to 3600s"},
        {NULL, "--rate", &o.rate, read_count, .min = 0, .max = 1000000,
         .takes = "0 to 1m echoes a second"},
        {NULL, "--pipeline", &o.pipeline, read_count, .min = 1, .max = 1024},
        {NULL, "--think", &o.think, read_milliseconds, .min = 0, .max = hour,
         .takes = "0 to 3600000 milliseconds"},
        {NULL, "--seed", &o.seed, read_count, .min = 0, .max = 4294967295},
        {NULL, "--churn", .out = &o.churn},
        {NULL, "--half-close", .out = &o.half_close},
        {"-q", "--quiet", .out = &o.quiet},
        {NULL, "--json", &o.json, .read = option_text},
        {NULL, "--hgrm", &o.hgrm, .read = option_text},
        {0},
    };
    const struct program program = {.name = "echo_load",
                                    .help = help,
                                    .operand = dial_operand,
                                    .to = &o.dial};
    args_read(&program, options, argc, argv);
    check(&o);
    if (o.dial.host == NULL)
        o.dial.host = "127.0.0.1";
    if (o.dial.port == 0)
        o.dial.port = 5566;
    return o;
}
