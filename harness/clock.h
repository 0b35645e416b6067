/* clock.h -- time for tests: a clock that never steps back, and deadlines */
#ifndef HARNESS_CLOCK_H
#define HARNESS_CLOCK_H

/* Milliseconds since an arbitrary start, with the fraction. Any thread.
 * GetTickCount64() would step by 16 ms, too coarse for round trips. */
double clock_ms(void);

/* Milliseconds left until `deadline` (a clock_ms() value), rounded up so that
 * a wait does not end just before it; 0 when it has passed. Any thread. */
unsigned long clock_left(double deadline);

#endif
