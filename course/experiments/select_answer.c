/* select_answer.c -- are the sets a question or an answer, and does it poll?
 *
 * They are both: select() overwrites them. And it does not poll: it sleeps, and
 * wakes up when something comes.
 */
#include "common/clock.h"
#include "course/experiments/lab/lab.h"

static double sent_at; /* by clock_ms() */

static void send_later(void *sock)
{
    Sleep(300);
    sent_at = clock_ms();
    lab_send(*(SOCKET *)sock, 1);
}

static void ask_who_can_be_read(SOCKET sender, SOCKET receiver, SOCKET silent)
{
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(receiver, &readable);
    FD_SET(silent, &readable);
    lab_thread(send_later, &sender);
    int ready = select(0, &readable, NULL, NULL, NULL);
    double late = clock_ms() - sent_at;
    printf("asked about 2 sockets, a byte comes for one: %s\n",
           lab_result(ready));
    printf("the set now holds %u, and it is %s\n", readable.fd_count,
           FD_ISSET(receiver, &readable) ? "the one with the byte"
                                         : "the other one");
    printf("select() was back %s\n",
           late < 100 ? "at once" : "only after a while");
}

static void ask_who_can_be_written_to(SOCKET silent)
{
    fd_set writable;
    FD_ZERO(&writable);
    FD_SET(silent, &writable);
    printf("asked who can be written to, with no timeout: %s at once\n",
           lab_result(select(0, NULL, &writable, NULL, NULL)));
    puts("so a program that always asks for that never sleeps");
}

int main(void)
{
    SOCKET sender;
    SOCKET receiver;
    SOCKET silent;
    SOCKET other_end;
    lab_begin("select_answer");
    lab_pair(&receiver, &sender);
    lab_pair(&silent, &other_end);
    ask_who_can_be_read(sender, receiver, silent);
    ask_who_can_be_written_to(silent);
    return 0;
}
