/* test_stop.c -- Ctrl+C once, twice, and the end of standard input
 *
 * Each child has a console of its own, on which it presses the keys itself.
 */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/stop.h"
#include "tests/unit/unit.h"

static HANDLE woken;
static volatile LONG wakes;
static int right_arg;

static void wake(void *arg)
{
    InterlockedIncrement(&wakes);
    printf("wake%s\n", arg == &right_arg ? "" : " with a wrong argument");
    fflush(stdout);
    SetEvent(woken);
}

/* Never returns when the second key does what it should. */
static void press_and_hang(DWORD key)
{
    press(key);
    Sleep(INFINITE);
}

/* Does what a server's main thread does after wake(): stop_end(), and then the
 * end. */
static int await_wake(void)
{
    if (WaitForSingleObject(woken, 30000) != WAIT_OBJECT_0)
        return 98;
    stop_end();
    printf("%ld wake\n", wakes);
    fflush(stdout);
    return EXIT_STOPPED;
}

int child_stop(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool on_eof = strncmp(what, "eof", 3) == 0;
    woken = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (woken == NULL)
        die_call("CreateEventW", GetLastError());
    if (strcmp(what, "ignored-key") == 0 && !SetConsoleCtrlHandler(NULL, TRUE))
        die_call("SetConsoleCtrlHandler", GetLastError());
    stop_begin(wake, &right_arg, on_eof);

    if (strcmp(what, "eof") == 0)
        return await_wake();
    if (strcmp(what, "key") == 0 || strcmp(what, "eof-key") == 0) {
        press(CTRL_C_EVENT);
        return await_wake();
    }
    if (strcmp(what, "twice") == 0) {
        press(CTRL_C_EVENT);
        if (WaitForSingleObject(woken, 30000) != WAIT_OBJECT_0)
            return 98;
        press_and_hang(CTRL_C_EVENT); /* a server that hangs while it stops */
    }
    if (strcmp(what, "late") == 0) {
        press(CTRL_C_EVENT);
        if (WaitForSingleObject(woken, 30000) != WAIT_OBJECT_0)
            return 98;
        stop_end();
        press_and_hang(CTRL_C_EVENT);
    }
    if (strcmp(what, "eof-then-key") == 0) {
        if (WaitForSingleObject(woken, 30000) != WAIT_OBJECT_0)
            return 98;
        press(CTRL_C_EVENT);
        /* As long as a handler of this key could take to end us. */
        Sleep(300);
        printf("went on\n");
        fflush(stdout);
        press_and_hang(CTRL_C_EVENT);
    }
    if (strcmp(what, "ignored-key") == 0) {
        press(CTRL_C_EVENT);
        return await_wake();
    }
    if (strcmp(what, "ignore-eof") == 0)
        return WaitForSingleObject(woken, 500) == WAIT_TIMEOUT ? 0 : 98;
    return 99;
}

static void ctrl_c_wakes_once(void)
{
    const struct child *child = run_child("stop key", NULL);
    CHECK_INT(child->code, EXIT_STOPPED);
    CHECK_TEXT(child->out, "wake\n1 wake\n");
}

static void ctrl_c_while_stdin_is_watched(void)
{
    const struct child *child = run_child("stop eof-key", NULL);
    CHECK_INT(child->code, EXIT_STOPPED);
    CHECK_TEXT(child->out, "wake\n1 wake\n");
}

static void second_ctrl_c_ends_a_hanging_process(void)
{
    const struct child *child = run_child("stop twice", NULL);
    CHECK_INT(child->code, EXIT_FAILED);
    CHECK_TEXT(child->out, "wake\n");
}

static void after_stop_end_no_wake_but_an_end(void)
{
    const struct child *child = run_child("stop late", NULL);
    CHECK_INT(child->code, EXIT_FAILED);
    CHECK_TEXT(child->out, "wake\n");
}

static void end_of_input_wakes_once(void)
{
    const struct child *child = run_child("stop eof", "");
    CHECK_INT(child->code, EXIT_STOPPED);
    CHECK_TEXT(child->out, "wake\n1 wake\n");
}

static void input_before_its_end_is_read_over(void)
{
    const struct child *child =
        run_child("stop eof", "some text\n\x1a and more\n");
    CHECK_INT(child->code, EXIT_STOPPED);
    CHECK_TEXT(child->out, "wake\n1 wake\n");
}

/* On Windows Ctrl+C also ends the read of the console that watches for the end
 * of the input, in no order with the handler. */
static void ctrl_c_after_the_end_of_input_is_the_first(void)
{
    const struct child *child = run_child("stop eof-then-key", "");
    CHECK_INT(child->code, EXIT_FAILED);
    CHECK_TEXT(child->out, "wake\nwent on\n");
}

/* As a program that was started by `start /b`. */
static void ctrl_c_that_the_parent_ignores(void)
{
    const struct child *child = run_child("stop ignored-key", NULL);
    CHECK_INT(child->code, EXIT_STOPPED);
    CHECK_TEXT(child->out, "wake\n1 wake\n");
}

static void end_of_input_means_nothing_unasked(void)
{
    const struct child *child = run_child("stop ignore-eof", "");
    CHECK_INT(child->code, 0);
    CHECK_TEXT(child->out, "");
}

void test_stop(void)
{
    RUN(ctrl_c_wakes_once);
    RUN(ctrl_c_while_stdin_is_watched);
    RUN(second_ctrl_c_ends_a_hanging_process);
    RUN(after_stop_end_no_wake_but_an_end);
    RUN(end_of_input_wakes_once);
    RUN(input_before_its_end_is_read_over);
    RUN(ctrl_c_after_the_end_of_input_is_the_first);
    RUN(ctrl_c_that_the_parent_ignores);
    RUN(end_of_input_means_nothing_unasked);
}
