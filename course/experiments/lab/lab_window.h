/* lab_window.h -- a window that nobody sees, and what is posted to it
 *
 * Only for the experiments about WSAAsyncSelect(): the others are linked
 * without it, and so without USER32.
 */
#ifndef EXPERIMENTS_LAB_WINDOW_H
#define EXPERIMENTS_LAB_WINDOW_H

#include "course/experiments/lab/lab.h"

/* What these experiments let WSAAsyncSelect() post. */
#define WM_SOCKET (WM_APP + 1)

/* A message-only window of the calling thread, which is where its messages
 * wait. It goes with the thread. */
HWND lab_window(void);

/* Takes the next WM_SOCKET of the calling thread out of its queue and into
 * `message`, or waits for it; false when a second has passed without one. No
 * window procedure sees it. */
bool lab_message(MSG *message);

#endif
