/* overlapped_routine_when.c -- when does a routine run, and on which thread?
 *
 * It is not enough that its operation is done. The routine runs inside an
 * alertable wait of the thread that asked: not in other sleeps of that thread,
 * and not in the sleep of another thread. So a thread that works, or sleeps in
 * another way, keeps all its clients waiting, and no other thread can serve
 * them.
 *
 * On Windows WSARecv() may also say WSA_IO_PENDING here; the rest is the same.
 */
#include "course/experiments/lab/lab.h"

static volatile LONG runs;
static DWORD ran_on; /* the id of the thread */

static void CALLBACK on_recv(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags)
{
    (void)err;
    (void)len;
    (void)ov;
    (void)flags;
    InterlockedIncrement(&runs);
    ran_on = GetCurrentThreadId();
}

static void sleep_alertably(void *slept)
{
    SleepEx(300, TRUE);
    SetEvent(*(HANDLE *)slept);
}

static void tell(const char *after)
{
    printf("after %s the routine has run: %s\n", after,
           runs == 0 ? "no" : "yes");
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    OVERLAPPED ov = {0};
    char byte;
    WSABUF room = {.buf = &byte, .len = 1};
    DWORD flags = 0;
    lab_begin("overlapped_routine_when");
    HANDLE slept = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (slept == NULL)
        die_call("CreateEventW", GetLastError());
    lab_pair(&receiver, &sender);
    lab_send(sender, 1);
    Sleep(300); /* until it is there for sure */

    int said = WSARecv(receiver, &room, 1, NULL, &flags, &ov, on_recv);
    printf("a byte is there, WSARecv() says %s\n",
           said == 0 ? "0: done at once" : lab_result(said));
    tell("WSARecv()");
    Sleep(300);
    tell("Sleep()");
    SleepEx(300, FALSE);
    tell("SleepEx() with FALSE");
    lab_thread(sleep_alertably, &slept);
    lab_wait(slept);
    tell("another thread's SleepEx() with TRUE");

    DWORD got = SleepEx(5000, TRUE);
    tell("SleepEx() with TRUE");
    printf("SleepEx() says %s, and the routine ran on %s\n",
           got == WAIT_IO_COMPLETION ? "WAIT_IO_COMPLETION" : "timeout",
           ran_on == GetCurrentThreadId() ? "the thread that asked"
                                          : "another thread");
    return 0;
}
