/* keepalive_silent.c -- does keep-alive end a connection whose peer is silent?
 *
 * No. It asks the peer's *system* whether the connection is still there, and the
 * system answers, even if its program hangs. Only a machine that does not answer
 * ends the connection; a machine of that kind cannot be shown on loopback.
 */
#include "common/clock.h"
#include "course/experiments/lab/lab.h"

#include <mstcpip.h>

static const char *is_on(SOCKET sock)
{
    BOOL on = FALSE;
    int len = sizeof on;
    if (getsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, (char *)&on, &len) ==
        SOCKET_ERROR)
        die_call("getsockopt", WSAGetLastError());
    return on ? "on" : "off";
}

static void receive(const char *what, SOCKET sock)
{
    char letter;
    double began = clock_ms();
    const char *result = lab_result(recv(sock, &letter, 1, 0));
    double took = clock_ms() - began;
    printf("%s: recv() says %s %s\n", what, result,
           took < 1000 ? "at once" : "after 3 s");
}

int main(void)
{
    SOCKET sock;
    SOCKET peer;
    DWORD len = 0;
    struct tcp_keepalive often = {
        .onoff = 1, .keepalivetime = 1000, .keepaliveinterval = 1000};
    lab_begin("keepalive_silent");
    lab_pair(&sock, &peer);
    lab_limit(sock, 3000);
    printf("a new connection: SO_KEEPALIVE is %s\n", is_on(sock));
    printf("SIO_KEEPALIVE_VALS, ask after 1 s, then each second: %s\n",
           lab_result(WSAIoctl(sock, SIO_KEEPALIVE_VALS, &often, sizeof often,
                               NULL, 0, &len, NULL, NULL)));
    printf("and now SO_KEEPALIVE is %s\n", is_on(sock));
    receive("the peer says nothing", sock);
    lab_send(peer, 1);
    receive("then it sends a byte", sock);
    closesocket(peer);
    receive("its program ends", sock);
    return 0;
}
