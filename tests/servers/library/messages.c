/* messages.c -- a server with WSAAsyncSelect() and a window of the ANSI kind,
 * that receives and sends with WSARecv() and WSASend(), as Microsoft's sample
 * does; for library.py. It serves two clients, one after the other. */
#include <winsock2.h>

#include <stdio.h>
#include <stdlib.h>

#define WM_SOCKET (WM_USER + 1)

static int clients, sum;

static void on_readable(SOCKET sock)
{
    char bytes[100];
    WSABUF buf = {sizeof bytes, bytes};
    DWORD len = 0, flags = 0;
    if (WSARecv(sock, &buf, 1, &len, &flags, NULL, NULL) != 0)
        return;
    buf.len = len;
    if (len > 0 && WSASend(sock, &buf, 1, &len, 0, NULL, NULL) == 0)
        sum += (int)len;
}

static void on_closed(HWND window, SOCKET sock)
{
    closesocket(sock);
    printf("client %d: %d bytes\n", ++clients, sum);
    sum = 0;
    if (clients == 2)
        PostMessageA(window, WM_CLOSE, 0, 0);
}

static void on_newcomer(HWND window, SOCKET listener)
{
    SOCKET sock = accept(listener, NULL, NULL);
    WSAAsyncSelect(sock, window, WM_SOCKET, FD_READ | FD_CLOSE);
}

static LRESULT CALLBACK proc(HWND window, UINT message, WPARAM w, LPARAM l)
{
    if (message == WM_CLOSE)
        PostQuitMessage(0);
    else if (message != WM_SOCKET)
        return DefWindowProcA(window, message, w, l);
    else if (WSAGETSELECTEVENT(l) == FD_ACCEPT)
        on_newcomer(window, w);
    else if (WSAGETSELECTEVENT(l) == FD_READ)
        on_readable(w);
    else
        on_closed(window, w);
    return 0;
}

int main(void)
{
    WSADATA data;
    MSG message;
    struct sockaddr_in address = {0};
    int size = sizeof address;
    WNDCLASSA class = {.lpfnWndProc = proc, .lpszClassName = "messages"};
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0 || RegisterClassA(&class) == 0)
        return 1;
    HWND window = CreateWindowA("messages", "", 0, 0, 0, 0, 0, HWND_MESSAGE,
                                NULL, NULL, NULL);
    SOCKET listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0)
        exit(2);
    WSAAsyncSelect(listener, window, WM_SOCKET, FD_ACCEPT);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (GetMessageA(&message, NULL, 0, 0) > 0)
        DispatchMessageA(&message);
    closesocket(listener);
    WSACleanup();
    return 7;
}
