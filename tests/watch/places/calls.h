/* calls.h -- calls whose places are known
 *
 * For places.py, which reads the sources: a line with here("on_read") has to be
 * found as that line of that file, in the function on_read. What follows a
 * slash only makes the line a different one.
 */
#ifndef TESTS_WATCH_PLACES_CALLS_H
#define TESTS_WATCH_PLACES_CALLS_H

/* Both look up where they were called from; probe.c has them. The second one
 * never returns to that place. */
typedef void (*here_function)(const char *expected);
extern here_function here;
extern here_function leave;
extern volatile int done; /* what is done after a call, so that it returns */

#define NOT_INLINE __attribute__((noinline, unused))

static NOT_INLINE void in_a_header(void)
{
    here("in_a_header");
    done++;
}

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((dllexport)) void
    calls_begin(here_function look, here_function look_and_leave);

#endif
