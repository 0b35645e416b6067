/* flood.c -- see flood.h */
#include "common/win.h"

#include <process.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "programs/contract/flood.h"

enum { SENDS, RECEIVES, LOOK_MS = 50 };

/* After a call that has moved nothing: wait until it can. False: the flood is
 * over, or this connection. */
static bool wait_for(struct flood_client *client, short events)
{
    WSAPOLLFD fd = {client->sock, events, 0};
    while (WSAGetLastError() == WSAEWOULDBLOCK && !client->over) {
        if (WSAPoll(&fd, 1, LOOK_MS) > 0)
            return true;
        WSASetLastError(WSAEWOULDBLOCK); /* nothing yet: look again */
    }
    return false;
}

static unsigned __stdcall send_on(void *argument)
{
    static const char piece[16 * 1024];
    struct flood_client *client = argument;
    while (!client->over)
        if (send(client->sock, piece, (int)sizeof piece, 0) < 0 &&
            !wait_for(client, POLLWRNORM))
            break;
    return 0;
}

static unsigned __stdcall receive_on(void *argument)
{
    struct flood_client *client = argument;
    char bytes[16 * 1024];
    while (!client->over) {
        int len = recv(client->sock, bytes, (int)sizeof bytes, 0);
        if (len == 0 || (len < 0 && !wait_for(client, POLLRDNORM)))
            break;
        if (len > 0)
            InterlockedExchangeAdd64(&client->received, len);
    }
    return 0;
}

static bool client_begin(struct test *t, struct flood_client *client)
{
    static unsigned(__stdcall *const work[])(void *) = {
        [SENDS] = send_on, [RECEIVES] = receive_on};
    const struct sockaddr *to = (struct sockaddr *)&t->target->address;
    client->sock = WSASocketW(to->sa_family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                              WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (client->sock == INVALID_SOCKET)
        suite_broken("no socket for a flood: %s",
                     err_name((unsigned long)WSAGetLastError()));
    u_long on = 1;
    if (connect(client->sock, to, (int)sizeof t->target->address) ==
            SOCKET_ERROR ||
        ioctlsocket(client->sock, (long)FIONBIO, &on) == SOCKET_ERROR)
        return false;
    for (size_t i = 0; i < 2; i++) {
        client->threads[i] =
            (HANDLE)_beginthreadex(NULL, 0, work[i], client, 0, NULL);
        if (client->threads[i] == NULL)
            suite_broken("no thread for a flood");
    }
    return true;
}

struct flood *flood_begin(struct test *t, size_t count)
{
    struct flood *flood = xrealloc(NULL, sizeof *flood);
    memset(flood, 0, sizeof *flood);
    while (flood->count < count)
        if (!client_begin(t, &flood->clients[flood->count++])) {
            flood_end(flood);
            return NULL;
        }
    return flood;
}

uint64_t flood_received(const struct flood *flood)
{
    uint64_t all = 0;
    for (size_t i = 0; i < flood->count; i++)
        all += (uint64_t)InterlockedOr64(
            (volatile LONG64 *)&flood->clients[i].received, 0);
    return all;
}

void flood_end(struct flood *flood)
{
    for (size_t i = 0; i < flood->count; i++)
        InterlockedExchange(&flood->clients[i].over, 1);
    for (size_t i = 0; i < flood->count; i++) {
        struct flood_client *client = &flood->clients[i];
        for (size_t k = 0; k < 2 && client->threads[k] != NULL; k++) {
            (void)WaitForSingleObject(client->threads[k], INFINITE);
            CloseHandle(client->threads[k]);
        }
        closesocket(client->sock);
    }
    free(flood);
}
