/* stop.h -- Ctrl+C, kill, a closed terminal, the end of standard input
 *
 * Linux tells a program to stop by a signal: one of its threads, whichever, is
 * interrupted and runs the handler, which may do next to nothing. So the handler
 * only wakes a thread of ours, and that one calls the model's `wake`, as on
 * Windows.
 */
#ifndef LINUX_COMMON_STOP_H
#define LINUX_COMMON_STOP_H

#include <stdbool.h>

/* From now on call wake(arg) once, on another thread, as soon as the user asks
 * to stop; with `on_eof` also when standard input ends. wake() must not wait.
 * The second signal ends the process at once, with EXIT_FAILED; the end of
 * standard input does not count as one. Main thread, once. Dies if it cannot be
 * arranged. Source: signal-safety(7). */
void stop_begin(void (*wake)(void *arg), void *arg, bool on_eof);

/* When this returns, wake() is not running and never will again, so what it
 * uses may be freed. A second signal keeps its meaning. Main thread. */
void stop_end(void);

#endif
