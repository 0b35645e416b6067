/* stop.c -- see stop.h */
#include "common/win.h"

#include <process.h>

#include "common/console.h"
#include "common/err.h"
#include "common/input.h"
#include "common/stop.h"
#include "watch/faulty.h"

/* Windows ends a process whose console was closed about five seconds after
 * telling it so, and at once when the handler returns. */
enum { CLOSE_PATIENCE_MS = 4500 };

static SRWLOCK lock = SRWLOCK_INIT; /* guards the next three */
static void (*wake)(void *arg);
static void *wake_arg;
static bool asked;

/* Interlocked. The end of standard input is not among them: on Windows Ctrl+C
 * ends a ReadFile() of the console as well, before or after this handler runs,
 * and the first key would then be taken for the second one. */
static volatile LONG keys;

static HANDLE main_thread;
static HANDLE watcher;        /* of standard input; or NULL */
static volatile LONG eof_met; /* interlocked: the watcher has left ReadFile() */

static void stop_ask(void)
{
    AcquireSRWLockExclusive(&lock);
    if (!asked && wake != NULL)
        wake(wake_arg);
    asked = true;
    ReleaseSRWLockExclusive(&lock);
}

static BOOL WINAPI on_console_event(DWORD event)
{
    bool key = event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;
    if (key && InterlockedIncrement(&keys) > 1) {
        /* Not exit(): it would run on this thread and take locks that the
         * thread which hangs may hold. Nor is any lock of ours taken before:
         * the thread that holds it may be the one which hangs. */
        console_restore();
        TerminateProcess(GetCurrentProcess(), EXIT_FAILED);
    }
    stop_ask();
    if (!key) {
        /* The console is closing, or the user logs off: returning would end
         * the process in the middle of its clean-up. */
        WaitForSingleObject(main_thread, CLOSE_PATIENCE_MS);
    }
    return TRUE;
}

/* Waits for the end of standard input. When something else stops the server it
 * still sits in ReadFile(), which ends with the process. */
static unsigned __stdcall stdin_main(void *arg)
{
    (void)arg;
    char ignored[256];
    while (input_read(ignored, sizeof ignored) > 0)
        continue;
    InterlockedExchange(&eof_met, TRUE);
    stop_ask();
    return 0;
}

void stop_begin(void (*model_wake)(void *arg), void *arg, bool on_eof)
{
    /* The main thread's own handle is a pseudo handle, which means something
     * else on every thread: make a real one for the handler to wait for. */
    if (!DuplicateHandle(GetCurrentProcess(), GetCurrentThread(),
                         GetCurrentProcess(), &main_thread, SYNCHRONIZE, FALSE,
                         0))
        die_call("DuplicateHandle", GetLastError());

    AcquireSRWLockExclusive(&lock);
    wake = model_wake;
    wake_arg = arg;
    ReleaseSRWLockExclusive(&lock);

    /* A process inherits it from its parent when that one ignores Ctrl+C, as
     * after `start /b`: ours is meant to hear it. Source: CTRL+C and CTRL+BREAK
     * Signals. */
    if (!SetConsoleCtrlHandler(NULL, FALSE) ||
        !SetConsoleCtrlHandler(on_console_event, TRUE))
        die_call("SetConsoleCtrlHandler", GetLastError());
    if (on_eof) {
        watcher = (HANDLE)_beginthreadex(NULL, 0, stdin_main, NULL, 0, NULL);
        if (watcher == NULL)
            die_call("_beginthreadex", GetLastError());
    }
}

void stop_end(void)
{
    AcquireSRWLockExclusive(&lock);
    wake = NULL;
    asked = true;
    ReleaseSRWLockExclusive(&lock);
    if (eof_met) /* otherwise it may never end */
        WaitForSingleObject(watcher, INFINITE);
    if (watcher != NULL)
        CloseHandle(watcher);
}
