/* keepalive_idle.c -- how does a server find clients that say nothing?
 *
 * With a time for each client, and a wait that ends when the first of these
 * times is over. No thread looks every second: with nothing to do the server
 * sleeps until there is something to do.
 */
#include "common/clock.h"
#include "course/experiments/lab/lab.h"

enum { CLIENTS = 2, IDLE_MS = 1500, TALKS = 6 };

struct conn {
    SOCKET sock;  /* INVALID_SOCKET: closed */
    double heard; /* clock_ms() at the last byte */
    int bytes;
};

static struct conn conns[CLIENTS];
static SOCKET far_ends[CLIENTS];

/* Client 0 sends a byte six times, and pauses much less than IDLE_MS between
 * two of them. Client 1 never sends one. */
static void talk(void *unused)
{
    (void)unused;
    for (int i = 0; i < TALKS; i++) {
        lab_send(far_ends[0], 1);
        Sleep(IDLE_MS / 5);
    }
}

static void add(fd_set *set, SOCKET sock)
{
    FD_SET(sock, set);
}

/* Put all clients into the set. Returns the time at which the first of them has
 * been silent for too long, or 0 if there is none. */
static double first_deadline(fd_set *set)
{
    double first = 0;
    FD_ZERO(set);
    for (int i = 0; i < CLIENTS; i++) {
        if (conns[i].sock == INVALID_SOCKET)
            continue;
        add(set, conns[i].sock);
        double until = conns[i].heard + IDLE_MS;
        if (first == 0 || until < first)
            first = until;
    }
    return first;
}

static void on_readable(struct conn *c)
{
    char buf[16];
    int len = recv(c->sock, buf, sizeof buf, 0);
    if (len <= 0)
        die_call("recv", WSAGetLastError());
    c->bytes += len;
    c->heard = clock_ms();
}

static void close_silent(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct conn *c = &conns[i];
        if (c->sock == INVALID_SOCKET || clock_left(c->heard + IDLE_MS) > 0)
            continue;
        printf("client %d is closed, after %d bytes\n", i, c->bytes);
        closesocket(c->sock);
        c->sock = INVALID_SOCKET;
    }
}

int main(void)
{
    double until;
    fd_set set;
    int waits = 0;
    lab_begin("keepalive_idle");
    for (int i = 0; i < CLIENTS; i++) {
        lab_pair(&conns[i].sock, &far_ends[i]);
        conns[i].heard = clock_ms();
    }
    lab_thread(talk, NULL);
    while ((until = first_deadline(&set)) != 0) {
        unsigned long left = clock_left(until);
        struct timeval limit = {(long)(left / 1000),
                                (long)(left % 1000) * 1000};
        if (select(0, &set, NULL, NULL, &limit) == SOCKET_ERROR)
            die_call("select", WSAGetLastError());
        waits++;
        for (int i = 0; i < CLIENTS; i++)
            if (conns[i].sock != INVALID_SOCKET &&
                FD_ISSET(conns[i].sock, &set))
                on_readable(&conns[i]);
        close_silent();
    }
    printf("the waits were %s\n", waits <= TALKS + 2 * CLIENTS
                                      ? "one for each thing that happened"
                                      : "too many");
    return 0;
}
