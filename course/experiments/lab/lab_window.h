/* lab_window.h -- a window that nobody sees, and what is posted to it
 *
 * Only for the experiments about WSAAsyncSelect(): the others are linked
 * without it, and so without USER32.
 */
#ifndef EXPERIMENTS_LAB_WINDOW_H
#define EXPERIMENTS_LAB_WINDOW_H

#include "course/experiments/lab/lab.h"

/* The message that these experiments let WSAAsyncSelect() post. */
#define WM_SOCKET (WM_APP + 1)

/* Make a message-only window. Its messages wait in the queue of the calling
 * thread. The window ends with that thread. */
HWND lab_window(void);

/* Move the next WM_SOCKET from the calling thread's queue into `message`; wait
 * for it if there is none. False when a second has passed without one. No
 * window procedure sees the message. */
bool lab_message(MSG *message);

#endif
