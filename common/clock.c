/* clock.c -- see clock.h */
#include "common/win.h"

#include <limits.h>

#include "common/clock.h"

uint64_t clock_ns(void)
{
    const uint64_t second = 1000000000;
    LARGE_INTEGER now;
    LARGE_INTEGER per_second; /* neither call fails since Windows XP */
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&per_second);
    uint64_t n = (uint64_t)now.QuadPart;
    uint64_t f = (uint64_t)per_second.QuadPart;
    return n / f * second + n % f * second / f; /* n * second overflows */
}

double clock_ms(void)
{
    return (double)clock_ns() / 1e6;
}

unsigned long clock_left(double deadline)
{
    double left = deadline - clock_ms();
    if (left <= 0.0)
        return 0;
    return left < LONG_MAX - 1.0 ? (unsigned long)left + 1 : LONG_MAX;
}
