/* calls.h -- the calls that are watched, a row for each
 *
 * CALL(name, dll, result, (types), arguments, told, fails, waits, operation)
 *
 * All that the layer knows of a call is its row: the function that takes the
 * call's place, the count, the trace in all its forms and the faults come from
 * it. This file has no guard: it is included wherever the rows are needed, with
 * CALL defined. A call that returns nothing is a CALL_VOID, without a `result`;
 * one without arguments is a CALL_NONE, without `types`. A CALL_POINTER has no
 * dll: the program gets its address from WSAIoctl(). In our servers that
 * pointer has the name that stands second.
 *
 * arguments: what is told of them, a letter for each.
 *
 *   s socket        e event     h port         c count, of the next: events
 *   C likewise: objects
 *   o OVERLAPPED    w WSABUF    n number       t timeout in milliseconds
 *   f FD_ events    m message   l its lParam   i control code   p option   d SD_
 *   a the function of an APC    r set of sockets          M a MSG    - nothing
 *   b the first bytes           x PTP_IO       y kind of socket
 *
 * told: what is told of the result when the call has not failed; see
 * add_success() in text.c.
 * fails: the result that means a failure. MINUS_1 is SOCKET_ERROR and
 * INVALID_SOCKET, WAIT is WAIT_FAILED and other 32 bits that are all set, NOT_0
 * is any result but 0. The codes that go with it are in codes.h.
 * waits: NOT; MODEL, a model waits in it, and it brings nothing but the news;
 * ALWAYS, it may wait for something else; IF_3 and MODEL_IF_3, the same when
 * argument 3, counted from 0, is not 0; BLOCKING, as long as the socket, which
 * is argument 0, has not been made non-blocking; UNPOSTED, likewise, but only
 * without an OVERLAPPED; LAST, it may never return, so it is told before.
 * operation: where the call begins one, the number of the argument that tells it
 * from others, counted from 0: the OVERLAPPED, or the context. Without that the
 * call is like recv() and send(). A call that is told as POSTED has not failed
 * when the error is WSA_IO_PENDING. If its failure is MINUS_1, too, the argument
 * after the OVERLAPPED is a completion routine.
 *
 * The rows are in the order of the summary.
 */
#ifndef CALL_POINTER
#define CALL_POINTER(name, pointer, ...) CALL(name, POINTER, __VA_ARGS__)
#endif

/* clang-format off */
CALL(select, ws2_32, int, (int, fd_set *, fd_set *, fd_set *, PTIMEVAL), "-rr", SETS, MINUS_1, MODEL, 0)
CALL(WSAPoll, ws2_32, int, (WSAPOLLFD *, ULONG, INT), "-nt", READY, MINUS_1, MODEL, 0)
CALL(GetMessageW, user32, BOOL, (MSG *, HWND, UINT, UINT), "", MESSAGE, MINUS_1, MODEL, 0)
CALL(GetMessageA, user32, BOOL, (MSG *, HWND, UINT, UINT), "", MESSAGE, MINUS_1, MODEL, 0)
CALL(PeekMessageW, user32, BOOL, (MSG *, HWND, UINT, UINT, UINT), "", PEEKED, NEVER, NOT, 0)
CALL(PeekMessageA, user32, BOOL, (MSG *, HWND, UINT, UINT, UINT), "", PEEKED, NEVER, NOT, 0)
CALL(DispatchMessageW, user32, LRESULT, (const MSG *), "M", NOTHING, NEVER, ALWAYS, 0)
CALL(DispatchMessageA, user32, LRESULT, (const MSG *), "M", NOTHING, NEVER, ALWAYS, 0)
CALL(WSAWaitForMultipleEvents, ws2_32, DWORD, (DWORD, const HANDLE *, BOOL, DWORD, BOOL), "c--t", SLOT, WAIT, MODEL_IF_3, 0)
CALL(WaitForMultipleObjects, kernel32, DWORD, (DWORD, const HANDLE *, BOOL, DWORD), "C--t", SLOT, WAIT, MODEL_IF_3, 0)
CALL(WaitForMultipleObjectsEx, kernel32, DWORD, (DWORD, const HANDLE *, BOOL, DWORD, BOOL), "C--t", SLOT, WAIT, MODEL_IF_3, 0)
CALL(MsgWaitForMultipleObjects, user32, DWORD, (DWORD, const HANDLE *, BOOL, DWORD, DWORD), "C--t", SLOT, WAIT, MODEL_IF_3, 0)
CALL(MsgWaitForMultipleObjectsEx, user32, DWORD, (DWORD, const HANDLE *, DWORD, DWORD, DWORD), "C-t", SLOT, WAIT, MODEL, 0)
CALL(SleepEx, kernel32, DWORD, (DWORD, BOOL), "t", SLEEP, NEVER, MODEL, 0)
CALL(SleepConditionVariableSRW, kernel32, BOOL, (CONDITION_VARIABLE *, SRWLOCK *, DWORD, ULONG), "--t", OK, ZERO, MODEL, 0)
CALL(GetQueuedCompletionStatus, kernel32, BOOL, (HANDLE, DWORD *, ULONG_PTR *, OVERLAPPED **, DWORD), "h---t", PACKET, ZERO, MODEL, 0)
CALL(GetQueuedCompletionStatusEx, kernel32, BOOL, (HANDLE, OVERLAPPED_ENTRY *, ULONG, ULONG *, DWORD, BOOL), "h-n-t", PACKETS, ZERO, MODEL, 0)
CALL(WaitForSingleObject, kernel32, DWORD, (HANDLE, DWORD), "-t", WAIT, WAIT, ALWAYS, 0)
CALL(WaitForSingleObjectEx, kernel32, DWORD, (HANDLE, DWORD, BOOL), "-t", WAIT, WAIT, ALWAYS, 0)
CALL(WSAEnumNetworkEvents, ws2_32, int, (SOCKET, HANDLE, WSANETWORKEVENTS *), "s", EVENTS, MINUS_1, NOT, 0)
CALL(GetOverlappedResult, kernel32, BOOL, (HANDLE, OVERLAPPED *, DWORD *, BOOL), "so", REAPED, ZERO, IF_3, 0)
CALL(WSAGetOverlappedResult, ws2_32, BOOL, (SOCKET, OVERLAPPED *, DWORD *, BOOL, DWORD *), "so", REAPED, ZERO, IF_3, 0)
CALL(recv, ws2_32, int, (SOCKET, char *, int, int), "s-n", BYTES, MINUS_1, BLOCKING, 0)
CALL(send, ws2_32, int, (SOCKET, const char *, int, int), "sbn", BYTES, MINUS_1, BLOCKING, 0)
CALL(recvfrom, ws2_32, int, (SOCKET, char *, int, int, struct sockaddr *, int *), "s-n", BYTES, MINUS_1, BLOCKING, 0)
CALL(sendto, ws2_32, int, (SOCKET, const char *, int, int, const struct sockaddr *, int), "sbn", BYTES, MINUS_1, BLOCKING, 0)
CALL(WSARecv, ws2_32, int, (SOCKET, WSABUF *, DWORD, DWORD *, DWORD *, OVERLAPPED *, LPWSAOVERLAPPED_COMPLETION_ROUTINE), "sw---o", POSTED, MINUS_1, UNPOSTED, 5)
CALL(WSASend, ws2_32, int, (SOCKET, WSABUF *, DWORD, DWORD *, DWORD, OVERLAPPED *, LPWSAOVERLAPPED_COMPLETION_ROUTINE), "sbw--o", POSTED, MINUS_1, UNPOSTED, 5)
CALL(WSARecvFrom, ws2_32, int, (SOCKET, WSABUF *, DWORD, DWORD *, DWORD *, struct sockaddr *, int *, OVERLAPPED *, LPWSAOVERLAPPED_COMPLETION_ROUTINE), "sw-----o", POSTED, MINUS_1, UNPOSTED, 7)
CALL(WSASendTo, ws2_32, int, (SOCKET, WSABUF *, DWORD, DWORD *, DWORD, const struct sockaddr *, int, OVERLAPPED *, LPWSAOVERLAPPED_COMPLETION_ROUTINE), "sbw----o", POSTED, MINUS_1, UNPOSTED, 7)
CALL_POINTER(WSARecvMsg, recv_msg, INT, (SOCKET, WSAMSG *, DWORD *, OVERLAPPED *, LPWSAOVERLAPPED_COMPLETION_ROUTINE), "s--o", POSTED, MINUS_1, UNPOSTED, 3)
CALL_POINTER(TransmitFile, transmit_file, BOOL, (SOCKET, HANDLE, DWORD, DWORD, OVERLAPPED *, TRANSMIT_FILE_BUFFERS *, DWORD), "s-n-o", POSTED, ZERO, UNPOSTED, 4)
CALL(accept, ws2_32, SOCKET, (SOCKET, struct sockaddr *, int *), "s", SOCKET, MINUS_1, BLOCKING, 0)
CALL(WSAAccept, ws2_32, SOCKET, (SOCKET, struct sockaddr *, int *, LPCONDITIONPROC, DWORD_PTR), "s", SOCKET, MINUS_1, BLOCKING, 0)
CALL_POINTER(AcceptEx, accept_ex, BOOL, (SOCKET, SOCKET, void *, DWORD, DWORD, DWORD, DWORD *, OVERLAPPED *), "ss-----o", POSTED, ZERO, NOT, 7)
CALL_POINTER(RIOCreateCompletionQueue, rio_create_queue, RIO_CQ, (DWORD, RIO_NOTIFICATION_COMPLETION *), "n", OK, ZERO, NOT, 0)
CALL_POINTER(RIOResizeCompletionQueue, rio_resize_queue, BOOL, (RIO_CQ, DWORD), "-n", OK, ZERO, NOT, 0)
CALL_POINTER(RIOCreateRequestQueue, rio_create_requests, RIO_RQ, (SOCKET, ULONG, ULONG, ULONG, ULONG, RIO_CQ, RIO_CQ, void *), "s", OK, ZERO, NOT, 0)
CALL_POINTER(RIORegisterBuffer, rio_register, RIO_BUFFERID, (char *, DWORD), "-n", OK, WAIT, NOT, 0)
CALL_POINTER(ConnectEx, connect_ex, BOOL, (SOCKET, const struct sockaddr *, int, void *, DWORD, DWORD *, OVERLAPPED *), "s-----o", POSTED, ZERO, NOT, 6)
CALL_POINTER(DisconnectEx, disconnect_ex, BOOL, (SOCKET, OVERLAPPED *, DWORD, DWORD), "so", POSTED, ZERO, UNPOSTED, 1)
CALL_POINTER(RIOReceive, rio_receive, BOOL, (RIO_RQ, RIO_BUF *, ULONG, DWORD, void *), "----o", OK, ZERO, NOT, 4)
CALL_POINTER(RIOSend, rio_send, BOOL, (RIO_RQ, RIO_BUF *, ULONG, DWORD, void *), "----o", OK, ZERO, NOT, 4)
CALL_POINTER(RIODequeueCompletion, rio_dequeue, ULONG, (RIO_CQ, RIORESULT *, ULONG), "--n", RESULTS, NEVER, NOT, 0)
CALL_POINTER(RIONotify, rio_notify, INT, (RIO_CQ), "", OK, NOT_0, NOT, 0)
CALL(socket, ws2_32, SOCKET, (int, int, int), "-y", SOCKET, MINUS_1, NOT, 0)
CALL(WSASocketA, ws2_32, SOCKET, (int, int, int, WSAPROTOCOL_INFOA *, GROUP, DWORD), "-y", SOCKET, MINUS_1, NOT, 0)
CALL(WSASocketW, ws2_32, SOCKET, (int, int, int, WSAPROTOCOL_INFOW *, GROUP, DWORD), "-y", SOCKET, MINUS_1, NOT, 0)
CALL(bind, ws2_32, int, (SOCKET, const struct sockaddr *, int), "s", OK, MINUS_1, NOT, 0)
CALL(listen, ws2_32, int, (SOCKET, int), "s", OK, MINUS_1, NOT, 0)
CALL(connect, ws2_32, int, (SOCKET, const struct sockaddr *, int), "s", OK, MINUS_1, BLOCKING, 0)
CALL(WSAConnect, ws2_32, int, (SOCKET, const struct sockaddr *, int, WSABUF *, WSABUF *, QOS *, QOS *), "s", OK, MINUS_1, BLOCKING, 0)
CALL(getsockname, ws2_32, int, (SOCKET, struct sockaddr *, int *), "s", OK, MINUS_1, NOT, 0)
CALL(getpeername, ws2_32, int, (SOCKET, struct sockaddr *, int *), "s", OK, MINUS_1, NOT, 0)
CALL(getsockopt, ws2_32, int, (SOCKET, int, int, char *, int *), "s-p", OK, MINUS_1, NOT, 0)
CALL(setsockopt, ws2_32, int, (SOCKET, int, int, const char *, int), "s-p", OK, MINUS_1, NOT, 0)
CALL(ioctlsocket, ws2_32, int, (SOCKET, long, u_long *), "si", OK, MINUS_1, NOT, 0)
CALL(WSAIoctl, ws2_32, int, (SOCKET, DWORD, void *, DWORD, void *, DWORD, DWORD *, OVERLAPPED *, LPWSAOVERLAPPED_COMPLETION_ROUTINE), "si", OK, MINUS_1, NOT, 0)
CALL(CreateWindowExW, user32, HWND, (DWORD, const WCHAR *, const WCHAR *, DWORD, int, int, int, int, HWND, HMENU, HINSTANCE, void *), "", OK, ZERO, NOT, 0)
CALL(WSAAsyncSelect, ws2_32, int, (SOCKET, HWND, u_int, long), "s-mf", OK, MINUS_1, NOT, 0)
CALL(WSAEventSelect, ws2_32, int, (SOCKET, HANDLE, long), "sef", OK, MINUS_1, NOT, 0)
CALL(CreateIoCompletionPort, kernel32, HANDLE, (HANDLE, HANDLE, ULONG_PTR, DWORD), "shn", OK, ZERO, NOT, 0)
CALL_NONE(GetActiveProcessorGroupCount, kernel32, WORD, "", NUMBER, NEVER, NOT, 0)
CALL(GetActiveProcessorCount, kernel32, DWORD, (WORD), "n", NUMBER, ZERO, NOT, 0)
CALL(SetThreadGroupAffinity, kernel32, BOOL, (HANDLE, const GROUP_AFFINITY *, GROUP_AFFINITY *), "", OK, ZERO, NOT, 0)
CALL(SetFileCompletionNotificationModes, kernel32, BOOL, (HANDLE, UCHAR), "sn", OK, ZERO, NOT, 0)
CALL(CreateThreadpool, kernel32, PTP_POOL, (void *), "", OK, ZERO, NOT, 0)
CALL(SetThreadpoolThreadMinimum, kernel32, BOOL, (PTP_POOL, DWORD), "-n", OK, ZERO, NOT, 0)
CALL(BindIoCompletionCallback, kernel32, BOOL, (HANDLE, LPOVERLAPPED_COMPLETION_ROUTINE, ULONG), "sa", OK, ZERO, NOT, 0)
CALL(CreateThreadpoolIo, kernel32, PTP_IO, (HANDLE, PTP_WIN32_IO_CALLBACK, void *, PTP_CALLBACK_ENVIRON), "s", OK, ZERO, NOT, 0)
CALL_VOID(StartThreadpoolIo, kernel32, (PTP_IO), "x", NOTHING, NEVER, NOT, 0)
CALL_VOID(CancelThreadpoolIo, kernel32, (PTP_IO), "x", NOTHING, NEVER, NOT, 0)
CALL_VOID(WaitForThreadpoolIoCallbacks, kernel32, (PTP_IO, BOOL), "x", NOTHING, NEVER, ALWAYS, 0)
CALL_VOID(CloseThreadpoolIo, kernel32, (PTP_IO), "x", NOTHING, NEVER, NOT, 0)
CALL(CreateEventW, kernel32, HANDLE, (SECURITY_ATTRIBUTES *, BOOL, BOOL, const WCHAR *), "", EVENT, ZERO, NOT, 0)
CALL_NONE(WSACreateEvent, ws2_32, HANDLE, "", EVENT, ZERO, NOT, 0)
CALL(WSASetEvent, ws2_32, BOOL, (HANDLE), "e", OK, ZERO, NOT, 0)
CALL(WSAResetEvent, ws2_32, BOOL, (HANDLE), "e", OK, ZERO, NOT, 0)
CALL(WSACloseEvent, ws2_32, BOOL, (HANDLE), "e", OK, ZERO, NOT, 0)
CALL(CreateEventA, kernel32, HANDLE, (SECURITY_ATTRIBUTES *, BOOL, BOOL, const char *), "", EVENT, ZERO, NOT, 0)
CALL(SetEvent, kernel32, BOOL, (HANDLE), "e", OK, ZERO, NOT, 0)
CALL(ResetEvent, kernel32, BOOL, (HANDLE), "e", OK, ZERO, NOT, 0)
CALL(PostMessageW, user32, BOOL, (HWND, UINT, WPARAM, LPARAM), "-msl", OK, ZERO, NOT, 0)
CALL(PostMessageA, user32, BOOL, (HWND, UINT, WPARAM, LPARAM), "-msl", OK, ZERO, NOT, 0)
CALL(QueueUserAPC, kernel32, DWORD, (PAPCFUNC, HANDLE, ULONG_PTR), "a", OK, ZERO, NOT, 0)
CALL(PostQueuedCompletionStatus, kernel32, BOOL, (HANDLE, DWORD, ULONG_PTR, OVERLAPPED *), "h-n", OK, ZERO, NOT, 0)
CALL(CancelIoEx, kernel32, BOOL, (HANDLE, OVERLAPPED *), "so", OK, ZERO, NOT, 0)
CALL(CancelIo, kernel32, BOOL, (HANDLE), "s", OK, ZERO, NOT, 0)
CALL(_beginthreadex, crt, uintptr_t, (void *, unsigned, watch_start *, void *, unsigned, unsigned *), "--a", OK, ZERO, NOT, 0)
CALL(CreateThread, kernel32, HANDLE, (SECURITY_ATTRIBUTES *, SIZE_T, LPTHREAD_START_ROUTINE, void *, DWORD, DWORD *), "--a", OK, ZERO, NOT, 0)
CALL(shutdown, ws2_32, int, (SOCKET, int), "sd", OK, MINUS_1, NOT, 0)
CALL(closesocket, ws2_32, int, (SOCKET), "s", OK, MINUS_1, NOT, 0)
CALL_VOID(ExitProcess, kernel32, (UINT), "n", NOTHING, NEVER, LAST, 0)
CALL(TerminateProcess, kernel32, BOOL, (HANDLE, UINT), "-n", OK, ZERO, LAST, 0)
/* clang-format on */

#undef CALL
#undef CALL_VOID
#undef CALL_NONE
#undef CALL_POINTER
