/* asyncselect_slow.c -- what does a handler that waits do to the other clients?
 *
 * The messages of all clients go to the thread of the window, one after the
 * other. While a handler sleeps, no client is served. A message box runs a loop
 * of its own, which calls the handler again before it has returned. So even the
 * bytes of one client change their order. Here that loop is our own, because a
 * message box would wait for a person.
 */
#include "common/clock.h"
#include "course/experiments/lab/lab_window.h"

enum { HANDLER_MS = 1500, LIMIT_MS = 60000 };

static SOCKET server[2];
static SOCKET client[2];

static void message_loop(double until);

/* The letter says what the handler does before it sends the letter back. */
static void on_message(SOCKET sock)
{
    char letter;
    if (recv(sock, &letter, 1, 0) != 1)
        return;
    if (letter == 's')
        Sleep(HANDLER_MS);
    else if (letter == 'b')
        message_loop(clock_ms() + HANDLER_MS); /* as in MessageBoxW() */
    if (send(sock, &letter, 1, 0) != 1)
        die_call("send", WSAGetLastError());
}

static void message_loop(double until)
{
    MSG message;
    while (clock_left(until) > 0)
        if (PeekMessageW(&message, NULL, WM_SOCKET, WM_SOCKET, PM_REMOVE))
            on_message((SOCKET)message.wParam);
        else
            MsgWaitForMultipleObjects(0, NULL, FALSE, clock_left(until),
                                      QS_POSTMESSAGE);
}

/* Runs on a thread of its own, which owns the window. */
static void be_server(void *unused)
{
    (void)unused;
    HWND window = lab_window();
    for (int i = 0; i < 2; i++)
        if (WSAAsyncSelect(server[i], window, WM_SOCKET, FD_READ) ==
            SOCKET_ERROR)
            die_call("WSAAsyncSelect", WSAGetLastError());
    message_loop(clock_ms() + LIMIT_MS);
    die_call("message_loop", WSAETIMEDOUT); /* main() has ended long ago */
}

static void say(SOCKET sock, char letter)
{
    if (send(sock, &letter, 1, 0) != 1)
        die_call("send", WSAGetLastError());
    Sleep(200); /* the message is posted by now */
}

static char hear(SOCKET sock)
{
    char letter;
    if (recv(sock, &letter, 1, 0) != 1)
        die_call("recv", WSAGetLastError());
    return letter;
}

/* How long does client 1 wait while the handler is busy with client 0? */
static void ask(const char *what, char letter)
{
    say(client[0], letter);
    double began = clock_ms();
    lab_send(client[1], 1);
    hear(client[1]);
    printf("%s: the other client has its answer %s\n", what,
           clock_ms() - began < HANDLER_MS / 2.0 ? "at once"
                                                 : "only after a while");
    hear(client[0]);
}

int main(void)
{
    MSG message;
    lab_begin("asyncselect_slow");
    for (int i = 0; i < 2; i++) {
        lab_pair(&server[i], &client[i]);
        lab_limit(client[i], LIMIT_MS);
    }
    lab_thread(be_server, NULL);
    ask("a quick handler", 'q');
    ask("a handler that sleeps", 's');
    ask("a handler that shows a message box", 'b');

    say(client[0], 'b');
    say(client[0], 'q');
    char first = hear(client[0]);
    printf("with the box, one client sends b, then q, and gets %c, then %c\n",
           first, hear(client[0]));

    say(client[0], 's');
    say(client[1], 'q');
    printf("the server's thread sleeps, and another one asks: %s\n",
           PeekMessageW(&message, NULL, 0, 0, PM_REMOVE) ? "a message"
                                                         : "no message");
    return 0;
}
