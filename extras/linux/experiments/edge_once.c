/* edge_once.c -- what happens when a server asks epoll for edges (EPOLLET), and
 * reads only once each time that it is told?
 *
 * It is told of bytes that come, not of bytes that are there. A client that has
 * sent 100 bytes and waits for all of them to come back waits for ever.
 */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extras/linux/common/err.h"

enum { SENT = 100, PIECE = 10 };

/* Longer than that is for ever, or this program would not end. */
enum { FOR_EVER_MS = 500 };

struct server {
    int epoll;
    int sock;
    unsigned events;  /* what it asks for */
    bool until_empty; /* it reads until EAGAIN */
    bool ask_again;   /* or it registers anew after each read */
    int told;
    int got; /* bytes */
};

static void ask(struct server *s, int how)
{
    struct epoll_event event = {.events = s->events};
    if (epoll_ctl(s->epoll, how, s->sock, &event) < 0)
        die_call("epoll_ctl", errno);
}

static void on_readable(struct server *s)
{
    char buf[PIECE];
    ssize_t len;
    while ((len = recv(s->sock, buf, sizeof buf, MSG_DONTWAIT)) > 0) {
        s->got += (int)len;
        if (!s->until_empty)
            break;
    }
    if (len < 0 && errno != EAGAIN)
        die_call("recv", errno);
    if (s->ask_again)
        ask(s, EPOLL_CTL_MOD);
}

/* Until nobody tells it of anything any more. */
static void serve(struct server *s)
{
    struct epoll_event event;
    int ready;
    while ((ready = epoll_wait(s->epoll, &event, 1, FOR_EVER_MS)) > 0) {
        s->told++;
        on_readable(s);
    }
    if (ready < 0)
        die_call("epoll_wait", errno);
}

static void send_bytes(int sock, size_t len)
{
    char bytes[SENT] = {0};
    if (send(sock, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        die_call("send", errno);
}

static void tell(const struct server *s, const char *name, int of)
{
    printf("%-30s told %2d x, got %3d of %d bytes%s\n", name, s->told, s->got,
           of, s->got < of ? ": nobody tells of the rest" : "");
}

static void try_out(const char *name, struct server s)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        die_call("socketpair", errno);
    s.sock = pair[0];
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s.epoll < 0)
        die_call("epoll_create1", errno);
    ask(&s, EPOLL_CTL_ADD);

    send_bytes(pair[1], SENT);
    serve(&s);
    tell(&s, name, SENT);
    if (s.got < SENT) {
        send_bytes(pair[1], 1);
        serve(&s);
        tell(&s, "  one byte more comes:", SENT + 1);
    }
    close(s.epoll);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    err_program("edge_once");
    printf("100 bytes come at once; a read takes 10 of them.\n");
    try_out("level, read once:", (struct server){.events = EPOLLIN});
    try_out("edge, read once:", (struct server){.events = EPOLLIN | EPOLLET});
    try_out("edge, read until EAGAIN:",
            (struct server){.events = EPOLLIN | EPOLLET, .until_empty = true});
    try_out("edge, read once, ask again:",
            (struct server){.events = EPOLLIN | EPOLLET, .ask_again = true});
    return 0;
}
