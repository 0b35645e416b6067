/* counts.c -- see counts.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/compare/counts.h"
#include "programs/compare/idle.h"

enum { FEW = 200, MANY = 700, MESSAGE = 64, IDLE = 500 };

/* The calls in which a server waits. */
static const char *const waits[] = {
    "select",
    "GetMessageW",
    "SleepEx",
    "WSAWaitForMultipleEvents",
    "GetQueuedCompletionStatus",
    "GetQueuedCompletionStatusEx",
};

static bool is_wait(const char *name)
{
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        if (strcmp(name, waits[i]) == 0)
            return true;
    return false;
}

/* ---- calls ------------------------------------------------------------- */

static struct call *find_call(struct counts *counts, const char *name)
{
    for (size_t i = 0; i < counts->call_count; i++)
        if (strcmp(counts->calls[i].name, name) == 0)
            return &counts->calls[i];
    if (counts->call_count == CALLS_MOST)
        return NULL;
    struct call *call = &counts->calls[counts->call_count++];
    *call = (struct call){0};
    snprintf(call->name, sizeof call->name, "%s", name);
    return call;
}

/* The table is the server's own, and it may say anything: a name of a function
 * has no other characters, and a count is a number. */
static bool is_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_") == strlen(name);
}

static bool is_count(double count)
{
    return count >= 0 && count < 1e15; /* false for NAN, too */
}

/* If there is a table behind the summary, add its numbers, multiplied by
 * `factor`. Each of its lines has a name and a number. */
static void add_table(struct counts *counts, const char *text, double factor)
{
    const char *line = strstr(text, "per echo");
    while (line != NULL && (line = strchr(line, '\n')) != NULL) {
        char name[64];
        double count = 0;
        if (sscanf(++line, " %63s %lf", name, &count) != 2 ||
            strcmp(name, "together") == 0 || !is_name(name) || !is_count(count))
            break;
        struct call *call = find_call(counts, name);
        if (call != NULL)
            call->per_echo += count * factor;
    }
}

static bool echo(SOCKET sock, int times, char *why, size_t size)
{
    char out[MESSAGE];
    char in[MESSAGE];
    for (int i = 0; i < times; i++) {
        for (int k = 0; k < MESSAGE; k++)
            out[k] = (char)(i * 31 + k);
        if (send(sock, out, MESSAGE, 0) != MESSAGE ||
            recv(sock, in, MESSAGE, MSG_WAITALL) != MESSAGE ||
            memcmp(in, out, MESSAGE) != 0) {
            snprintf(why, size, "echo %d of one client was wrong or lost", i);
            return false;
        }
    }
    return true;
}

/* Let one client make `times` echoes, one after the other. Add the server's
 * table. */
static bool count_calls(struct subject *s, int times, double factor, char *why,
                        size_t size)
{
    struct running running;
    char *output = NULL;
    if (!subject_start(s, &running, why, size))
        return false;
    SOCKET sock = subject_dial(&running, why, size);
    bool ok = sock != INVALID_SOCKET && echo(sock, times, why, size);
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    if (!ok) {
        subject_abandon(&running, why, size);
        return false;
    }
    if (!subject_stop(&running, &output, why, size))
        return false;
    if (output != NULL)
        add_table(&s->counts, output, factor);
    free(output);
    return true;
}

static double per_echo(const struct counts *c, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(c->calls[i].name, name) == 0)
            return c->calls[i].per_echo;
    return 0;
}

/* Subtract a run with few echoes from a run with many. Connection, start and
 * stop are not in the difference. */
static bool calls_per_echo(struct subject *s, char *why, size_t size)
{
    struct counts *c = &s->counts;
    if (!count_calls(s, MANY, 1.0 / (MANY - FEW), why, size) ||
        !count_calls(s, FEW, -1.0 / (MANY - FEW), why, size))
        return false;
    size_t kept = 0;
    bool sleeps = false; /* that may be in no echo of this run */
    for (size_t i = 0; i < c->call_count; i++) {
        sleeps = sleeps || strcmp(c->calls[i].name, "SleepEx") == 0;
        if (c->calls[i].per_echo < 0.005)
            continue;
        c->calls[kept] = c->calls[i];
        c->calls_per_echo += c->calls[kept].per_echo;
        if (is_wait(c->calls[kept].name))
            c->waits_per_echo += c->calls[kept].per_echo;
        kept++;
    }
    c->sleeps = per_echo(c, kept, "SleepEx");
    if (sleeps)
        c->sleeps_most =
            per_echo(c, kept, "WSARecv") + per_echo(c, kept, "WSASend");
    c->call_count = kept;
    c->has_calls = kept > 0; /* a table may have no line */
    if (!c->has_calls)
        snprintf(c->no_calls, sizeof c->no_calls,
                 s->command_line == COMMAND_LINE_OURS
                     ? "it prints no table of its calls"
                     : "it is not asked for a table: it has a command line of "
                       "its own");
    return true;
}

/* ---- idle clients ------------------------------------------------------ */

static void set_usage(struct counts *c, const struct server_usage *before,
                      const struct server_usage *after)
{
    c->has_usage = true;
    c->threads = before->threads;
    c->handles_per_client =
        ((double)after->handles - (double)before->handles) / IDLE;
    c->bytes_per_client =
        ((double)after->working_set - (double)before->working_set) / IDLE;
    c->threads_per_client =
        ((double)after->threads - (double)before->threads) / IDLE;
}

/* A server that takes fewer clients gets no figures here, but is not marked as
 * unusable: the loads show its limit. */
static bool usage_of_idle(struct subject *s, char *why, size_t size)
{
    struct running running;
    struct idle idle = {0};
    struct server_usage before;
    struct server_usage after;
    char *no = s->counts.no_usage;
    char unused[WHY_SIZE] = "";
    if (!subject_start(s, &running, why, size))
        return false;
    if (!server_measure(running.process, &before))
        snprintf(no, WHY_SIZE, "its process could not be measured");
    else if (idle_open(&idle, &running, IDLE, no, WHY_SIZE)) {
        if (server_measure(running.process, &after))
            set_usage(&s->counts, &before, &after);
        else
            snprintf(no, WHY_SIZE, "it ended while %d clients were silent",
                     IDLE);
    }
    idle_close(&idle);
    (void)subject_stop(&running, NULL, unused, sizeof unused);
    return true;
}

/* ---- how many clients it takes ------------------------------------------ */

/* A server of ours says in its help how many clients it takes, and why:
 *   refuse above N; default and most: 8190
 *                       (FD_SETSIZE, less the listener and the wake socket) */
static void read_capacity(struct subject *s)
{
    static const char *const args[] = {"--help"};
    static const char mark[] = "default and most: ";
    struct server_start how = {.exe = s->path, .args = args, .arg_count = 1};
    unsigned long code = 0;
    char why[WHY_SIZE];
    struct server_process *process = server_start(&how, why, sizeof why);
    char *said = NULL;
    if (process != NULL &&
        server_wait_exit(process, PATIENCE_MS, &code) == SERVER_WAIT_OK)
        said = server_output(process, SERVER_STDOUT);
    const char *at = said != NULL ? strstr(said, mark) : NULL;
    const char *open = at != NULL ? strchr(at, '(') : NULL;
    if (open != NULL) {
        s->capacity.clients = strtoul(at + sizeof mark - 1, NULL, 10);
        snprintf(s->capacity.why, sizeof s->capacity.why, "%.*s",
                 (int)strcspn(open + 1, ")\r\n"), open + 1);
        if (s->capacity.clients >= 65535)
            s->capacity.clients = 0; /* all that TCP allows: no limit */
    }
    free(said);
    server_free(process);
}

void counts_take(struct subject *s)
{
    static const char elsewhere[] = "it ran already: its process is not ours";
    char why[WHY_SIZE];
    if (s->host[0] != '\0') {
        snprintf(s->counts.no_calls, WHY_SIZE, elsewhere);
        snprintf(s->counts.no_usage, WHY_SIZE, elsewhere);
        return;
    }
    if (!calls_per_echo(s, why, sizeof why) ||
        !usage_of_idle(s, why, sizeof why)) {
        snprintf(s->unusable, sizeof s->unusable, "%s", why);
        snprintf(s->counts.no_calls, WHY_SIZE, "%s", why);
        snprintf(s->counts.no_usage, WHY_SIZE, "%s", why);
    } else if (s->command_line == COMMAND_LINE_OURS)
        read_capacity(s);
}
