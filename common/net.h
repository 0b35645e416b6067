/* net.h -- Winsock itself, the listening socket, and names for addresses */
#ifndef COMMON_NET_H
#define COMMON_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "common/args.h"
#include "common/win.h"

/* Start Winsock 2.2 or die; and give it back, as the very last thing: with
 * the last WSACleanup every open socket is reset. Main thread. */
void net_start(void);
void net_stop(void);

/* A socket that listens on args->address with the largest backlog. On failure
 * prints one line that names the call, the address, the error and a hint, and
 * ends the process with EXIT_LISTEN; a port that is taken is tried for 2 s.
 * Blocking until the model says otherwise.
 *
 * TCP_NODELAY is set, and connections inherit it: without it Nagle's algorithm
 * waits for the acknowledgement of one piece of an echo before it sends the
 * next, and the client delays that acknowledgement. */
SOCKET net_listen(const struct args *args);

/* Keep a connection out of the processes that this one may start: a child
 * that inherits a socket holds it open after closesocket(). Sockets made with
 * WSA_FLAG_NO_HANDLE_INHERIT have that already, those of accept() do not. */
void net_no_inherit(SOCKET sock);

/* True: accept() failed because the newcomer has left already. Then there is
 * nothing to do but to accept the next one. */
bool net_newcomer_left(int err);

/* True: a call failed because Windows has no more sockets, or no memory for
 * them. Nobody tells when it has some again: try again after a while. */
bool net_is_short(int err);

/* Let closesocket() send a reset. A client whose connection ends in trouble must
 * not take it for the orderly end of its echo. A failure is not told: the
 * connection may be gone. Source: closesocket function, SO_LINGER. */
void net_reset_on_close(SOCKET sock);

/* "127.0.0.1:5566" or "[::1]:5566"; `out` is always terminated. */
enum { NET_NAME_SIZE = 64 };
void net_name(const struct sockaddr_storage *address, char *out, size_t size);

/* The name of the address that a bound socket really has: after --port 0 it
 * tells the port. */
void net_local_name(SOCKET sock, char *out, size_t size);

#endif
