/* eventselect_all.c -- what if a server waits with fWaitAll TRUE?
 *
 * Then it waits until every client has something to say. One silent client holds
 * up all others. And the answer names nobody, because all of them are set.
 */
#include "course/experiments/lab/lab.h"

enum { CLIENTS = 3 };

static WSAEVENT events[CLIENTS];
static SOCKET far_ends[CLIENTS];

static void wait_for(BOOL all)
{
    DWORD got = WSAWaitForMultipleEvents(CLIENTS, events, all, 300, FALSE);
    if (got == WSA_WAIT_FAILED)
        die_call("WSAWaitForMultipleEvents", WSAGetLastError());
    if (got == WSA_WAIT_TIMEOUT)
        printf("  %s: WSA_WAIT_TIMEOUT\n", all ? "for all" : "for any");
    else
        printf("  %s: it ends, and says %lu\n", all ? "for all" : "for any",
               got - WSA_WAIT_EVENT_0);
}

static void send_one(int client)
{
    lab_send(far_ends[client], 1);
    lab_wait(events[client]);
}

int main(void)
{
    lab_begin("eventselect_all");
    for (int i = 0; i < CLIENTS; i++) {
        SOCKET sock;
        lab_pair(&sock, &far_ends[i]);
        events[i] = WSACreateEvent();
        if (events[i] == WSA_INVALID_EVENT ||
            WSAEventSelect(sock, events[i], FD_READ) == SOCKET_ERROR)
            die_call("WSACreateEvent or WSAEventSelect", WSAGetLastError());
    }
    puts("3 clients, and number 2 sends a byte:");
    send_one(2);
    wait_for(FALSE);
    wait_for(TRUE);
    puts("number 1 too:");
    send_one(1);
    wait_for(TRUE);
    puts("and number 0:");
    send_one(0);
    wait_for(TRUE);
    return 0;
}
