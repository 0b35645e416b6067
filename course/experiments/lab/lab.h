/* lab.h -- what the experiments share: a pair of sockets, results in words
 *
 * An experiment is one small program that asks Windows one question and prints
 * the answer. Code that belongs to the question stands in its own file; here is
 * only code that would distract from it there. A failure that is not the
 * question ends the program, with the call and the name of the error.
 */
#ifndef EXPERIMENTS_LAB_H
#define EXPERIMENTS_LAB_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"
#include "common/win.h"

/* Call this first in main(). It starts Winsock; err_print() uses the name. */
void lab_begin(const char *name);

/* Two TCP sockets on 127.0.0.1 that are connected to each other; overlapped,
 * blocking. The caller closes them. */
void lab_pair(SOCKET *near_end, SOCKET *far_end);

/* A UDP socket on a free port of 127.0.0.1, overlapped, blocking, and in
 * `address` where it is. The caller closes it. */
SOCKET lab_datagrams(struct sockaddr_in *address);

/* Send `len` letters, one at a time. */
void lab_send(SOCKET sock, int len);

/* Send the letters of `text`, all at once. */
void lab_say(SOCKET sock, const char *text);

/* Wait until `len` bytes that were sent have arrived at `sock`, and leave them
 * there. Winsock has no wait for a number of bytes, so this one asks again and
 * again. After ten seconds it ends the program. */
void lab_arrived(SOCKET sock, int len);

/* From now on a recv() that waits longer than `limit_ms` fails:
 * WSAETIMEDOUT. */
void lab_limit(SOCKET sock, DWORD limit_ms);

/* Returns "5", or for SOCKET_ERROR "SOCKET_ERROR, WSAEINVAL (10022)" with the
 * code from WSAGetLastError(). So call it before anything else. The text is
 * valid until the next call. */
const char *lab_result(int result);

/* Returns "WSAEINVAL (10022)", and "no error" for 0. The text is valid until
 * the next call. */
const char *lab_error(unsigned long code);

/* Returns "set", or "not set" if the event is not set within `limit_ms`. Does
 * not reset the event. */
const char *lab_event(WSAEVENT event, DWORD limit_ms);

/* Wait until it is signalled: an event that is set, or a thread that ends. The
 * wait is not alertable. After ten seconds it ends the program. */
void lab_wait(HANDLE what);

/* Call run(arg) on another thread, while this one goes on. Returns the thread;
 * nobody has to close its handle, the end of the program does that. */
HANDLE lab_thread(void (*run)(void *), void *arg);

#endif
