/* asyncselect_register.c -- what does a WSAAsyncSelect() change?
 *
 * It replaces the events of the call before, and does not add to them. And the
 * socket does not block any more; it cannot be made blocking while it is
 * registered.
 */
#include "course/experiments/lab/lab_window.h"

/* Returns 0 if there was no message. */
static int next_event(void)
{
    MSG message;
    return lab_message(&message) ? WSAGETSELECTEVENT(message.lParam) : 0;
}

static const char *names(int events)
{
    switch (events) {
    case 0: return "no message";
    case FD_READ: return "FD_READ";
    case FD_WRITE: return "FD_WRITE";
    case FD_READ | FD_WRITE: return "FD_READ and FD_WRITE";
    default: return "another event";
    }
}

static void watch(SOCKET sock, HWND window, long events)
{
    if (WSAAsyncSelect(sock, window, WM_SOCKET, events) == SOCKET_ERROR)
        die_call("WSAAsyncSelect", WSAGetLastError());
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    char byte;
    u_long blocking = 0;
    lab_begin("asyncselect_register");
    HWND window = lab_window();
    lab_pair(&receiver, &sender);

    watch(receiver, window, FD_READ);
    printf("registered for FD_READ; recv() without a byte: %s\n",
           lab_result(recv(receiver, &byte, 1, 0)));
    printf("FIONBIO with 0, to let it block: %s\n",
           lab_result(ioctlsocket(receiver, (long)FIONBIO, &blocking)));

    watch(receiver, window, FD_WRITE);
    printf("registered for FD_WRITE: %s\n", names(next_event()));
    lab_send(sender, 1);
    printf("a byte comes: %s\n", names(next_event()));
    watch(receiver, window, FD_READ | FD_WRITE);
    int events = next_event();
    events |= next_event();
    printf("registered for both in one call: %s\n", names(events));

    watch(receiver, window, 0);
    printf("registered for nothing; FIONBIO with 0: %s\n",
           lab_result(ioctlsocket(receiver, (long)FIONBIO, &blocking)));
    return 0;
}
