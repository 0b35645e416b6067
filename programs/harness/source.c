/* source.c -- see source.h */
#include "common/win.h"

#include "programs/harness/source.h"

enum { ADDRESSES = 200 };

/* Winsock's own values, which MinGW's headers do not have. */
#ifndef SO_PORT_SCALABILITY
#define SO_PORT_SCALABILITY 0x3006
#endif
#ifndef SO_REUSE_UNICASTPORT
#define SO_REUSE_UNICASTPORT 0x3007
#endif

const char source_used_up_hint[] =
    "the ports of this machine are used up: a port stays taken for minutes "
    "after its connection (TIME_WAIT); wait, or make fewer connections";

/* bind() to port 0 takes a port of one range for the whole machine, whatever
 * the address is. Either option makes it a range for each address. The first is
 * the newer one, which leaves the choice to the connect, where the server's
 * port counts too. A system that has neither goes on without. Sources:
 * SO_REUSE_UNICASTPORT and SO_PORT_SCALABILITY, in Microsoft's Winsock
 * reference. Not run on Windows; Wine knows neither. */
static void more_ports(SOCKET sock)
{
    BOOL on = TRUE;
    if (setsockopt(sock, SOL_SOCKET, SO_REUSE_UNICASTPORT, (const char *)&on,
                   sizeof on) == SOCKET_ERROR)
        (void)setsockopt(sock, SOL_SOCKET, SO_PORT_SCALABILITY,
                         (const char *)&on, sizeof on);
}

int source_bind(SOCKET sock, const struct sockaddr *to, int to_len,
                unsigned long first, uint64_t n)
{
    struct sockaddr_storage from = {.ss_family = (short)to->sa_family};
    const struct sockaddr_in *to4 = (const struct sockaddr_in *)to;
    struct sockaddr_in *from4 = (struct sockaddr_in *)&from;
    if (to->sa_family == AF_INET && ntohl(to4->sin_addr.s_addr) >> 24 == 127)
        from4->sin_addr.s_addr = htonl(first + (unsigned long)(n % ADDRESSES));
    more_ports(sock);
    return bind(sock, (const struct sockaddr *)&from, to_len);
}

bool source_used_up(unsigned long err)
{
    return err == WSAEADDRINUSE || err == WSAENOBUFS;
}
