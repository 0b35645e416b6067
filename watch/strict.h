/* strict.h -- Windows' rules, enforced where they are not
 *
 * For this folder only. Each rule has a number, S1 to S21. A call that breaks one
 * is reported, and what Windows would have done is done as far as possible: so a
 * server that works under strict has not only been lucky. What is chosen at
 * random comes from a seed, of the connection and of how often something was
 * chosen for it: the same seed gives the same choices.
 *
 * While an operation is in flight, the system works on a copy of its own: its
 * OVERLAPPED and its buffer. So whatever happens to the program's memory
 * meanwhile is the program's doing.
 */
#ifndef WATCH_STRICT_H
#define WATCH_STRICT_H

#include "watch/call.h"

#ifdef TRACE

/* Set once by strict_begin(), before there is another thread. */
extern bool strict_on;

/* Around the real call, when strict_on. The first may change the arguments on
 * their way to Windows. False: the call is not to be made; see call.h. The second
 * gives what the program gets. */
bool strict_begins(struct trace_call *call, ULONG_PTR *w);
LONG_PTR strict_ends(struct trace_call *call, LONG_PTR result);

/* The system is done with this OVERLAPPED and tells it by this call, or, NULL, by
 * calling a function of the program. Returns the program's own. */
OVERLAPPED *strict_delivers(OVERLAPPED *ov, const struct trace_call *call);

/* Around a function of the program that ran because a wait was alertable. */
void strict_enters(struct caller *mine);
void strict_leaves(struct caller *mine);

/* This thread ends. */
void strict_thread_ends(void);

/* As trace_opened(). */
void strict_opened(unsigned long long number,
                   const struct sockaddr_storage *peer);

/* Connections have the numbers that they have in the log. */
void strict_log_numbers(void);

#endif
#endif
