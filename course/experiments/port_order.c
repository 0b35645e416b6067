/* port_order.c -- in which order do packets leave a port?
 *
 * They leave in the order in which they came, if one thread takes them. But
 * "taken" does not mean "handled": of two threads, the one that took the second
 * packet may be done first. Here the program posts the packets itself; those of
 * a WSARecv() wait in the same queue.
 */
#include "course/experiments/lab/lab.h"

enum { LIMIT_MS = 10000 };

static HANDLE port;
static HANDLE done[3];          /* event 1 for packet 1, 2 for packet 2 */
static volatile LONG done_many; /* interlocked */
static int done_order[2];

static void post(int first, int last)
{
    for (int key = first; key <= last; key++) {
        if (!PostQueuedCompletionStatus(port, 0, (ULONG_PTR)key, NULL))
            die_call("PostQueuedCompletionStatus", GetLastError());
    }
}

static int take(void)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    if (!GetQueuedCompletionStatus(port, &len, &key, &ov, LIMIT_MS))
        die_call("GetQueuedCompletionStatus", GetLastError());
    return (int)key;
}

/* Two threads run this, for one packet each. Packet 1 takes so long that packet
 * 2 is done before it. */
static void worker(void *unused)
{
    (void)unused;
    int key = take();
    if (key == 1)
        WaitForSingleObject(done[2], LIMIT_MS);
    done_order[InterlockedIncrement(&done_many) - 1] = key;
    if (!SetEvent(done[key]))
        die_call("SetEvent", GetLastError());
}

int main(void)
{
    OVERLAPPED_ENTRY entries[3];
    ULONG taken = 0;
    lab_begin("port_order");
    port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    done[1] = CreateEventW(NULL, TRUE, FALSE, NULL);
    done[2] = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (port == NULL || done[1] == NULL || done[2] == NULL)
        die_call("CreateIoCompletionPort or CreateEventW", GetLastError());

    post(1, 5);
    puts("posted, while no thread waits: 1 2 3 4 5");
    printf("taken one by one: %d", take());
    printf(" %d\n", take());
    if (!GetQueuedCompletionStatusEx(port, entries, 3, &taken, LIMIT_MS, FALSE))
        die_call("GetQueuedCompletionStatusEx", GetLastError());
    printf("taken by one call that has room for 3:");
    for (ULONG i = 0; i < taken; i++)
        printf(" %d", (int)entries[i].lpCompletionKey);

    lab_thread(worker, NULL);
    lab_thread(worker, NULL);
    post(1, 2);
    WaitForMultipleObjects(2, &done[1], TRUE, LIMIT_MS);
    printf("\ntwo threads, packet 1 takes long: done in the order %d %d\n",
           done_order[0], done_order[1]);
    return 0;
}
