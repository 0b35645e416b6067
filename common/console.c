/* console.c -- see console.h */
#include "common/win.h"

#include <conio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/console.h"

static DWORD mode_found;
static bool mode_changed;

void console_begin(void)
{
    HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
    if (!GetConsoleMode(in, &mode_found))
        return; /* standard input is not a console */

    /* Without ENABLE_EXTENDED_FLAGS the QuickEdit bit is not looked at. */
    DWORD mode = mode_found & ~(DWORD)ENABLE_QUICK_EDIT_MODE;
    mode |= ENABLE_EXTENDED_FLAGS;
    if (!SetConsoleMode(in, mode))
        return;
    mode_changed = true;
    if (atexit(console_restore) != 0)
        console_restore();
}

void console_restore(void)
{
    if (mode_changed)
        SetConsoleMode(GetStdHandle(STD_INPUT_HANDLE),
                       mode_found | ENABLE_EXTENDED_FLAGS);
}

void console_hold(void)
{
    DWORD ids[2];
    DWORD mode;

    /* Wine makes up a console of our own for a terminal that stays open. */
    if (GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") !=
        NULL)
        return;
    if (GetConsoleWindow() == NULL || GetConsoleProcessList(ids, 2) != 1)
        return; /* somebody else, such as cmd.exe, keeps the window open */
    if (!GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &mode))
        return;
    fputs("Press any key to close this window.\n", stderr);
    fflush(stderr);
    (void)_getch();
}
