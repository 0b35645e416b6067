/* select_empty.c -- does select() sleep when it has nothing to wait for?
 *
 * On other systems it does, and programs use it to sleep. On Windows a call
 * without any socket fails at once. A server whose last client has left, and
 * which takes this failure for a timeout, spins.
 */
#include "common/clock.h"
#include "course/experiments/lab/lab.h"

int main(void)
{
    fd_set nobody;
    struct timeval half_a_second = {0, 500000};
    unsigned long calls = 0;
    lab_begin("select_empty");

    FD_ZERO(&nobody);
    double began = clock_ms();
    printf("select() with an empty set, for 500 ms: %s\n",
           lab_result(select(0, &nobody, NULL, NULL, &half_a_second)));
    printf("it took %s\n", clock_ms() - began < 400 ? "no time" : "500 ms");

    /* "No more than 0? Then it was the timeout": the classic loop. */
    for (began = clock_ms(); clock_ms() - began < 200; calls++) {
        FD_ZERO(&nobody);
        if (select(0, &nobody, NULL, NULL, &half_a_second) <= 0)
            continue;
    }
    printf("in a loop that takes it for a timeout: %s\n",
           calls > 100 ? "hundreds of calls in 200 ms, all of one processor"
                       : "a few calls");
    return 0;
}
