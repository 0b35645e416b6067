/* costs.c -- what one echo and one idle client cost in each of the six models
 *
 *   costs.exe [SERVER ...]     default: all six, from the folder of costs.exe
 *
 * Counts, not speeds: they are the same on every machine and on every run. The
 * calls come from the table that each server prints when it stops. A client
 * sends 64 bytes and waits for them, first 1000 and then 3000 times; half of a
 * thousandth of the difference is the cost of one echo, without what a
 * connection costs. Then 500 clients connect and say nothing.
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/net.h"
#include "harness/server_process.h"

enum { FEW = 1000, MANY = 3000, MESSAGE = 64, IDLE = 500 };
enum { PATIENCE_MS = 60000 };

static const char *const models[] = {
    "select",           "asyncselect",        "eventselect",
    "overlapped_event", "overlapped_routine", "iocp",
};

/* The calls in which a server waits. */
static const char *const waits[] = {
    "select",
    "GetMessageW",
    "SleepEx",
    "WSAWaitForMultipleEvents",
    "GetQueuedCompletionStatus",
    "GetQueuedCompletionStatusEx",
};

/* What a server counted: all of its calls, and those in which it waits. */
struct calls {
    double all;
    double waits;
};

static _Noreturn void give_up(const char *model, const char *what)
{
    err_print("%s: %s", model, what);
    err_exit(EXIT_FAILED);
}

/* Start a server from our own folder. It is up when this returns. */
static struct server_process *start(const char *model, bool quiet,
                                    struct server_ready *ready)
{
    static const char *const args[] = {"--port", "0", "--stop-on-eof",
                                       "--quiet"};
    char path[MAX_PATH];
    char why[256];
    DWORD len = GetModuleFileNameA(NULL, path, sizeof path);
    char *slash = len < sizeof path ? strrchr(path, '\\') : NULL;
    if (slash == NULL)
        give_up(model, "cannot tell where this program is");
    snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "%s.exe",
             model);

    struct server_start how = {
        .exe = path, .args = args, .arg_count = quiet ? 4 : 3};
    struct server_process *server = server_start(&how, why, sizeof why);
    if (server == NULL)
        give_up(model, why);
    if (server_wait_ready(server, ready, PATIENCE_MS) != SERVER_WAIT_OK)
        give_up(model, "does not become ready");
    return server;
}

static void stop(struct server_process *server, const char *model)
{
    unsigned long code = 0;
    server_close_stdin(server);
    if (server_wait_exit(server, PATIENCE_MS, &code) != SERVER_WAIT_OK ||
        code != EXIT_STOPPED)
        give_up(model, "does not stop as asked");
}

static SOCKET dial(const char *model, unsigned short port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SOCKET sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (sock == INVALID_SOCKET ||
        connect(sock, (struct sockaddr *)&to, sizeof to) == SOCKET_ERROR)
        give_up(model, err_name((unsigned long)WSAGetLastError()));
    return sock;
}

static void echo(const char *model, SOCKET sock, int times)
{
    char out[MESSAGE];
    char in[MESSAGE];
    for (int i = 0; i < times; i++) {
        for (int k = 0; k < MESSAGE; k++)
            out[k] = (char)(i * 31 + k);
        if (send(sock, out, MESSAGE, 0) != MESSAGE ||
            recv(sock, in, MESSAGE, MSG_WAITALL) != MESSAGE ||
            memcmp(in, out, MESSAGE) != 0)
            give_up(model, "a wrong echo, or none");
    }
}

static bool is_wait(const char *name)
{
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        if (strcmp(name, waits[i]) == 0)
            return true;
    }
    return false;
}

/* The table behind the summary: a name and a number on each line. */
static struct calls read_table(const char *model, const char *text)
{
    struct calls calls = {0};
    const char *line = strstr(text, "per echo");
    if (line == NULL)
        give_up(model, "prints no table of calls (built with PLAIN=1?)");
    while ((line = strchr(line, '\n')) != NULL) {
        char name[64];
        double count = 0;
        if (sscanf(++line, " %63s %lf", name, &count) != 2 ||
            strcmp(name, "together") == 0)
            break;
        calls.all += count;
        if (is_wait(name))
            calls.waits += count;
    }
    return calls;
}

static struct calls calls_of_echoes(const char *model, int times)
{
    struct server_ready ready;
    struct server_process *server = start(model, true, &ready);
    SOCKET sock = dial(model, ready.port);
    echo(model, sock, times);
    closesocket(sock);
    stop(server, model);
    char *text = server_output(server, SERVER_STDOUT);
    if (text == NULL)
        give_up(model, "out of memory");
    struct calls calls = read_table(model, text);
    free(text);
    server_free(server);
    return calls;
}

static void measure(const char *model, struct server_process *server,
                    struct server_usage *usage)
{
    if (!server_measure(server, usage))
        give_up(model, "cannot be measured");
}

/* What 500 clients that say nothing add to a server. */
static void usage_of_idle(const char *model, struct server_usage *before,
                          struct server_usage *after)
{
    static SOCKET clients[IDLE];
    struct server_ready ready;
    char last[32];
    struct server_process *server = start(model, false, &ready);
    SOCKET first = dial(model, ready.port);
    echo(model, first, 10); /* whatever is made at the first use is made */
    measure(model, server, before);
    for (int i = 0; i < IDLE; i++)
        clients[i] = dial(model, ready.port);
    snprintf(last, sizeof last, "#%d open", IDLE + 1);
    if (server_wait_text(server, SERVER_STDOUT, last, PATIENCE_MS) !=
        SERVER_WAIT_OK)
        give_up(model, "does not accept everybody");
    echo(model, first, 10); /* and is done with accepting */
    measure(model, server, after);
    for (int i = 0; i < IDLE; i++)
        closesocket(clients[i]);
    closesocket(first);
    stop(server, model);
    server_free(server);
}

static void print_costs(const char *model)
{
    struct server_usage before;
    struct server_usage after;
    struct calls few = calls_of_echoes(model, FEW);
    struct calls many = calls_of_echoes(model, MANY);
    usage_of_idle(model, &before, &after);
    printf("| %-18s | %10.2f | %10.2f | %13.2f | %12.1f | %12.3f |\n", model,
           (many.all - few.all) / (MANY - FEW),
           (many.waits - few.waits) / (MANY - FEW),
           ((double)after.handles - (double)before.handles) / IDLE,
           ((double)after.working_set - (double)before.working_set) / 1024 /
               IDLE,
           ((double)after.threads - (double)before.threads) / IDLE);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    err_program("costs");
    net_start();
    printf("| %-18s | %-10s | %-10s | %-13s | %-12s | %-12s |\n"
           "| ------------------ | ---------: | ---------: | ------------: | "
           "-----------: | -----------: |\n",
           "model", "calls/echo", "waits/echo", "handles/idle", "KiB/idle",
           "threads/idle");
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            print_costs(argv[i]);
    } else {
        for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
            print_costs(models[i]);
    }
    net_stop();
    return EXIT_STOPPED;
}
