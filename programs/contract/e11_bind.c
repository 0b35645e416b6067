/* e11_bind.c -- E11: who may connect */
#include "common/win.h"

#include <string.h>

#include "programs/contract/peer.h"

/* All of 127.0.0.0/8 is this machine. So 127.0.0.2 shows whether a server
 * listens on 127.0.0.1 only or everywhere, without any network. */
static void loopback_only(struct test *t)
{
    own_server(t, TARGET_ALONE, NULL);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&t->target->address;
    struct sockaddr_in right = *v4;
    step(t, "connect to 127.0.0.2, the same port", "nobody listens there");
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    struct peer *p = peer_begin(t);
    p->tolerant = true;
    peer_settle(p, limit(t, ANSWER_MS));
    bool accepted = p->sock != INVALID_SOCKET;
    *v4 = right;
    if (accepted)
        fail(t,
             "The server listens on all addresses of the machine, and anybody "
             "in the network can use it. Bind to 127.0.0.1 (INADDR_LOOPBACK) "
             "unless --bind says otherwise.",
             "the connection was accepted");
}

static void everywhere_on_request(struct test *t)
{
    own_server(t, TARGET_PLAIN, (const char *[]){"--bind", "0.0.0.0", NULL});
    struct sockaddr_in *v4 = (struct sockaddr_in *)&t->target->address;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    step(t, "--bind 0.0.0.0: connect to 127.0.0.2", "it echoes");
    peer_echo(peer_connect(t), 100);
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    step(t, "look at standard error", "a warning");
    if (server_wait_text(t->target->process, SERVER_STDERR, "warning",
                         limit(t, ANSWER_MS)) != SERVER_WAIT_OK)
        fail(t,
             "Whoever opens a server to the network should know it: print a "
             "warning for any address that is not loopback.",
             "no warning");
}

static void ip_version_6(struct test *t)
{
    SOCKET probe = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
    struct sockaddr_in6 loopback = {0};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr.s6_addr[15] = 1;
    bool there =
        probe != INVALID_SOCKET &&
        bind(probe, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (probe != INVALID_SOCKET)
        closesocket(probe);
    if (!there)
        skip(t, "this machine has no IPv6");
    step(t, "--bind ::1", "the ready line says [::1]:PORT");
    own_server(t, TARGET_PLAIN, (const char *[]){"--bind", "::1", NULL});
    if (strcmp(t->target->ready.address, "::1") != 0)
        fail(t, "The address of --bind is not used.", "it says %s",
             t->target->ready.address);
    step(t, "connect over IPv6, echo 1000 bytes", "they come back");
    peer_echo(peer_connect(t), 1000);
}

const struct contract_case e11_bind[] = {
    {"E11.1", "loopback by default", 2, NEED_PROCESS, loopback_only},
    {"E11.2", "--bind 0.0.0.0 works and warns", 1, NEED_PROCESS | NEED_OPTIONS,
     everywhere_on_request},
    {"E11.3", "--bind ::1", 1, NEED_PROCESS | NEED_OPTIONS, ip_version_6},
    {NULL, NULL, 0, 0, NULL}};
