/* overlapped_routine_exit.c -- what if the thread that asked has ended?
 *
 * Then there is nobody who could run the routine, and the system cancels what
 * the thread had in flight. The socket is all right: it belongs to the process.
 */
#include "experiments/lab.h"

#include <process.h>

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

static unsigned __stdcall ask_and_end(void *arg)
{
    WSABUF room = {.buf = &byte, .len = 1};
    DWORD flags = 0;
    (void)arg;
    int said = WSARecv(receiver, &room, 1, NULL, &flags, &ov, on_recv);
    printf("a thread calls WSARecv() and ends: %s\n", lab_result(said));
    return 0;
}

int main(void)
{
    SOCKET sender;
    DWORD len = 0;
    DWORD flags = 0;
    DWORD limit = 5000; /* ms */
    lab_begin("overlapped_routine_exit");
    lab_pair(&receiver, &sender);
    if (setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, (const char *)&limit,
                   sizeof limit) == SOCKET_ERROR)
        die_call("setsockopt", WSAGetLastError());

    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, ask_and_end, NULL, 0, NULL);
    if (thread == NULL)
        die_call("_beginthreadex", GetLastError());
    if (WaitForSingleObject(thread, 10000) != WAIT_OBJECT_0)
        die_call("WaitForSingleObject", GetLastError());
    CloseHandle(thread);

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
