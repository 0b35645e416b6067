/* routines.c -- a server with overlapped I/O and completion routines, as a
 * tutorial has it; for library.py. It serves two clients, one after the
 * other. */
#include <winsock2.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct client {
    OVERLAPPED ov; /* first, so that a routine finds the rest */
    SOCKET sock;
    WSABUF buf;
    char bytes[100];
    int sum;
    BOOL gone;
} client;

static void CALLBACK on_received(DWORD err, DWORD len, OVERLAPPED *ov,
                                 DWORD flags);

static void receive(struct client *c)
{
    DWORD flags = 0;
    c->buf.buf = c->bytes;
    c->buf.len = sizeof c->bytes;
    memset(&c->ov, 0, sizeof c->ov);
    WSARecv(c->sock, &c->buf, 1, NULL, &flags, &c->ov, on_received);
}

static void CALLBACK on_sent(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags)
{
    struct client *c = (struct client *)ov;
    (void)err, (void)flags;
    c->sum += (int)len;
    receive(c);
}

static void CALLBACK on_received(DWORD err, DWORD len, OVERLAPPED *ov,
                                 DWORD flags)
{
    struct client *c = (struct client *)ov;
    (void)flags;
    c->buf.len = len;
    memset(&c->ov, 0, sizeof c->ov);
    if (err == 0 && len > 0) {
        WSASend(c->sock, &c->buf, 1, NULL, 0, &c->ov, on_sent);
        return;
    }
    closesocket(c->sock);
    c->gone = TRUE;
}

int main(void)
{
    WSADATA data;
    struct sockaddr_in address = {0};
    int size = sizeof address;
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 1;
    SOCKET listener =
        WSASocketW(AF_INET, SOCK_STREAM, 0, NULL, 0, WSA_FLAG_OVERLAPPED);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0)
        exit(2);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (int n = 0; n < 2; n++) {
        client = (struct client){.sock = accept(listener, NULL, NULL)};
        receive(&client);
        while (!client.gone)
            SleepEx(INFINITE, TRUE);
        printf("client %d: %d bytes\n", n + 1, client.sum);
    }
    closesocket(listener);
    WSACleanup();
    return 7;
}
