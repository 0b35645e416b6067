/* select_except.c -- what is an "exception" to select()?
 *
 * Two things only: out-of-band data came, or a connect() of a non-blocking
 * socket failed. A connection that was reset is no exception: it can be read
 * from, and recv() tells the error.
 */
#include "course/experiments/lab/lab.h"

static void fill(fd_set *set, SOCKET sock, bool wanted)
{
    FD_ZERO(set);
    if (wanted)
        FD_SET(sock, set);
}

/* While it connects, ask whether it can be written to, which says that it is
 * connected; afterwards, whether it can be read from. */
static void ask(const char *what, SOCKET sock, bool connecting)
{
    struct timeval seconds = {10, 0}; /* a refusal takes 2 s on Windows */
    fd_set readable;
    fd_set writable;
    fd_set except;
    fill(&readable, sock, !connecting);
    fill(&writable, sock, connecting);
    fill(&except, sock, true);
    if (select(0, &readable, &writable, &except, &seconds) == SOCKET_ERROR)
        die_call("select", WSAGetLastError());
    printf("%s:%s%s%s\n", what, FD_ISSET(sock, &readable) ? " read" : "",
           FD_ISSET(sock, &writable) ? " write" : "",
           FD_ISSET(sock, &except) ? " except" : "");
}

/* Connect to `port` of this machine without waiting for it. */
static SOCKET begin_connect(u_short port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = port};
    u_long on = 1;
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sock == INVALID_SOCKET || ioctlsocket(sock, (long)FIONBIO, &on) != 0)
        die_call("WSASocketW or ioctlsocket", WSAGetLastError());
    if (connect(sock, (struct sockaddr *)&address, sizeof address) !=
            SOCKET_ERROR ||
        WSAGetLastError() != WSAEWOULDBLOCK)
        die_call("connect", WSAGetLastError());
    return sock;
}

static void out_of_band(void)
{
    SOCKET sender;
    SOCKET receiver;
    char letter = '?';
    lab_pair(&receiver, &sender);
    if (send(sender, "!", 1, MSG_OOB) != 1)
        die_call("send", WSAGetLastError());
    ask("one byte of out-of-band data", receiver, false);
    printf("  recv() with MSG_OOB: %s",
           lab_result(recv(receiver, &letter, 1, MSG_OOB)));
    printf(" byte \"%c\"\n", letter);
    lab_send(sender, 1);
    ask("then an ordinary byte", receiver, false);

    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    if (recv(receiver, &letter, 1, 0) != 1 ||
        setsockopt(sender, SOL_SOCKET, SO_LINGER, (const char *)&hard,
                   sizeof hard) == SOCKET_ERROR)
        die_call("recv or setsockopt", WSAGetLastError());
    closesocket(sender);
    ask("the peer resets the connection", receiver, false);
}

static void connecting(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int len = sizeof address;
    int err = 0;
    int err_len = sizeof err;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SOCKET listener = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, 0);
    if (listener == INVALID_SOCKET ||
        bind(listener, (struct sockaddr *)&address, len) == SOCKET_ERROR ||
        getsockname(listener, (struct sockaddr *)&address, &len) ==
            SOCKET_ERROR ||
        listen(listener, 1) == SOCKET_ERROR)
        die_call("a listening socket", WSAGetLastError());
    ask("connect() to somebody who listens", begin_connect(address.sin_port),
        true);
    closesocket(listener);
    SOCKET refused = begin_connect(address.sin_port);
    ask("connect() to nobody", refused, true);
    if (getsockopt(refused, SOL_SOCKET, SO_ERROR, (char *)&err, &err_len) ==
        SOCKET_ERROR)
        die_call("getsockopt", WSAGetLastError());
    printf("  SO_ERROR says why: %s\n", lab_error((unsigned long)err));
}

int main(void)
{
    lab_begin("select_except");
    out_of_band();
    connecting();
    return 0;
}
