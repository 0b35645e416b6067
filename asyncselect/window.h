/* window.h -- asyncselect --window: the clients on the screen
 *
 * Only a picture: the sockets post their messages to the window of
 * asyncselect.c. But both windows belong to one thread, and that is the lesson
 * of the Stall button: while its handler sleeps, every client waits.
 *
 * Main thread only. Without window_open() the others do nothing.
 */
#ifndef ASYNCSELECT_WINDOW_H
#define ASYNCSELECT_WINDOW_H

#include "common/win.h"

/* Show the window, with the model's name and the listener's port in its title;
 * dies where there is no desktop to show it on. When the user closes it,
 * `tell` is sent `message`, and the window stays until window_close(). */
void window_open(const char *name, SOCKET listener, HWND tell, UINT message);

void window_add_client(unsigned long long id,
                       const struct sockaddr_storage *peer);
void window_remove_client(unsigned long long id);

void window_close(void);

#endif
