/* test_log.c -- what a server prints, and that it counts right
 *
 * The tests run in children, because the tested text goes to standard output.
 */
#include "common/win.h"

#include <process.h>
#include <stdio.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/output.h"
#include "tests/unit/unit.h"
#include "watch/layer.h"

static const struct model model = {.name = "demo", .most_clients = 9};

/* Enough rounds that the threads overlap for long, also on few processors. */
enum { WORKERS = 8, ROUNDS = 100000 };

static HANDLE gate; /* all workers start at once */

static unsigned __stdcall worker(void *arg)
{
    const struct sockaddr_storage *peer = arg;
    WaitForSingleObject(gate, INFINITE);
    for (int i = 0; i < ROUNDS; i++) {
        struct log_conn conn;
        log_opened(&conn, peer);
        log_received(&conn, 10);
        log_sent(&conn, 4, 6);
        log_sent(&conn, 6, 0);
        log_closed(&conn, i % 5 == 0 ? WSAECONNRESET : 0);
        if (i % 10 == 0)
            log_refused(3);
    }
    return 0;
}

static void run_workers(struct sockaddr_storage *peer)
{
    HANDLE threads[WORKERS];
    gate = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (gate == NULL)
        die_call("CreateEventW", GetLastError());
    for (int i = 0; i < WORKERS; i++) {
        threads[i] = (HANDLE)_beginthreadex(NULL, 0, worker, peer, 0, NULL);
        if (threads[i] == NULL)
            die_call("_beginthreadex", GetLastError());
    }
    SetEvent(gate);
    WaitForMultipleObjects(WORKERS, threads, TRUE, INFINITE);
}

static void run_story(const struct sockaddr_storage *peer)
{
    struct log_conn a;
    struct log_conn b;
    struct log_conn c;
    log_opened(&a, peer);
    log_opened(&b, peer);
    log_opened(&c, peer);
    log_received(&a, 100);
    log_sent(&a, 60, 40);
    log_sent(&a, 40, 0);
    log_closed(&a, 0);
    log_refused(1);
    log_refused(62);
    log_refused_error("malloc", WSA_NOT_ENOUGH_MEMORY);
    log_sent(&b, 40, 60);
    log_closed(&b, WSAECONNRESET);
    log_opened(&b, peer);
    log_closed(&b, WSAECONNABORTED);
    log_sent(&c, 7, 3);
    log_closed(&c, WSAETIMEDOUT);
}

/* log quiet|normal|verbose|workers|ready */
int child_log(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    struct args args = {.quiet = strcmp(what, "quiet") == 0 ||
                                 strcmp(what, "workers") == 0,
                        .verbose = strcmp(what, "verbose") == 0,
                        .address_len = sizeof(struct sockaddr_in)};
    struct sockaddr_storage peer = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&peer;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    args.address = peer;
    v4->sin_port = htons(50312);
    log_begin(&model, &args);
    if (strcmp(what, "ready") == 0) {
        net_start();
        SOCKET listener = net_listen(&args);
        log_ready(listener, 1);
        log_ready(listener, 4);
        closesocket(listener);
        net_stop();
        output_flush();
        return 0;
    }
    if (strcmp(what, "workers") == 0)
        run_workers(&peer);
    else
        run_story(&peer);
    log_summary();
    trace_summary(log_echoes());
    return 0;
}

static void lines_of_connections(void)
{
    const struct child *child = run_child("log normal", "");
    CHECK_INT(child->code, 0);
    const char *end = strstr(child->out, "demo: stopped after ");
    CHECK(end != NULL);
    static char lines[CHILD_TEXT];
    snprintf(lines, sizeof lines, "%.*s",
             end != NULL ? (int)(end - child->out) : 0, child->out);
    CHECK_TEXT(lines, "#1 open 127.0.0.1:50312\n"
                      "#2 open 127.0.0.1:50312\n"
                      "#3 open 127.0.0.1:50312\n"
                      "#1 closed, 100 bytes\n"
                      "#4 refused: 1 client is the limit\n"
                      "#5 refused: 62 clients is the limit\n"
                      "#2 reset after 40 bytes\n"
                      "#7 open 127.0.0.1:50312\n"
                      "#7 reset after 0 bytes\n"
                      "#3 ended by WSAETIMEDOUT (10060) after 7 bytes\n");
    CHECK_TEXT(child->err, "unit: #6 refused: malloc: WSA_NOT_ENOUGH_MEMORY "
                           "(8)\n");
}

static void verbose_adds_every_move(void)
{
    const struct child *child = run_child("log verbose", "");
    CHECK_INT(child->code, 0);
    CHECK_HAS(child->out, "#3 open 127.0.0.1:50312\n"
                          "#1 received 100\n"
                          "#1 sent 60, owes 40\n"
                          "#1 sent 40, owes 0\n"
                          "#1 closed, 100 bytes\n");
}

/* The totals behind "N.N s: ". */
static void check_totals(const struct child *child, const char *expected)
{
    double seconds = -1;
    int at = 0;
    int fields =
        sscanf(child->out, "demo: stopped after %lf s: %n", &seconds, &at);
    CHECK_INT(fields, 1);
    CHECK(seconds >= 0 && seconds < 100);
    static char line[CHILD_TEXT];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(child->out + at, "\n"),
             child->out + at);
    CHECK_TEXT(line, expected);
}

static void quiet_leaves_the_summary(void)
{
    const struct child *child = run_child("log quiet", "");
    CHECK_INT(child->code, 0);
    check_totals(child, "4 clients, 3 refused, 3 reset, 3 at once, 1 echoes, "
                        "147 bytes");
    CHECK_HAS(child->err, "#6 refused"); /* an error, even when quiet */
}

static void exact_with_8_threads(void)
{
    const struct child *child = run_child("log workers", "");
    int most = 0;
    const char *at = strstr(child->out, " reset, ");
    CHECK_INT(child->code, 0);
    CHECK(at != NULL && sscanf(at, " reset, %d at once", &most) == 1);
    CHECK(most >= 1 && most <= WORKERS);
    char expected[200];
    snprintf(expected, sizeof expected,
             "%d clients, %d refused, %d reset, %d at once, %d echoes, "
             "%d bytes",
             WORKERS * ROUNDS, WORKERS * ROUNDS / 10, WORKERS * ROUNDS / 5,
             most, WORKERS * ROUNDS, WORKERS * ROUNDS * 10);
    check_totals(child, expected);
}

static void ready_line(void)
{
    const struct child *child = run_child("log ready", "");
    unsigned port = 0;
    unsigned port_again = 0;
    unsigned long pid = 0;
    unsigned long pid_again = 0;
    int end = 0;
    CHECK_INT(child->code, 0);
    CHECK_INT(sscanf(child->out,
                     "demo: listening on 127.0.0.1:%u, pid %lu, 1 thread "
                     "(Ctrl+C stops) demo: listening on 127.0.0.1:%u, pid %lu, "
                     "4 threads (Ctrl+C stops) %n",
                     &port, &pid, &port_again, &pid_again, &end),
              4);
    CHECK(port > 0 && port < 65536);
    CHECK_INT(port_again, port);
    CHECK(pid > 0 && pid != GetCurrentProcessId());
    CHECK_INT(pid_again, pid);
    CHECK_INT(end, strlen(child->out));
}

#ifdef TRACE
static void counted_calls(void)
{
    /* Run once in this process: nothing else here is traced. */
    const struct child *child = run_child("log quiet", "");
    CHECK_HAS(child->out, "\n  Winsock and Win32 calls ");
    CHECK_HAS(child->out, "\n  together ");
    LONG code = 12345;
    SetLastError((DWORD)code);
    watch_SleepEx(0, FALSE);
    CHECK_INT(GetLastError(), code); /* to count leaves the last error alone */
}
#endif

void test_log(void)
{
    RUN(lines_of_connections);
    RUN(verbose_adds_every_move);
    RUN(quiet_leaves_the_summary);
    RUN(exact_with_8_threads);
    RUN(ready_line);
#ifdef TRACE
    RUN(counted_calls);
#endif
}
