/* trace_winsock.h -- count the Winsock calls of a model; include it last
 *
 * From here on `recv(...)` first counts and then calls: a macro is not expanded
 * inside itself, so what runs is Winsock's own recv(), with the arguments as
 * written. Built with PLAIN=1 this file does nothing at all; `gcc -E` shows
 * the difference.
 */
#ifndef COMMON_TRACE_WINSOCK_H
#define COMMON_TRACE_WINSOCK_H

#include "common/trace.h"

#ifdef TRACE

#define TRACED(name, call) (trace_count(TRACE_##name), call)

#define select(...)         TRACED(select, select(__VA_ARGS__))
#define GetMessageW(...)    TRACED(GetMessageW, GetMessageW(__VA_ARGS__))
#define SleepEx(...)        TRACED(SleepEx, SleepEx(__VA_ARGS__))
#define recv(...)           TRACED(recv, recv(__VA_ARGS__))
#define send(...)           TRACED(send, send(__VA_ARGS__))
#define WSARecv(...)        TRACED(WSARecv, WSARecv(__VA_ARGS__))
#define WSASend(...)        TRACED(WSASend, WSASend(__VA_ARGS__))
#define accept(...)         TRACED(accept, accept(__VA_ARGS__))
#define WSASocketW(...)     TRACED(WSASocketW, WSASocketW(__VA_ARGS__))
#define setsockopt(...)     TRACED(setsockopt, setsockopt(__VA_ARGS__))
#define ioctlsocket(...)    TRACED(ioctlsocket, ioctlsocket(__VA_ARGS__))
#define WSAAsyncSelect(...) TRACED(WSAAsyncSelect, WSAAsyncSelect(__VA_ARGS__))
#define WSAEventSelect(...) TRACED(WSAEventSelect, WSAEventSelect(__VA_ARGS__))
#define WSACreateEvent(...) TRACED(WSACreateEvent, WSACreateEvent(__VA_ARGS__))
#define WSASetEvent(...)    TRACED(WSASetEvent, WSASetEvent(__VA_ARGS__))
#define WSAResetEvent(...)  TRACED(WSAResetEvent, WSAResetEvent(__VA_ARGS__))
#define WSACloseEvent(...)  TRACED(WSACloseEvent, WSACloseEvent(__VA_ARGS__))
#define PostMessageW(...)   TRACED(PostMessageW, PostMessageW(__VA_ARGS__))
#define QueueUserAPC(...)   TRACED(QueueUserAPC, QueueUserAPC(__VA_ARGS__))
#define CancelIoEx(...)     TRACED(CancelIoEx, CancelIoEx(__VA_ARGS__))
#define shutdown(...)       TRACED(shutdown, shutdown(__VA_ARGS__))
#define closesocket(...)    TRACED(closesocket, closesocket(__VA_ARGS__))
#define WSAWaitForMultipleEvents(...)                                          \
    TRACED(WSAWaitForMultipleEvents, WSAWaitForMultipleEvents(__VA_ARGS__))
#define GetQueuedCompletionStatus(...)                                         \
    TRACED(GetQueuedCompletionStatus, GetQueuedCompletionStatus(__VA_ARGS__))
#define GetQueuedCompletionStatusEx(...)                                       \
    TRACED(GetQueuedCompletionStatusEx,                                        \
           GetQueuedCompletionStatusEx(__VA_ARGS__))
#define WSAEnumNetworkEvents(...)                                              \
    TRACED(WSAEnumNetworkEvents, WSAEnumNetworkEvents(__VA_ARGS__))
#define WSAGetOverlappedResult(...)                                            \
    TRACED(WSAGetOverlappedResult, WSAGetOverlappedResult(__VA_ARGS__))
#define CreateIoCompletionPort(...)                                            \
    TRACED(CreateIoCompletionPort, CreateIoCompletionPort(__VA_ARGS__))
#define PostQueuedCompletionStatus(...)                                        \
    TRACED(PostQueuedCompletionStatus, PostQueuedCompletionStatus(__VA_ARGS__))

#endif
#endif
