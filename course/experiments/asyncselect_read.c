/* asyncselect_read.c -- how many FD_READ messages are there for some bytes?
 *
 * There is not one for each send() of the peer. There is one, and the next one
 * comes after a recv(), if bytes are left. So a program that reads in a loop
 * finds messages in the queue for bytes that it has read already.
 */
#include "course/experiments/lab/lab_window.h"

static const char *message_or_none(void)
{
    MSG message;
    if (!lab_message(&message))
        return "no message";
    return WSAGETSELECTEVENT(message.lParam) == FD_READ ? "FD_READ"
                                                        : "another one";
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    char byte[8];
    lab_begin("asyncselect_read");
    HWND window = lab_window();
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
        Sleep(200); /* the handler works; the next message is posted */
    }
    printf("  %s\n", lab_result(len));
    printf("all is read, and in the queue is: %s\n", message_or_none());
    printf("recv() for it: %s\n", lab_result(recv(receiver, byte, 1, 0)));
    return 0;
}
