/* pseudo_console.c -- see pseudo_console.h */
#include "common/win.h"

#include "common/system.h"
#include "programs/harness/pseudo_console.h"

enum { SCREEN_BYTES = 64 * 1024 };

typedef HRESULT(WINAPI *create_fn)(COORD, HANDLE, HANDLE, DWORD, void **);
typedef void(WINAPI *close_fn)(void *);

static void close_handle(HANDLE *handle)
{
    if (*handle != NULL)
        CloseHandle(*handle);
    *handle = NULL;
}

unsigned long pseudo_console_open(struct pseudo_console *made)
{
    create_fn create =
        (create_fn)find_function(L"kernel32.dll", "CreatePseudoConsole");
    if (create == NULL)
        return ERROR_CALL_NOT_IMPLEMENTED;
    HANDLE keys = NULL, screen = NULL; /* the console's ends */
    HRESULT result = E_FAIL;
    /* Nobody reads the screen. The programs print into pipes of their own, so
     * only the console's greeting goes there, and the pipe has room for
     * that. */
    if (CreatePipe(&keys, &made->keys, NULL, 0) &&
        CreatePipe(&made->screen, &screen, NULL, SCREEN_BYTES))
        result = create((COORD){80, 25}, keys, screen, 0, &made->console);
    close_handle(&keys);
    close_handle(&screen);
    return SUCCEEDED(result) ? 0 : (unsigned long)result;
}

void pseudo_console_shut(struct pseudo_console *console)
{
    close_fn shut =
        (close_fn)find_function(L"kernel32.dll", "ClosePseudoConsole");
    /* Close the screen first: before Windows 11, closing the console waits
     * until somebody reads the screen. */
    close_handle(&console->screen);
    if (console->console != NULL && shut != NULL)
        shut(console->console);
    console->console = NULL;
    close_handle(&console->keys);
}
