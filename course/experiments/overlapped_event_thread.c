/* overlapped_event_thread.c -- what becomes of a WSARecv() whose thread ends?
 *
 * It is cancelled, although socket, buffer and OVERLAPPED are still there and
 * another thread waits for the event. If a thread accepts, posts the first
 * WSARecv() and ends, it has begun nothing. (This is not so when the socket is
 * associated with a completion port.)
 */
#include "course/experiments/lab/lab.h"

static SOCKET sock;
static char buf[16];
static OVERLAPPED ov;
static WSAEVENT posted;
static WSAEVENT may_end;

static void poster(void *unused)
{
    WSABUF room = {.buf = buf, .len = sizeof buf};
    DWORD flags = 0;
    (void)unused;
    ov = (OVERLAPPED){.hEvent = ov.hEvent};
    printf("  its WSARecv(): %s\n",
           lab_result(WSARecv(sock, &room, 1, NULL, &flags, &ov, NULL)));
    WSASetEvent(posted);
    lab_wait(may_end);
}

static HANDLE start_poster(void)
{
    WSAResetEvent(posted);
    HANDLE thread = lab_thread(poster, NULL);
    lab_wait(posted);
    return thread;
}

static void tell_end(void)
{
    DWORD len = 0;
    DWORD flags = 0;
    lab_wait(ov.hEvent);
    if (WSAGetOverlappedResult(sock, &ov, &len, FALSE, &flags))
        printf("  the event is set: done, bytes: %lu\n", len);
    else
        printf("  the event is set: %s\n",
               lab_error((unsigned long)WSAGetLastError()));
}

int main(void)
{
    SOCKET sender;
    lab_begin("overlapped_event_thread");
    lab_pair(&sock, &sender);
    ov.hEvent = WSACreateEvent();
    posted = WSACreateEvent();
    may_end = WSACreateEvent();

    puts("a thread that asks and stays; a byte is sent:");
    HANDLE thread = start_poster();
    lab_send(sender, 1);
    tell_end();

    WSASetEvent(may_end); /* this thread ends, and the next one at once */
    lab_wait(thread);
    puts("a thread that asks and ends; nobody sends:");
    lab_wait(start_poster());
    tell_end();
    return 0;
}
