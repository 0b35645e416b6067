/* trace.h -- what a model calls: counted always, told when asked for
 *
 * trace_winsock.h makes every Winsock call of a model pass by here. --trace
 * tells it on standard error, --trace-file keeps it; docs/tracing.md says how
 * to read both. Built with PLAIN=1 none of this exists.
 */
#ifndef WATCH_TRACE_H
#define WATCH_TRACE_H

#include <stdbool.h>

#include "common/win.h"

#ifndef TRACE

#define trace_begin(model, narrate, file) ((void)0)
#define trace_thread(name)                ((void)0)
#define trace_name(handle, name)          ((void)0)
#define trace_connection(sock, id)        ((void)(sock), (void)(id))
#define trace_event(what, ov, len, error) ((void)0)
#define trace_callback(name)              ((void)0)
#define trace_callback_end()              ((void)0)
#define trace_summary(echoes)             ((void)(echoes))

#else

/* Every call that is part of a model, in the order of the summary. */
#define TRACE_CALLS(X)                                                         \
    X(select)                                                                  \
    X(WSAPoll)                                                                 \
    X(GetMessageW)                                                             \
    X(DispatchMessageW)                                                        \
    X(WSAWaitForMultipleEvents)                                                \
    X(SleepEx)                                                                 \
    X(GetQueuedCompletionStatus)                                               \
    X(GetQueuedCompletionStatusEx)                                             \
    X(WaitForSingleObject)                                                     \
    X(WSAEnumNetworkEvents)                                                    \
    X(WSAGetOverlappedResult)                                                  \
    X(recv)                                                                    \
    X(send)                                                                    \
    X(WSARecv)                                                                 \
    X(WSASend)                                                                 \
    X(accept)                                                                  \
    X(AcceptEx)                                                                \
    X(WSASocketW)                                                              \
    X(bind)                                                                    \
    X(connect)                                                                 \
    X(getsockname)                                                             \
    X(getpeername)                                                             \
    X(getsockopt)                                                              \
    X(setsockopt)                                                              \
    X(ioctlsocket)                                                             \
    X(WSAAsyncSelect)                                                          \
    X(WSAEventSelect)                                                          \
    X(CreateIoCompletionPort)                                                  \
    X(SetFileCompletionNotificationModes)                                      \
    X(CreateThreadpoolIo)                                                      \
    X(StartThreadpoolIo)                                                       \
    X(CancelThreadpoolIo)                                                      \
    X(WaitForThreadpoolIoCallbacks)                                            \
    X(CloseThreadpoolIo)                                                       \
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

/* No call has more arguments, and none tells more by what it writes. Of the
 * bytes that are sent or received, so many are told. */
enum { TRACE_ARGS = 8, TRACE_OUT = 4, TRACE_TEXT = 16 };

/* Where in the source something is done. */
struct trace_place {
    const char *file;
    const char *function;
    int line;
};

/* A call that has begun, on the stack of the thread that makes it. Nobody but
 * trace.c looks inside. */
struct trace_call {
    enum trace_id id;
    struct trace_place place;
    const char *source;      /* the arguments as they stand in the source */
    struct trace_ring *ring; /* where to record it; NULL: no room */
    bool waits;
    LONG64 seq;
    LONG64 began; /* clock_ns() */
    ULONG_PTR args[TRACE_ARGS];
    ULONG_PTR out[TRACE_OUT];
    unsigned text_len;
    char text[TRACE_TEXT];
};

/* Set once by trace_begin(), before there is another thread. */
extern bool trace_on;

/* Start to tell and to keep what is called from now on; neither, and nothing
 * but the counting is done. `file` (or NULL) ends in .json or .jsonl, which
 * args_parse() has made sure of. Ends the process with EXIT_LISTEN when the
 * file cannot be written. The trace ends with the process, however that ends.
 * Main thread, once. The strings have to last. */
void trace_begin(const char *model, bool narrate, const char *file);

/* Names for the reader of a trace, each a string that lasts: for a thread, for
 * a handle (or a message: no handle has such a number). In "worker #" the #
 * stands for a number: threads are numbered in the order in which they come
 * here. A connection has the number it has in the log. Any thread. */
void trace_thread(const char *name);
void trace_name(ULONG_PTR handle, const char *name);
void trace_connection(SOCKET sock, unsigned long id);

/* Say that something happened which is no call: an operation is done, and its
 * completion has now reached us; or with `ov` NULL, that an APC runs. Any
 * thread; leaves the last error as it was. */
#define trace_event(what, ov, len, error)                                      \
    ((void)(trace_on ? trace_note((what), (ov), (len), (error), TRACE_HERE)    \
                     : (void)0))
void trace_note(const char *what, const OVERLAPPED *ov, ULONG len, ULONG error,
                struct trace_place place);

/* Around all that a callback of the thread pool does. No call of ours waits for
 * it, so this is where a turn of the thread begins. The thread is ours from now
 * on and gets a name, as trace_thread() gives it, when it has none. */
#define trace_callback(name) trace_callback_begins((name), TRACE_HERE)
#define trace_callback_end() trace_event("return to the pool", NULL, 0, 0)
void trace_callback_begins(const char *name, struct trace_place place);

/* Print a table of the calls made so far: how many, how many of them were made
 * for echoes, and these per echo. The others belong to the start, the stop, and
 * clients that come and go. */
void trace_summary(unsigned long long echoes);

/* Bytes came from a client or went back to it: what this thread does from its
 * last wait to its next one is done for an echo. Any thread; leaves the last
 * error as it was. */
void trace_echo(void);

/* For the macros of trace_winsock.h. Count one call; and, when tracing, what
 * to do before and after it. Any thread; they leave the last error as it was,
 * take no lock and wait for nothing. `args` are the values of the arguments,
 * taken before the call: after it, the memory that they point to may belong to
 * the system, or be free already. */
#define TRACE_HERE                                                             \
    (struct trace_place)                                                       \
    {                                                                          \
        __FILE__, __func__, __LINE__                                           \
    }
void trace_count(enum trace_id id);
void trace_enter(struct trace_call *t, enum trace_id id,
                 struct trace_place place, const char *source,
                 const ULONG_PTR *args);
void trace_leave(struct trace_call *t, LONG64 result);

#endif
#endif
