/* asyncselect_late.c -- is a message still true when it is handled?
 *
 * It may be about a socket that is closed by now. And an FD_CLOSE does not say
 * that all bytes were read: Windows posts it while some bytes still wait. Wine
 * posts it after the last byte was read. So here the program posts one itself,
 * at the moment when Windows does. A server cannot tell the two apart.
 */
#include "course/experiments/lab/lab_window.h"

static HWND window;

/* Returns a registered socket whose peer has sent `bytes` bytes and has left.
 * Its FD_READ is in the queue. */
static SOCKET told_of(int bytes)
{
    SOCKET server;
    SOCKET client;
    lab_pair(&server, &client);
    if (WSAAsyncSelect(server, window, WM_SOCKET, FD_READ | FD_CLOSE) ==
        SOCKET_ERROR)
        die_call("WSAAsyncSelect", WSAGetLastError());
    lab_send(client, bytes);
    closesocket(client);
    MsgWaitForMultipleObjects(0, NULL, FALSE, 5000, QS_POSTMESSAGE);
    Sleep(200); /* the last bytes come meanwhile */
    return server;
}

/* Reads 10 bytes for each message. How many of 30 bytes does the server get? */
static int serve(bool read_on_at_close)
{
    SOCKET server = told_of(30);
    MSG message;
    char buf[10];
    int sum = 0;
    bool closing = false;
    if (!PostMessageW(window, WM_SOCKET, (WPARAM)server,
                      WSAMAKESELECTREPLY(FD_CLOSE, 0)))
        die_call("PostMessageW", GetLastError());

    while (!closing && lab_message(&message)) {
        closing = WSAGETSELECTEVENT(message.lParam) == FD_CLOSE;
        if (closing && !read_on_at_close)
            break;
        int len;
        do {
            len = recv(server, buf, sizeof buf, 0);
            if (len > 0)
                sum += len;
        } while (closing && len > 0);
    }
    closesocket(server);
    while (lab_message(&message))
        continue; /* late messages: their socket is closed */
    return sum;
}

int main(void)
{
    MSG message = {0};
    char byte;
    lab_begin("asyncselect_late");
    window = lab_window();

    SOCKET server = told_of(1);
    closesocket(server);
    printf("closed, and then comes: %s\n",
           lab_message(&message) ? "its message" : "no message");
    printf("recv() for it: %s\n",
           lab_result(recv((SOCKET)message.wParam, &byte, 1, 0)));
    while (lab_message(&message))
        continue;

    puts("30 bytes and FD_CLOSE wait, and the server reads 10 for a message");
    printf("closed at FD_CLOSE: it got %d\n", serve(false));
    printf("read on at FD_CLOSE, until recv() says 0: it got %d\n",
           serve(true));
    return 0;
}
