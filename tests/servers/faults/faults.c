/* faults.c -- see faults.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "tests/servers/faults/faults.h"

static volatile LONG serving;
static volatile LONG calls;

void fault_serving(void)
{
    InterlockedExchange(&calls, 0);
    InterlockedExchange(&serving, TRUE);
}

static long setting(const char *name)
{
    char text[32];
    DWORD len = GetEnvironmentVariableA(name, text, sizeof text);
    return len > 0 && len < sizeof text ? strtol(text, NULL, 10) : 0;
}

bool fault_hit(const char *call, int code)
{
    DWORD before = GetLastError();
    char wanted[64];
    DWORD len = GetEnvironmentVariableA("FAULT_CALL", wanted, sizeof wanted);
    long every = setting("FAULT_EVERY");
    long at = setting("FAULT_AT");
    SetLastError(before);
    if (len == 0 || len >= sizeof wanted || strcmp(call, wanted) != 0)
        return false;

    LONG number = InterlockedIncrement(&calls);
    bool hit = serving ? every > 0 && number % every == 0 : number == at;
    if (!hit)
        return false;
    fprintf(stderr, "fault: %s\n", call);
    fflush(stderr);
    SetLastError((DWORD)code);
    _doserrno = (unsigned long)code; /* what _beginthreadex() leaves */
    return true;
}

static bool early_close(void)
{
    char wanted[64];
    DWORD len = GetEnvironmentVariableA("FAULT_CALL", wanted, sizeof wanted);
    return len > 0 && len < sizeof wanted && strcmp(wanted, "FD_CLOSE") == 0;
}

int fault_event(int event)
{
    if (early_close() && event == FD_READ)
        return FD_CLOSE;
    if (early_close() && event == FD_CLOSE)
        return FD_WRITE; /* which says nothing to a server that owes nothing */
    return event;
}

int fault_events(int result, WSANETWORKEVENTS *seen)
{
    if (early_close() && result == 0) {
        if (seen->lNetworkEvents & FD_READ)
            seen->lNetworkEvents |= FD_CLOSE;
        else
            seen->lNetworkEvents &= ~FD_CLOSE;
    }
    return result;
}
