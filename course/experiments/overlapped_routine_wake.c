/* overlapped_routine_wake.c -- what does a wait say when routines have run?
 *
 * It says WSA_WAIT_IO_COMPLETION: no error, no timeout, and no event. That
 * comes once, after all routines that were due, and says neither which routines
 * ran nor how many. There is no array, so there is no limit of 64.
 */
#include "course/experiments/lab/lab.h"

enum { CLIENTS = 100 };

static unsigned runs;

static void CALLBACK on_recv(DWORD err, DWORD len, OVERLAPPED *ov, DWORD flags)
{
    (void)ov;
    (void)flags;
    if (err == 0 && len == 1)
        runs++;
}

static const char *wait_result(DWORD got)
{
    switch (got) {
    case WSA_WAIT_EVENT_0: return "WSA_WAIT_EVENT_0";
    case WSA_WAIT_IO_COMPLETION: return "WSA_WAIT_IO_COMPLETION";
    case WSA_WAIT_TIMEOUT: return "WSA_WAIT_TIMEOUT";
    default: return "WSA_WAIT_FAILED";
    }
}

int main(void)
{
    SOCKET sender[CLIENTS];
    SOCKET receiver[CLIENTS];
    static OVERLAPPED ov[CLIENTS]; /* the system's until the routine runs */
    static char bytes[CLIENTS];
    lab_begin("overlapped_routine_wake");
    WSAEVENT event = WSACreateEvent(); /* nobody sets it */
    if (event == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());

    for (int i = 0; i < CLIENTS; i++) {
        lab_pair(&receiver[i], &sender[i]);
        lab_send(sender[i], 1);
    }
    Sleep(300); /* until all bytes are there for sure */
    for (int i = 0; i < CLIENTS; i++) {
        WSABUF room = {.buf = &bytes[i], .len = 1};
        DWORD flags = 0;
        if (WSARecv(receiver[i], &room, 1, NULL, &flags, &ov[i], on_recv) ==
                SOCKET_ERROR &&
            WSAGetLastError() != WSA_IO_PENDING)
            die_call("WSARecv", WSAGetLastError());
    }
    printf("%d receives are done; one event, which nobody sets\n", CLIENTS);

    DWORD got = WSAWaitForMultipleEvents(1, &event, FALSE, 5000, TRUE);
    printf("the wait says %s (%lu)\n", wait_result(got), got);
    printf("routines that ran in it: %u\n", runs);
    printf("taken for an event, it would be number %lu of 1\n",
           got - WSA_WAIT_EVENT_0);
    got = WSAWaitForMultipleEvents(1, &event, FALSE, 200, TRUE);
    printf("wait again, for 200 ms: %s (%lu)\n", wait_result(got), got);
    return 0;
}
