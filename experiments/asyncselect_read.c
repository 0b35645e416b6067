/* asyncselect_read.c -- how many FD_READ messages are there for some bytes?
 *
 * Not one for each send() of the peer: one, and the next one after a recv(),
 * if anything is left. So whoever reads in a loop finds messages in the queue
 * for bytes that are gone.
 */
#include "experiments/lab.h"
#include "harness/clock.h"

#define WM_SOCKET (WM_APP + 1)

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
    return WSAGETSELECTEVENT(message.lParam) == FD_READ;
}

static const char *message_or_none(void)
{
    return told() ? "FD_READ" : "no message";
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    char byte[8];
    lab_begin("asyncselect_read");
    HWND window = CreateWindowW(L"STATIC", L"", 0, 0, 0, 0, 0, HWND_MESSAGE,
                                NULL, NULL, NULL);
    if (window == NULL)
        die_call("CreateWindowW", GetLastError());
    lab_pair(&receiver, &sender);
    if (WSAAsyncSelect(receiver, window, WM_SOCKET, FD_READ) == SOCKET_ERROR)
        die_call("WSAAsyncSelect", WSAGetLastError());

    lab_send(sender, 1);
    printf("a byte comes: %s\n", message_or_none());
    lab_send(sender, 2);
    printf("two more, and nobody called recv(): %s\n", message_or_none());
    printf("recv() of one byte: %s\n", lab_result(recv(receiver, byte, 1, 0)));
    printf("two are left: %s\n", message_or_none());

    puts("now a handler that calls recv() until it fails:");
    int len;
    while ((len = recv(receiver, byte, 1, 0)) > 0) {
        puts("  1");
        Sleep(200); /* it works on what it read; the next message is posted */
    }
    printf("  %s\n", lab_result(len));
    printf("all is read, and in the queue is: %s\n", message_or_none());
    printf("recv() for it: %s\n", lab_result(recv(receiver, byte, 1, 0)));
    return 0;
}
