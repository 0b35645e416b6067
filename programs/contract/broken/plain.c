/* plain.c -- programs that a teacher gets, for tests of the grader
 *
 * The name of the file says what it does: copy plain.exe to that name. For
 * --each starts a program with nothing but --port N.
 *
 *     positional   echoes; its port is argv[1]
 *     one          echoes to one client after the other; its port is after --port
 *     dies         the same, but says a word and ends after the first client
 *     hangs        never listens
 *     crashes      at once
 *     utf8, ansi   says a word with an accent, and ends
 *     forges       says what would be markup, a formula and a line of ours
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(const char *text)
{
    return fputs(text, stderr) < 0 ? 2 : 1;
}

static void echo_one_by_one(const char *port, bool dies)
{
    static char bytes[4096];
    struct sockaddr_in address = {.sin_family = AF_INET};
    WSADATA data;
    address.sin_port = htons((u_short)strtoul(port, NULL, 10));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        exit(1);
    SOCKET listener = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, SOMAXCONN) != 0)
        exit(1);
    for (;;) {
        SOCKET sock = accept(listener, NULL, NULL);
        int len = 0;
        bool received = false;
        while ((len = recv(sock, bytes, (int)sizeof bytes, 0)) > 0 &&
               send(sock, bytes, len, 0) == len)
            received = true;
        closesocket(sock);
        if (dies && received)
            exit(say("caf\xC3\xA9 \xE7\xAB\xAF\n"));
    }
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '\\');
    const char *name = slash != NULL ? slash + 1 : argv[0];
    if (strncmp(name, "positional", 10) == 0)
        if (argc == 2)
            echo_one_by_one(argv[1], false);
        else
            return say("usage: positional PORT\n");
    else if (strncmp(name, "one", 3) == 0 && argc > 2)
        echo_one_by_one(argv[2], false);
    else if (strncmp(name, "dies", 4) == 0 && argc > 2)
        echo_one_by_one(argv[2], true);
    else if (strncmp(name, "hangs", 5) == 0)
        Sleep(INFINITE);
    else if (strncmp(name, "crashes", 7) == 0)
        ExitProcess(0xC0000005); /* a crash, without the crash dialog */
    else if (strncmp(name, "utf8", 4) == 0)
        return say("caf\xC3\xA9 \xE7\xAB\xAF\n");
    else if (strncmp(name, "ansi", 4) == 0)
        return say("caf\xE9\n");
    else if (strncmp(name, "forges", 6) == 0)
        return say("<script>\"&;=1+1\nok    E1.1\npoints: all 99/99\n\x1B[2J");
    return say("no such program\n");
}
