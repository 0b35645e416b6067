/* iocp_order.c -- are the bytes of a client handled in the order they came?
 *
 * With two receives in flight, the buffers are filled in the order of the
 * calls, and the packets are queued in the same order. But then two workers
 * have one packet each, and either may be the first to go on. With one receive
 * in flight only one order is possible.
 */
#include "course/experiments/lab/lab.h"

struct receive {
    OVERLAPPED ov;
    char letter;
    bool last;
};

static HANDLE port;
static SOCKET sock;
static bool one_in_flight;
static struct receive first = {.last = false};
static struct receive second = {.last = true};
static char handled[2]; /* what a server would echo, in this order */
static volatile LONG begun;
static volatile LONG ended;

static void post_recv(struct receive *r)
{
    WSABUF room = {.buf = &r->letter, .len = 1};
    DWORD flags = 0;
    r->ov = (OVERLAPPED){0};
    if (WSARecv(sock, &room, 1, NULL, &flags, &r->ov, NULL) == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
}

static void worker(void *arg)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    (void)arg;
    if (!GetQueuedCompletionStatus(port, &len, &key, &ov, 5000))
        die_call("GetQueuedCompletionStatus", GetLastError());
    struct receive *r = CONTAINING_RECORD(ov, struct receive, ov);
    if (!r->last)
        Sleep(500); /* this worker is delayed, for any reason */
    handled[InterlockedIncrement(&begun) - 1] = r->letter;
    InterlockedIncrement(&ended);
    if (one_in_flight && !r->last)
        post_recv(&second);
}

static void run(const char *what)
{
    SOCKET far_end;
    begun = ended = 0;
    lab_pair(&sock, &far_end);
    if (CreateIoCompletionPort((HANDLE)sock, port, 0, 0) == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    post_recv(&first);
    if (!one_in_flight)
        post_recv(&second);
    lab_thread(worker, NULL);
    lab_thread(worker, NULL);
    lab_say(far_end, "ab");
    for (int i = 0; i < 500 && ended < 2; i++)
        Sleep(10);
    printf("%s: the buffers have %c and %c, handled as \"%.2s\"\n", what,
           first.letter, second.letter, handled);
}

int main(void)
{
    lab_begin("iocp_order");
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    puts("the client sends \"ab\", two workers, one of them is held up");
    run("two receives in flight");
    one_in_flight = true;
    run("one in flight");
    return 0;
}
