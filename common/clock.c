/* clock.c -- see clock.h */
#include "common/win.h"

#include <limits.h>
#include <process.h>
#include <stdbool.h>

#include "common/clock.h"
#include "common/err.h"

enum { BEAT_MS = 100, LATE_MS = 1000 };

static struct {
    SRWLOCK lock;
    bool beats;
    double last; /* the last beat, and the time left out until then */
    double lost;
} heart = {.lock = SRWLOCK_INIT};

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
    AcquireSRWLockShared(&heart.lock);
    double now = (double)clock_ns() / 1e6;
    if (heart.beats && now > heart.last + LATE_MS)
        now = heart.last + LATE_MS; /* the next beat tells how late it was */
    now -= heart.lost;
    ReleaseSRWLockShared(&heart.lock);
    return now;
}

static unsigned __stdcall beat_main(void *unused)
{
    (void)unused;
    for (;; Sleep(BEAT_MS)) {
        AcquireSRWLockExclusive(&heart.lock);
        double now = (double)clock_ns() / 1e6;
        if (heart.beats && now > heart.last + LATE_MS)
            heart.lost += now - heart.last - LATE_MS;
        heart.last = now;
        heart.beats = true;
        ReleaseSRWLockExclusive(&heart.lock);
    }
    return 0;
}

void clock_leave_out_sleep(void)
{
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, beat_main, NULL, 0, NULL);
    if (thread == NULL)
        die_call("_beginthreadex", GetLastError());
    CloseHandle(thread);
}

unsigned long clock_left(double deadline)
{
    double left = deadline - clock_ms();
    if (left <= 0.0)
        return 0;
    return left < LONG_MAX - 1.0 ? (unsigned long)left + 1 : LONG_MAX;
}
