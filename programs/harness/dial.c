/* dial.c -- see dial.h */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/net.h"
#include "programs/harness/dial.h"

static const char *hint_for(unsigned long code)
{
    switch (code) {
    case WSAECONNREFUSED:
        return "is a server running there? Start one in another window: "
               "iocp.exe --port PORT";
    case WSAECONNRESET:
    case WSAECONNABORTED: return "the server cut us off: see what it printed";
    case WSAETIMEDOUT: return "nothing answers; --timeout sets the patience";
    case WSAHOST_NOT_FOUND:
    case WSATRY_AGAIN:
    case WSANO_DATA:
    case WSANO_RECOVERY: return "no such host: is it spelled right?";
    default: return "there is no way on from here";
    }
}

void dial_failed(const char *what, unsigned long code)
{
    char error[320];
    err_describe(code, error, sizeof error);
    err_print("%s: %s; %s", what, error, hint_for(code));
    err_exit(EXIT_FAILED);
}

/* ---- the command line -------------------------------------------------- */

static void set_port(struct dial *dial, const char *text)
{
    if (dial->port != 0)
        args_error("there is a port already, then comes '%s'", text);
    if (!args_number(text, 1, 65535, &dial->port))
        args_error("a port is a whole number from 1 to 65535, not '%s'", text);
}

static void set_host(struct dial *dial, char *text)
{
    if (dial->host != NULL)
        args_error("there is a host already, then comes '%s'", text);
    dial->host = text;
    char *end = strchr(text, ':');
    if (text[0] == '[') {
        end = strchr(text, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0'))
            args_error("brackets go around an address, [::1]:5566, not '%s'",
                       text);
        dial->host = text + 1;
        *end++ = '\0';
    } else if (end != NULL && strchr(end + 1, ':') != NULL) {
        end = NULL; /* a bare IPv6 address: its colons belong to it */
    }
    if (end != NULL && *end == ':') {
        *end = '\0';
        set_port(dial, end + 1);
    }
    if (*dial->host == '\0')
        args_error("a host is missing");
}

bool dial_read_port(const struct option *option, char *value)
{
    set_port(option->out, value);
    return true;
}

bool dial_read_host(const struct option *option, char *value)
{
    set_host(option->out, value);
    return true;
}

void dial_operand(void *to, char *word)
{
    struct dial *dial = to;
    unsigned long number = 0;
    if (dial->host != NULL || args_number(word, 0, 65535, &number))
        set_port(dial, word);
    else
        set_host(dial, word);
}

/* ---- the connection ---------------------------------------------------- */

/* connect() with our time limit and not the system's. Returns 0 or the
 * error. */
static int connect_within(SOCKET sock, const struct addrinfo *to,
                          unsigned long seconds)
{
    u_long on = 1;
    u_long off = 0;
    if (ioctlsocket(sock, (long)FIONBIO, &on) == SOCKET_ERROR)
        return WSAGetLastError();
    if (connect(sock, to->ai_addr, (int)to->ai_addrlen) == SOCKET_ERROR) {
        int err = WSAGetLastError();
        if (err != WSAEWOULDBLOCK)
            return err;
        /* select() shows success and failure in different sets. */
        fd_set done = {.fd_count = 1, .fd_array = {sock}};
        fd_set failed = done;
        struct timeval patience = {.tv_sec = (long)seconds};
        int len = sizeof err;
        int n = select(0, NULL, &done, &failed, &patience);
        if (n == 0)
            return WSAETIMEDOUT;
        if (n == SOCKET_ERROR || getsockopt(sock, SOL_SOCKET, SO_ERROR,
                                            (char *)&err, &len) == SOCKET_ERROR)
            return WSAGetLastError();
        if (err != 0)
            return err;
    }
    if (ioctlsocket(sock, (long)FIONBIO, &off) == SOCKET_ERROR)
        return WSAGetLastError();
    return 0;
}

static SOCKET new_socket(int family)
{
    BOOL on = TRUE;
    SOCKET sock = WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        dial_failed("WSASocketW", (unsigned long)WSAGetLastError());
    if (setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                   sizeof on) == SOCKET_ERROR)
        dial_failed("setsockopt(TCP_NODELAY)",
                    (unsigned long)WSAGetLastError());
    return sock;
}

SOCKET dial_connect(const struct dial *dial, char *name, size_t size)
{
    const char *host = dial->host != NULL ? dial->host : "127.0.0.1";
    char port[8];
    char what[300];
    struct addrinfo want = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    snprintf(port, sizeof port, "%lu", dial->port != 0 ? dial->port : 5566);
    int err = getaddrinfo(host, port, &want, &list);
    if (err != 0) {
        snprintf(what, sizeof what, "getaddrinfo %s", host);
        dial_failed(what, (unsigned long)err);
    }

    for (struct addrinfo *to = list; to != NULL; to = to->ai_next) {
        struct sockaddr_storage address = {0};
        memcpy(&address, to->ai_addr, to->ai_addrlen);
        net_name(&address, name, size);
        SOCKET sock = new_socket(to->ai_family);
        err = connect_within(sock, to, dial->timeout);
        if (err == 0) {
            freeaddrinfo(list);
            return sock;
        }
        closesocket(sock);
    }
    snprintf(what, sizeof what, "connect %s", name);
    dial_failed(what, (unsigned long)err);
}
