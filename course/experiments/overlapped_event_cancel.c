/* overlapped_event_cancel.c -- whose is the buffer, also after CancelIoEx()?
 *
 * It is the system's, from the call until the operation has ended; and
 * CancelIoEx() is only a request. Here a server forgets a client and gives its
 * memory to another client, first too early and then in time. (The memory is a
 * static array, and "given to another" means that a text is written into it: to
 * free it would be a bug that may show nothing at all.)
 */
#include <string.h>

#include "course/experiments/lab/lab.h"

static char memory[16];
static OVERLAPPED ov;

static void post_recv(SOCKET sock)
{
    WSABUF room = {.buf = memory, .len = 5};
    DWORD flags = 0;
    ov = (OVERLAPPED){.hEvent = ov.hEvent};
    if (WSARecv(sock, &room, 1, NULL, &flags, &ov, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
}

/* Wait until the operation has ended, at most five seconds because this is an
 * experiment. A server waits for ever, with TRUE instead of FALSE. */
static const char *reap(SOCKET sock)
{
    static char text[40];
    DWORD len = 0;
    DWORD flags = 0;
    if (WSAWaitForMultipleEvents(1, &ov.hEvent, FALSE, 5000, FALSE) !=
        WSA_WAIT_EVENT_0)
        die_call("the wait for the end", WSA_WAIT_TIMEOUT);
    if (!WSAGetOverlappedResult(sock, &ov, &len, FALSE, &flags))
        return lab_error((unsigned long)WSAGetLastError());
    snprintf(text, sizeof text, "done, %lu bytes", len);
    return text;
}

int main(void)
{
    SOCKET sender;
    SOCKET sock;
    lab_begin("overlapped_event_cancel");
    lab_pair(&sock, &sender);
    ov.hEvent = WSACreateEvent();

    puts(
        "the memory is given away while WSARecv() is in flight, 5 bytes come:");
    post_recv(sock);
    strcpy(memory, "my-own-text"); /* too early */
    lab_say(sender, "hello");
    printf("  its end: %s", reap(sock));
    printf("; in the memory: \"%s\"\n", memory);

    puts("it is cancelled and reaped, then the memory is given away:");
    post_recv(sock);
    printf("  CancelIoEx(): %s",
           CancelIoEx((HANDLE)sock, &ov) ? "ok" : lab_error(GetLastError()));
    printf("; its end: %s\n", reap(sock));
    strcpy(memory, "my-own-text"); /* in time */
    lab_say(sender, "hello");
    Sleep(200); /* enough time to see whether they are written there */
    printf("  5 bytes come; in the memory: \"%s\"\n", memory);

    puts("the next WSARecv() has ended with these before it is cancelled:");
    post_recv(sock);
    (void)WSAWaitForMultipleEvents(1, &ov.hEvent, FALSE, 5000, FALSE);
    printf("  CancelIoEx(): %s",
           CancelIoEx((HANDLE)sock, &ov) ? "ok" : lab_error(GetLastError()));
    printf("; its end: %s\n", reap(sock));
    printf("  in the memory: \"%s\"\n", memory);
    return 0;
}
