/* overlapped_routine_newcomer.c -- how does a newcomer reach its worker?
 *
 * The worker itself has to post the first WSARecv(). A variable with a flag
 * holds one newcomer, and the next one overwrites it. QueueUserAPC() puts a
 * call into that thread's queue. All calls in the queue run in the thread's
 * next alertable wait.
 */
#include "course/experiments/lab/lab.h"

static volatile LONG slot;    /* the classic tutorial's way: the newcomer */
static volatile LONG arrived; /* ... and a flag */
static volatile LONG added;   /* newcomers that came by the queue */
static HANDLE busy;           /* set: the worker has begun its work */
static HANDLE over;           /* set: its work is over */

static void CALLBACK worker_add(ULONG_PTR number)
{
    printf("from the queue: newcomer %d\n", (int)number);
    InterlockedIncrement(&added);
}

static void worker_main(void *unused)
{
    (void)unused;
    SetEvent(busy);
    /* This wait stands for work. Like work, it is not alertable. */
    if (WaitForSingleObject(over, 10000) != WAIT_OBJECT_0)
        die_call("WaitForSingleObject", GetLastError());
    while (InterlockedExchange(&arrived, FALSE))
        printf("from the variable: newcomer %ld\n", slot);
    DWORD got = SleepEx(5000, TRUE);
    printf("one SleepEx(), and it says %s\n",
           got == WAIT_IO_COMPLETION ? "WAIT_IO_COMPLETION" : "timeout");
}

int main(void)
{
    lab_begin("overlapped_routine_newcomer");
    busy = CreateEventW(NULL, TRUE, FALSE, NULL);
    over = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (busy == NULL || over == NULL)
        die_call("CreateEventW", GetLastError());
    HANDLE worker = lab_thread(worker_main, NULL);
    lab_wait(busy);

    for (LONG i = 1; i <= 3; i++) {
        slot = i;
        InterlockedExchange(&arrived, TRUE);
        if (!QueueUserAPC(worker_add, worker, (ULONG_PTR)i))
            die_call("QueueUserAPC", GetLastError());
    }
    Sleep(300);
    printf("three newcomers while the worker is busy: it has added %ld\n",
           added);
    SetEvent(over);
    lab_wait(worker);
    return 0;
}
