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

/* Send so many letters. */
void lab_send(SOCKET sock, int len);

/* "5", or for SOCKET_ERROR "SOCKET_ERROR, WSAEINVAL (10022)" with the code from
 * WSAGetLastError(): so call it before anything else. Good until the next. */
const char *lab_result(int result);

/* "WSAEINVAL (10022)", and "no error" for 0. Good until the next. */
const char *lab_error(unsigned long code);

/* Run on another thread, with `arg`, while this one goes on. */
void lab_thread(void (*run)(void *), void *arg);

#endif
