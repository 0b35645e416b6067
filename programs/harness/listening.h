/* listening.h -- whether anybody listens on a port, without asking him
 *
 * To connect would make us a client, and to bind could take the port from the
 * one who is about to listen. The system's table of sockets disturbs nobody.
 */
#ifndef HARNESS_LISTENING_H
#define HARNESS_LISTENING_H

#include <stdbool.h>

/* Whether a TCP socket of this machine, IPv4 or IPv6, listens on `port`, at any
 * address. False also where the table cannot be read. Any thread. Source:
 * GetExtendedTcpTable function. */
bool port_is_listened_on(unsigned short port);

#endif
