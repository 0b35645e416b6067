/* test_net.c -- the listening socket, and how addresses are written */
#include "common/win.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/net.h"
#include "tests/unit/unit.h"

static struct args args_for(const char *address, unsigned port)
{
    struct args args = {.address_len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args.address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&args.address;
    if (InetPtonA(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
    } else if (InetPtonA(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        args.address_len = sizeof *v6;
    }
    v4->sin_port = htons((unsigned short)port); /* same place in both */
    return args;
}

static unsigned port_of(SOCKET sock)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    CHECK_INT(getsockname(sock, (struct sockaddr *)&address, &len), 0);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* A client's connection to a listener of ours. */
static SOCKET connect_to(SOCKET listener)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    CHECK_INT(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    SOCKET sock = socket(address.ss_family, SOCK_STREAM, IPPROTO_TCP);
    CHECK(sock != INVALID_SOCKET);
    CHECK_INT(connect(sock, (struct sockaddr *)&address, len), 0);
    return sock;
}

static bool has_ipv6(void)
{
    struct args args = args_for("::1", 0);
    SOCKET sock = socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
    bool has =
        sock != INVALID_SOCKET &&
        bind(sock, (struct sockaddr *)&args.address, args.address_len) == 0;
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    return has;
}

static void names(void)
{
    static const struct {
        const char *address;
        unsigned port;
        const char *name;
    } rows[] = {{"127.0.0.1", 5566, "127.0.0.1:5566"},
                {"0.0.0.0", 0, "0.0.0.0:0"},
                {"255.255.255.255", 65535, "255.255.255.255:65535"},
                {"::1", 5566, "[::1]:5566"},
                {"::", 1, "[::]:1"},
                {"2001:db8:0:0:1:0:0:1", 80, "[2001:db8::1:0:0:1]:80"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[NET_NAME_SIZE];
        struct args args = args_for(rows[i].address, rows[i].port);
        net_name(&args.address, name, sizeof name);
        CHECK_TEXT(name, rows[i].name);
    }
}

static void longest_name_fits_and_small_buffer_is_safe(void)
{
    struct args args =
        args_for("1111:2222:3333:4444:5555:6666:7777:8888", 65535);
    char name[NET_NAME_SIZE];
    net_name(&args.address, name, sizeof name);
    CHECK_TEXT(name, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
    char small[8];
    memset(small, '#', sizeof small);
    net_name(&args.address, small, 6);
    CHECK_TEXT(small, "[1111");
    CHECK_INT(small[6], '#');
}

static void port_0_gives_a_port_that_accepts(void)
{
    struct args args = args_for("127.0.0.1", 0);
    SOCKET listener = net_listen(&args);
    unsigned port = port_of(listener);
    char name[NET_NAME_SIZE];
    char expected[NET_NAME_SIZE];
    CHECK(port > 0);
    snprintf(expected, sizeof expected, "127.0.0.1:%u", port);
    net_local_name(listener, name, sizeof name);
    CHECK_TEXT(name, expected);

    SOCKET client = connect_to(listener);
    SOCKET conn = accept(listener, NULL, NULL);
    CHECK(conn != INVALID_SOCKET);
    closesocket(conn);
    closesocket(client);
    closesocket(listener);
}

static void listens_on_ipv6(void)
{
    if (!has_ipv6()) {
        printf("       (no IPv6 on this machine: not tested)\n");
        return;
    }
    struct args args = args_for("::1", 0);
    SOCKET listener = net_listen(&args);
    char name[NET_NAME_SIZE];
    net_local_name(listener, name, sizeof name);
    CHECK_HAS(name, "[::1]:");
    CHECK(atoi(name + 6) > 0);
    SOCKET client = connect_to(listener);
    closesocket(client);
    closesocket(listener);
}

static int option(SOCKET sock, int level, int name)
{
    int value = 0;
    int len = sizeof value;
    CHECK_INT(getsockopt(sock, level, name, (char *)&value, &len), 0);
    return value;
}

static DWORD inheritable(SOCKET sock)
{
    DWORD flags = HANDLE_FLAG_INHERIT;
    CHECK(GetHandleInformation((HANDLE)sock, &flags));
    return flags & HANDLE_FLAG_INHERIT;
}

static void options_of_listener_and_connection(void)
{
    struct args args = args_for("127.0.0.1", 0);
    SOCKET listener = net_listen(&args);
    SOCKET client = connect_to(listener);
    SOCKET conn = accept(listener, NULL, NULL);
    CHECK(option(listener, SOL_SOCKET, SO_EXCLUSIVEADDRUSE) != 0);
    CHECK_INT(option(listener, SOL_SOCKET, SO_REUSEADDR), 0);
    CHECK(option(conn, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK_INT(inheritable(listener), 0);
    CHECK(SetHandleInformation((HANDLE)conn, HANDLE_FLAG_INHERIT,
                               HANDLE_FLAG_INHERIT));
    net_no_inherit(conn);
    CHECK_INT(inheritable(conn), 0);
    closesocket(conn);
    closesocket(client);
    closesocket(listener);
}

static void burst_of_150_waits_in_the_backlog(void)
{
    enum { BURST = 150 };
    SOCKET burst[BURST];
    int count = 0;
    bool connected = true;
    struct args args = args_for("127.0.0.1", 0);
    SOCKET listener = net_listen(&args); /* nobody accepts */
    args = args_for("127.0.0.1", port_of(listener));
    while (connected && count < BURST) {
        u_long on = 1;
        struct timeval patience = {.tv_sec = 10};
        SOCKET sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
        fd_set done = {.fd_count = 1, .fd_array = {sock}};
        CHECK_INT(ioctlsocket(sock, (long)FIONBIO, &on), 0);
        (void)connect(sock, (struct sockaddr *)&args.address, args.address_len);
        test_note("connection %d", count + 1);
        connected = CHECK_INT(select(0, NULL, &done, NULL, &patience), 1);
        burst[count++] = sock;
    }
    while (count > 0)
        closesocket(burst[--count]);
    closesocket(listener);
}

static void who_left_before_accept(void)
{
    CHECK(net_newcomer_left(WSAECONNRESET));
    CHECK(net_newcomer_left(WSAECONNABORTED));
    CHECK(net_newcomer_left(WSAENOTCONN));
    CHECK(!net_newcomer_left(0));
    CHECK(!net_newcomer_left(WSAEMFILE));
    CHECK(!net_newcomer_left(WSAEWOULDBLOCK));
    CHECK(!net_newcomer_left(WSAENOTSOCK));
}

static void taken_port(void)
{
    struct args args = args_for("127.0.0.1", 0);
    SOCKET listener = net_listen(&args);
    char words[64];
    char name[NET_NAME_SIZE];
    net_local_name(listener, name, sizeof name);
    snprintf(words, sizeof words, "net 127.0.0.1 %u", port_of(listener));
    const struct child *child = run_child(words, "");
    CHECK_INT(child->code, EXIT_LISTEN);
    CHECK_TEXT(child->out, "");
    CHECK_HAS(child->err, "unit: bind ");
    CHECK_HAS(child->err, name);
    /* Which of the two depends on the options of both sockets. */
    CHECK(strstr(child->err, "WSAEADDRINUSE (10048)") != NULL ||
          strstr(child->err, "WSAEACCES (10013)") != NULL);
    CHECK_HAS(child->err, "; the port stayed taken for 2 s");
    CHECK_HAS(child->err, "--port");
    CHECK_INT(strcspn(child->err, "\n") + 1, strlen(child->err));
    closesocket(listener);
}

static unsigned __stdcall close_soon(void *sock)
{
    Sleep(300);
    closesocket((SOCKET)sock);
    return 0;
}

/* A restart, while something of the last run still keeps the port. */
static void port_that_becomes_free(void)
{
    struct args args = args_for("127.0.0.1", 0);
    SOCKET first = net_listen(&args);
    args = args_for("127.0.0.1", port_of(first));
    HANDLE thread =
        (HANDLE)_beginthreadex(NULL, 0, close_soon, (void *)first, 0, NULL);
    if (thread == NULL)
        die_call("_beginthreadex", GetLastError());
    SOCKET second = net_listen(&args);
    CHECK_INT(port_of(second),
              ntohs(((struct sockaddr_in *)&args.address)->sin_port));
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
    closesocket(second);
}

static void address_of_another_machine(void)
{
    const struct child *child = run_child("net 192.0.2.1 0", "");
    CHECK_INT(child->code, EXIT_LISTEN);
    CHECK_HAS(child->err, "bind 192.0.2.1:0: WSAEADDRNOTAVAIL (10049)");
    CHECK_HAS(child->err, "; this machine has no such address");
}

static void warns_beyond_loopback(void)
{
    const struct child *child = run_child("net 0.0.0.0 0", "");
    CHECK_INT(child->code, 0);
    CHECK_HAS(child->err, "unit: warning: 0.0.0.0:");
    CHECK_HAS(child->err, "can be reached from other machines");
    child = run_child("net 127.0.0.2 0", "");
    CHECK_INT(child->code, 0);
    CHECK_TEXT(child->err, "");
}

/* net ADDRESS PORT: listen there, then end. */
int child_net(int argc, char **argv)
{
    unsigned long port = 0;
    if (argc != 3 || !args_number(argv[2], 0, 65535, &port))
        return 99;
    net_start();
    struct args args = args_for(argv[1], (unsigned)port);
    closesocket(net_listen(&args));
    net_stop();
    return 0;
}

void test_net(void)
{
    RUN(names);
    RUN(longest_name_fits_and_small_buffer_is_safe);
    RUN(port_0_gives_a_port_that_accepts);
    RUN(listens_on_ipv6);
    RUN(options_of_listener_and_connection);
    RUN(burst_of_150_waits_in_the_backlog);
    RUN(who_left_before_accept);
    RUN(taken_port);
    RUN(port_that_becomes_free);
    RUN(address_of_another_machine);
    RUN(warns_beyond_loopback);
}
