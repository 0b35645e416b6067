/* codes.h -- how the calls of calls.h fail, a row for each
 *
 * CODES(call, page, code, ...)
 *
 * The codes are those that Microsoft's page of the call names; the first is the
 * one that a test injects when it asks for none. Left out is what only a mistake
 * in the program brings (WSANOTINITIALISED, WSAENOTSOCK, WSAEFAULT, WSAEINVAL
 * about an argument), what only Winsock 1.1 knew (WSAEINTR, WSAEINPROGRESS), and
 * WSAEWOULDBLOCK of a non-blocking socket: Windows says that there is nothing to
 * read only together with the promise to tell when there is, and a call that is
 * not made promises nothing. Many pages of Win32 name no code; then it is the one
 * of a system that is short of memory. The same stands for WSAENOBUFS of recv(),
 * WSARecv() and AcceptEx(): their pages do not name it, but memory that is
 * locked for a transfer can end for them, too.
 *
 * SleepConditionVariableSRW() has no row: its page names only ERROR_TIMEOUT.
 *
 * No guard: it is included wherever the rows are needed, with CODES defined.
 */
/* clang-format off */
CODES(select, "select function", WSAENETDOWN)
CODES(WSAPoll, "WSAPoll function", WSAENOBUFS, WSAENETDOWN)
CODES(GetMessageW, "GetMessageW function", ERROR_INVALID_WINDOW_HANDLE)
CODES(WSAWaitForMultipleEvents, "WSAWaitForMultipleEvents function", WSA_NOT_ENOUGH_MEMORY, WSAENETDOWN, WSA_INVALID_HANDLE)
CODES(GetQueuedCompletionStatus, "GetQueuedCompletionStatus function", ERROR_ABANDONED_WAIT_0)
CODES(GetQueuedCompletionStatusEx, "GetQueuedCompletionStatusEx function", ERROR_ABANDONED_WAIT_0)
CODES(WaitForSingleObject, "WaitForSingleObject function", WSA_INVALID_HANDLE)
CODES(WSAEnumNetworkEvents, "WSAEnumNetworkEvents function", WSAENETDOWN)
CODES(WSAGetOverlappedResult, "WSAGetOverlappedResult function", WSAECONNRESET, WSAECONNABORTED, WSAENETDOWN)
CODES(recv, "recv function", WSAENOBUFS, WSAENETDOWN, WSAENOTCONN, WSAENETRESET, WSAESHUTDOWN, WSAECONNABORTED, WSAETIMEDOUT, WSAECONNRESET)
CODES(send, "send function", WSAENOBUFS, WSAENETDOWN, WSAENETRESET, WSAENOTCONN, WSAESHUTDOWN, WSAEHOSTUNREACH, WSAECONNABORTED, WSAECONNRESET, WSAETIMEDOUT)
CODES(WSARecv, "WSARecv function", WSAENOBUFS, WSAECONNABORTED, WSAECONNRESET, WSAENETDOWN, WSAENETRESET, WSAENOTCONN, WSAESHUTDOWN, WSAETIMEDOUT, WSAEWOULDBLOCK)
CODES(WSASend, "WSASend function", WSAENOBUFS, WSAECONNABORTED, WSAECONNRESET, WSAENETDOWN, WSAENETRESET, WSAENOTCONN, WSAESHUTDOWN, WSAEWOULDBLOCK)
CODES(accept, "accept function", WSAEMFILE, WSAENOBUFS, WSAECONNRESET, WSAENETDOWN)
CODES(AcceptEx, "AcceptEx function", WSAECONNRESET, WSAENOBUFS)
CODES(RIOCreateCompletionQueue, "LPFN_RIOCREATECOMPLETIONQUEUE callback function", WSAENOBUFS)
CODES(RIOResizeCompletionQueue, "LPFN_RIORESIZECOMPLETIONQUEUE callback function", WSAENOBUFS)
CODES(RIOCreateRequestQueue, "LPFN_RIOCREATEREQUESTQUEUE callback function", WSAENOBUFS)
CODES(RIORegisterBuffer, "LPFN_RIOREGISTERBUFFER callback function", WSAEFAULT)
CODES(RIOReceive, "LPFN_RIORECEIVE callback function", WSAENOBUFS, WSA_OPERATION_ABORTED)
CODES(RIOSend, "LPFN_RIOSEND callback function", WSAENOBUFS, WSA_OPERATION_ABORTED)
CODES(RIODequeueCompletion, "LPFN_RIODEQUEUECOMPLETION callback function", WSAEINVAL)
CODES(RIONotify, "LPFN_RIONOTIFY callback function", WSAEINVAL, WSAEALREADY)
CODES(WSASocketW, "WSASocketW function", WSAEMFILE, WSAENOBUFS, WSAENETDOWN, WSAEAFNOSUPPORT, WSAEPROTONOSUPPORT)
CODES(bind, "bind function", WSAEADDRINUSE, WSAEACCES, WSAEADDRNOTAVAIL, WSAENOBUFS, WSAENETDOWN)
CODES(listen, "listen function", WSAENOBUFS, WSAEADDRINUSE, WSAEMFILE, WSAENETDOWN)
CODES(connect, "connect function", WSAENOBUFS, WSAEADDRINUSE, WSAENETDOWN, WSAENETUNREACH)
CODES(getsockname, "getsockname function", WSAENETDOWN)
CODES(getpeername, "getpeername function", WSAENOTCONN, WSAENETDOWN)
CODES(getsockopt, "getsockopt function", WSAENETDOWN)
CODES(setsockopt, "setsockopt function", WSAENETDOWN, WSAENETRESET, WSAENOTCONN, WSAENOPROTOOPT)
CODES(ioctlsocket, "ioctlsocket function", WSAENETDOWN)
CODES(WSAIoctl, "WSAIoctl function", WSAENETDOWN, WSAEOPNOTSUPP)
CODES(CreateWindowExW, "CreateWindowExW function", WSA_NOT_ENOUGH_MEMORY)
CODES(WSAAsyncSelect, "WSAAsyncSelect function", WSAENETDOWN)
CODES(WSAEventSelect, "WSAEventSelect function", WSAENETDOWN)
CODES(CreateIoCompletionPort, "CreateIoCompletionPort function", WSA_NOT_ENOUGH_MEMORY)
CODES(CreateThreadpool, "CreateThreadpool function", WSA_NOT_ENOUGH_MEMORY)
CODES(SetThreadpoolThreadMinimum, "SetThreadpoolThreadMinimum function", WSA_NOT_ENOUGH_MEMORY)
CODES(GetActiveProcessorCount, "GetActiveProcessorCount function", WSA_INVALID_PARAMETER)
CODES(SetThreadGroupAffinity, "SetThreadGroupAffinity function", WSA_INVALID_PARAMETER)
CODES(SetFileCompletionNotificationModes, "SetFileCompletionNotificationModes function", WSA_INVALID_PARAMETER)
CODES(CreateThreadpoolIo, "CreateThreadpoolIo function", WSA_NOT_ENOUGH_MEMORY)
CODES(SetEvent, "SetEvent function", WSA_INVALID_HANDLE)
CODES(CreateEventW, "CreateEventW function", WSA_NOT_ENOUGH_MEMORY)
CODES(WSACreateEvent, "WSACreateEvent function", WSA_NOT_ENOUGH_MEMORY, WSAENETDOWN)
CODES(WSASetEvent, "WSASetEvent function", WSAENETDOWN, WSA_INVALID_HANDLE)
CODES(WSAResetEvent, "WSAResetEvent function", WSAENETDOWN, WSA_INVALID_HANDLE)
CODES(WSACloseEvent, "WSACloseEvent function", WSAENETDOWN, WSA_INVALID_HANDLE)
CODES(PostMessageW, "PostMessageW function", ERROR_NOT_ENOUGH_QUOTA, ERROR_ACCESS_DENIED)
CODES(QueueUserAPC, "QueueUserAPC function", ERROR_GEN_FAILURE)
CODES(PostQueuedCompletionStatus, "PostQueuedCompletionStatus function", WSA_NOT_ENOUGH_MEMORY)
CODES(CancelIoEx, "CancelIoEx function", ERROR_NOT_FOUND)
CODES(_beginthreadex, "_beginthread, _beginthreadex", WSA_NOT_ENOUGH_MEMORY)
CODES(shutdown, "shutdown function", WSAENOTCONN, WSAECONNABORTED, WSAECONNRESET, WSAENETDOWN)
CODES(closesocket, "closesocket function", WSAENETDOWN)
/* Memory is no row of calls.h; see faulty.h. */
CODES(malloc, "malloc", WSA_NOT_ENOUGH_MEMORY)
CODES(realloc, "realloc", WSA_NOT_ENOUGH_MEMORY)
CODES(calloc, "calloc", WSA_NOT_ENOUGH_MEMORY)
CODES(HeapAlloc, "HeapAlloc function", WSA_NOT_ENOUGH_MEMORY)
CODES(VirtualAlloc, "VirtualAlloc function", WSA_NOT_ENOUGH_MEMORY)
/* clang-format on */

#undef CODES
