/* clients.c -- see clients.h */
#include "common/win.h"

#include <process.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "demo/clients.h"
#include "harness/clock.h"

enum {
    TRIPS = 4096,       /* round trips remembered per client, the latest */
    PATIENCE_MS = 20000 /* longest wait for one echo */
};

struct client {
    SOCKET sock;
    int number;
    double talk_until; /* clock_ms() */
    unsigned long trip_count;
    double trips[TRIPS]; /* milliseconds */
    char trouble[200];   /* empty: none */
};

static struct client clients[CLIENTS];
static int socket_count; /* the first so many have one */
static HANDLE threads[CLIENTS];
static DWORD thread_count;
static volatile LONG64 echoes;

/* ---- one client -------------------------------------------------------- */

static bool trouble(struct client *c, const char *format, ...)
{
    int len =
        snprintf(c->trouble, sizeof c->trouble,
                 "client %d, after %lu echoes: ", c->number, c->trip_count);
    va_list args;
    va_start(args, format);
    vsnprintf(c->trouble + len, sizeof c->trouble - (size_t)len, format, args);
    va_end(args);
    return false;
}

static bool call_trouble(struct client *c, const char *call)
{
    unsigned long code = (unsigned long)WSAGetLastError();
    return trouble(c, "%s: %s (%lu)", call, err_name(code), code);
}

/* Messages differ from client to client and from echo to echo, so that a
 * server which mixes up its clients is found out. */
static void compose(char *message, int client, unsigned long count)
{
    char text[128];
    snprintf(text, sizeof text,
             "client %d, echo %lu; the same again for every client and %lu "
             "times over, please",
             client, count, count);
    memcpy(message, text, MESSAGE);
}

static bool one_echo(struct client *c)
{
    char sent[MESSAGE];
    char back[MESSAGE];
    compose(sent, c->number, c->trip_count);
    double began = clock_ms();
    if (send(c->sock, sent, MESSAGE, 0) != MESSAGE)
        return call_trouble(c, "send");
    for (int have = 0, len = 0; have < MESSAGE; have += len) {
        len = recv(c->sock, back + have, MESSAGE - have, 0);
        if (len == SOCKET_ERROR)
            return call_trouble(c, "recv");
        if (len == 0)
            return trouble(c, "the server closed, with %d of %d bytes back",
                           have, MESSAGE);
    }
    c->trips[c->trip_count % TRIPS] = clock_ms() - began;
    for (int i = 0; i < MESSAGE; i++) {
        if (sent[i] != back[i])
            return trouble(c, "byte %d was sent as 0x%02x, came back as 0x%02x",
                           i, (unsigned char)sent[i], (unsigned char)back[i]);
    }
    c->trip_count++;
    InterlockedIncrement64(&echoes);
    return true;
}

static unsigned __stdcall client_run(void *arg)
{
    struct client *c = arg;
    while (clock_ms() < c->talk_until) {
        if (!one_echo(c))
            return 0;
    }
    /* Leave in the orderly way, and see that the server answers in kind. */
    char rest = 0;
    int len = SOCKET_ERROR;
    if (shutdown(c->sock, SD_SEND) != SOCKET_ERROR)
        len = recv(c->sock, &rest, 1, 0);
    if (len == SOCKET_ERROR)
        call_trouble(c, "half-close");
    else if (len > 0)
        trouble(c, "0x%02x came back but was never sent", (unsigned char)rest);
    return 0;
}

static bool client_connect(struct client *c, unsigned short port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    BOOL on = TRUE;
    DWORD patience = PATIENCE_MS;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                         WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (c->sock == INVALID_SOCKET)
        return call_trouble(c, "WSASocketW");
    socket_count++;
    if (setsockopt(c->sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                   sizeof on) == SOCKET_ERROR ||
        setsockopt(c->sock, SOL_SOCKET, SO_RCVTIMEO, (const char *)&patience,
                   sizeof patience) == SOCKET_ERROR)
        return call_trouble(c, "setsockopt");
    if (connect(c->sock, (const struct sockaddr *)&to, sizeof to) ==
        SOCKET_ERROR)
        return call_trouble(c, "connect");
    return true;
}

/* ---- all of them ------------------------------------------------------- */

bool clients_start(unsigned short port, unsigned long ms, char *why,
                   size_t size)
{
    echoes = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].number = i + 1;
        clients[i].trip_count = 0;
        clients[i].trouble[0] = '\0';
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (!client_connect(&clients[i], port)) {
            snprintf(why, size, "%s", clients[i].trouble);
            return false;
        }
    }
    double until = clock_ms() + ms;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].talk_until = until;
        uintptr_t thread =
            _beginthreadex(NULL, 0, client_run, &clients[i], 0, NULL);
        if (thread == 0) {
            snprintf(why, size, "client %d: no thread for it", i + 1);
            return false;
        }
        threads[thread_count++] = (HANDLE)thread;
    }
    return true;
}

bool clients_wait(unsigned long ms)
{
    DWORD got = WaitForMultipleObjects(thread_count, threads, TRUE, ms);
    if (got == WAIT_FAILED)
        die_call("WaitForMultipleObjects", GetLastError());
    return got != WAIT_TIMEOUT;
}

long long clients_echoes(void)
{
    return InterlockedCompareExchange64(&echoes, 0, 0);
}

const char *clients_trouble(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i].trouble[0] != '\0')
            return clients[i].trouble;
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double clients_median(void)
{
    static double all[CLIENTS * TRIPS];
    size_t count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        for (unsigned long n = 0; n < clients[i].trip_count && n < TRIPS; n++)
            all[count++] = clients[i].trips[n];
    }
    if (count == 0)
        return 0;
    qsort(all, count, sizeof all[0], by_size);
    return (all[(count - 1) / 2] + all[count / 2]) / 2;
}

void clients_finish(void)
{
    while (thread_count > 0) {
        HANDLE thread = threads[--thread_count];
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
    }
    while (socket_count > 0)
        closesocket(clients[--socket_count].sock);
}
