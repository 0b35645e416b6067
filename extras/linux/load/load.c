/* load.c -- a load for echo servers that needs no Wine: tools/speed.py's client
 *
 * load PORT CLIENTS BYTES SECONDS
 *
 * Each client sends so many bytes, waits until they are back, compares every one
 * of them, and sends the next ones. No two messages are alike. They come one after
 * the other, and each has an echo before the next one comes. A third of a second
 * later comes the line `begin`, and at the end one of JSON: what was measured in
 * between. When the time is over all that is owed is waited for. A wrong byte, a
 * connection that ends, and ten seconds in which something is owed are exit code 1.
 */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP_US  333333u
#define PATIENCE_US 10000000u

enum { MOST_BYTES = 1 << 20, READY = 256 };

struct client {
    int sock;
    unsigned number;
    unsigned echoes;
    size_t sent; /* of this message */
    size_t back; /* of these */
    uint64_t since;
    bool wants_room; /* EPOLLOUT is asked for */
};

struct load {
    int poll;
    size_t bytes;
    struct client *clients;
    unsigned count;

    unsigned owed; /* echoes that have begun and not ended */
    double seconds;
    uint64_t begin; /* of what is measured */
    uint64_t end;
    uint32_t *waits; /* of each echo that ended in between, in us */
    size_t echoes;
    size_t room;
    size_t all;     /* echoes since `begin`, also those that ended later */
    uint64_t worst; /* wait of any of these */
};

/* Twice as long as a message, so that each can begin anywhere. */
static unsigned char noise[2 * MOST_BYTES];

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static const unsigned char *message(const struct client *c)
{
    uint32_t mixed = c->number * 2654435761u + c->echoes * 40503u;
    return noise + mixed % MOST_BYTES;
}

static void ask(const struct load *load, struct client *c, bool room, int how)
{
    struct epoll_event event = {.events = EPOLLIN | (room ? EPOLLOUT : 0u),
                                .data.ptr = c};
    if (epoll_ctl(load->poll, how, c->sock, &event) != 0)
        fail("epoll_ctl");
    c->wants_room = room;
}

static void send_on(const struct load *load, struct client *c)
{
    while (c->sent < load->bytes) {
        ssize_t len = send(c->sock, message(c) + c->sent, load->bytes - c->sent,
                           MSG_NOSIGNAL);
        if (len < 0 && errno != EAGAIN)
            fail("send");
        if (len < 0)
            break;
        c->sent += (size_t)len;
    }
    bool room = c->sent < load->bytes;
    if (room != c->wants_room)
        ask(load, c, room, EPOLL_CTL_MOD);
}

static void begin(struct load *load, struct client *c)
{
    load->owed++;
    c->sent = c->back = 0;
    c->since = now_us();
    send_on(load, c);
}

static void keep_wait(struct load *load, uint64_t wait)
{
    if (load->echoes == load->room) {
        load->room = 2 * load->room + 4096;
        load->waits = realloc(load->waits, load->room * sizeof *load->waits);
        if (load->waits == NULL)
            fail("realloc");
    }
    load->waits[load->echoes++] = (uint32_t)wait;
}

static void receive(struct load *load, struct client *c)
{
    static unsigned char got[1 << 18];
    ssize_t len = recv(c->sock, got, sizeof got, 0);
    if (len < 0 && errno == EAGAIN)
        return;
    if (len < 0)
        fail("recv");
    if (len == 0 || c->back + (size_t)len > c->sent ||
        memcmp(got, message(c) + c->back, (size_t)len) != 0) {
        fprintf(stderr, "load: client %u, echo %u: %s\n", c->number, c->echoes,
                len == 0 ? "the end" : "a wrong byte");
        exit(1);
    }
    c->back += (size_t)len;
    if (c->back < load->bytes)
        return;
    uint64_t now = now_us();
    uint64_t wait = now - c->since;
    bool measured = now >= load->begin;
    if (measured && now < load->end)
        keep_wait(load, wait);
    if (measured && wait > load->worst)
        load->worst = wait;
    load->all += measured;
    load->owed--;
    c->echoes++;
    if (now < load->end)
        begin(load, c);
}

static void join(struct load *load, struct client *c, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = PATIENCE_US / 1000000u};
    int on = 1;
    char one = 0;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->sock = socket(AF_INET, SOCK_STREAM, 0);
    if (c->sock < 0 ||
        connect(c->sock, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(c->sock, SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof patience) != 0 ||
        send(c->sock, "x", 1, MSG_NOSIGNAL) != 1 ||
        recv(c->sock, &one, 1, 0) != 1 || one != 'x' ||
        fcntl(c->sock, F_SETFL, O_NONBLOCK) != 0)
        fail("connect");
    ask(load, c, false, EPOLL_CTL_ADD);
}

static void run(struct load *load)
{
    struct epoll_event ready[READY];
    bool told = false;
    while (load->owed > 0) {
        uint64_t now = now_us();
        if (now > load->end + PATIENCE_US) {
            fprintf(stderr, "load: %u clients still wait\n", load->owed);
            exit(1);
        }
        if (!told && now >= load->begin) {
            puts("begin");
            fflush(stdout);
            told = true;
        }
        int count = epoll_wait(load->poll, ready, READY, 10);
        if (count < 0)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct client *c = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT)
                send_on(load, c);
            if (ready[i].events & ~(uint32_t)EPOLLOUT)
                receive(load, c);
        }
    }
}

static int longer(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

static void report(struct load *load)
{
    uint32_t median = 0;
    if (load->echoes > 0) {
        qsort(load->waits, load->echoes, sizeof *load->waits, longer);
        median = load->waits[load->echoes / 2];
    }
    printf("{\"echoes\":%zu,\"all_echoes\":%zu,\"seconds\":%.6f,"
           "\"median_us\":%u,\"worst_us\":%llu}\n",
           load->echoes, load->all, load->seconds, median,
           (unsigned long long)load->worst);
}

int main(int argc, char **argv)
{
    struct load load = {.poll = epoll_create1(0)};
    struct rlimit files;
    if (argc != 5) {
        fputs("usage: load PORT CLIENTS BYTES SECONDS\n", stderr);
        return 2;
    }
    unsigned long port = strtoul(argv[1], NULL, 10);
    load.count = (unsigned)strtoul(argv[2], NULL, 10);
    load.bytes = strtoul(argv[3], NULL, 10);
    load.seconds = strtod(argv[4], NULL);
    if (port == 0 || port > 65535 || load.count == 0 || load.bytes == 0 ||
        load.bytes > MOST_BYTES || !(load.seconds > 0)) {
        fputs("load: the numbers make no sense\n", stderr);
        return 2;
    }
    uint32_t state = 2463534242u;
    for (size_t i = 0; i < sizeof noise; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        noise[i] = (unsigned char)state;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    load.clients = calloc(load.count, sizeof *load.clients);
    if (load.poll < 0 || load.clients == NULL)
        fail("start");
    for (unsigned i = 0; i < load.count; i++) {
        load.clients[i].number = i + 1;
        join(&load, &load.clients[i], (uint16_t)port);
    }
    load.begin = now_us() + WARM_UP_US;
    load.end = load.begin + (uint64_t)(load.seconds * 1e6);
    for (unsigned i = 0; i < load.count; i++)
        begin(&load, &load.clients[i]);
    run(&load);
    report(&load);
    return 0;
}
