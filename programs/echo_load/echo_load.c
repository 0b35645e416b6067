/* echo_load.c -- load an echo server, and check every byte that comes back
 *
 *   main                 worker 0, worker 1: worker.c
 *    |  begin  --------->  [completion port] <-- packets -- connections
 *    |  progress  <------  a count of echoes       send, receive, compare:
 *    |  Ctrl+C  -------->  a packet                conn.c
 *    v
 *   figures: report.c
 *
 * It works against any echo server. With a thread for each connection it would
 * measure the threads. So two workers hold 4,000 connections, and a completion
 * port tells each worker what is done, as in iocp.c.
 *
 * Figures go to standard output, all messages go to standard error.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/console.h"
#include "common/err.h"
#include "common/stop.h"
#include "common/system.h"
#include "programs/echo_load/pattern.h"
#include "programs/echo_load/report.h"
#include "programs/echo_load/worker.h"
#include "programs/harness/output_file.h"

enum { EXIT_WRONG = 1, EXIT_NO_CONNECTION = 3, PROGRESS_MS = 250 };

/* ---- where to ---------------------------------------------------------- */

/* A name may stand for several addresses (localhost: ::1 and 127.0.0.1). Only
 * then try which one answers; otherwise the server would see a client that
 * comes and says nothing. */
static bool answers(const struct addrinfo *to)
{
    SOCKET sock = WSASocketW(to->ai_family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return false;
    bool well = connect(sock, to->ai_addr, (int)to->ai_addrlen) == 0;
    if (closesocket(sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    return well;
}

static void find_server(struct run *run)
{
    const struct dial *dial = &run->options.dial;
    struct addrinfo want = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%lu", dial->port);
    int err = getaddrinfo(dial->host, port, &want, &list);
    if (err != 0) {
        char what[320];
        err_describe((unsigned long)err, what, sizeof what);
        err_print("getaddrinfo %s: %s; is it spelled right?", dial->host, what);
        err_exit(EXIT_NO_CONNECTION);
    }
    const struct addrinfo *to = list;
    while (list->ai_next != NULL && to != NULL && !answers(to))
        to = to->ai_next;
    if (to == NULL)
        to = list; /* none answers: the run will say why */
    memcpy(&run->to, to->ai_addr, to->ai_addrlen);
    run->to_len = (int)to->ai_addrlen;
    net_name(&run->to, run->to_name, sizeof run->to_name);
    freeaddrinfo(list);
}

/* ---- while it runs ----------------------------------------------------- */

/* Writes one line, over the one before it, for a person who watches. In a file
 * or a pipe it would only disturb. */
static void show_progress(const struct run *run, bool last)
{
    static uint64_t seen_at, seen;
    uint64_t now = clock_ns();
    uint64_t done = 0;
    for (unsigned i = 0; i < run->worker_count; i++)
        done += (uint64_t)run->workers[i].done;
    double span = (double)(now - (seen_at > 0 ? seen_at : run->began)) / 1e9;
    char line[100]; /* written at once, not character by character */
    if (last)
        snprintf(line, sizeof line, "\r%60s\r", "");
    else
        snprintf(line, sizeof line,
                 "\r%6.1f s  %12llu echoes  %10.0f/s  (Ctrl+C ends)",
                 (double)(now - run->began) / 1e9, done,
                 span > 0 ? (double)(done - seen) / span : 0.0);
    fputs(line, stderr);
    fflush(stderr);
    seen_at = now;
    seen = done;
}

static void await_workers(const struct run *run)
{
    HANDLE threads[LOAD_WORKERS];
    DWORD mode = 0;
    bool watched = !run->options.quiet &&
                   GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode) != 0;
    DWORD got = WAIT_TIMEOUT;
    for (unsigned i = 0; i < run->worker_count; i++)
        threads[i] = run->workers[i].thread;
    while (got == WAIT_TIMEOUT) {
        got = WaitForMultipleObjects(run->worker_count, threads, TRUE,
                                     watched ? PROGRESS_MS : INFINITE);
        if (got == WAIT_FAILED)
            die_call("WaitForMultipleObjects", GetLastError());
        if (watched)
            show_progress(run, got != WAIT_TIMEOUT);
    }
}

/* ---- files and main ---------------------------------------------------- */

/* Where the figures for programs go. */
struct output {
    struct output_file place; /* of a file: it is whole, or as it was */
    FILE *to;                 /* "-": standard output; NULL: not wanted */
};

/* Called before the run: nobody wants to learn afterwards that the run was for
 * nothing. */
static bool open_output(struct output *o, const char *name)
{
    if (name == NULL)
        return true;
    if (strcmp(name, "-") == 0) {
        o->to = stdout;
        return true;
    }
    bool opened = output_open(&o->place, name);
    o->to = o->place.file;
    return opened;
}

static void open_outputs(const struct load_options *o, struct output *json,
                         struct output *hgrm)
{
    if (output_same(o->json, o->hgrm)) {
        err_print("--json and --hgrm need a file each");
        err_exit(EXIT_USAGE);
    }
    if (open_output(json, o->json) && open_output(hgrm, o->hgrm))
        return;
    output_drop(&json->place);
    err_exit(EXIT_USAGE);
}

static void keep_output(struct output *o)
{
    if (o->to == stdout && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        err_print("could not write all to standard output");
        err_exit(EXIT_WRONG);
    }
    if (!output_keep(&o->place))
        err_exit(EXIT_WRONG);
}

static int report(const struct run *run, struct output *json,
                  struct output *hgrm)
{
    struct report r = report_make(run);
    if (r.nothing) /* on standard error: the figures may be for a program */
        err_print("nothing measured: no echo began in the %.3f s", r.seconds);
    if (r.shares.unserved > 0) {
        char what[160];
        report_unserved(&r, what, sizeof what);
        err_print("%s", what);
    }
    if (!run->options.quiet && json->to != stdout && hgrm->to != stdout)
        report_print(&r);
    if (json->to != NULL)
        report_json(&r, json->to);
    if (hgrm->to != NULL)
        histogram_write(r.all.latency, hgrm->to);
    keep_output(json);
    keep_output(hgrm);
    int code = r.valid ? EXIT_STOPPED : EXIT_WRONG;
    if (r.all.all_connects == 0 && !run->stop)
        code = EXIT_NO_CONNECTION;
    report_free(&r);
    return code;
}

/* Without timeBeginPeriod(1) a wait of 1 ms takes up to 16 ms on Windows, and
 * the echoes of --rate would come in bursts. Wine is always that exact. An
 * import would take a winmm.dll that lies beside this program, whoever put it
 * there; this takes the one of Windows only. */
static void set_period(const char *name)
{
    typedef UINT(WINAPI * period_fn)(UINT);
    HMODULE winmm =
        LoadLibraryExW(L"winmm.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    period_fn call = NULL;
    if (winmm != NULL)
        call = (period_fn)find_function(L"winmm.dll", name);
    if (call == NULL || call(1) != 0) /* TIMERR_NOERROR */
        err_print("%s failed: --rate comes in bursts without it", name);
}

int main(int argc, char **argv)
{
    static struct run run;
    args_begin(&argc, &argv);
    run.options = load_options_parse(argc, argv);
    struct output json = {.to = NULL};
    struct output hgrm = {.to = NULL};
    open_outputs(&run.options, &json, &hgrm);
    console_begin();
    net_start();
    find_server(&run);
    pattern_make(run.options.seed);

    set_period("timeBeginPeriod");
    run_prepare(&run);
    stop_begin(run_stop, &run, false);
    run_start(&run);
    await_workers(&run);
    stop_end();
    int code = report(&run, &json, &hgrm);
    run_free(&run);
    set_period("timeEndPeriod");
    net_stop();
    return code;
}
