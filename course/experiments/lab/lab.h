/* lab.h -- what the experiments share: a pair of sockets, results in words
 *
 * An experiment is one small program that asks Windows one question and prints
 * the answer. What it is about stands in its own file; here is only what would
 * be in the way there. Whatever goes wrong that is not the question ends the
 * program, with the call and the name of the error.
 */
#ifndef EXPERIMENTS_LAB_H
#define EXPERIMENTS_LAB_H

#include <stdbool.h>
#include <stdio.h>

#include "common/err.h"
#include "common/win.h"

/* First thing in main(): starts Winsock; err_print() uses the name. */
void lab_begin(const char *name);

/* Two TCP sockets on 127.0.0.1 that are connected to each other; overlapped,
 * blocking. The caller closes them. */
void lab_pair(SOCKET *near_end, SOCKET *far_end);

/* Send so many letters, one at a time. */
void lab_send(SOCKET sock, int len);

/* Send the letters of `text`, all at once. */
void lab_say(SOCKET sock, const char *text);

/* From now on no recv() waits longer than `limit_ms`; then: WSAETIMEDOUT. */
void lab_limit(SOCKET sock, DWORD limit_ms);

/* "5", or for SOCKET_ERROR "SOCKET_ERROR, WSAEINVAL (10022)" with the code from
 * WSAGetLastError(): so call it before anything else. Good until the next. */
const char *lab_result(int result);

/* "WSAEINVAL (10022)", and "no error" for 0. Good until the next. */
const char *lab_error(unsigned long code);

/* "set", or "not set" if the event is not within `limit_ms`. Does not reset
 * it. */
const char *lab_event(WSAEVENT event, DWORD limit_ms);

/* Until it is signalled: an event, or a thread that ends. Not alertable. Ten
 * seconds without that end the program. */
void lab_wait(HANDLE what);

/* Run on another thread, with `arg`, while this one goes on. Returns the
 * thread; nobody has to close that, the end of the program does. */
HANDLE lab_thread(void (*run)(void *), void *arg);

#endif
