/* output.c -- see output.h */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "extras/linux/common/output.h"

enum { LINE = 1024, PATIENCE_MS = 1000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the next */
static unsigned long dropped; /* lines, since the last one that was written */

/* A pipe that can be written takes at least PIPE_BUF bytes, 4096, without a
 * wait. That is a promise to us only while nobody else writes into the same
 * pipe. Source: pipe(7), "PIPE_BUF". */
static bool has_room(int fd, int wait_ms)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    int ready;
    do
        ready = poll(&out, 1, wait_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* A failure is not told: there is no place left to tell it. False: it was not
 * written, because nobody reads. */
static bool write_out(int fd, const char *text, int wait_ms)
{
    size_t len = strlen(text);
    while (len > 0) {
        if (!has_room(fd, wait_ms))
            return false;
        ssize_t done = write(fd, text, len);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return true;
        if (done > 0) {
            text += done;
            len -= (size_t)done;
            wait_ms = PATIENCE_MS; /* for the rest of a line that has begun */
        }
    }
    return true;
}

void output_print(enum output to, const char *format, ...)
{
    bool error = to == OUTPUT_WARNING || to == OUTPUT_STDERR;
    int fd = error ? STDERR_FILENO : STDOUT_FILENO;
    int wait_ms = to == OUTPUT_LOG || to == OUTPUT_WARNING ? 0 : PATIENCE_MS;
    char text[LINE];
    char note[80] = "";
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= (int)sizeof text)
        text[sizeof text - 2] = '\n';

    pthread_mutex_lock(&lock);
    if (dropped > 0)
        snprintf(note, sizeof note,
                 "(%lu lines dropped: nobody reads them as fast)\n", dropped);
    bool told = write_out(fd, note, wait_ms);
    if (told)
        dropped = 0;
    if (!told || !write_out(fd, text, wait_ms))
        dropped++;
    pthread_mutex_unlock(&lock);
}
