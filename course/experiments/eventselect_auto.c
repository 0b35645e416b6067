/* eventselect_auto.c -- two things happen: which one does an auto-reset event
 * lose?
 *
 * The second one, if both set the same event: an event counts to one, and the
 * wait resets it. Two events lose nothing: a wait resets only the one that it
 * names. A manual-reset event stays set until the program says that it has
 * looked.
 */
#include "course/experiments/lab/lab.h"

static HANDLE new_event(BOOL manual)
{
    HANDLE event = CreateEventW(NULL, manual, FALSE, NULL);
    if (event == NULL)
        die_call("CreateEventW", GetLastError());
    return event;
}

static void set(HANDLE event)
{
    if (!SetEvent(event))
        die_call("SetEvent", GetLastError());
}

static void wait_twice(const char *what, const HANDLE *events, DWORD count)
{
    printf("%s:", what);
    for (int turn = 1; turn <= 2; turn++) {
        DWORD got = WSAWaitForMultipleEvents(count, events, FALSE, 200, FALSE);
        if (got == WSA_WAIT_FAILED)
            die_call("WSAWaitForMultipleEvents", WSAGetLastError());
        if (got == WSA_WAIT_TIMEOUT)
            printf(" wait %d times out%s", turn, turn == 1 ? "," : "\n");
        else
            printf(" wait %d names %lu%s", turn, got - WSA_WAIT_EVENT_0,
                   turn == 1 ? "," : "\n");
    }
}

int main(void)
{
    lab_begin("eventselect_auto");
    HANDLE autos[] = {new_event(FALSE), new_event(FALSE)};
    HANDLE manual = new_event(TRUE);
    set(autos[0]);
    set(autos[0]);
    wait_twice("auto-reset, set twice", autos, 1);
    set(autos[1]);
    set(autos[0]);
    wait_twice("two of them, each set once", autos, 2);
    set(manual);
    set(manual);
    wait_twice("manual-reset, set twice", &manual, 1);
    return 0;
}
