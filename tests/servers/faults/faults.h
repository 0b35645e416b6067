/* faults.h -- calls that fail when a test says so
 *
 * Compiled into every file of a server with `gcc -include`. A server built so
 * is the same server, but the call named in FAULT_CALL fails: every
 * FAULT_EVERY-th time while it serves, or each time as long as there is a
 * file of the name FAULT_WHILE or, with FAULT_AT, the one time of that number
 * while it starts. FAULT_CODE is the error, when it is not to be the one
 * that stands below. tests/servers/faults/faults.py runs them.
 */
#ifndef FAULTS_FAULTS_H
#define FAULTS_FAULTS_H

#include "common/win.h"

#include <process.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/log.h"

/* Shall this call fail? Then the last error is set already: FAULT_CODE or
 * `code`. */
bool fault_hit(const char *call, int code);

/* The server is ready: from now on FAULT_EVERY counts, and FAULT_AT no more. */
void fault_serving(void);

/* What is done at once and what is not, Windows decides in another way than
 * Wine. FAULT_CALL=PENDING: nothing is; a packet comes for all. MIXED: every
 * other operation is, of those that Wine does at once. AT_ONCE: a receive
 * waits a little for its bytes, so nearly all are. */
HANDLE fault_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads);
BOOL fault_skip(HANDLE file, UCHAR modes);
int fault_recv(SOCKET sock, WSABUF *bufs, DWORD count, DWORD *len, DWORD *flags,
               OVERLAPPED *ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);
int fault_send(SOCKET sock, WSABUF *bufs, DWORD count, DWORD *len, DWORD flags,
               OVERLAPPED *ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine);

/* FAULT_CALL=GROUPS: there are two groups of processors, of one each. */
WORD fault_groups(void);
DWORD fault_processors(WORD group);
BOOL fault_group_affinity(HANDLE thread, const GROUP_AFFINITY *where,
                          GROUP_AFFINITY *before);
#define GetActiveProcessorGroupCount() fault_groups()
#define GetActiveProcessorCount(group) fault_processors(group)
#define SetThreadGroupAffinity(...)    fault_group_affinity(__VA_ARGS__)

#define FAULTY(name, code, result, call)                                       \
    (fault_hit(#name, (code)) ? (result) : (call))

#define malloc(...)                                                            \
    FAULTY(malloc, WSA_NOT_ENOUGH_MEMORY, NULL, malloc(__VA_ARGS__))
#define realloc(...)                                                           \
    FAULTY(realloc, WSA_NOT_ENOUGH_MEMORY, NULL, realloc(__VA_ARGS__))
#define calloc(...)                                                            \
    FAULTY(calloc, WSA_NOT_ENOUGH_MEMORY, NULL, calloc(__VA_ARGS__))
#define HeapAlloc(...)                                                         \
    FAULTY(HeapAlloc, WSA_NOT_ENOUGH_MEMORY, NULL, HeapAlloc(__VA_ARGS__))
#define _beginthreadex(...)                                                    \
    FAULTY(_beginthreadex, WSA_NOT_ENOUGH_MEMORY, 0,                           \
           _beginthreadex(__VA_ARGS__))
#define WSACreateEvent()                                                       \
    FAULTY(WSACreateEvent, WSA_NOT_ENOUGH_MEMORY, WSA_INVALID_EVENT,           \
           WSACreateEvent())
#define CreateEventW(...)                                                      \
    FAULTY(CreateEventW, WSA_NOT_ENOUGH_MEMORY, NULL, CreateEventW(__VA_ARGS__))
#define CreateWindowExW(...)                                                   \
    FAULTY(CreateWindowExW, WSA_NOT_ENOUGH_MEMORY, NULL,                       \
           CreateWindowExW(__VA_ARGS__))
#define CreateIoCompletionPort(...)                                            \
    FAULTY(CreateIoCompletionPort, WSA_NOT_ENOUGH_MEMORY, NULL,                \
           fault_port(__VA_ARGS__))
#define SetFileCompletionNotificationModes(...)                                \
    FAULTY(SetFileCompletionNotificationModes, ERROR_INVALID_PARAMETER, FALSE, \
           fault_skip(__VA_ARGS__))
#define WSASocketW(...)                                                        \
    FAULTY(WSASocketW, WSAEMFILE, INVALID_SOCKET, WSASocketW(__VA_ARGS__))
#define accept(...)                                                            \
    FAULTY(accept, WSAEMFILE, INVALID_SOCKET, accept(__VA_ARGS__))
/* As Windows does when a newcomer was reset before AcceptEx() came for it. */
#define accept_ex(...)                                                         \
    FAULTY(AcceptEx, WSAECONNRESET, FALSE, accept_ex(__VA_ARGS__))
/* Registered I/O. These are called by a name of our own: */
#define rio_receive(...)                                                       \
    FAULTY(RIOReceive, WSAENOBUFS, FALSE, rio_receive(__VA_ARGS__))
#define rio_send(...) FAULTY(RIOSend, WSAENOBUFS, FALSE, rio_send(__VA_ARGS__))
#define rio_dequeue(...)                                                       \
    FAULTY(RIODequeueCompletion, WSAEINVAL, RIO_CORRUPT_CQ,                    \
           rio_dequeue(__VA_ARGS__))
#define rio_notify(...)                                                        \
    FAULTY(RIONotify, WSAEINVAL, WSAEINVAL, rio_notify(__VA_ARGS__))
/* and these stand in a table: an argument is made wrong, and the provider
 * refuses it. */
#define RIOCreateCompletionQueue(size, told)                                   \
    RIOCreateCompletionQueue(                                                  \
        FAULTY(RIOCreateCompletionQueue, WSAEINVAL, 0, size), told)
#define RIOResizeCompletionQueue(queue, size)                                  \
    RIOResizeCompletionQueue(                                                  \
        queue, FAULTY(RIOResizeCompletionQueue, WSAEINVAL, 0, size))
#define RIOCreateRequestQueue(sock, ...)                                       \
    RIOCreateRequestQueue(                                                     \
        FAULTY(RIOCreateRequestQueue, WSAENOTSOCK, INVALID_SOCKET, sock),      \
        __VA_ARGS__)
#define RIORegisterBuffer(bytes, size)                                         \
    RIORegisterBuffer(FAULTY(RIORegisterBuffer, WSAEFAULT, NULL, bytes), size)
#define VirtualAlloc(...)                                                      \
    FAULTY(VirtualAlloc, WSA_NOT_ENOUGH_MEMORY, NULL, VirtualAlloc(__VA_ARGS__))
#define ioctlsocket(...)                                                       \
    FAULTY(ioctlsocket, WSAENOBUFS, SOCKET_ERROR, ioctlsocket(__VA_ARGS__))
#define listen(...)                                                            \
    FAULTY(listen, WSAENOBUFS, SOCKET_ERROR, listen(__VA_ARGS__))
#define setsockopt(...)                                                        \
    FAULTY(setsockopt, WSAENOBUFS, SOCKET_ERROR, setsockopt(__VA_ARGS__))
#define WSAAsyncSelect(...)                                                    \
    FAULTY(WSAAsyncSelect, WSAENOBUFS, SOCKET_ERROR,                           \
           WSAAsyncSelect(__VA_ARGS__))
#define WSAEventSelect(...)                                                    \
    FAULTY(WSAEventSelect, WSAENOBUFS, SOCKET_ERROR,                           \
           WSAEventSelect(__VA_ARGS__))
#define recv(...) FAULTY(recv, WSAENOBUFS, SOCKET_ERROR, recv(__VA_ARGS__))
#define send(...) FAULTY(send, WSAENOBUFS, SOCKET_ERROR, send(__VA_ARGS__))
#define WSARecv(...)                                                           \
    FAULTY(WSARecv, WSAENOBUFS, SOCKET_ERROR, fault_recv(__VA_ARGS__))
#define WSASend(...)                                                           \
    FAULTY(WSASend, WSAENOBUFS, SOCKET_ERROR, fault_send(__VA_ARGS__))
/* FAULT_CALL=FD_CLOSE: what Windows does and Wine does not. The news that the
 * client has closed come along with the first bytes, while more may wait to be
 * read, and they do not come a second time when all has been read. */
int fault_event(int event);
int fault_events(int result, WSANETWORKEVENTS *seen);

#undef WSAGETSELECTEVENT
#define WSAGETSELECTEVENT(lparam) fault_event(LOWORD(lparam))
#define WSAEnumNetworkEvents(sock, event, seen)                                \
    fault_events(WSAEnumNetworkEvents(sock, event, seen), (seen))

/* FAULT_CALL=APC: what Windows may do and Wine does not. A call that can block
 * waits alertably, so that completion routines run inside it. Each new depth of
 * such calls in one another is told. */
void fault_alertable(void);
#define shutdown(...)    (fault_alertable(), shutdown(__VA_ARGS__))
#define closesocket(...) (fault_alertable(), closesocket(__VA_ARGS__))

/* FAULT_CALL=POLLHUP: what Windows does and Wine does not. Once a client has
 * sent its end, every wait answers POLLHUP for it at once, even if it asks only
 * whether it can send. */
int fault_poll(WSAPOLLFD *polls, ULONG count, int wait);
#define WSAPoll(...) fault_poll(__VA_ARGS__)

/* The books of the thread pool. Windows promises nothing to a server that breaks
 * a rule here, and Wine often lets it pass; so the rules are checked, whatever
 * FAULT_CALL is. What is wrong is told. */
PTP_IO fault_io_create(HANDLE file, PTP_WIN32_IO_CALLBACK call, void *arg,
                       PTP_CALLBACK_ENVIRON env);
void fault_io_start(PTP_IO io);
void fault_io_cancel(PTP_IO io);
void fault_io_wait(PTP_IO io, BOOL cancel);
void fault_io_close(PTP_IO io);
#define CreateThreadpool(...)                                                  \
    FAULTY(CreateThreadpool, WSA_NOT_ENOUGH_MEMORY, NULL,                      \
           CreateThreadpool(__VA_ARGS__))
#define SetThreadpoolThreadMinimum(...)                                        \
    FAULTY(SetThreadpoolThreadMinimum, WSA_NOT_ENOUGH_MEMORY, FALSE,           \
           SetThreadpoolThreadMinimum(__VA_ARGS__))
#define CreateThreadpoolIo(...)                                                \
    FAULTY(CreateThreadpoolIo, WSA_NOT_ENOUGH_MEMORY, NULL,                    \
           fault_io_create(__VA_ARGS__))
#define StartThreadpoolIo(...)            fault_io_start(__VA_ARGS__)
#define CancelThreadpoolIo(...)           fault_io_cancel(__VA_ARGS__)
#define WaitForThreadpoolIoCallbacks(...) fault_io_wait(__VA_ARGS__)
#define CloseThreadpoolIo(...)            fault_io_close(__VA_ARGS__)

#define log_ready(...) (fault_serving(), log_ready(__VA_ARGS__))

#endif
