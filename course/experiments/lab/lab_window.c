/* lab_window.c -- see lab_window.h */
#include "course/experiments/lab/lab_window.h"

#include "common/clock.h"

HWND lab_window(void)
{
    HWND window = CreateWindowW(L"STATIC", L"", 0, 0, 0, 0, 0, HWND_MESSAGE,
                                NULL, NULL, NULL);
    if (window == NULL)
        die_call("CreateWindowW", GetLastError());
    return window;
}

bool lab_message(MSG *message)
{
    double until = clock_ms() + 1000;
    while (!PeekMessageW(message, NULL, WM_SOCKET, WM_SOCKET, PM_REMOVE)) {
        if (clock_left(until) == 0)
            return false;
        MsgWaitForMultipleObjects(0, NULL, FALSE, clock_left(until),
                                  QS_POSTMESSAGE);
    }
    return true;
}
