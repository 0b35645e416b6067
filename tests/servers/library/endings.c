/* endings.c -- a program that ends in many ways, and asks for much; for
 * library.py.
 *
 *   endings return|exit|abort|terminate|crash    after a few calls
 *   endings early       a socket before WSAStartup()
 *   endings threads     many threads, each of which makes a call
 *   endings operations  many operations in flight, then all of them end
 *   endings flood       more calls than can be written
 */
#include <winsock2.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 200, OPERATIONS = 2000, CALLS = 20000, LAST_CALLS = 300 };

static void check(BOOL well, const char *what)
{
    if (well)
        return;
    printf("%s: %lu\n", what, GetLastError());
    exit(1);
}

static SOCKET bound(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    SOCKET sock = socket(AF_INET, SOCK_DGRAM, 0);
    check(sock != INVALID_SOCKET, "socket");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(sock, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    return sock;
}

static DWORD WINAPI one_thread(void *arg)
{
    check(ResetEvent((HANDLE)arg), "ResetEvent");
    return 0;
}

static void threads(void)
{
    static HANDLE all[THREADS];
    HANDLE event = CreateEventA(NULL, TRUE, FALSE, NULL);
    for (int i = 0; i < THREADS; i++) {
        all[i] = CreateThread(NULL, 0, one_thread, event, 0, NULL);
        check(all[i] != NULL, "CreateThread");
    }
    for (int i = 0; i < THREADS; i++)
        check(WaitForSingleObject(all[i], INFINITE) == WAIT_OBJECT_0, "wait");
}

static void operations(void)
{
    static WSAOVERLAPPED all[OPERATIONS];
    static char bytes[OPERATIONS];
    SOCKET sock = bound();
    HANDLE port = CreateIoCompletionPort((HANDLE)sock, NULL, 1, 0);
    check(port != NULL, "CreateIoCompletionPort");
    for (int i = 0; i < OPERATIONS; i++) {
        WSABUF buf = {1, &bytes[i]};
        DWORD flags = 0;
        int got =
            WSARecvFrom(sock, &buf, 1, NULL, &flags, NULL, NULL, &all[i], NULL);
        check(got == 0 || WSAGetLastError() == WSA_IO_PENDING, "WSARecvFrom");
    }
    check(CancelIo((HANDLE)sock), "CancelIo");
    for (int i = 0; i < OPERATIONS; i++) {
        DWORD len;
        ULONG_PTR key;
        OVERLAPPED *ov = NULL;
        BOOL well = GetQueuedCompletionStatus(port, &len, &key, &ov, INFINITE);
        check(!well && ov != NULL, "GetQueuedCompletionStatus");
    }
    closesocket(sock);
}

int main(int argc, char **argv)
{
    WSADATA data;
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "early") == 0) {
        SOCKET none = socket(AF_INET, SOCK_STREAM, 0);
        printf("%d\n", WSAGetLastError());
        closesocket(none);
        return 0;
    }
    check(WSAStartup(MAKEWORD(2, 2), &data) == 0, "WSAStartup");
    SOCKET sock = bound();
    if (strcmp(how, "threads") == 0)
        threads();
    if (strcmp(how, "operations") == 0)
        operations();
    for (int i = 0; strcmp(how, "flood") == 0 && i < CALLS; i++)
        check(listen(sock, 1) != 0, "listen");
    closesocket(sock);
    printf("%s\n", how);
    fflush(stdout);
    /* So many at once that the writer has not written the last ones yet. */
    for (int i = 0; i < LAST_CALLS; i++)
        check(listen(INVALID_SOCKET, 1) != 0, "listen");
    if (strcmp(how, "exit") == 0)
        ExitProcess(4);
    if (strcmp(how, "abort") == 0)
        abort();
    if (strcmp(how, "terminate") == 0)
        TerminateProcess(GetCurrentProcess(), 5);
    if (strcmp(how, "crash") == 0)
        RaiseException(EXCEPTION_ACCESS_VIOLATION, 0, 0, NULL);
    return 6;
}
