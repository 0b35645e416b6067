/* output.c -- see output.h */
#include "common/win.h"

#include <process.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "watch/faulty.h"

/* The room for the log, and for all else behind it. */
enum { LOG_ROOM = 256 * 1024, ROOM = LOG_ROOM + 16 * 1024, LINE = 1024 };
enum { PATIENCE_MS = 1000 };

/* What waits to be written: for each text a byte that says where to, and the
 * text, which ends with a 0. One thread fills one of them, and the writer
 * empties the other. */
struct queue {
    char bytes[ROOM];
    size_t len;
};

static SRWLOCK lock = SRWLOCK_INIT; /* guards all of these */
static CONDITION_VARIABLE filled = CONDITION_VARIABLE_INIT;
static CONDITION_VARIABLE written = CONDITION_VARIABLE_INIT;
static struct queue queues[2];
static struct queue *filling = &queues[0];
static bool writing;          /* the writer is busy with the other one */
static unsigned long dropped; /* lines, since the last one that found room */
static bool stuck;            /* a flush has waited in vain; do not again */
static bool begun;            /* set once, before any other thread */

/* ---- writing ------------------------------------------------------------- */

/* Not with printf(): exit() would wait for its lock. A failure is not told:
 * there is no place left to tell it. */
static void write_out(DWORD handle, const char *bytes, size_t len)
{
    HANDLE out = GetStdHandle(handle);
    while (len > 0) {
        DWORD done = 0;
        if (!WriteFile(out, bytes, (DWORD)len, &done, NULL) || done == 0)
            return;
        bytes += done;
        len -= done;
    }
}

static bool is_error(int to)
{
    return to == OUTPUT_WARNING || to == OUTPUT_STDERR;
}

/* Texts in a row for the same place are one write. */
static void write_queue(struct queue *queue)
{
    size_t kept = 0; /* bytes moved together, at the front of the queue */
    for (size_t at = 0; at < queue->len;) {
        char to = queue->bytes[at];
        size_t len = strlen(queue->bytes + at + 1);
        memmove(queue->bytes + kept, queue->bytes + at + 1, len);
        kept += len;
        at += len + 2;
        if (at < queue->len && is_error(queue->bytes[at]) == is_error(to))
            continue;
        write_out(is_error(to) ? STD_ERROR_HANDLE : STD_OUTPUT_HANDLE,
                  queue->bytes, kept);
        kept = 0;
    }
    queue->len = 0;
}

static unsigned __stdcall writer(void *unused)
{
    (void)unused;
    AcquireSRWLockExclusive(&lock);
    for (;;) {
        while (filling->len == 0)
            SleepConditionVariableSRW(&filled, &lock, INFINITE, 0);
        struct queue *full = filling;
        filling = full == &queues[0] ? &queues[1] : &queues[0];
        writing = true;
        ReleaseSRWLockExclusive(&lock);
        write_queue(full);
        AcquireSRWLockExclusive(&lock);
        writing = false;
        stuck = false;
        WakeAllConditionVariable(&written);
    }
    return 0; /* never: the thread ends with the process */
}

/* ---- printing ------------------------------------------------------------ */

static bool may_get_lost(enum output to)
{
    return to == OUTPUT_LOG || to == OUTPUT_WARNING;
}

/* Under the lock. False: there is no room. */
static bool add(enum output to, const char *text)
{
    size_t room = may_get_lost(to) ? LOG_ROOM : ROOM;
    size_t len = strlen(text);
    if (filling->len + len + 2 > room)
        return false;
    filling->bytes[filling->len++] = (char)to;
    memcpy(filling->bytes + filling->len, text, len + 1);
    filling->len += len + 1;
    return true;
}

static void add_or_drop(enum output to, const char *text)
{
    char note[80];
    snprintf(note, sizeof note,
             "(%lu lines dropped: nobody reads them as fast)\r\n", dropped);
    if (dropped > 0 &&
        !add(may_get_lost(to) ? OUTPUT_LOG : OUTPUT_STDOUT, note))
        dropped++;
    else
        dropped = add(to, text) ? 0 : 1;
}

/* Windows ends a line with two characters, and WriteFile() adds none. */
static void end_lines(char *out, size_t size, const char *text)
{
    size_t len = 0;
    for (; *text != '\0' && len + 3 < size; text++) {
        if (*text == '\n')
            out[len++] = '\r';
        out[len++] = *text;
    }
    out[len] = '\0';
}

void output_print(enum output to, const char *format, ...)
{
    char text[LINE];
    char ended[LINE + LINE / 8];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= (int)sizeof text)
        text[sizeof text - 2] = '\n';
    if (!begun) {
        FILE *file = is_error(to) ? stderr : stdout;
        fputs(text, file);
        fflush(file);
        return;
    }
    end_lines(ended, sizeof ended, text);
    AcquireSRWLockExclusive(&lock);
    add_or_drop(to, ended);
    ReleaseSRWLockExclusive(&lock);
    WakeConditionVariable(&filled);
}

void output_flush(void)
{
    ULONGLONG end = GetTickCount64() + PATIENCE_MS;
    AcquireSRWLockExclusive(&lock);
    while (begun && !stuck && (writing || filling->len > 0)) {
        ULONGLONG now = GetTickCount64();
        stuck = now >= end;
        if (!stuck)
            SleepConditionVariableSRW(&written, &lock, (DWORD)(end - now), 0);
    }
    ReleaseSRWLockExclusive(&lock);
}

bool output_begin(void)
{
    fflush(stdout);
    uintptr_t thread = _beginthreadex(NULL, 0, writer, NULL, 0, NULL);
    if (thread == 0)
        return false;
    CloseHandle((HANDLE)thread);
    begun = true;
    return true;
}
