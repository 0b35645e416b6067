/* calls.h -- the calls that are watched, a row for each
 *
 * X(name, arguments, told, fails, waits, operation)
 *
 * arguments: what is told of them, a letter for each.
 *
 *   s socket        e event     h port         c count, of the next: events
 *   o OVERLAPPED    w WSABUF    n number       t timeout in milliseconds
 *   f FD_ events    m message   l its lParam   i ioctl    p option   d SD_
 *   a the function of an APC    r set of sockets          M a MSG    - nothing
 *   b the first bytes           x PTP_IO
 *
 * told: what is told of the result when the call has not failed; see
 * add_success() in text.c.
 * fails: the result that means a failure. MINUS_1 is SOCKET_ERROR and
 * INVALID_SOCKET, WAIT is WAIT_FAILED.
 * waits: NOT; MODEL, a model waits in it, and it brings nothing but the news;
 * ALWAYS, it may wait for something else; IF_3 and MODEL_IF_3, the same when
 * argument 3, counted from 0, is not 0; BLOCKING, as long as the program has
 * made no socket non-blocking: it makes all of them so, or none.
 * operation: where the call begins one, the number of the argument that tells it
 * from others, counted from 0: the OVERLAPPED, or the context. A call that is
 * told as POSTED has not failed when the error is WSA_IO_PENDING.
 *
 * The rows are in the order of the summary. What makes a call pass by here is
 * its macro in trace_winsock.h.
 */
#ifndef WATCH_CALLS_H
#define WATCH_CALLS_H

#define TRACE_CALLS(X)                                                         \
    X(select, "-rr", SETS, MINUS_1, MODEL, 0)                                  \
    X(WSAPoll, "-nt", READY, MINUS_1, MODEL, 0)                                \
    X(GetMessageW, "", MESSAGE, MINUS_1, MODEL, 0)                             \
    X(DispatchMessageW, "M", NOTHING, NEVER, ALWAYS, 0)                        \
    X(WSAWaitForMultipleEvents, "c--t", SLOT, WAIT, MODEL_IF_3, 0)             \
    X(SleepEx, "t", SLEEP, NEVER, MODEL, 0)                                    \
    X(SleepConditionVariableSRW, "--t", OK, ZERO, MODEL, 0)                    \
    X(GetQueuedCompletionStatus, "h---t", PACKET, ZERO, MODEL, 0)              \
    X(GetQueuedCompletionStatusEx, "h-n-t", PACKETS, ZERO, MODEL, 0)           \
    X(WaitForSingleObject, "-t", WAIT, WAIT, ALWAYS, 0)                        \
    X(WSAEnumNetworkEvents, "s", EVENTS, MINUS_1, NOT, 0)                      \
    X(WSAGetOverlappedResult, "so", REAPED, ZERO, IF_3, 0)                     \
    X(recv, "s-n", BYTES, MINUS_1, BLOCKING, 0)                                \
    X(send, "sbn", BYTES, MINUS_1, BLOCKING, 0)                                \
    X(WSARecv, "sw---o", POSTED, MINUS_1, NOT, 5)                              \
    X(WSASend, "sbw--o", POSTED, MINUS_1, NOT, 5)                              \
    X(accept, "s", SOCKET, MINUS_1, BLOCKING, 0)                               \
    X(AcceptEx, "ss-----o", POSTED, ZERO, NOT, 7)                              \
    X(RIOReceive, "----o", OK, ZERO, NOT, 4)                                   \
    X(RIOSend, "----o", OK, ZERO, NOT, 4)                                      \
    X(RIODequeueCompletion, "--n", RESULTS, NEVER, NOT, 0)                     \
    X(RIONotify, "", OK, NEVER, NOT, 0)                                        \
    X(WSASocketW, "", SOCKET, MINUS_1, NOT, 0)                                 \
    X(bind, "s", OK, MINUS_1, NOT, 0)                                          \
    X(connect, "s", OK, MINUS_1, NOT, 0)                                       \
    X(getsockname, "s", OK, MINUS_1, NOT, 0)                                   \
    X(getpeername, "s", OK, MINUS_1, NOT, 0)                                   \
    X(getsockopt, "s-p", OK, MINUS_1, NOT, 0)                                  \
    X(setsockopt, "s-p", OK, MINUS_1, NOT, 0)                                  \
    X(ioctlsocket, "si", OK, MINUS_1, NOT, 0)                                  \
    X(WSAAsyncSelect, "s-mf", OK, MINUS_1, NOT, 0)                             \
    X(WSAEventSelect, "sef", OK, MINUS_1, NOT, 0)                              \
    X(CreateIoCompletionPort, "shn", OK, ZERO, NOT, 0)                         \
    X(CreateThreadpoolIo, "s", OK, ZERO, NOT, 0)                               \
    X(StartThreadpoolIo, "x", NOTHING, NEVER, NOT, 0)                          \
    X(CancelThreadpoolIo, "x", NOTHING, NEVER, NOT, 0)                         \
    X(WaitForThreadpoolIoCallbacks, "x", NOTHING, NEVER, ALWAYS, 0)            \
    X(CloseThreadpoolIo, "x", NOTHING, NEVER, NOT, 0)                          \
    X(WSACreateEvent, "", EVENT, ZERO, NOT, 0)                                 \
    X(WSASetEvent, "e", OK, ZERO, NOT, 0)                                      \
    X(WSAResetEvent, "e", OK, ZERO, NOT, 0)                                    \
    X(WSACloseEvent, "e", OK, ZERO, NOT, 0)                                    \
    X(PostMessageW, "-msl", OK, ZERO, NOT, 0)                                  \
    X(QueueUserAPC, "a", OK, ZERO, NOT, 0)                                     \
    X(PostQueuedCompletionStatus, "h-n", OK, ZERO, NOT, 0)                     \
    X(CancelIoEx, "so", OK, ZERO, NOT, 0)                                      \
    X(shutdown, "sd", OK, MINUS_1, NOT, 0)                                     \
    X(closesocket, "s", OK, MINUS_1, NOT, 0)

#endif
