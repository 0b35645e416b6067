/* err.c -- see err.h */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extras/linux/common/err.h"

static const char *program = "winsock-models";

void err_program(const char *name)
{
    program = name;
}

const char *err_name(int err)
{
    const char *name = strerrorname_np(err);
    return name != NULL ? name : "unknown error";
}

void err_describe(int err, char *out, size_t size)
{
    char text[128];
    /* The GNU one returns the text, which may stand elsewhere. */
    const char *said = strerror_r(err, text, sizeof text);
    snprintf(out, size, "%s (%d) %s", err_name(err), err, said);
}

void err_print(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    output_print(OUTPUT_STDERR, "%s: %s\n", program, line);
}

static void print_call(enum output to, const char *call, int err,
                       const char *file, int line)
{
    char what[192];
    err_describe(err, what, sizeof what);
    output_print(to, "%s: %s: %s, at %s:%d\n", program, call, what, file, line);
}

void err_warn(const char *call, int err, const char *file, int line)
{
    print_call(OUTPUT_WARNING, call, err, file, line);
}

void err_die(const char *call, int err, const char *file, int line)
{
    print_call(OUTPUT_STDERR, call, err, file, line);
    exit(EXIT_FAILED);
}
