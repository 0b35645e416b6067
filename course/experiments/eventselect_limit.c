/* eventselect_limit.c -- how many events does one wait take?
 *
 * It takes 1 to 64. It does not leave out the 65th, as select()'s FD_SET()
 * does: the whole call fails, for all of them. A wait for no event fails too. A
 * program that takes this failure for a timeout spins until the first client
 * comes.
 */
#include "common/clock.h"
#include "course/experiments/lab/lab.h"

enum { EVENTS = WSA_MAXIMUM_WAIT_EVENTS + 1 };

static WSAEVENT events[EVENTS];

static void wait_for(DWORD count)
{
    double began = clock_ms();
    DWORD got = WSAWaitForMultipleEvents(count, events, FALSE, 1000, FALSE);
    int err = WSAGetLastError();
    printf("waiting for %lu: ", count);
    if (got == WSA_WAIT_FAILED)
        printf("WSA_WAIT_FAILED, %s", lab_error((unsigned long)err));
    else if (got == WSA_WAIT_TIMEOUT)
        printf("WSA_WAIT_TIMEOUT");
    else
        printf("event %lu is set", got - WSA_WAIT_EVENT_0);
    printf(", %s\n",
           clock_ms() - began < 800 ? "at once" : "only after a while");
}

int main(void)
{
    unsigned long calls = 0;
    lab_begin("eventselect_limit");
    for (int i = 0; i < EVENTS; i++) {
        events[i] = WSACreateEvent();
        if (events[i] == WSA_INVALID_EVENT)
            die_call("WSACreateEvent", WSAGetLastError());
    }
    printf("WSA_MAXIMUM_WAIT_EVENTS is %d\n", WSA_MAXIMUM_WAIT_EVENTS);

    wait_for(64);
    if (!WSASetEvent(events[63]))
        die_call("WSASetEvent", WSAGetLastError());
    puts("now event 63 is set, and stays so");
    wait_for(64);
    wait_for(65);
    wait_for(0);

    /* "FAILED or TIMEOUT? Then go on waiting": the classic loop. */
    for (double began = clock_ms(); clock_ms() - began < 200; calls++) {
        DWORD got = WSAWaitForMultipleEvents(0, events, FALSE, 1000, FALSE);
        if (got == WSA_WAIT_FAILED || got == WSA_WAIT_TIMEOUT)
            continue;
    }
    printf("in a loop that takes it for a timeout: %s\n",
           calls > 100 ? "hundreds of calls in 200 ms, all of one processor"
                       : "a few calls");
    return 0;
}
