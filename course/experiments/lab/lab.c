/* lab.c -- see lab.h */
#include "course/experiments/lab/lab.h"

#include <process.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/net.h"

void lab_begin(const char *name)
{
    err_program(name);
    net_start();
    /* Print each line at once, for a person who watches the time between
     * them. */
    (void)setvbuf(stdout, NULL, _IONBF, 0);
}

static SOCKET lab_socket(void)
{
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    BOOL on = TRUE;
    if (sock == INVALID_SOCKET ||
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                   sizeof on) == SOCKET_ERROR)
        die_call("WSASocketW or setsockopt", WSAGetLastError());
    return sock;
}

void lab_pair(SOCKET *near_end, SOCKET *far_end)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int len = sizeof address;
    SOCKET listener = lab_socket();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, len) == SOCKET_ERROR ||
        getsockname(listener, (struct sockaddr *)&address, &len) ==
            SOCKET_ERROR ||
        listen(listener, 1) == SOCKET_ERROR)
        die_call("bind, getsockname or listen", WSAGetLastError());
    *far_end = lab_socket();
    if (connect(*far_end, (struct sockaddr *)&address, len) == SOCKET_ERROR)
        die_call("connect", WSAGetLastError());
    *near_end = accept(listener, NULL, NULL);
    if (*near_end == INVALID_SOCKET)
        die_call("accept", WSAGetLastError());
    closesocket(listener);
}

SOCKET lab_datagrams(struct sockaddr_in *address)
{
    int len = sizeof *address;
    SOCKET sock = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sock == INVALID_SOCKET ||
        bind(sock, (struct sockaddr *)address, len) == SOCKET_ERROR ||
        getsockname(sock, (struct sockaddr *)address, &len) == SOCKET_ERROR)
        die_call("WSASocketW, bind or getsockname", WSAGetLastError());
    return sock;
}

void lab_send(SOCKET sock, int len)
{
    for (int i = 0; i < len; i++) {
        char letter = (char)('a' + i % 26);
        if (send(sock, &letter, 1, 0) != 1)
            die_call("send", WSAGetLastError());
    }
}

void lab_say(SOCKET sock, const char *text)
{
    int len = (int)strlen(text);
    if (send(sock, text, len, 0) != len)
        die_call("send", WSAGetLastError());
}

void lab_arrived(SOCKET sock, int len)
{
    double until = clock_ms() + 10000;
    char room[256];
    for (;;) {
        int got = recv(sock, room, sizeof room, MSG_PEEK);
        if (got == SOCKET_ERROR)
            die_call("recv", WSAGetLastError());
        if (got >= len)
            return;
        if (got == 0 || clock_left(until) == 0)
            die_call("recv", WSAETIMEDOUT);
        Sleep(1);
    }
}

void lab_limit(SOCKET sock, DWORD limit_ms)
{
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, (const char *)&limit_ms,
                   sizeof limit_ms) == SOCKET_ERROR)
        die_call("setsockopt", WSAGetLastError());
}

const char *lab_error(unsigned long code)
{
    static char text[80];
    if (code == 0)
        return "no error";
    snprintf(text, sizeof text, "%s (%lu)", err_name(code), code);
    return text;
}

const char *lab_result(int result)
{
    static char text[100];
    if (result == SOCKET_ERROR)
        snprintf(text, sizeof text, "SOCKET_ERROR, %s",
                 lab_error((unsigned long)WSAGetLastError()));
    else
        snprintf(text, sizeof text, "%d", result);
    return text;
}

const char *lab_event(WSAEVENT event, DWORD limit_ms)
{
    DWORD got = WSAWaitForMultipleEvents(1, &event, FALSE, limit_ms, FALSE);
    if (got == WSA_WAIT_FAILED)
        die_call("WSAWaitForMultipleEvents", WSAGetLastError());
    return got == WSA_WAIT_TIMEOUT ? "not set" : "set";
}

void lab_wait(HANDLE what)
{
    DWORD got = WaitForSingleObject(what, 10000);
    if (got != WAIT_OBJECT_0)
        die_call("WaitForSingleObject",
                 got == WAIT_TIMEOUT ? WAIT_TIMEOUT : GetLastError());
}

struct job {
    void (*run)(void *);
    void *arg;
};

static unsigned __stdcall job_main(void *arg)
{
    struct job job = *(struct job *)arg;
    free(arg);
    job.run(job.arg);
    return 0;
}

HANDLE lab_thread(void (*run)(void *), void *arg)
{
    struct job *job = malloc(sizeof *job);
    if (job == NULL)
        die_call("malloc", WSA_NOT_ENOUGH_MEMORY);
    *job = (struct job){run, arg};
    HANDLE thread = (HANDLE)_beginthreadex(NULL, 0, job_main, job, 0, NULL);
    if (thread == NULL)
        die_call("_beginthreadex", GetLastError());
    return thread;
}
