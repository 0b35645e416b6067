/* e08_stop.c -- E8: a server stops when asked, at once and in order */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "programs/contract/peer.h"

enum { STOP_MS = 2000, STILL_MS = 300 };

static const char slow_hint[] =
    "The server does not stop in time. Several causes fit: it does not hear "
    "the request at all, its wait is not woken, it waits for its clients to "
    "leave, or for an operation that it did not cancel.";
static const char code_hint[] =
    "A stop that was asked for is a success: exit code 0. A number above "
    "0xC0000000 is a crash (0xC000013A: Ctrl+C was not handled at all).";

static void end_of_stdin(struct test *t)
{
    own_server(t, TARGET_PLAIN, NULL);
    step(t, "start with --stop-on-eof, end its standard input",
         "exit code 0 within %lu ms", limit(t, STOP_MS));
    server_close_stdin(t->target->process);
    expect_exit(t, 0, limit(t, STOP_MS), slow_hint, code_hint);
}

/* Clients in every state that a server can find them in. */
static void clients_in_all_states(struct test *t)
{
    step(t, "clients #1 and #2 echo and idle", "they are served");
    peer_echo(peer_connect(t), 100);
    peer_echo(peer_connect(t), 100);
    step(t, "client #3 connects and says nothing", "it is accepted");
    peer_connect(t);
    step(t, "clients #4 and #5 send and never read",
         "the server is stuck in sending to them");
    for (unsigned i = 0; i < 2; i++) {
        struct peer *p = peer_connect(t);
        p->mute = true;
        peer_say(p, 64u << 20);
    }
    peers_stall(t, stillness(t, STILL_MS), limit(t, ANSWER_MS));
    step(t, "client #6 has sent its FIN and does not read the echo",
         "the server is closing it");
    struct peer *p = peer_connect(t);
    p->mute = true;
    p->fin = true;
    peer_say(p, 1u << 20);
    peers_stall(t, stillness(t, STILL_MS), limit(t, ANSWER_MS));

    /* From here on any end is right. */
    for (p = t->peers; p != NULL; p = p->next)
        p->tolerant = true;
}

static void nobody_listens(struct test *t)
{
    step(t, "connect once more", "refused: the port is free again");
    struct peer *p = peer_begin(t);
    p->tolerant = true;
    peer_settle(p, limit(t, ANSWER_MS));
    if (p->sock != INVALID_SOCKET)
        fail(t, "After the server has gone somebody still listens.",
             "the connection is accepted");
}

static void all_states(struct test *t)
{
    own_server(t, TARGET_PLAIN, NULL);
    clients_in_all_states(t);
    step(t, "end standard input", "exit code 0 within %lu ms",
         limit(t, STOP_MS));
    server_close_stdin(t->target->process);
    expect_exit(t, 0, limit(t, STOP_MS), slow_hint, code_hint);
    step(t, "look at clients #1 to #3", "their connections have ended");
    for (unsigned n = 1; n <= 3; n++)
        if (!peer_expect_end(peer_at(t, n), limit(t, STOP_MS)))
            fail(t,
                 "The process is gone but a connection is not: somebody "
                 "else holds the socket, a child that has inherited it.",
                 "client #%u is still connected", n);
    nobody_listens(t);
}

/* A server may look for the order to stop only when nothing else is left to do,
 * or in a queue where the order comes last. Such a server does not notice it
 * now. */
static void under_load(struct test *t)
{
    enum { BUSY = 50, BITE = 64, RUN_UP_MS = 300, SLICE_MS = 20 };
    own_server(t, TARGET_PLAIN, NULL);
    step(t, "%u clients send %u bytes at a time, without end",
         "they are served", BUSY, BITE);
    peers_connect(t, BUSY);
    for (struct peer *p = t->peers; p != NULL; p = p->next) {
        p->send_max = BITE;
        peer_say(p, (uint64_t)1 << 40);
    }
    peers_stall(t, stillness(t, RUN_UP_MS), stillness(t, RUN_UP_MS));
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        p->tolerant = true; /* any end is right now */
    step(t, "end standard input while they go on", "exit code 0 within %lu ms",
         limit(t, STOP_MS));
    server_close_stdin(t->target->process);
    t->may_end = true;
    double until = clock_ms() + limit(t, STOP_MS);
    while (server_alive(t->target->process)) {
        if (clock_ms() > until)
            fail(t,
                 "The server hears the order to stop only when its clients are "
                 "silent. Usual causes: it is looked for when nothing else is "
                 "ready, or it is the last in a queue (WM_QUIT is).",
                 "after %lu ms the server still runs", limit(t, STOP_MS));
        peers_stall(t, SLICE_MS, SLICE_MS);
    }
    expect_exit(t, 0, limit(t, STOP_MS), slow_hint, code_hint);
}

/* The number before `word` in the summary line, or -1. */
static double number_before(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    if (at == NULL || at == line)
        return -1;
    at--; /* the space */
    while (at > line && at[-1] >= '0' && at[-1] <= '9')
        at--;
    char *end = NULL;
    double number = strtod(at, &end);
    return end == at ? -1 : number;
}

static void summary(struct test *t)
{
    static const struct {
        const char *word;
        double value;
    } wanted[] = {{" clients", 3}, {" refused", 0}, {" reset", 0},
                  {" at once", 3}, {" echoes", 12}, {" bytes", 1200}};
    own_server(t, TARGET_PLAIN, NULL);
    step(t, "3 clients at once, 12 echoes of 100 bytes, then they leave",
         "they are served");
    peers_connect(t, 3);
    for (unsigned i = 0; i < 12; i++)
        peer_echo(peer_at(t, 1 + i % 3), 100);
    for (struct peer *p = t->peers; p != NULL; p = p->next)
        p->fin = true;
    peers_settle(t);
    step(t, "end standard input", "exit code 0, and a summary");
    server_close_stdin(t->target->process);
    expect_exit(t, 0, limit(t, STOP_MS), slow_hint, code_hint);
    step(t, "read the summary",
         "3 clients, 0 refused, 0 reset, 3 at once, 12 echoes, 1200 bytes");
    char *out = server_output(t->target->process, SERVER_STDOUT);
    t->observed = out; /* the test frees it */
    const char *line = out != NULL ? strstr(out, ": stopped after ") : NULL;
    if (line == NULL)
        fail(t, "No summary: print it on the way out, and flush it.",
             "no line with `: stopped after `");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (number_before(line, wanted[i].word) != wanted[i].value)
            fail(t,
                 "The summary does not count what happened. If threads share "
                 "a counter they have to count with Interlocked functions.",
                 "not `%.0f%s` but: %.120s", wanted[i].value, wanted[i].word,
                 line + 2);
}

static void press(struct test *t, enum server_key key)
{
    char why[200];
    if (!server_press(t->target->process, key, why, sizeof why))
        skip(t, "the key cannot be pressed here: %s", why);
}

static const char key_hint[] =
    "The server does not stop in time after Ctrl+C. Several causes fit: the "
    "handler of SetConsoleCtrlHandler() does not wake the wait (the key "
    "interrupts no Winsock call by itself), or the server waits for clients.";

static const char break_hint[] =
    "Ctrl+Break is not handled as Ctrl+C is: the handler gets it as "
    "CTRL_BREAK_EVENT, and what the handler refuses ends the process.";

/* An exit code of 0 is not enough: under Wine a program that does not handle
 * the key ends with 0, too. */
static void expect_summary(struct test *t, const char *hint)
{
    if (!t->suite->full)
        return;
    step(t, "read standard output", "the summary, the last thing printed");
    char *out = server_output(t->target->process, SERVER_STDOUT);
    t->observed = out; /* the test frees it */
    if (out == NULL || strstr(out, ": stopped after ") == NULL)
        fail(t, hint, "no line with `: stopped after `");
    free(out);
    t->observed = NULL;
}

static void ctrl_c(struct test *t)
{
    own_server(t, TARGET_CONSOLE, NULL);
    clients_in_all_states(t);
    step(t, "press Ctrl+C on its console", "exit code 0 within %lu ms",
         limit(t, STOP_MS));
    press(t, SERVER_CTRL_C);
    expect_exit(t, 0, limit(t, STOP_MS), key_hint, code_hint);
    expect_summary(t, "Ctrl+C is not handled: the process was ended by the "
                      "system, its clients were cut off.");
}

static void ctrl_break(struct test *t)
{
    own_server(t, TARGET_CONSOLE, NULL);
    step(t, "a client connects and echoes 100 bytes", "it is served");
    peer_echo(peer_connect(t), 100);
    step(t, "press Ctrl+Break on its console", "exit code 0 within %lu ms",
         limit(t, STOP_MS));
    press(t, SERVER_CTRL_BREAK);
    expect_exit(t, 0, limit(t, STOP_MS), break_hint, break_hint);
    expect_summary(t, break_hint);
}

/* The second key and the end of the server are in a race, which a good server
 * wins: then it has ended with 0. If the key comes first, it ends with 1. */
static void second_key(struct test *t)
{
    own_server(t, TARGET_CONSOLE, NULL);
    clients_in_all_states(t);
    step(t, "press Ctrl+C twice", "it ends within %lu ms, by code 0 or 1",
         limit(t, STOP_MS));
    press(t, SERVER_CTRL_C);
    char why[200];
    bool pressed =
        server_press(t->target->process, SERVER_CTRL_C, why, sizeof why);
    unsigned long code = 0;
    t->may_end = true;
    if (server_wait_exit(t->target->process, limit(t, STOP_MS), &code) !=
        SERVER_WAIT_OK)
        fail(t,
             "A second Ctrl+C has to end the server at once, whatever it is "
             "waiting for: the user has lost patience.",
             "after %lu ms it still runs", limit(t, STOP_MS));
    if (code > 1)
        fail(t,
             "The second Ctrl+C meets a server that is shutting down: what the "
             "handler uses may be closed or freed already.",
             "exit code %lu (0x%lx)%s", code, code,
             pressed ? "" : ", before the second press");
}

const struct contract_case e08_stop[] = {
    {"E8.1", "end of standard input, no clients", 2,
     NEED_PROCESS | NEED_OPTIONS, end_of_stdin},
    {"E8.2", "stop with clients in every state", 3, NEED_PROCESS | NEED_OPTIONS,
     all_states},
    {"E8.3", "the summary counts right", 1, NEED_PROCESS | NEED_OPTIONS,
     summary},
    {"E8.4", "Ctrl+C with clients in every state", 3, NEED_PROCESS, ctrl_c},
    {"E8.5", "a second Ctrl+C", 2, NEED_PROCESS, second_key},
    {"E8.6", "Ctrl+Break", 1, NEED_PROCESS, ctrl_break},
    {"E8.7", "stop while 50 clients talk without a pause", 2,
     NEED_PROCESS | NEED_OPTIONS, under_load},
    {NULL, NULL, 0, 0, NULL}};
