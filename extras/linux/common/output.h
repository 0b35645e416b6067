/* output.h -- what a server prints, so that it holds up nobody
 *
 * When nobody reads a pipe, a write waits as soon as the pipe is full; and a
 * terminal stands still after Ctrl+S. A server that printed then would wait as
 * well, and with it all its clients. On Windows this needs a queue and a thread
 * (common/output.h). Here poll() says beforehand whether a line would wait: a
 * line of the log or a warning that would wait is dropped and counted.
 *
 * Everything here may be called on any thread.
 */
#ifndef LINUX_COMMON_OUTPUT_H
#define LINUX_COMMON_OUTPUT_H

#include <stdbool.h>

#define PRINTF_LIKE(format, first)                                             \
    __attribute__((__format__(__printf__, format, first)))

enum output {
    OUTPUT_LOG,     /* standard output; dropped when nobody reads it */
    OUTPUT_WARNING, /* the same, on standard error */
    OUTPUT_STDOUT,  /* what must not get lost: it may wait, but for a second */
    OUTPUT_STDERR   /* the same, on standard error */
};

/* Print one line. At most 1023 bytes: a longer one is cut, but keeps its end. */
void output_print(enum output to, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
