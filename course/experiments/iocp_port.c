/* iocp_port.c -- what is a completion port, and what does it do by itself?
 *
 * It is a queue of packets, and has no relation to TCP's port numbers. One
 * function makes it and, called again, associates a socket with it. That alone
 * brings no packets: a packet is about an operation, and somebody has to begin
 * one.
 */
#include "course/experiments/lab/lab.h"

static HANDLE port;

/* Take one packet and tell whose it is. */
static void take(const OVERLAPPED *receive)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    if (GetQueuedCompletionStatus(port, &len, &key, &ov, 500))
        printf("a packet: key %lu, the OVERLAPPED of the %s\n",
               (unsigned long)key, ov == receive ? "receive" : "send");
    else
        puts(ov == NULL ? "no packet" : "a packet of a failure");
}

int main(void)
{
    char letter = 'a';
    WSABUF room = {.buf = &letter, .len = 1};
    DWORD flags = 0;
    OVERLAPPED receive = {0};
    OVERLAPPED answer = {0};
    struct sockaddr_storage address;
    int len = sizeof address;
    SOCKET sock;
    SOCKET far_end;
    lab_begin("iocp_port");
    lab_pair(&sock, &far_end);

    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    HANDLE other = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port == NULL || other == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    printf("to make: two calls, %s\n",
           port != other ? "two ports" : "the same port");
    int got = getsockname((SOCKET)port, (struct sockaddr *)&address, &len);
    printf("is it a socket, with an address? %s\n", lab_result(got));
    HANDLE joined = CreateIoCompletionPort((HANDLE)sock, port, 7, 0);
    printf("to connect a socket, with key 7: %s\n",
           joined == port ? "the port we gave" : "something else");
    joined = CreateIoCompletionPort((HANDLE)sock, other, 8, 0);
    printf("the same socket to the other port: %s, %s\n",
           joined == NULL ? "NULL" : "a port", lab_error(GetLastError()));

    lab_send(far_end, 1);
    printf("a byte comes, nobody asked for it: ");
    take(NULL);
    if (WSARecv(sock, &room, 1, NULL, &flags, &receive, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
    printf("WSARecv(): ");
    take(&receive);
    if (WSASend(sock, &room, 1, NULL, 0, &answer, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSASend", WSAGetLastError());
    printf("WSASend(): ");
    take(&receive);
    return 0;
}
