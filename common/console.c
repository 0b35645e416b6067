/* console.c -- see console.h */
#include "common/win.h"

#include <conio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/console.h"
#include "common/system.h"

static HANDLE input = INVALID_HANDLE_VALUE; /* of the console */
static DWORD mode_found;
static bool mode_changed;
static UINT page_found; /* 0: not changed */

/* Once is enough for all that was changed. */
static void restore_at_exit(void)
{
    static bool asked;
    if (!asked && atexit(console_restore) != 0)
        console_restore();
    else
        asked = true;
}

void console_utf8(void)
{
    UINT page = GetConsoleOutputCP(); /* 0: there is no console */
    if (page == 0 || page == CP_UTF8 || !SetConsoleOutputCP(CP_UTF8))
        return;
    page_found = page;
    restore_at_exit();
}

void console_begin(void)
{
    /* Not the handle of standard input: a selection freezes a program that
     * prints on a console also when its input is a pipe or a file. */
    input = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE,
                        FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
                        0, NULL);
    if (input == INVALID_HANDLE_VALUE || !GetConsoleMode(input, &mode_found))
        return; /* there is no console */

    /* Without ENABLE_EXTENDED_FLAGS the QuickEdit bit is not looked at. */
    DWORD mode = mode_found & ~(DWORD)ENABLE_QUICK_EDIT_MODE;
    mode |= ENABLE_EXTENDED_FLAGS;
    if (!SetConsoleMode(input, mode))
        return;
    mode_changed = true;
    restore_at_exit();
}

void console_restore(void)
{
    if (mode_changed)
        SetConsoleMode(input, mode_found | ENABLE_EXTENDED_FLAGS);
    if (page_found != 0)
        SetConsoleOutputCP(page_found);
}

void console_hold(void)
{
    DWORD ids[2];
    DWORD mode;

    /* Wine makes up a console of our own for a terminal that stays open. */
    if (system_wine() != NULL)
        return;
    if (GetConsoleWindow() == NULL || GetConsoleProcessList(ids, 2) != 1)
        return; /* somebody else, such as cmd.exe, keeps the window open */
    if (!GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &mode))
        return;
    fputs("Press any key to close this window.\n", stderr);
    fflush(stderr);
    (void)_getch();
}
