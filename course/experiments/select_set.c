/* select_set.c -- what is an fd_set on Windows, and what is left out?
 *
 * On other systems it is a row of bits, one for each file number. Here it is an
 * array with a count: any socket value fits, but only FD_SETSIZE of them, which
 * is 64 unless the program says otherwise; this file does not.
 */
#include "course/experiments/lab/lab.h"

static void put(fd_set *set, SOCKET sock)
{
    FD_SET(sock, set); /* a macro, and a loop inside */
}

int main(void)
{
    SOCKET sender[66];
    SOCKET receiver[66];
    fd_set set;
    struct timeval second = {1, 0};
    lab_begin("select_set");
    printf("FD_SETSIZE is %d, an fd_set has %d bytes\n", FD_SETSIZE,
           (int)sizeof set);

    FD_ZERO(&set);
    for (int i = 0; i < 66; i++) {
        lab_pair(&receiver[i], &sender[i]);
        put(&set, receiver[i]);
    }
    printf("66 times FD_SET(), and the set holds %u\n", set.fd_count);
    printf("socket number 66 in the set: %s\n",
           FD_ISSET(receiver[65], &set) ? "yes" : "no");

    lab_send(sender[65], 1);
    printf("number 66 has a byte to read: select() says %s\n",
           lab_result(select(0, &set, NULL, NULL, &second)));
    FD_ZERO(&set);
    put(&set, receiver[65]);
    printf("alone in a set: select() says %s\n",
           lab_result(select(0, &set, NULL, NULL, &second)));
    return 0;
}
