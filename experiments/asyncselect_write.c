/* asyncselect_write.c -- when does FD_WRITE come?
 *
 * Once at the start, and then only after a send() that failed with
 * WSAEWOULDBLOCK, when there is room again. After a send() that went well it
 * does not come, however long one waits.
 */
#include "experiments/lab.h"
#include "harness/clock.h"

#define WM_SOCKET (WM_APP + 1)

static char block[65536];

/* Is there a message about a socket, or does one come within a second? */
static bool told(void)
{
    MSG message;
    double until = clock_ms() + 1000;
    while (!PeekMessageW(&message, NULL, WM_SOCKET, WM_SOCKET, PM_REMOVE)) {
        if (clock_left(until) == 0)
            return false;
        MsgWaitForMultipleObjects(0, NULL, FALSE, clock_left(until),
                                  QS_POSTMESSAGE);
    }
    return WSAGETSELECTEVENT(message.lParam) == FD_WRITE;
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
    HWND window = CreateWindowW(L"STATIC", L"", 0, 0, 0, 0, 0, HWND_MESSAGE,
                                NULL, NULL, NULL);
    if (window == NULL)
        die_call("CreateWindowW", GetLastError());
    lab_pair(&server, &client);
    if (WSAAsyncSelect(server, window, WM_SOCKET, FD_WRITE) == SOCKET_ERROR)
        die_call("WSAAsyncSelect", WSAGetLastError());
    printf("registered: %s\n", message_or_none());
    printf("and again? %s\n", message_or_none());
    lab_send(server, 1);
    printf("after a send() that went well: %s\n", message_or_none());

    /* What was sent moves to the other side, and makes room: once more, until
     * both sides are full. */
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
