/* asyncselect_write.c -- when does FD_WRITE come?
 *
 * It comes once at the start. After that it comes only when a send() has failed
 * with WSAEWOULDBLOCK and there is room again. After a send() that succeeded it
 * does not come, however long one waits.
 */
#include "course/experiments/lab/lab_window.h"

static char block[65536];

static bool told(void)
{
    MSG message;
    return lab_message(&message) &&
           WSAGETSELECTEVENT(message.lParam) == FD_WRITE;
}

static const char *message_or_none(void)
{
    return told() ? "FD_WRITE" : "no message";
}

static long long fill(SOCKET sock)
{
    long long sum = 0;
    int len;
    while ((len = send(sock, block, sizeof block, 0)) > 0)
        sum += len;
    if (WSAGetLastError() != WSAEWOULDBLOCK)
        die_call("send", WSAGetLastError());
    return sum;
}

int main(void)
{
    SOCKET server;
    SOCKET client;
    lab_begin("asyncselect_write");
    HWND window = lab_window();
    lab_pair(&server, &client);
    if (WSAAsyncSelect(server, window, WM_SOCKET, FD_WRITE) == SOCKET_ERROR)
        die_call("WSAAsyncSelect", WSAGetLastError());
    printf("registered: %s\n", message_or_none());
    printf("and again? %s\n", message_or_none());
    lab_send(server, 1);
    printf("after a send() that went well: %s\n", message_or_none());

    /* Sent bytes move to the other side, and that makes room. So send again,
     * until both sides are full. */
    long long owed = 1 + fill(server);
    while (told())
        owed += fill(server);
    puts("send() until WSAEWOULDBLOCK, and the client does not read: "
         "no message");

    while (owed > 0) {
        int len = recv(client, block, sizeof block, 0);
        if (len <= 0)
            die_call("recv", WSAGetLastError());
        owed -= len;
    }
    printf("the client reads all of it: %s\n", message_or_none());
    printf("and again? %s\n", message_or_none());
    return 0;
}
