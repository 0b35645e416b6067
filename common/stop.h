/* stop.h -- Ctrl+C, Ctrl+Break, a closed console, the end of standard input
 *
 * Windows tells a console program to stop by running a function of it on a
 * thread of its own. That thread cannot end the server's wait; only the model
 * knows how, and each of the six does it differently. So the model hands in
 * its own `wake`.
 */
#ifndef COMMON_STOP_H
#define COMMON_STOP_H

#include <stdbool.h>

/* From now on call wake(arg) once, on another thread, as soon as the user asks
 * to stop; with `on_eof` also when standard input ends. wake() must not wait.
 * The second Ctrl+C or Ctrl+Break ends the process at once, with EXIT_FAILED;
 * the end of standard input does not count as one of them.
 * Main thread, once. Dies if it cannot be arranged.
 * Source: HandlerRoutine callback function. */
void stop_begin(void (*wake)(void *arg), void *arg, bool on_eof);

/* When this returns, wake() is not running and never will again, so what it
 * uses may be freed. The second Ctrl+C keeps its meaning. Main thread. */
void stop_end(void);

#endif
