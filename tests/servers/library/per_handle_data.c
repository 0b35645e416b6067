/* per_handle_data.c -- a server in the manner of Microsoft's samples: worker
 * threads on a completion port, a PER_HANDLE_DATA and a PER_IO_DATA; for
 * library.py. It serves two clients, one after the other. */
#include <winsock2.h>

#include <stdio.h>
#include <stdlib.h>

#define DATA_BUFSIZE 100
#define THREADS      2

typedef struct {
    OVERLAPPED Overlapped;
    WSABUF DataBuf;
    CHAR Buffer[DATA_BUFSIZE];
    BOOL Sending;
} PER_IO_OPERATION_DATA, *LPPER_IO_OPERATION_DATA;

typedef struct {
    SOCKET Socket;
    DWORD Bytes;
    HANDLE Done;
} PER_HANDLE_DATA, *LPPER_HANDLE_DATA;

static void PostRecv(LPPER_HANDLE_DATA Handle, LPPER_IO_OPERATION_DATA Io)
{
    DWORD Flags = 0;
    ZeroMemory(&Io->Overlapped, sizeof(OVERLAPPED));
    Io->DataBuf.len = DATA_BUFSIZE;
    Io->DataBuf.buf = Io->Buffer;
    Io->Sending = FALSE;
    WSARecv(Handle->Socket, &Io->DataBuf, 1, NULL, &Flags, &Io->Overlapped, 0);
}

static void PostSend(LPPER_HANDLE_DATA Handle, LPPER_IO_OPERATION_DATA Io)
{
    ZeroMemory(&Io->Overlapped, sizeof(OVERLAPPED));
    Io->Sending = TRUE;
    WSASend(Handle->Socket, &Io->DataBuf, 1, NULL, 0, &Io->Overlapped, NULL);
}

static DWORD WINAPI ServerWorkerThread(LPVOID CompletionPortID)
{
    HANDLE Port = (HANDLE)CompletionPortID;
    for (;;) {
        DWORD Len = 0;
        ULONG_PTR Key = 0;
        LPOVERLAPPED Ov = NULL;
        BOOL Ok = GetQueuedCompletionStatus(Port, &Len, &Key, &Ov, INFINITE);
        if (Key == 0)
            return 0;
        LPPER_HANDLE_DATA Handle = (LPPER_HANDLE_DATA)Key;
        LPPER_IO_OPERATION_DATA Io = (LPPER_IO_OPERATION_DATA)Ov;
        if (!Ok || (Len == 0 && !Io->Sending)) {
            closesocket(Handle->Socket);
            free(Io);
            SetEvent(Handle->Done);
        } else if (Io->Sending) {
            Handle->Bytes += Len;
            PostRecv(Handle, Io);
        } else {
            Io->DataBuf.len = Len;
            PostSend(Handle, Io);
        }
    }
}

int main(void)
{
    WSADATA Data;
    SOCKADDR_IN Address = {0};
    int Size = sizeof(Address);
    HANDLE Threads[THREADS];
    PER_HANDLE_DATA Handle = {0};
    if (WSAStartup(MAKEWORD(2, 2), &Data) != 0)
        return 1;
    HANDLE Port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    for (int i = 0; i < THREADS; i++)
        Threads[i] = CreateThread(NULL, 0, ServerWorkerThread, Port, 0, NULL);
    SOCKET Listen =
        WSASocketA(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    Address.sin_family = AF_INET;
    Address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(Listen, (PSOCKADDR)&Address, Size) != 0)
        exit(2);
    listen(Listen, 5);
    getsockname(Listen, (PSOCKADDR)&Address, &Size);
    printf("port %d\n", ntohs(Address.sin_port));
    fflush(stdout);
    Handle.Done = CreateEventA(NULL, FALSE, FALSE, NULL);
    for (int n = 0; n < 2; n++) {
        Handle.Socket = WSAAccept(Listen, NULL, NULL, NULL, 0);
        Handle.Bytes = 0;
        CreateIoCompletionPort((HANDLE)Handle.Socket, Port, (ULONG_PTR)&Handle,
                               0);
        LPPER_IO_OPERATION_DATA Io = calloc(1, sizeof(PER_IO_OPERATION_DATA));
        if (Io == NULL)
            exit(3);
        PostRecv(&Handle, Io);
        WaitForSingleObject(Handle.Done, INFINITE);
        printf("client %d: %lu bytes\n", n + 1, Handle.Bytes);
    }
    for (int i = 0; i < THREADS; i++)
        PostQueuedCompletionStatus(Port, 0, 0, NULL);
    WaitForMultipleObjects(THREADS, Threads, TRUE, INFINITE);
    closesocket(Listen);
    WSACleanup();
    return 7;
}
