/* calls.c -- makes calls as a model does, and then ends in some way
 *
 *   calls.exe narrate MODE      tells them on standard error
 *   calls.exe FILE.json MODE    keeps them, also in .jsonl
 *
 *   end         as a server ends
 *   null        by a write to a null pointer, in the middle of a wait
 *   die         by die_call() on another thread
 *   terminate   does not end by itself
 *   flood       after many more calls than can be written: prints how many,
 *               and ends when its standard input does
 *   nested      inside a call inside a call; does not end by itself
 *   errors      exit code 0 when tracing has changed no result and no error
 */
#include "common/win.h"

#include <process.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/net.h"
#include "watch/watch.h"

#ifdef TRACE

#include "watch/call.h"

enum { FLOOD_THREADS = 4, FLOOD_CALLS = 20000 };

static WSAEVENT make_event(void)
{
    WSAEVENT event = WSACreateEvent();
    if (event == WSA_INVALID_EVENT)
        die_call("WSACreateEvent", WSAGetLastError());
    return event;
}

/* An operation that is never done: nobody ever connects or sends. */
static SOCKET leave_pending(OVERLAPPED *ov, WSABUF *room)
{
    struct sockaddr_in self = {.sin_family = AF_INET};
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    DWORD flags = 0;
    SOCKET sock = WSASocketW(AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                             WSA_FLAG_OVERLAPPED);
    if (sock == INVALID_SOCKET)
        die_call("WSASocketW", WSAGetLastError());
    if (bind(sock, (struct sockaddr *)&self, sizeof self) == SOCKET_ERROR)
        die_call("bind", WSAGetLastError());
    if (WSARecv(sock, room, 1, NULL, &flags, ov, NULL) != SOCKET_ERROR ||
        WSAGetLastError() != WSA_IO_PENDING)
        die_call("WSARecv", WSAGetLastError());
    return sock;
}

/* Ends the process without a debugger. Set before the trace begins: that it is
 * called shows that tracing passes on what is not its own. */
static LONG WINAPI after_crash(EXCEPTION_POINTERS *info)
{
    (void)info;
    printf("crashed\n");
    fflush(stdout);
    return EXCEPTION_EXECUTE_HANDLER;
}

static void CALLBACK crash(ULONG_PTR arg)
{
    *(volatile char *)arg = 1;
}

static unsigned __stdcall die(void *arg)
{
    (void)arg;
    die_call("recv", WSAENETDOWN);
}

static unsigned __stdcall flood(void *arg)
{
    WSAEVENT event = make_event();
    (void)arg;
    for (int i = 0; i < FLOOD_CALLS; i++) {
        if (!WSASetEvent(event))
            die_call("WSASetEvent", WSAGetLastError());
    }
    WSACloseEvent(event);
    return 0;
}

static void run_threads(unsigned(__stdcall *run)(void *), int count)
{
    HANDLE threads[FLOOD_THREADS];
    for (int i = 0; i < count; i++) {
        threads[i] = (HANDLE)_beginthreadex(NULL, 0, run, NULL, 0, NULL);
        if (threads[i] == NULL)
            die_call("_beginthreadex", GetLastError());
    }
    for (int i = 0; i < count; i++) {
        WaitForSingleObject(threads[i], INFINITE);
        CloseHandle(threads[i]);
    }
}

/* The test that holds the writer back says by this that the end may come: the
 * end waits for the writer, but not for long. */
static void wait_for_end_of_input(void)
{
    char word[16];
    while (fread(word, 1, sizeof word, stdin) > 0)
        continue;
}

static bool same(const char *what, long long seen, long long expected)
{
    if (seen == expected)
        return true;
    printf("%s: %lld, not %lld\n", what, seen, expected);
    return false;
}

/* What each call gives with tracing is what it gives without. */
static bool waits_are_same(WSAEVENT event)
{
    bool good =
        same("wait", WSAWaitForMultipleEvents(1, &event, FALSE, 0, FALSE),
             WSA_WAIT_EVENT_0);
    WSACloseEvent(event);
    good = same("wait", WSAWaitForMultipleEvents(1, &event, FALSE, 0, FALSE),
                WSA_WAIT_FAILED) &&
           good;
    return same("its error", WSAGetLastError(), WSA_INVALID_HANDLE) && good;
}

static bool errors_are_same(WSAEVENT event)
{
    char buf[4];
    bool good = same("recv", recv(INVALID_SOCKET, buf, 4, 0), SOCKET_ERROR) &&
                same("its error", WSAGetLastError(), WSAENOTSOCK);
    SetLastError(4711);
    good = same("WSASetEvent", WSASetEvent(event), TRUE) && good;
    good = same("no error", GetLastError(), 4711) && good;
    SetLastError(4712);
    return same("an event's", GetLastError(), 4712) && good;
}

static void errors(void)
{
    WSAEVENT event = make_event();
    bool good = errors_are_same(event);
    if (!waits_are_same(event) || !good)
        exit(EXIT_FAILED);
}

/* A call that waits inside, and so lets others run there. Wine has none: this
 * one only says so. */
static void nested(void)
{
    struct trace_call outer = {.args = {1, 2}};
    call_begins(&outer, TRACE_shutdown);
    WSAEVENT event = make_event();
    WSACloseEvent(event);
    SleepEx(INFINITE, TRUE); /* the test ends us */
    call_ends(&outer, 0);
}

static void crash_in_a_wait(void)
{
    if (!QueueUserAPC(crash, GetCurrentThread(), 0))
        die_call("QueueUserAPC", GetLastError());
    SleepEx(INFINITE, TRUE);
}

static void run_mode(const char *mode)
{
    if (strcmp(mode, "null") == 0)
        crash_in_a_wait();
    else if (strcmp(mode, "die") == 0)
        run_threads(die, 1);
    else if (strcmp(mode, "terminate") == 0)
        SleepEx(INFINITE, TRUE); /* the test ends us */
    else if (strcmp(mode, "flood") == 0)
        run_threads(flood, FLOOD_THREADS);
    else if (strcmp(mode, "nested") == 0)
        nested();
    else if (strcmp(mode, "errors") == 0)
        errors();
    else if (strcmp(mode, "end") != 0)
        exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return EXIT_USAGE;
    bool narrate = strcmp(argv[1], "narrate") == 0;
    char bytes[16];
    WSABUF room = {.buf = bytes, .len = sizeof bytes};
    OVERLAPPED ov = {0};
    DWORD len = 0;
    DWORD flags = 0;
    err_program("calls");
    net_start();
    SetUnhandledExceptionFilter(after_crash);
    trace_begin("calls", narrate, narrate ? NULL : argv[1]);

    SOCKET sock = leave_pending(&ov, &room);
    run_mode(argv[2]);
    if (!CancelIoEx((HANDLE)sock, &ov))
        die_call("CancelIoEx", GetLastError());
    (void)WSAGetOverlappedResult(sock, &ov, &len, TRUE, &flags);
    closesocket(sock);
    net_stop();
    trace_summary(1);
    fflush(stdout);
    if (strcmp(argv[2], "flood") == 0)
        wait_for_end_of_input();
    return EXIT_STOPPED;
}

#else

int main(void)
{
    return EXIT_USAGE; /* nothing to trace with */
}

#endif
