/* demo.c -- the six servers, one after the other, side by side
 *
 *   demo.exe --starts--> select.exe <==== 50 clients talk to it at once
 *            --then----> asyncselect.exe, and so on to iocp.exe
 *
 * Every server is a program of its own in the folder of demo.exe, started
 * cold, and stopped before the next one starts.
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/net.h"
#include "demo/clients.h"
#include "harness/clock.h"
#include "harness/server_process.h"

enum {
    TALK_MS = 1500,     /* how long the clients talk to each server */
    PATIENCE_MS = 20000 /* longest wait for a server to start, or to stop */
};

static const char *const models[] = {
    "select",           "asyncselect",        "eventselect",
    "overlapped_event", "overlapped_routine", "iocp"};
enum { MODELS = sizeof models / sizeof models[0] };

/* What one server did: its line of the table. */
struct result {
    const char *model;
    bool ok;
    long long echoes;
    long at_once; /* as the server itself counted */
    struct server_usage usage;
    double median; /* milliseconds */
    char why[400]; /* if not ok */
};

static bool is_console; /* standard output */

/* ---- one server -------------------------------------------------------- */

static bool start(struct result *r, struct server_process **server,
                  unsigned short *port)
{
    static const char *const args[] = {"--port", "0", "--stop-on-eof",
                                       "--quiet"};
    char here[MAX_PATH];
    char exe[MAX_PATH + 40];
    DWORD len = GetModuleFileNameA(NULL, here, sizeof here);
    char *slash = strrchr(here, '\\');
    if (len == 0 || len >= sizeof here || slash == NULL) {
        snprintf(r->why, sizeof r->why, "the folder of demo.exe is unknown");
        return false;
    }
    *slash = '\0';
    snprintf(exe, sizeof exe, "%s\\%s.exe", here, r->model);

    struct server_start how = {.exe = exe, .args = args, .arg_count = 4};
    struct server_ready ready;
    char why[200];
    *server = server_start(&how, why, sizeof why);
    if (*server == NULL) {
        snprintf(r->why, sizeof r->why, "%s.exe does not start: %s", r->model,
                 why);
        return false;
    }
    if (server_wait_ready(*server, &ready, PATIENCE_MS) != SERVER_WAIT_OK) {
        snprintf(r->why, sizeof r->why, "it printed no ready line");
        return false;
    }
    *port = ready.port;
    return true;
}

/* Let the clients talk, show how far they are, and measure the server at half
 * time: then all of them are connected and busy. */
static bool talk(struct result *r, struct server_process *server)
{
    double half_time = clock_ms() + TALK_MS / 2.0;
    bool measured = false;
    while (!clients_wait(100)) {
        if (!measured && clock_ms() >= half_time)
            measured = server_measure(server, &r->usage);
        if (is_console) {
            printf("\r%-18s %9lld", r->model, clients_echoes());
            fflush(stdout);
        }
    }
    const char *trouble = clients_trouble();
    if (trouble == NULL && !measured)
        trouble = "the server could not be measured";
    if (trouble != NULL)
        snprintf(r->why, sizeof r->why, "%s", trouble);
    r->echoes = clients_echoes();
    r->median = clients_median();
    return trouble == NULL;
}

/* Does the server's own summary agree with what we know? */
static bool summary_agrees(struct result *r, const char *said)
{
    long served = 0;
    long refused = 0;
    long reset = 0;
    const char *line = strstr(said, ": stopped after ");
    if (line != NULL &&
        sscanf(line,
               ": stopped after %*f s: %ld clients, %ld refused, %ld reset, "
               "%ld at once",
               &served, &refused, &reset, &r->at_once) == 4 &&
        served == CLIENTS && refused == 0 && reset == 0 &&
        r->at_once == CLIENTS)
        return true;
    snprintf(r->why, sizeof r->why,
             "it should have served %d clients, but %s%.*s", CLIENTS,
             line != NULL ? "says" : "prints no summary",
             line != NULL ? (int)strcspn(line, "\r\n") : 0,
             line != NULL ? line : "");
    return false;
}

static bool stop(struct result *r, struct server_process *server)
{
    unsigned long code = 0;
    server_close_stdin(server);
    if (server_wait_exit(server, PATIENCE_MS, &code) != SERVER_WAIT_OK) {
        snprintf(r->why, sizeof r->why, "it did not stop within %d s",
                 PATIENCE_MS / 1000);
        return false;
    }
    if (code != EXIT_STOPPED) {
        snprintf(r->why, sizeof r->why, "it was asked to stop and failed");
        return false;
    }
    char *said = server_output(server, SERVER_STDOUT);
    bool agrees = summary_agrees(r, said != NULL ? said : "");
    free(said);
    return agrees;
}

/* ---- what the class sees ----------------------------------------------- */

static void print_result(const struct result *r)
{
    if (is_console)
        printf("\r");
    if (r->ok)
        printf("%-18s %9lld %8ld %8lu %8lu %8.1f %11.3f\n", r->model, r->echoes,
               r->at_once, r->usage.threads, r->usage.handles,
               (double)r->usage.working_set / (1024.0 * 1024.0), r->median);
    else
        printf("%-18s FAILED: %s\n", r->model, r->why);
    fflush(stdout);
}

/* What is left to say of a server that failed: whether it lives, and what it
 * wrote on its standard error. */
static void print_last_words(const struct result *r,
                             struct server_process *server)
{
    unsigned long code = 0;
    /* A server that crashed may still be ending. */
    if (server_wait_exit(server, 2000, &code) == SERVER_WAIT_OK)
        printf("%-18s %s.exe ended with exit code %lu (0x%lx)\n", "", r->model,
               code, code);
    char *said = server_output(server, SERVER_STDERR);
    for (char *line = said; line != NULL && *line != '\0';) {
        int len = (int)strcspn(line, "\r\n");
        if (len > 0)
            printf("%-18s it said: %.*s\n", "", len, line);
        line += (size_t)len + strspn(line + len, "\r\n");
    }
    free(said);
    fflush(stdout);
}

static void show(struct result *r)
{
    struct server_process *server = NULL;
    unsigned short port = 0;
    if (is_console) {
        printf("%-18s starting", r->model);
        fflush(stdout);
    }
    r->ok = start(r, &server, &port) &&
            clients_start(port, TALK_MS, r->why, sizeof r->why) &&
            talk(r, server) && stop(r, server);
    print_result(r);
    if (!r->ok && server != NULL)
        print_last_words(r, server);
    server_free(server);
    clients_finish();
}

/* "Wine 8.0", or "Windows 10.0.19045". */
static void system_name(char *out, size_t size)
{
    typedef const char *(*wine_fn)(void);
    typedef LONG(WINAPI * version_fn)(OSVERSIONINFOW *);
    typedef void (*any_fn)(void); /* what gcc lets a FARPROC be cast to */
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    if (ntdll == NULL)
        die_call("GetModuleHandleW", GetLastError());
    wine_fn wine = (wine_fn)(any_fn)GetProcAddress(ntdll, "wine_get_version");
    version_fn version =
        (version_fn)(any_fn)GetProcAddress(ntdll, "RtlGetVersion");
    OSVERSIONINFOW info = {.dwOSVersionInfoSize = sizeof info};
    if (wine != NULL)
        snprintf(out, size, "Wine %s", wine());
    else if (version != NULL && version(&info) == 0)
        snprintf(out, size, "Windows %lu.%lu.%lu", info.dwMajorVersion,
                 info.dwMinorVersion, info.dwBuildNumber);
    else
        snprintf(out, size, "Windows");
}

static void print_head(void)
{
    char system[64];
    system_name(system, sizeof system);
    printf("Six echo servers, one after the other, measured here, on %s.\n"
           "%d clients at once send %d bytes, wait, compare the echo, for "
           "%.1f s.\n\n",
           system, CLIENTS, MESSAGE, TALK_MS / 1000.0);
    printf("%-18s %9s %8s %8s %8s %8s %11s\n", "", "echoes", "clients", "", "",
           "memory", "median");
    printf("%-18s %9s %8s %8s %8s %8s %11s\n", "model", "verified", "at once",
           "threads", "handles", "MiB", "round, ms");
    fflush(stdout);
}

static void print_foot(int passed)
{
    printf("\nThreads, handles and memory (working set) are the server's while "
           "all clients\nare busy; one of its threads only waits for the order "
           "to stop. Clients at once\nis its own count. A round trip includes "
           "the wait while the other %d are served.\n",
           CLIENTS - 1);
    if (server_on_wine())
        printf("Wine does these calls in its own way, and counts handles in "
               "its own table:\nexpect other figures, and another order, on "
               "Windows.\n");
    if (passed == MODELS)
        printf(
            "\nAll six passed. Talk to one yourself: iocp.exe in one window, "
            "echo_client.exe\nin another.\n");
    else
        printf("\n%d of %d FAILED\n", MODELS - passed, MODELS);
}

/* ---- main -------------------------------------------------------------- */

static bool asks(const char *arg, const char *a, const char *b)
{
    return strcmp(arg, a) == 0 || strcmp(arg, b) == 0;
}

static void parse(int argc, char **argv)
{
    if (argc == 1)
        return;
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("demo " SUITE_VERSION);
    } else if (argc == 2 &&
               (asks(argv[1], "-h", "--help") || asks(argv[1], "-?", "/?"))) {
        puts(
            "demo: start each of the six servers, talk to it, show what it "
            "did\n\n"
            "usage: demo\n\n"
            "The servers have to be in the folder of demo.exe.\n"
            "Exit codes: 0 all six passed, 1 one did not, 2 bad command line.");
    } else {
        err_print("unexpected '%s'; --help shows the usage", argv[1]);
        err_exit(EXIT_USAGE);
    }
    exit(EXIT_STOPPED);
}

int main(int argc, char **argv)
{
    DWORD mode = 0;
    int passed = 0;
    err_program("demo");
    parse(argc, argv);
    net_start();
    is_console = GetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), &mode) != 0;
    (void)setvbuf(stdout, NULL, _IOFBF, 4096); /* each flush is one write */

    print_head();
    for (int i = 0; i < MODELS; i++) {
        struct result result = {.model = models[i]};
        show(&result);
        passed += result.ok;
    }
    print_foot(passed);
    fflush(stdout);
    net_stop();
    /* Started by a double click, the window would close with the last line.
     * Under Wine the "window" is the terminal, which stays. */
    if (!server_on_wine())
        console_hold();
    return passed == MODELS ? EXIT_STOPPED : EXIT_FAILED;
}
