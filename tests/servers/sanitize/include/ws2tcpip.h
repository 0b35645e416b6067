/* Wine 8's header names these two through a macro that it no longer has. */
#include_next <ws2tcpip.h>
#undef InetNtopA
#undef InetPtonA
#define InetNtopA(family, address, out, size)                                  \
    inet_ntop((family), (void *)(address), (out), (size))
#define InetPtonA inet_pton

/* What Wine 8's own headers lack. */
#ifndef FILE_SKIP_COMPLETION_PORT_ON_SUCCESS
#define FILE_SKIP_COMPLETION_PORT_ON_SUCCESS 1
#endif
WORD WINAPI GetActiveProcessorGroupCount(void);
BOOL WINAPI SetThreadGroupAffinity(HANDLE thread, const GROUP_AFFINITY *group,
                                   GROUP_AFFINITY *before);
