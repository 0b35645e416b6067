/* test_output.c -- lines that nobody reads, and what is kept of them */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/output.h"
#include "tests/unit/unit.h"

enum { LINES = 60000 };

static char seen[1 << 20];

/* Read the pipe until the last line has come. */
static void read_all(HANDLE pipe)
{
    DWORD len = 0;
    size_t have = 0;
    while (strstr(seen, "the end\r\n") == NULL && have + 1 < sizeof seen &&
           ReadFile(pipe, seen + have, (DWORD)(sizeof seen - 1 - have), &len,
                    NULL))
        have += len;
}

/* Each line is there once and in its place, or is counted. */
static bool adds_up(void)
{
    unsigned long next = 0;
    unsigned long lost = 0;
    for (char *line = strtok(seen, "\r\n"); line != NULL;
         line = strtok(NULL, "\r\n")) {
        if (line[0] == '(') {
            lost += strtoul(line + 1, NULL, 10);
            next += strtoul(line + 1, NULL, 10);
        } else if (strncmp(line, "line ", 5) == 0) {
            if (strtoul(line + 5, NULL, 10) != next++)
                return false;
        }
    }
    return next == LINES && lost > 0 && lost < LINES;
}

/* output unread: more than a queue of lines for a pipe that nobody reads.
 * output read: the same, and then somebody reads. */
int child_output(int argc, char **argv)
{
    HANDLE reader = NULL;
    HANDLE pipe = NULL;
    HANDLE was = GetStdHandle(STD_OUTPUT_HANDLE);
    HANDLE errors = GetStdHandle(STD_ERROR_HANDLE);
    bool read = argc > 1 && strcmp(argv[1], "read") == 0;
    if (!CreatePipe(&reader, &pipe, NULL, 0))
        die_call("CreatePipe", GetLastError());
    SetStdHandle(STD_OUTPUT_HANDLE, pipe);
    SetStdHandle(STD_ERROR_HANDLE, pipe);
    if (!output_begin())
        die_call("output_begin", GetLastError());
    for (int i = 0; i < LINES; i++)
        output_print(i % 2 == 0 ? OUTPUT_LOG : OUTPUT_WARNING, "line %d\n", i);
    output_print(OUTPUT_STDOUT, "the end\n");
    if (!read) {
        output_flush(); /* it waits, but not for ever */
        output_flush();
        return 0;
    }
    read_all(reader);
    SetStdHandle(STD_OUTPUT_HANDLE, was);
    SetStdHandle(STD_ERROR_HANDLE, errors);
    printf("%s\n", adds_up() ? "adds up" : "does not add up");
    return 0;
}

static void nobody_reads(void)
{
    ULONGLONG began = GetTickCount64();
    const struct child *child = run_child("output unread", "");
    CHECK_INT(child->code, 0);
    CHECK(GetTickCount64() - began < 10000);
}

static void what_is_dropped_is_counted(void)
{
    const struct child *child = run_child("output read", "");
    CHECK_INT(child->code, 0);
    CHECK_TEXT(child->out, "adds up\n");
    CHECK_TEXT(child->err, "");
}

void test_output(void)
{
    RUN(nobody_reads);
    RUN(what_is_dropped_is_counted);
}
