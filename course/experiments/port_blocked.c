/* port_blocked.c -- a worker blocks: who takes the next packet?
 *
 * Another worker takes it, if there is one. That is so even on a port that lets
 * only one thread run at once, because a thread that is blocked does not count
 * as running. That is why a pool has more threads than may run at once.
 *
 * This does not ask what happens if packet 1 computes instead of blocking. Then
 * Windows lets packet 2 wait. Wine 8 does not know the limit, and does not let
 * packet 2 wait.
 */
#include "course/experiments/lab/lab.h"

enum { LIMIT_MS = 10000, A_WHILE_MS = 500 };

static int workers;
static HANDLE port;
static HANDLE taken[3]; /* event 1 for packet 1, 2 for packet 2 */
static HANDLE go_on;    /* what packet 1 waits for */

static HANDLE new_event(void)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (event == NULL)
        die_call("CreateEventW", GetLastError());
    return event;
}

static void post(ULONG_PTR key)
{
    if (!PostQueuedCompletionStatus(port, 0, key, NULL))
        die_call("PostQueuedCompletionStatus", GetLastError());
}

static void worker(void *unused)
{
    (void)unused;
    for (int left = 2 / workers; left > 0; left--) {
        DWORD len = 0;
        ULONG_PTR key = 0;
        OVERLAPPED *ov = NULL;
        if (!GetQueuedCompletionStatus(port, &len, &key, &ov, LIMIT_MS))
            die_call("GetQueuedCompletionStatus", GetLastError());
        if (!SetEvent(taken[key]))
            die_call("SetEvent", GetLastError());
        if (key == 1)
            lab_wait(go_on); /* blocks, as on a disk or a lock */
    }
}

static void ask(void)
{
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (port == NULL)
        die_call("CreateIoCompletionPort", GetLastError());
    taken[1] = new_event();
    taken[2] = new_event();
    go_on = new_event();
    for (int i = 0; i < workers; i++)
        lab_thread(worker, NULL);

    post(1);
    lab_wait(taken[1]);
    post(2);
    DWORD got =
        WaitForSingleObject(taken[2], workers == 1 ? A_WHILE_MS : LIMIT_MS);
    printf("%d worker%s packet 2 %s\n", workers, workers == 1 ? ": " : "s:",
           got == WAIT_OBJECT_0 ? "is taken meanwhile"
                                : "stays in the queue until packet 1 goes on");
    if (!SetEvent(go_on))
        die_call("SetEvent", GetLastError());
    lab_wait(taken[2]);
}

int main(void)
{
    lab_begin("port_blocked");
    puts("a port that lets one thread run; packet 1 is taken, and blocks");
    for (workers = 1; workers <= 2; workers++)
        ask();
    return 0;
}
