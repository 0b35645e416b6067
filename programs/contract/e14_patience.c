/* e14_patience.c -- E14: a client that says nothing stays connected
 *
 * This takes time, so the client is there from the start of the suite, on a
 * server of its own, and says nothing while the other cases run.
 */
#include "common/win.h"

#include <string.h>

#include "common/clock.h"
#include "programs/contract/peer.h"

enum { IDLE_MS = 20 * 1000 };

/* One of them is enough: there is one suite. */
static struct {
    struct target *target; /* NULL: none is held */
    SOCKET sock;
    double since;
    char why[1024]; /* why the server of its own did not start */
} idle = {.sock = INVALID_SOCKET};

/* Send a byte and get it back. */
static bool one_echo(unsigned long ms)
{
    char byte = 'x';
    WSAPOLLFD fd = {idle.sock, POLLRDNORM, 0};
    return send(idle.sock, &byte, 1, 0) == 1 && WSAPoll(&fd, 1, (INT)ms) == 1 &&
           recv(idle.sock, &byte, 1, 0) == 1 && byte == 'x';
}

/* Whether there is no end of the connection at once: that would be another
 * mistake than the one of this case. */
static bool stays_open(void)
{
    enum { AT_ONCE_MS = 200 };
    WSAPOLLFD fd = {idle.sock, POLLRDNORM, 0};
    return WSAPoll(&fd, 1, AT_ONCE_MS) == 0;
}

void idle_begin(struct suite *suite)
{
    if (idle.target != NULL || suite->connect_given)
        return;
    idle.target =
        target_start(suite, TARGET_PLAIN, NULL, idle.why, sizeof idle.why);
    if (idle.target == NULL)
        return;
    const struct sockaddr *to = (struct sockaddr *)&idle.target->address;
    idle.sock = target_connection(idle.target);
    if (idle.sock == INVALID_SOCKET ||
        (connect(idle.sock, to, (int)sizeof idle.target->address) ==
             SOCKET_ERROR &&
         WSAGetLastError() != WSAEISCONN) ||
        !one_echo((unsigned long)(ANSWER_MS * suite->scale)) || !stays_open()) {
        snprintf(
            idle.why, sizeof idle.why,
            "the byte does not come back, or the connection ends after it");
        idle_end();
    }
    idle.since = clock_ms();
}

void idle_end(void)
{
    if (idle.sock != INVALID_SOCKET)
        closesocket(idle.sock);
    idle.sock = INVALID_SOCKET;
    target_free(idle.target);
    idle.target = NULL;
}

static void long_silence(struct test *t)
{
    unsigned long least = stillness(t, IDLE_MS);
    step(t, "connect a client to a server of its own, send 1 byte",
         "it comes back, and the connection stays");
    idle_begin(t->suite);
    if (idle.target == NULL)
        fail(t,
             "The first step already fails; other cases tell more about that.",
             "%s", idle.why);
    step(t, "say nothing for %lu ms or, while other cases run, longer",
         "the connection stays", least);
    double still = least - (clock_ms() - idle.since);
    if (still > 0)
        Sleep((DWORD)still); /* the time itself is what the client waits for */
    double silent = clock_ms() - idle.since;
    step(t, "send 1 byte", "it comes back within %lu ms", limit(t, ANSWER_MS));
    bool good = one_echo(limit(t, ANSWER_MS));
    idle_end();
    if (!good)
        fail(t,
             "A client that was silent is not served any more. Usual causes: "
             "a time-out (SO_RCVTIMEO, or that of a wait) taken for the end "
             "of the connection, or idle clients are closed on purpose.",
             "after a silence of %.1f s a byte did not come back",
             silent / 1000);
}

const struct contract_case e14_patience[] = {
    {"E14.1", "a client that was silent for 20 s is served", 2, NEED_PROCESS,
     long_silence},
    {NULL, NULL, 0, 0, NULL}};
