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

/* Milliseconds left until `deadline` (a clock_ms() value), rounded up so that
 * a wait does not end just before it; 0 when it has passed. */
unsigned long clock_left(double deadline);

#endif
