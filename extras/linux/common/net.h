/* net.h -- what a process needs before its first socket, the listening socket,
 * and names for addresses */
#ifndef LINUX_COMMON_NET_H
#define LINUX_COMMON_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "extras/linux/common/args.h"

/* There is no WSAStartup() on Linux, but a process is set up for other programs
 * than a server: SIGPIPE ends it, it may open 1024 files (its soft limit), and
 * its first socket becomes its standard output if that is closed. Main thread,
 * first. */
void net_start(void);

/* A socket that listens on args->address with the largest backlog. On failure
 * prints one line that names the call, the address, the error and a hint, and
 * ends the process with EXIT_LISTEN. Blocking until the model says otherwise. */
int net_listen(const struct args *args);

/* Send each piece of an echo at once. Without it Nagle's algorithm waits for the
 * acknowledgement of one piece before it sends the next, and the client delays
 * that acknowledgement. */
void net_no_delay(int sock);

/* True: accept4() failed because of the newcomer, which has left already. Then
 * there is nothing to do but to accept the next one. Source: accept(2), "Error
 * handling". */
bool net_newcomer_left(int err);

/* True: a call failed because the process or Linux has no more files, or no
 * memory for them. Nobody tells when it has some again: try again later. */
bool net_is_short(int err);

/* Let close() send a reset. A client whose connection ends in trouble must not
 * take it for the orderly end of its echo. Source: socket(7), SO_LINGER. */
void net_reset_on_close(int sock);

/* "127.0.0.1:5566" or "[::1]:5566"; `out` is always terminated. */
enum { NET_NAME_SIZE = 64 };
void net_name(const struct sockaddr_storage *address, char *out, size_t size);

/* The name of the address that a bound socket really has: after --port 0 it
 * tells the port. */
void net_local_name(int sock, char *out, size_t size);

#endif
