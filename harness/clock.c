/* clock.c -- see clock.h */
#include "common/win.h"

#include <limits.h>

#include "harness/clock.h"

double clock_ms(void)
{
    LARGE_INTEGER now, frequency; /* neither call fails since Windows XP */
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    return (double)now.QuadPart * 1000.0 / (double)frequency.QuadPart;
}

unsigned long clock_left(double deadline)
{
    double left = deadline - clock_ms();
    if (left <= 0.0)
        return 0;
    return left < LONG_MAX - 1.0 ? (unsigned long)left + 1 : LONG_MAX;
}
