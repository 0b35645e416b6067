/* eventselect_reset.c -- who resets the event?
 *
 * WSAEnumNetworkEvents() does. It reads the record, clears it and resets the
 * event in one step, so that anything that comes later sets the event again. A
 * WSAResetEvent() after the work is done loses the news of anything that came
 * during the work.
 */
#include "course/experiments/lab/lab.h"

static SOCKET sender;
static SOCKET receiver;
static WSAEVENT event;

static const char *record(void)
{
    WSANETWORKEVENTS seen;
    if (WSAEnumNetworkEvents(receiver, event, &seen) == SOCKET_ERROR)
        die_call("WSAEnumNetworkEvents", WSAGetLastError());
    return seen.lNetworkEvents == FD_READ ? "FD_READ"
           : seen.lNetworkEvents == 0     ? "empty"
                                          : "something else";
}

static void read_one(void)
{
    char letter;
    if (recv(receiver, &letter, 1, 0) != 1)
        die_call("recv", WSAGetLastError());
}

/* One byte is handled. Meanwhile another one comes. */
static void handle(bool by_hand)
{
    printf("%s WSAResetEvent() after the work:\n",
           by_hand ? "with" : "without");
    lab_send(sender, 1);
    printf("  byte 1: the event is %s", lab_event(event, 5000));
    printf(", the record %s\n", record());
    read_one();
    lab_send(sender, 1);
    printf("  byte 2, before the work is done: the event is %s\n",
           lab_event(event, 5000));
    if (by_hand && !WSAResetEvent(event))
        die_call("WSAResetEvent", WSAGetLastError());
    printf("  the next wait, half a second: the event is %s\n",
           lab_event(event, 500));
    printf("  and the record holds: %s\n", record());
    read_one();
}

int main(void)
{
    lab_begin("eventselect_reset");
    lab_pair(&receiver, &sender);
    event = WSACreateEvent();
    if (event == WSA_INVALID_EVENT ||
        WSAEventSelect(receiver, event, FD_READ) == SOCKET_ERROR)
        die_call("WSACreateEvent or WSAEventSelect", WSAGetLastError());

    lab_send(sender, 1);
    printf("a byte comes: the event is %s\n", lab_event(event, 5000));
    printf("WSAEnumNetworkEvents() reads the record: %s\n", record());
    printf("the same call has reset the event: it is %s\n",
           lab_event(event, 0));
    printf("and has cleared the record: %s\n", record());
    read_one();

    handle(false);
    handle(true);
    return 0;
}
