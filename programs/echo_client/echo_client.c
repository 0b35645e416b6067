/* echo_client.c -- type a line, see it come back
 *
 *   standard input                                       standard output
 *         |                                                     ^
 *         v                                                     |
 *     [sender] ----send()----> the server ----recv()----> [receiver]
 *         |                                                     ^
 *         +--------> ledger: the bytes not yet back ------------+ compares
 *
 * Two threads, each with one plain blocking job, because an echo client must
 * send and receive at the same time: one that sends everything first and reads
 * afterwards hangs as soon as the server, pushed back, stops reading. The main
 * thread watches the clock. The same three threads serve a person, who types
 * lines, and a pipe, which may bring a film.
 *
 * Only bytes that were compared and are right go to standard output; all
 * messages go to standard error.
 */
#include "common/win.h"

#include <process.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/input.h"
#include "common/net.h"
#include "programs/harness/dial.h"

enum {
    BLOCK = 16 * 1024,    /* bytes read and sent in one piece */
    LEDGER = 1024 * 1024, /* most bytes on their way at once */
    TRIPS = 16 * 1024,    /* round trips remembered, the latest ones */
    END_MS = 10,          /* each wait for the threads to leave */
    END_TRIES = 20,
    CTRL_D = 4,
    CTRL_Z = 26
};

enum ending { STILL_GOING, ALL_BACK, LEFT, FAILED, CUT_SHORT, ALTERED, SILENT };

struct client {
    SOCKET sock;
    struct dial dial;
    bool quiet;
    bool typing; /* standard input is a console */
    HANDLE over; /* set as soon as `ending` is known */

    SRWLOCK lock;               /* guards all that follows */
    CONDITION_VARIABLE changed; /* more is back, or the run is over */
    enum ending ending;
    const char *failed_call;
    unsigned long failed_code;
    unsigned long long sent; /* bytes handed to send() */
    unsigned long long back; /* bytes received and found unchanged */
    unsigned long long lines;
    unsigned char last;     /* the byte received last, right or wrong */
    bool half_closed;       /* all is sent, and the server knows it */
    bool writing;           /* the receiver waits for standard output */
    ULONGLONG silent_since; /* milliseconds; the last sign of life */

    /* One block at a time is timed: the next one after the last one is back. */
    unsigned long long timed_end;
    uint64_t timed_from; /* clock_ns() */
    unsigned long long trip_count;
    double trips[TRIPS]; /* milliseconds */

    unsigned char ledger[LEDGER]; /* byte n of the stream is at n % LEDGER */
};

static struct client client;

/* ---- how it ends ------------------------------------------------------- */

/* The first call counts: later ones are only consequences of it. */
static void finish(struct client *c, enum ending how, const char *call,
                   unsigned long code)
{
    AcquireSRWLockExclusive(&c->lock);
    if (c->ending == STILL_GOING) {
        c->ending = how;
        c->failed_call = call;
        c->failed_code = code;
    }
    ReleaseSRWLockExclusive(&c->lock);
    WakeAllConditionVariable(&c->changed);
    SetEvent(c->over);
}

/* People at a keyboard leave with Ctrl+C as often as with Ctrl+Z. */
static BOOL WINAPI on_console_event(DWORD event)
{
    (void)event;
    finish(&client, LEFT, NULL, 0);
    return TRUE;
}

static void say(const struct client *c, const char *format, ...)
{
    char text[512]; /* written at once, so that two threads do not mix */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!c->quiet)
        fputs(text, stderr);
}

/* ---- sending ----------------------------------------------------------- */

/* Enter a block into the ledger. This is done before it is sent, because its
 * echo may come back before send() returns. Waits for room, and that wait ends:
 * bytes come back, or the main thread's time limit passes. False: the run is
 * over. */
static bool ledger_add(struct client *c, const unsigned char *block, int len)
{
    AcquireSRWLockExclusive(&c->lock);
    while (c->ending == STILL_GOING &&
           c->sent - c->back > (unsigned)(LEDGER - len))
        SleepConditionVariableSRW(&c->changed, &c->lock, INFINITE, 0);

    bool go_on = c->ending == STILL_GOING;
    if (go_on && c->sent == c->back)
        c->silent_since = GetTickCount64(); /* from now on we are waiting */
    for (int i = 0; go_on && i < len; i++)
        c->ledger[c->sent++ % LEDGER] = block[i];
    if (go_on && c->back >= c->timed_end) {
        c->timed_end = c->sent;
        c->timed_from = clock_ns();
    }
    ReleaseSRWLockExclusive(&c->lock);
    return go_on;
}

/* At the console: wait for the echo of the line, and tell how long it took. */
static bool await_echo(struct client *c)
{
    AcquireSRWLockExclusive(&c->lock);
    while (c->ending == STILL_GOING && c->back < c->sent)
        SleepConditionVariableSRW(&c->changed, &c->lock, INFINITE, 0);
    bool go_on = c->ending == STILL_GOING;
    double ms = c->trip_count ? c->trips[(c->trip_count - 1) % TRIPS] : 0;
    ReleaseSRWLockExclusive(&c->lock);
    if (go_on)
        say(c, "  came back after %.3f ms\n> ", ms);
    return go_on;
}

static bool send_all(struct client *c, const unsigned char *data, int len)
{
    for (int done = 0, n = 0; done < len; done += n) {
        n = send(c->sock, (const char *)data + done, len - done, 0);
        if (n == SOCKET_ERROR) {
            finish(c, FAILED, "send", (unsigned long)WSAGetLastError());
            return false;
        }
    }
    return true;
}

/* The number of bytes read; 0 at the end, -1 if that failed. */
static int read_input(struct client *c, unsigned char *block)
{
    int len = input_read(block, BLOCK);
    if (len < 0)
        finish(c, FAILED, "ReadFile of standard input", GetLastError());
    if (c->typing && len > 0 && (block[0] == CTRL_Z || block[0] == CTRL_D))
        return 0;
    return len;
}

static unsigned __stdcall sender(void *arg)
{
    struct client *c = arg;
    unsigned char block[BLOCK];
    int len = 0;
    while ((len = read_input(c, block)) > 0) {
        if (!ledger_add(c, block, len) || !send_all(c, block, len))
            return 0;
        if (c->typing && !await_echo(c))
            return 0;
    }
    if (len < 0)
        return 0;

    /* Half-close: the server learns that nothing more will come, and we still
     * receive what it owes. */
    AcquireSRWLockExclusive(&c->lock);
    c->half_closed = true;
    c->silent_since = GetTickCount64();
    ReleaseSRWLockExclusive(&c->lock);
    if (shutdown(c->sock, SD_SEND) == SOCKET_ERROR)
        finish(c, FAILED, "shutdown", (unsigned long)WSAGetLastError());
    return 0;
}

/* ---- receiving --------------------------------------------------------- */

/* How many bytes of a block are what we wait for next. The others are none of
 * ours, and are not shown: on a terminal they could do anything. */
static int ledger_check(struct client *c, const unsigned char *block, int len)
{
    int same = 0;
    AcquireSRWLockExclusive(&c->lock);
    while (same < len && c->back + (unsigned)same < c->sent &&
           c->ledger[(c->back + (unsigned)same) % LEDGER] == block[same])
        same++;
    ReleaseSRWLockExclusive(&c->lock);
    return same;
}

/* Count bytes that came at `now` and are right. */
static void ledger_settle(struct client *c, const unsigned char *block, int len,
                          uint64_t now)
{
    AcquireSRWLockExclusive(&c->lock);
    bool timing = c->back < c->timed_end;
    for (int i = 0; i < len; i++) {
        c->last = block[i];
        c->lines += c->last == '\n';
    }
    c->back += (unsigned)len;
    if (timing && c->back >= c->timed_end) {
        c->trips[c->trip_count++ % TRIPS] = (double)(now - c->timed_from) / 1e6;
    }
    c->writing = false;
    c->silent_since = GetTickCount64();
    ReleaseSRWLockExclusive(&c->lock);
    WakeAllConditionVariable(&c->changed);
}

static bool write_output(struct client *c, const unsigned char *data, int len)
{
    /* The program that reads our output may be slow. That is not the server's
     * fault, so the clock stands still until ledger_settle(). */
    AcquireSRWLockExclusive(&c->lock);
    c->writing = true;
    ReleaseSRWLockExclusive(&c->lock);
    HANDLE out = GetStdHandle(STD_OUTPUT_HANDLE);
    DWORD n = 0;
    for (int done = 0; done < len; done += (int)n) {
        if (!WriteFile(out, data + done, (DWORD)(len - done), &n, NULL)) {
            finish(c, FAILED, "WriteFile to standard output", GetLastError());
            return false;
        }
    }
    return true;
}

static unsigned __stdcall receiver(void *arg)
{
    struct client *c = arg;
    unsigned char block[BLOCK];
    for (;;) {
        int len = recv(c->sock, (char *)block, sizeof block, 0);
        uint64_t now = clock_ns();
        if (len == SOCKET_ERROR) {
            finish(c, FAILED, "recv", (unsigned long)WSAGetLastError());
            return 0;
        }
        if (len == 0)
            break;
        int same = ledger_check(c, block, len);
        if (!write_output(c, block, same))
            return 0;
        ledger_settle(c, block, same, now);
        if (same < len) {
            c->last = block[same];
            finish(c, ALTERED, NULL, 0);
            return 0;
        }
    }
    /* The end of the stream is right only as the answer to our own end. */
    AcquireSRWLockExclusive(&c->lock);
    bool all_back = c->half_closed && c->back == c->sent;
    ReleaseSRWLockExclusive(&c->lock);
    finish(c, all_back ? ALL_BACK : CUT_SHORT, NULL, 0);
    return 0;
}

/* ---- the main thread --------------------------------------------------- */

/* The only clock. It runs while the server owes us something: bytes, or after
 * the half-close the end of its stream. */
static void watch(struct client *c)
{
    DWORD patience = c->dial.timeout * 1000;
    for (DWORD wait = patience;
         WaitForSingleObject(c->over, wait) == WAIT_TIMEOUT;) {
        AcquireSRWLockExclusive(&c->lock);
        ULONGLONG silence = GetTickCount64() - c->silent_since;
        if (c->writing || (c->back == c->sent && !c->half_closed))
            silence = 0;
        ReleaseSRWLockExclusive(&c->lock);
        wait = silence < patience ? patience - (DWORD)silence : 0;
        if (wait == 0)
            finish(c, SILENT, NULL, 0);
    }
}

/* Ends the calls that the two threads wait in, and waits until both have ended:
 * under Wine a thread that is killed while it ends can change the exit code of
 * the process. CancelIoEx() ends recv() and send(); CancelSynchronousIo() ends
 * ReadFile() and WriteFile(). Both are called again and again, because a thread
 * may be on its way into the call. False: a thread has not ended, because its
 * call cannot be cancelled (Wine: ReadFile). It ends with the process, and may
 * still use the socket. */
static bool end_threads(struct client *c, HANDLE threads[2])
{
    DWORD got = WAIT_TIMEOUT;
    for (int tries = 0;
         got == WAIT_TIMEOUT && (c->ending == ALL_BACK || tries < END_TRIES);
         tries++) {
        CancelIoEx((HANDLE)c->sock, NULL); /* all fail if no thread waits */
        CancelSynchronousIo(threads[0]);
        CancelSynchronousIo(threads[1]);
        got = WaitForMultipleObjects(2, threads, TRUE, END_MS);
    }
    CloseHandle(threads[0]);
    CloseHandle(threads[1]);
    return got == WAIT_OBJECT_0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_summary(struct client *c)
{
    unsigned long long lines = c->lines + (c->back > 0 && c->last != '\n');
    say(c, "%s%llu line%s, %llu byte%s came back unchanged\n",
        c->ending == LEFT ? "\n" : "", lines, lines == 1 ? "" : "s", c->back,
        c->back == 1 ? "" : "s");
    size_t count = c->trip_count < TRIPS ? (size_t)c->trip_count : TRIPS;
    if (count == 0)
        return;
    qsort(c->trips, count, sizeof c->trips[0], by_size);
    double median = (c->trips[(count - 1) / 2] + c->trips[count / 2]) / 2;
    say(c, "round trip: min %.3f, median %.3f, max %.3f ms (%zu measured)\n",
        c->trips[0], median, c->trips[count - 1], count);
}

static _Noreturn void die_as_it_ended(const struct client *c)
{
    switch (c->ending) {
    case FAILED: {
        char what[100];
        snprintf(what, sizeof what, "%s, with %llu of %llu bytes back",
                 c->failed_call, c->back, c->sent);
        dial_failed(what, c->failed_code);
    }
    case ALTERED:
        if (c->back == c->sent)
            err_print("not an echo: byte %llu came back but was never sent",
                      c->back);
        else
            err_print("not an echo: byte %llu (counted from 0) was sent as "
                      "0x%02x and came back as 0x%02x",
                      c->back, c->ledger[c->back % LEDGER], c->last);
        break;
    case LEFT:
        err_print("left before all was back: %llu of %llu bytes", c->back,
                  c->sent);
        break;
    case SILENT:
        err_print("recv: WSAETIMEDOUT (%d) silent for %lu s with %llu of %llu "
                  "bytes back%s",
                  WSAETIMEDOUT, c->dial.timeout, c->back, c->sent,
                  c->back < c->sent
                      ? "; does an echo server run there? --timeout waits "
                        "longer"
                      : "; the server did not close after our half-close");
        break;
    default:
        err_print("recv: end of stream: the server closed early, with %llu of "
                  "%llu bytes back; was it stopped, or is it full?",
                  c->back, c->sent);
    }
    err_exit(EXIT_FAILED);
}

/* ---- command line and main --------------------------------------------- */

static const char help[] =
    "echo_client: send lines or a stream to an echo server and check what "
    "comes back\n\n"
    "usage: echo_client [options] [HOST[:PORT]] [PORT]\n\n" DIAL_USAGE
    "  -q, --quiet             errors only\n"
    "  -h, --help, -?, /?      this text\n"
    "      --version           the version\n\n"
    "Echoed bytes go to standard output, all else to standard error.\n"
    "At the console, Ctrl+Z and Enter or Ctrl+C ends.\n"
    "Exit codes: 0 all came back, 1 it did not, 2 bad command line.\n";

static void parse(struct client *c, int argc, char **argv)
{
    const struct option options[] = {
        DIAL_OPTIONS(&c->dial),
        {"-q", "--quiet", .out = &c->quiet},
        {0},
    };
    const struct program program = {.name = "echo_client",
                                    .help = help,
                                    .operand = dial_operand,
                                    .to = &c->dial};
    args_read(&program, options, argc, argv);
}

static HANDLE start(unsigned(__stdcall *run)(void *), struct client *c)
{
    uintptr_t thread = _beginthreadex(NULL, 0, run, c, 0, NULL);
    if (thread == 0)
        die_call("_beginthreadex", GetLastError());
    return (HANDLE)thread;
}

int main(int argc, char **argv)
{
    struct client *c = &client;
    char name[NET_NAME_SIZE];
    DWORD mode = 0;
    InitializeSRWLock(&c->lock);
    InitializeConditionVariable(&c->changed);
    c->dial = (struct dial)DIAL_DEFAULT;
    parse(c, argc, argv);
    net_start();
    c->sock = dial_connect(&c->dial, name, sizeof name);
    say(c, "connected to %s\n", name);

    c->over = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (c->over == NULL)
        die_call("CreateEventW", GetLastError());
    c->typing = GetConsoleMode(GetStdHandle(STD_INPUT_HANDLE), &mode) != 0;
    if (c->typing) {
        if (!SetConsoleCtrlHandler(NULL, FALSE) || /* it may be inherited */
            !SetConsoleCtrlHandler(on_console_event, TRUE))
            die_call("SetConsoleCtrlHandler", GetLastError());
        say(c, "Type a line and press Enter; Ctrl+Z and Enter ends.\n> ");
    }
    HANDLE threads[] = {start(receiver, c), start(sender, c)};
    watch(c);
    bool ended = end_threads(c, threads);
    if (c->ending != ALL_BACK && (c->ending != LEFT || c->back < c->sent))
        die_as_it_ended(c);
    print_summary(c);
    if (ended) {
        CloseHandle(c->over);
        closesocket(c->sock);
        net_stop();
    }
    return EXIT_STOPPED;
}
