/* clients.h -- fifty clients that talk to one server at once
 *
 * Each is a thread in a plain blocking loop: send a message, wait for its
 * echo, compare. Deliberately the same for every server, so that what differs
 * is the server.
 *
 * The calls belong to one thread, in this order: clients_start(),
 * clients_wait() until it says true, the questions, clients_finish(). After a
 * clients_start() that failed, or without one, only clients_finish().
 */
#ifndef DEMO_CLIENTS_H
#define DEMO_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>

/* One wait takes 64 threads at most. MESSAGE is in bytes. */
enum { CLIENTS = 50, MESSAGE = 64 };

/* Connect all to 127.0.0.1:port, and only then let them talk, for `ms`
 * milliseconds. False, with the reason in `why`, if one could not. */
bool clients_start(unsigned short port, unsigned long ms, char *why,
                   size_t size);

/* Wait at most `ms` for all to end. Each ends when its time is up, or at its
 * first trouble; no call of its own takes longer than 20 s. */
bool clients_wait(unsigned long ms);

/* Echoes so far, each compared byte by byte. */
long long clients_echoes(void);

/* What went wrong for the first of them that something went wrong for, or
 * NULL. Valid until the next start. */
const char *clients_trouble(void);

/* Median round trip of all in milliseconds, 0 without any. */
double clients_median(void);

/* Join the threads and close the sockets. Call it when the server is gone, so
 * that nobody can be waiting for it. */
void clients_finish(void);

#endif
