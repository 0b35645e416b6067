/* net.c -- see net.h */
#include "common/win.h"

#include <stdio.h>

#include "common/err.h"
#include "common/net.h"
#include "watch/faulty.h"

void net_start(void)
{
    WSADATA data;
    int err = WSAStartup(MAKEWORD(2, 2), &data); /* returns its error code */
    if (err != 0)
        die_call("WSAStartup", err);
}

void net_stop(void)
{
    if (WSACleanup() == SOCKET_ERROR)
        warn_call("WSACleanup", WSAGetLastError());
}

static const char *listen_hint(int err)
{
    switch (err) {
    case WSAEADDRINUSE:
        return "the port stayed taken for 2 s; `netstat -ano` shows by which "
               "server, or which connections of an earlier one are still "
               "there. Try another --port, or --port 0 for any free one";
    case WSAEACCES:
        return "the port stayed taken for 2 s (see `netstat -ano`), or Windows "
               "keeps it in a reserved range: `netsh interface ipv4 show "
               "excludedportrange protocol=tcp` lists those. Try another "
               "--port, or --port 0";
    case WSAEADDRNOTAVAIL:
        return "this machine has no such address; see `ipconfig`";
    case WSAEAFNOSUPPORT:
        return "this machine does not speak that kind of address";
    default: return "the server cannot start";
    }
}

static _Noreturn void listen_failed(const char *call, int err,
                                    const struct args *args)
{
    char name[NET_NAME_SIZE];
    char what[320];
    net_name(&args->address, name, sizeof name);
    err_describe((unsigned long)err, what, sizeof what);
    err_print("%s %s: %s; %s", call, name, what, listen_hint(err));
    err_exit(EXIT_LISTEN);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
}

/* A listener with SO_EXCLUSIVEADDRUSE can be refused while connections of the
 * server before it still end, and nobody tells when they have ended: so a
 * restart tries again, for a bounded time. Returns 0 or the last error. Source:
 * SO_EXCLUSIVEADDRUSE socket option. */
static int bind_patiently(SOCKET sock, const struct args *args)
{
    enum { TRIES = 20, PAUSE_MS = 100 };
    for (int tries = 1;; tries++) {
        if (bind(sock, (const struct sockaddr *)&args->address,
                 args->address_len) == 0)
            return 0;
        int err = WSAGetLastError();
        if ((err != WSAEADDRINUSE && err != WSAEACCES) || tries == TRIES)
            return err;
        Sleep(PAUSE_MS);
    }
}

SOCKET net_listen(const struct args *args)
{
    /* Not SO_REUSEADDR, which on Windows lets a second program take the port
     * while the first still serves it. Source: Using SO_REUSEADDR and
     * SO_EXCLUSIVEADDRUSE. */
    BOOL on = TRUE;
    SOCKET sock =
        WSASocketW(args->address.ss_family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                   WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        listen_failed("WSASocketW", WSAGetLastError(), args);
    if (setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on,
                   sizeof on) == SOCKET_ERROR)
        listen_failed("setsockopt(SO_EXCLUSIVEADDRUSE)", WSAGetLastError(),
                      args);
    if (setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                   sizeof on) == SOCKET_ERROR)
        listen_failed("setsockopt(TCP_NODELAY)", WSAGetLastError(), args);
    int err = bind_patiently(sock, args);
    if (err != 0)
        listen_failed("bind", err, args);
    if (listen(sock, SOMAXCONN) == SOCKET_ERROR)
        listen_failed("listen", WSAGetLastError(), args);

    if (!is_loopback(&args->address)) {
        char name[NET_NAME_SIZE];
        net_local_name(sock, name, sizeof name);
        err_print("warning: %s can be reached from other machines", name);
    }
    return sock;
}

void net_no_inherit(SOCKET sock)
{
    if (!SetHandleInformation((HANDLE)sock, HANDLE_FLAG_INHERIT, 0))
        warn_call("SetHandleInformation", GetLastError());
}

bool net_newcomer_left(int err)
{
    /* Windows documents the first one; Wine answers with the last. */
    return err == WSAECONNRESET || err == WSAECONNABORTED || err == WSAENOTCONN;
}

bool net_is_short(int err)
{
    return err == WSAEMFILE || err == WSAENOBUFS ||
           err == WSA_NOT_ENOUGH_MEMORY;
}

void net_reset_on_close(SOCKET sock)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(sock, SOL_SOCKET, SO_LINGER, (const char *)&at_once,
                     sizeof at_once);
}

void net_name(const struct sockaddr_storage *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        if (InetNtopA(AF_INET6, &v6->sin6_addr, host, sizeof host) == NULL)
            host[0] = '\0';
        snprintf(out, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        if (InetNtopA(AF_INET, &v4->sin_addr, host, sizeof host) == NULL)
            host[0] = '\0';
        snprintf(out, size, "%s:%u", host, ntohs(v4->sin_port));
    }
}

void net_local_name(SOCKET sock, char *out, size_t size)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    if (getsockname(sock, (struct sockaddr *)&address, &len) == SOCKET_ERROR)
        die_call("getsockname", WSAGetLastError());
    net_name(&address, out, size);
}
