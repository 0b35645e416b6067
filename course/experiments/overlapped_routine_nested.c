/* overlapped_routine_nested.c -- what if a routine waits?
 *
 * An alertable wait inside a routine runs the next one on top of it, on the
 * same stack, before the first has ended. Here SleepEx() stands for all calls
 * that may wait alertably. On Windows blocking Winsock calls may do so too. In
 * a routine that itself runs inside such a call their effect is undefined, so
 * no experiment shows them.
 *
 * The system does not nest the routines of one socket: so here are three
 * sockets.
 */
#include "course/experiments/lab/lab.h"

enum { CLIENTS = 3 };

static bool waits; /* inside the routine? */
static int depth;

static void CALLBACK on_recv(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags)
{
    (void)err;
    (void)len;
    (void)ov;
    (void)flags;
    printf("%*sa routine begins\n", depth * 4, "");
    depth++;
    if (waits)
        SleepEx(200, TRUE);
    depth--;
    printf("%*sit ends\n", depth * 4, "");
}

static void ask_and_sleep(const SOCKET *receiver)
{
    static OVERLAPPED ov[CLIENTS]; /* the system's until the routine runs */
    static char bytes[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        WSABUF room = {.buf = &bytes[i], .len = 1};
        DWORD flags = 0;
        ov[i] = (OVERLAPPED){0};
        if (WSARecv(receiver[i], &room, 1, NULL, &flags, &ov[i], on_recv) ==
                SOCKET_ERROR &&
            WSAGetLastError() != WSA_IO_PENDING)
            die_call("WSARecv", WSAGetLastError());
    }
    SleepEx(5000, TRUE);
}

int main(void)
{
    SOCKET sender[CLIENTS];
    SOCKET receiver[CLIENTS];
    lab_begin("overlapped_routine_nested");
    for (int i = 0; i < CLIENTS; i++) {
        lab_pair(&receiver[i], &sender[i]);
        lab_send(sender[i], 2);
    }
    Sleep(300); /* until all bytes are there for sure */

    puts("three routines that do not wait, one SleepEx():");
    ask_and_sleep(receiver);
    puts("three routines that each call SleepEx() with TRUE:");
    waits = true;
    ask_and_sleep(receiver);
    return 0;
}
