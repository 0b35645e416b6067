/* trace_winsock.h -- follow the Winsock calls of a model; include it last
 *
 * From here on `recv(...)` is counted, and recorded when tracing, around the
 * very same call: a macro is not expanded inside itself, so what runs is
 * Winsock's own recv(), with the arguments as written. When tracing, their
 * values are taken once more before the call; so no argument may have an
 * effect of its own, which tests/static/shape.py sees to. Built with PLAIN=1 this file
 * does nothing at all; `gcc -E` shows the difference (docs/tracing.md).
 */
#ifndef WATCH_TRACE_WINSOCK_H
#define WATCH_TRACE_WINSOCK_H

#include "watch/trace.h"

#ifdef TRACE

#define TRACED(name, call, source, ...)                                        \
    __extension__({                                                            \
        struct trace_call traced;                                              \
        trace_count(TRACE_##name);                                             \
        if (trace_on)                                                          \
            trace_enter(                                                       \
                &traced, TRACE_##name, TRACE_HERE, source,                     \
                (const ULONG_PTR[TRACE_ARGS]){TRACE_WORDS(__VA_ARGS__)});      \
        __auto_type traced_result = call;                                      \
        if (trace_on)                                                          \
            trace_leave(&traced, (LONG_PTR)traced_result);                     \
        traced_result;                                                         \
    })

/* Each argument as a word: numbers, handles and pointers all fit. */
#define TRACE_WORDS(...)                                                       \
    TRACE_PICK(__VA_ARGS__, TRACE_W8, TRACE_W7, TRACE_W6, TRACE_W5, TRACE_W4,  \
               TRACE_W3, TRACE_W2, TRACE_W1, 0)                                \
    (__VA_ARGS__)
#define TRACE_PICK(_1, _2, _3, _4, _5, _6, _7, _8, pick, ...) pick

#define TRACE_W1(a)      (ULONG_PTR)(a)
#define TRACE_W2(a, ...) (ULONG_PTR)(a), TRACE_W1(__VA_ARGS__)
#define TRACE_W3(a, ...) (ULONG_PTR)(a), TRACE_W2(__VA_ARGS__)
#define TRACE_W4(a, ...) (ULONG_PTR)(a), TRACE_W3(__VA_ARGS__)
#define TRACE_W5(a, ...) (ULONG_PTR)(a), TRACE_W4(__VA_ARGS__)
#define TRACE_W6(a, ...) (ULONG_PTR)(a), TRACE_W5(__VA_ARGS__)
#define TRACE_W7(a, ...) (ULONG_PTR)(a), TRACE_W6(__VA_ARGS__)
#define TRACE_W8(a, ...) (ULONG_PTR)(a), TRACE_W7(__VA_ARGS__)

#define select(...)                                                            \
    TRACED(select, select(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSAPoll(...)                                                           \
    TRACED(WSAPoll, WSAPoll(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define GetMessageW(...)                                                       \
    TRACED(GetMessageW, GetMessageW(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define DispatchMessageW(...)                                                  \
    TRACED(DispatchMessageW, DispatchMessageW(__VA_ARGS__), #__VA_ARGS__,      \
           __VA_ARGS__)
#define WSAWaitForMultipleEvents(...)                                          \
    TRACED(WSAWaitForMultipleEvents, WSAWaitForMultipleEvents(__VA_ARGS__),    \
           #__VA_ARGS__, __VA_ARGS__)
#define SleepEx(...)                                                           \
    TRACED(SleepEx, SleepEx(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define GetQueuedCompletionStatus(...)                                         \
    TRACED(GetQueuedCompletionStatus, GetQueuedCompletionStatus(__VA_ARGS__),  \
           #__VA_ARGS__, __VA_ARGS__)
#define GetQueuedCompletionStatusEx(...)                                       \
    TRACED(GetQueuedCompletionStatusEx,                                        \
           GetQueuedCompletionStatusEx(__VA_ARGS__), #__VA_ARGS__,             \
           __VA_ARGS__)
#define WaitForSingleObject(...)                                               \
    TRACED(WaitForSingleObject, WaitForSingleObject(__VA_ARGS__),              \
           #__VA_ARGS__, __VA_ARGS__)
#define WSAEnumNetworkEvents(...)                                              \
    TRACED(WSAEnumNetworkEvents, WSAEnumNetworkEvents(__VA_ARGS__),            \
           #__VA_ARGS__, __VA_ARGS__)
#define WSAGetOverlappedResult(...)                                            \
    TRACED(WSAGetOverlappedResult, WSAGetOverlappedResult(__VA_ARGS__),        \
           #__VA_ARGS__, __VA_ARGS__)
#define recv(...) TRACED(recv, recv(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define send(...) TRACED(send, send(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSARecv(...)                                                           \
    TRACED(WSARecv, WSARecv(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSASend(...)                                                           \
    TRACED(WSASend, WSASend(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define accept(...)                                                            \
    TRACED(accept, accept(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSASocketW(...)                                                        \
    TRACED(WSASocketW, WSASocketW(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define bind(...) TRACED(bind, bind(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define connect(...)                                                           \
    TRACED(connect, connect(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define getsockname(...)                                                       \
    TRACED(getsockname, getsockname(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define getpeername(...)                                                       \
    TRACED(getpeername, getpeername(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define getsockopt(...)                                                        \
    TRACED(getsockopt, getsockopt(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define setsockopt(...)                                                        \
    TRACED(setsockopt, setsockopt(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define ioctlsocket(...)                                                       \
    TRACED(ioctlsocket, ioctlsocket(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSAAsyncSelect(...)                                                    \
    TRACED(WSAAsyncSelect, WSAAsyncSelect(__VA_ARGS__), #__VA_ARGS__,          \
           __VA_ARGS__)
#define WSAEventSelect(...)                                                    \
    TRACED(WSAEventSelect, WSAEventSelect(__VA_ARGS__), #__VA_ARGS__,          \
           __VA_ARGS__)
#define CreateIoCompletionPort(...)                                            \
    TRACED(CreateIoCompletionPort, CreateIoCompletionPort(__VA_ARGS__),        \
           #__VA_ARGS__, __VA_ARGS__)
#define SetFileCompletionNotificationModes(...)                                \
    TRACED(SetFileCompletionNotificationModes,                                 \
           SetFileCompletionNotificationModes(__VA_ARGS__), #__VA_ARGS__,      \
           __VA_ARGS__)
#define CreateThreadpoolIo(...)                                                \
    TRACED(CreateThreadpoolIo, CreateThreadpoolIo(__VA_ARGS__), #__VA_ARGS__,  \
           __VA_ARGS__)
#define StartThreadpoolIo(...)                                                 \
    TRACED(StartThreadpoolIo, (StartThreadpoolIo(__VA_ARGS__), 0),             \
           #__VA_ARGS__, __VA_ARGS__)
#define CancelThreadpoolIo(...)                                                \
    TRACED(CancelThreadpoolIo, (CancelThreadpoolIo(__VA_ARGS__), 0),           \
           #__VA_ARGS__, __VA_ARGS__)
#define WaitForThreadpoolIoCallbacks(...)                                      \
    TRACED(WaitForThreadpoolIoCallbacks,                                       \
           (WaitForThreadpoolIoCallbacks(__VA_ARGS__), 0), #__VA_ARGS__,       \
           __VA_ARGS__)
#define CloseThreadpoolIo(...)                                                 \
    TRACED(CloseThreadpoolIo, (CloseThreadpoolIo(__VA_ARGS__), 0),             \
           #__VA_ARGS__, __VA_ARGS__)
#define WSASetEvent(...)                                                       \
    TRACED(WSASetEvent, WSASetEvent(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSAResetEvent(...)                                                     \
    TRACED(WSAResetEvent, WSAResetEvent(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSACloseEvent(...)                                                     \
    TRACED(WSACloseEvent, WSACloseEvent(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define PostMessageW(...)                                                      \
    TRACED(PostMessageW, PostMessageW(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define QueueUserAPC(...)                                                      \
    TRACED(QueueUserAPC, QueueUserAPC(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define PostQueuedCompletionStatus(...)                                        \
    TRACED(PostQueuedCompletionStatus,                                         \
           PostQueuedCompletionStatus(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define CancelIoEx(...)                                                        \
    TRACED(CancelIoEx, CancelIoEx(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define shutdown(...)                                                          \
    TRACED(shutdown, shutdown(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define closesocket(...)                                                       \
    TRACED(closesocket, closesocket(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)
#define WSACreateEvent(...)                                                    \
    TRACED(WSACreateEvent, WSACreateEvent(__VA_ARGS__), "", 0)

/* Not a call, but here it is known that bytes came or went. */
#define log_received(...) (trace_echo(), log_received(__VA_ARGS__))
#define log_sent(...)     (trace_echo(), log_sent(__VA_ARGS__))

/* AcceptEx() has no name that a macro could catch: the provider of a socket
 * hands out a pointer to it. Every model calls that pointer accept_ex. */
#define accept_ex(...)                                                         \
    TRACED(AcceptEx, accept_ex(__VA_ARGS__), #__VA_ARGS__, __VA_ARGS__)

#endif
#endif
