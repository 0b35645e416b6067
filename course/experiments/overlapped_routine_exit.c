/* overlapped_routine_exit.c -- what if the thread that asked has ended?
 *
 * Then no thread can run the routine, and the system cancels the operations
 * that the thread had in flight. The socket stays usable: it belongs to the
 * process.
 */
#include "course/experiments/lab/lab.h"

static SOCKET receiver;
static OVERLAPPED ov; /* static: they have to outlive the thread */
static char byte;
static volatile LONG runs;

static void CALLBACK on_recv(DWORD err, DWORD len, OVERLAPPED *done,
                             DWORD flags)
{
    (void)err;
    (void)len;
    (void)done;
    (void)flags;
    InterlockedIncrement(&runs);
}

static void ask_and_end(void *unused)
{
    WSABUF room = {.buf = &byte, .len = 1};
    DWORD flags = 0;
    (void)unused;
    int said = WSARecv(receiver, &room, 1, NULL, &flags, &ov, on_recv);
    printf("a thread calls WSARecv() and ends: %s\n", lab_result(said));
}

int main(void)
{
    SOCKET sender;
    DWORD len = 0;
    DWORD flags = 0;
    lab_begin("overlapped_routine_exit");
    lab_pair(&receiver, &sender);
    lab_limit(receiver, 5000);

    lab_wait(lab_thread(ask_and_end, NULL));
    SleepEx(300, TRUE);
    BOOL done = WSAGetOverlappedResult(receiver, &ov, &len, FALSE, &flags);
    printf("its operation: %s\n",
           lab_error(done ? 0 : (unsigned long)WSAGetLastError()));
    lab_send(sender, 1);
    SleepEx(300, TRUE);
    printf("a byte comes, and the routine has run: %s\n",
           runs == 0 ? "no" : "yes");
    printf("another thread calls recv(): %s\n",
           lab_result(recv(receiver, &byte, 1, 0)));
    return 0;
}
