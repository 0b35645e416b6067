/* pseudo_console.h -- a console without a window, to press keys on
 *
 * Ctrl+C goes to all programs of a console. A program on a console of its own
 * can be sent the key, and no other program notices it. Windows 10 1809 and
 * later have such consoles, and so has Wine.
 */
#ifndef HARNESS_PSEUDO_CONSOLE_H
#define HARNESS_PSEUDO_CONSOLE_H

#include <stdbool.h>

#include "common/win.h"

struct pseudo_console {
    void *console; /* NULL while there is none */
    HANDLE keys, screen;
};

/* What UpdateProcThreadAttribute() takes to put a process on a console. The
 * constant is missing where the headers are set to an older Windows. */
enum { ATTRIBUTE_PSEUDO_CONSOLE = 0x00020016 };

/* Open one in *made, which is all zero. Returns 0 or an error code. In either
 * case pseudo_console_shut() has to follow. One thread at a time. */
unsigned long pseudo_console_open(struct pseudo_console *made);

/* A process that is still on it is told that its console is closed. */
void pseudo_console_shut(struct pseudo_console *console);

#endif
