/* rows.c -- calls that the servers of this suite do not make, once each; for
 * library.py. What stands behind a call is how its line in the trace ends. */
#include <winsock2.h>

#include <ws2tcpip.h>

#include <mswsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static HANDLE called;

static void check(BOOL well, int line)
{
    if (well)
        return;
    printf("line %d: %lu\n", line, GetLastError());
    exit(1);
}
#define CHECK(well) check((well), __LINE__)

static void CALLBACK on_received(DWORD err, DWORD len, OVERLAPPED *ov,
                                 DWORD flags)
{
    (void)ov, (void)flags;
    CHECK(err == 0 && len == 4);
}

static void CALLBACK on_done(DWORD err, DWORD len, OVERLAPPED *ov)
{
    (void)ov;
    CHECK(err == 0 && len == 4);
    SetEvent(called); /* ok */
}

static SOCKET bound(int type, struct sockaddr_in *address)
{
    int size = sizeof *address;
    SOCKET sock = WSASocketA(AF_INET, type, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(sock, (struct sockaddr *)address, size) == 0);
    CHECK(getsockname(sock, (struct sockaddr *)address, &size) == 0);
    return sock;
}

static void *extension(SOCKET sock, GUID id)
{
    static void *found;
    DWORD len;
    found = NULL;
    WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &found,
             sizeof found, &len, NULL, NULL);
    return found;
}

static void datagrams(void)
{
    struct sockaddr_in there;
    struct sockaddr *to = (struct sockaddr *)&there;
    SOCKET in = bound(SOCK_DGRAM, &there);
    SOCKET out = socket(AF_INET, SOCK_DGRAM, 0);
    char bytes[100];
    DWORD len = 4, flags = 0;
    WSABUF buf = {4, bytes};
    OVERLAPPED ov = {0};
    CHECK(sendto(out, "abcd", 4, 0, to, sizeof there) == 4); /* 4 bytes */
    CHECK(recvfrom(in, bytes, 100, 0, NULL, NULL) == 4); /* 4 bytes "abcd" */
    WSASendTo(out, &buf, 1, &len, 0, to, sizeof there, NULL, 0);   /* 4 bytes */
    WSARecvFrom(in, &buf, 1, &len, &flags, NULL, NULL, NULL, 0);   /* 4 bytes */
    ov.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);             /* event 2 */
    WSARecvFrom(in, &buf, 1, NULL, &flags, NULL, NULL, &ov, NULL); /* pending */
    CHECK(sendto(out, "abcd", 4, 0, to, sizeof there) == 4);
    CHECK(WaitForMultipleObjectsEx(1, &ov.hEvent, FALSE, INFINITE, FALSE) == 0);
    CHECK(GetOverlappedResult((HANDLE)in, &ov, &len, FALSE)); /* 4 bytes */
    CHECK(ResetEvent(ov.hEvent));                             /* ok */
    WSARecvFrom(in, &buf, 1, NULL, &flags, NULL, NULL, &ov, on_received);
    CHECK(sendto(out, "abcd", 4, 0, to, sizeof there) == 4);
    WaitForSingleObjectEx(ov.hEvent, INFINITE, TRUE); /* an APC ran */
    BindIoCompletionCallback((HANDLE)in, on_done, 0); /* ok */
    memset(&ov, 0, sizeof ov);
    WSARecvFrom(in, &buf, 1, NULL, &flags, NULL, NULL, &ov, NULL); /* pending */
    CHECK(sendto(out, "abcd", 4, 0, to, sizeof there) == 4);
    WaitForSingleObject(called, INFINITE); /* signalled */
    LPFN_WSARECVMSG WSARecvMsg = extension(in, (GUID)WSAID_WSARECVMSG);
    WSAMSG message = {.lpBuffers = &buf, .dwBufferCount = 1};
    CHECK(sendto(out, "abcd", 4, 0, to, sizeof there) == 4);
    WSARecvMsg(in, &message, &len, NULL, NULL); /* 4 bytes */
    closesocket(in);
    closesocket(out);
}

static void streams(void)
{
    struct sockaddr_in there, here;
    struct sockaddr *to = (struct sockaddr *)&there;
    SOCKET listener = bound(SOCK_STREAM, &there);
    SOCKET out = bound(SOCK_STREAM, &here);
    LPFN_CONNECTEX ConnectEx = extension(out, (GUID)WSAID_CONNECTEX);
    LPFN_DISCONNECTEX DisconnectEx = extension(out, (GUID)WSAID_DISCONNECTEX);
    LPFN_TRANSMITFILE TransmitFile = extension(out, (GUID)WSAID_TRANSMITFILE);
    OVERLAPPED ov = {0};
    DWORD len;
    listen(listener, 1);
    ConnectEx(out, to, sizeof there, NULL, 0, NULL, &ov); /* pending */
    SOCKET in = WSAAccept(listener, NULL, NULL, NULL, 0);
    CHECK(GetOverlappedResult((HANDLE)out, &ov, &len, TRUE)); /* 0 bytes */
    setsockopt(out, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, "", 0);
    TransmitFile(out, NULL, 0, 0, NULL, NULL, TF_DISCONNECT);
    DisconnectEx(in, NULL, 0, 0);
    SetFileCompletionNotificationModes((HANDLE)in, 1); /* ok */
    CancelIo((HANDLE)in);
    WSAConnect(listener, to, sizeof there, NULL, NULL, NULL, NULL); /* WSAE */
    closesocket(in);
    closesocket(out);
    closesocket(listener);
}

static void messages(void)
{
    MSG message;
    DWORD event = MsgWaitForMultipleObjects(1, &called, FALSE, 0, QS_ALLINPUT);
    CHECK(event == WAIT_TIMEOUT);
    CHECK(!PeekMessageA(&message, NULL, 0, 0, PM_REMOVE)); /* no message */
    PostThreadMessageA(GetCurrentThreadId(), WM_USER + 5, 0, 0);
    MsgWaitForMultipleObjectsEx(1, &called, INFINITE, QS_ALLINPUT, 0);
    CHECK(PeekMessageW(&message, NULL, 0, 0, PM_REMOVE)); /* WM_USER+5 */
    DispatchMessageW(&message);
}

int main(void)
{
    WSADATA data;
    CHECK(WSAStartup(MAKEWORD(2, 2), &data) == 0);
    called = CreateEventA(NULL, FALSE, FALSE, NULL);
    datagrams();
    streams();
    messages();
    WSACleanup();
    printf("all\n");
    return 0;
}
