/* console.h -- three habits of the console window that would spoil a lesson
 *
 * QuickEdit: a click into the window starts a selection, and until it ends
 * every program that prints is frozen, and with it all of its clients.
 * It shows text in a code page, which has no letters but those of one language.
 * And a window that Windows opened for one program closes with it, before
 * anybody can read why it failed.
 */
#ifndef COMMON_CONSOLE_H
#define COMMON_CONSOLE_H

/* Switch QuickEdit off until the process ends. Harmless without a console.
 * Main thread, once. */
void console_begin(void);

/* Show text as UTF-8 until the process ends. Harmless without a console. Main
 * thread, once. */
void console_utf8(void);

/* Give the console back as it was found. Runs by itself at exit(); call it
 * only before ending the process by other means. Any thread. */
void console_restore(void);

/* Wait for a key if the console window was opened for this process alone. */
void console_hold(void);

#endif
