/* eventselect_lowest.c -- several events are set: which one does a wait name?
 *
 * It names the lowest one, each time. So a busy low slot can keep all higher
 * slots from ever being served. eventselect.c looks at the rest of the array
 * before slot 0 gets its next turn. Here the program sets the events itself:
 * for the wait it makes no difference who sets them.
 */
#include "course/experiments/lab/lab.h"

enum { EVENTS = 64, BUSY = 3, OTHER = 40, TURNS = 10 };

static WSAEVENT events[EVENTS];

static void set(DWORD slot)
{
    if (!WSASetEvent(events[slot]))
        die_call("WSASetEvent", WSAGetLastError());
}

/* The wait that begins at `first`, as in waiter_run(). */
static DWORD wait_from(DWORD first)
{
    DWORD got = WSAWaitForMultipleEvents(EVENTS - first, events + first, FALSE,
                                         0, FALSE);
    if (got == WSA_WAIT_FAILED)
        die_call("WSAWaitForMultipleEvents", WSAGetLastError());
    return got == WSA_WAIT_TIMEOUT ? EVENTS : first + got - WSA_WAIT_EVENT_0;
}

/* Serve ten times. Both slots always have something to say: the event that was
 * served is set again. Does the next wait begin at slot 0, or behind the slot
 * that was served? */
static void serve(bool sweep)
{
    int served[EVENTS] = {0};
    DWORD first = 0;
    for (int turn = 0; turn < TURNS;) {
        DWORD slot = wait_from(first);
        if (slot == EVENTS) { /* no event is set from here on */
            first = 0;
            continue;
        }
        if (!WSAResetEvent(events[slot]))
            die_call("WSAResetEvent", WSAGetLastError());
        served[slot]++;
        turn++;
        set(slot);
        first = sweep ? (slot + 1) % EVENTS : 0;
    }
    printf("%s: slot %d had %d turns, slot %d had %d\n",
           sweep ? "each wait begins behind the last one served"
                 : "each wait begins at slot 0",
           BUSY, served[BUSY], OTHER, served[OTHER]);
}

int main(void)
{
    lab_begin("eventselect_lowest");
    for (int i = 0; i < EVENTS; i++) {
        events[i] = WSACreateEvent();
        if (events[i] == WSA_INVALID_EVENT)
            die_call("WSACreateEvent", WSAGetLastError());
    }
    set(OTHER);
    set(BUSY);
    printf("slot %d was set, then slot %d: the wait names %lu\n", OTHER, BUSY,
           wait_from(0));
    printf("both always have something to say, %d turns\n", TURNS);
    serve(false);
    serve(true);
    return 0;
}
