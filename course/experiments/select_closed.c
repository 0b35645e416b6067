/* select_closed.c -- what does one closed socket in a set do to the others?
 *
 * It hides the others: the whole call fails, however many of them have bytes to
 * read, until the closed socket is out of the set.
 */
#include "course/experiments/lab/lab.h"

/* Which of the two can be read from? The second one may be left out. */
static const char *ask(SOCKET one, SOCKET two)
{
    struct timeval second = {1, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(one, &set);
    if (two != INVALID_SOCKET)
        FD_SET(two, &set);
    return lab_result(select(0, &set, NULL, NULL, &second));
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    SOCKET closed;
    SOCKET other_end;
    lab_begin("select_closed");
    lab_pair(&receiver, &sender);
    lab_pair(&closed, &other_end);
    lab_send(sender, 1);

    printf("two sockets, one has a byte to read: select() says %s\n",
           ask(receiver, closed));
    closesocket(closed);
    printf("the other one was closed, and stays in the set: %s\n",
           ask(receiver, closed));
    printf("without it: %s\n", ask(receiver, INVALID_SOCKET));
    return 0;
}
