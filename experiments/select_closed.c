/* select_closed.c -- what does one closed socket in a set do to the others?
 *
 * Nothing is told about the others: the whole call fails, however many have
 * bytes to read, until the closed one is out.
 */
#include "experiments/lab.h"

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    SOCKET closed;
    SOCKET other_end;
    fd_set set;
    struct timeval second = {1, 0};
    lab_begin("select_closed");
    lab_pair(&receiver, &sender);
    lab_pair(&closed, &other_end);
    lab_send(sender, 1);

    FD_ZERO(&set);
    FD_SET(receiver, &set);
    FD_SET(closed, &set);
    printf("two sockets, one has a byte to read: select() says %s\n",
           lab_result(select(0, &set, NULL, NULL, &second)));

    closesocket(closed);
    FD_ZERO(&set);
    FD_SET(receiver, &set);
    FD_SET(closed, &set);
    printf("the other one was closed, and stays in the set: %s\n",
           lab_result(select(0, &set, NULL, NULL, &second)));

    FD_ZERO(&set);
    FD_SET(receiver, &set);
    printf("without it: %s\n",
           lab_result(select(0, &set, NULL, NULL, &second)));
    return 0;
}
