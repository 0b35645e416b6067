/* clock.h -- the time, and what is left of it
 *
 * The clock begins at some moment and never steps back. It is fine enough for
 * round trips; GetTickCount64() steps by 16 ms. Any thread may ask.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Now, in nanoseconds; and in milliseconds with their fraction. */
uint64_t clock_ns(void);
double clock_ms(void);

/* From now on, clock_ms() leaves out the time in which this program did not run:
 * the computer slept, a debugger held it, or others had the processors. For
 * judges: in that time they heard no answer, and it says nothing about who
 * should have given it. Of each such time up to a second still counts. A thread
 * of its own beats ten times in a second, and a beat that is late tells. To be
 * called once; dies when there is no thread to have. */
void clock_leave_out_sleep(void);

/* Milliseconds left until `deadline` (a clock_ms() value), rounded up so that
 * a wait does not end just before it; 0 when it has passed. */
unsigned long clock_left(double deadline);

#endif
