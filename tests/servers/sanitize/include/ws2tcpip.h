/* Wine 8's header names these two through a macro that it no longer has. */
#include_next <ws2tcpip.h>
#undef InetNtopA
#undef InetPtonA
#define InetNtopA(family, address, out, size)                                  \
    inet_ntop((family), (void *)(address), (out), (size))
#define InetPtonA inet_pton
