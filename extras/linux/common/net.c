/* net.c -- see net.h */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "extras/linux/common/err.h"
#include "extras/linux/common/net.h"

void net_start(void)
{
    /* Each open() takes the lowest number that is free. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            die_call("open(/dev/null)", errno);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        die_call("signal(SIGPIPE)", errno);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        die_call("getrlimit(RLIMIT_NOFILE)", errno);
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        warn_call("setrlimit(RLIMIT_NOFILE)", errno);
}

static const char *listen_hint(int err)
{
    switch (err) {
    case EADDRINUSE:
        return "`ss -ltnp` shows which server has the port. Try another "
               "--port, "
               "or --port 0 for any free one";
    case EACCES:
        return "ports below 1024 are for root. Try another --port, or --port 0";
    case EADDRNOTAVAIL:
        return "this machine has no such address; see `ip address`";
    case EAFNOSUPPORT:
        return "this machine does not speak that kind of address";
    default: return "the server cannot start";
    }
}

static _Noreturn void listen_failed(const char *call, int err,
                                    const struct args *args)
{
    char name[NET_NAME_SIZE];
    char what[192];
    net_name(&args->address, name, sizeof name);
    err_describe(err, what, sizeof what);
    err_print("%s %s: %s; %s", call, name, what, listen_hint(err));
    exit(EXIT_LISTEN);
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

int net_listen(const struct args *args)
{
    int on = 1;
    int sock = socket(args->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sock < 0)
        listen_failed("socket", errno, args);

    /* Windows' SO_REUSEADDR would share the port with anybody. This one only
     * says that old connections in TIME_WAIT do not matter; a port that
     * another program listens on stays taken. So nothing has to be tried
     * again, as common/net.c does. Source: socket(7), SO_REUSEADDR. */
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        listen_failed("setsockopt(SO_REUSEADDR)", errno, args);
    /* As on Windows: [::] is for IPv6 only, whatever the system's setting. */
    if (args->address.ss_family == AF_INET6 &&
        setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        listen_failed("setsockopt(IPV6_V6ONLY)", errno, args);
    if (bind(sock, (const struct sockaddr *)&args->address, args->address_len) <
        0)
        listen_failed("bind", errno, args);
    /* SOMAXCONN is a constant of the C library, 4096; the system takes no more
     * than net.core.somaxconn. */
    if (listen(sock, SOMAXCONN) < 0)
        listen_failed("listen", errno, args);

    if (!is_loopback(&args->address)) {
        char name[NET_NAME_SIZE];
        net_local_name(sock, name, sizeof name);
        err_print("warning: %s can be reached from other machines", name);
    }
    return sock;
}

void net_no_delay(int sock)
{
    int on = 1;
    /* Fails when the client has gone already; recv() will tell. */
    (void)setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool net_newcomer_left(int err)
{
    switch (err) {
    case ECONNABORTED:
    case EPERM: /* a firewall has refused it */
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH: return true;
    default: return false;
    }
}

bool net_is_short(int err)
{
    return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

void net_reset_on_close(int sock)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(sock, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void net_name(const struct sockaddr_storage *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    char port[8] = "";
    (void)getnameinfo((const struct sockaddr *)address, sizeof *address, host,
                      sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    if (address->ss_family == AF_INET6)
        snprintf(out, size, "[%s]:%s", host, port);
    else
        snprintf(out, size, "%s:%s", host, port);
}

void net_local_name(int sock, char *out, size_t size)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(sock, (struct sockaddr *)&address, &len) < 0)
        die_call("getsockname", errno);
    net_name(&address, out, size);
}
