/* trace.h -- counting the calls that a model makes (trace_winsock.h does it)
 */
#ifndef COMMON_TRACE_H
#define COMMON_TRACE_H

#ifndef TRACE /* built with PLAIN=1: Winsock bare, nothing counted */

#define trace_call(name)      ((void)0)
#define trace_summary(echoes) ((void)(echoes))

#else

/* Every call that is part of a model, in the order of the summary. */
#define TRACE_CALLS(X)                                                         \
    X(select)                                                                  \
    X(GetMessageW)                                                             \
    X(WSAWaitForMultipleEvents)                                                \
    X(SleepEx)                                                                 \
    X(GetQueuedCompletionStatus)                                               \
    X(GetQueuedCompletionStatusEx)                                             \
    X(WSAEnumNetworkEvents)                                                    \
    X(WSAGetOverlappedResult)                                                  \
    X(recv)                                                                    \
    X(send)                                                                    \
    X(WSARecv)                                                                 \
    X(WSASend)                                                                 \
    X(accept)                                                                  \
    X(AcceptEx)                                                                \
    X(WSASocketW)                                                              \
    X(setsockopt)                                                              \
    X(ioctlsocket)                                                             \
    X(WSAAsyncSelect)                                                          \
    X(WSAEventSelect)                                                          \
    X(CreateIoCompletionPort)                                                  \
    X(WSACreateEvent)                                                          \
    X(WSASetEvent)                                                             \
    X(WSAResetEvent)                                                           \
    X(WSACloseEvent)                                                           \
    X(PostMessageW)                                                            \
    X(QueueUserAPC)                                                            \
    X(PostQueuedCompletionStatus)                                              \
    X(CancelIoEx)                                                              \
    X(shutdown)                                                                \
    X(closesocket)

enum trace_id {
#define X(name) TRACE_##name,
    TRACE_CALLS(X)
#undef X
        TRACE_IDS
};

/* Count one call. Any thread; leaves the last error as it was. */
void trace_count(enum trace_id id);

/* Print a table of the calls made so far, and how many per echo. */
void trace_summary(unsigned long long echoes);

/* For a call that no macro can catch, made through a pointer. */
#define trace_call(name) trace_count(TRACE_##name)

#endif
#endif
