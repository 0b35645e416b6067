/* output.h -- what a server prints, so that it holds up nobody
 *
 * When nobody reads a pipe, a write waits as soon as the pipe is full (with 4
 * KiB, as it is on Windows); and a console stands still while somebody selects
 * text in it. A server that prints in between would wait as well, and with it
 * all its clients. So a thread of its own writes, out of a queue. Lines of the
 * log and warnings that find no room there are dropped and counted.
 *
 * Everything here may be called on any thread.
 */
#ifndef COMMON_OUTPUT_H
#define COMMON_OUTPUT_H

#include <stdbool.h>

#include "common/win.h"

enum output {
    OUTPUT_LOG,     /* standard output; dropped when the queue is full */
    OUTPUT_WARNING, /* the same, on standard error */
    OUTPUT_STDOUT,  /* what must not get lost: there is room kept for it */
    OUTPUT_STDERR   /* the same, on standard error */
};

/* From now on a thread writes. Before that, and in a program that never calls
 * it, each line is written at once. Main thread, once. False: there is no thread
 * to be had. */
bool output_begin(void);

/* Print a line, or several, the last of which ends too. At most 1023 bytes: a
 * longer one is cut, but keeps its end. */
void output_print(enum output to, const char *format, ...) PRINTF_LIKE(2, 3);

/* Wait until all is written, but no longer than a second, and not a second time
 * when nobody has read anything since: there may be nobody who reads it. What
 * is printed after it can be lost at the end of the process. */
void output_flush(void);

#endif
