/* e13_output.c -- E13: who does not read a server's output holds up nobody */
#include "common/win.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "programs/contract/peer.h"

/* A pipe takes 4 KiB on Windows, and under Wine. A client is two lines of the
 * log, of some 25 bytes each. */
enum { CLIENTS = 300, STOP_MS = 2000, LOOK_MS = 20 };

static const char unread_hint[] =
    "Nobody reads what the server prints. Usual cause: when the pipe is full, "
    "its next write waits, and with it all that this thread should do. A "
    "thread "
    "of its own has to write, out of a queue that drops lines when it is full.";

static void come_and_go(struct test *t)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct peer *p = peer_connect(t);
        peer_echo(p, 20);
        peer_reset(p);
    }
}

static void start_unread(struct test *t)
{
    own_server(t, TARGET_LOGS, NULL);
    serves(t);
    hint_for(t, SILENT, unread_hint);
    hint_for(t, STOPS, unread_hint);
    hint_for(t, NO_CONNECT, unread_hint);
    hint_for(t, NO_EOF, unread_hint);
    step(t, "nobody reads its output any more; %d clients come, echo and go",
         "all are served", CLIENTS);
    server_leave_unread(t->target->process, true);
}

static void all_are_served(struct test *t)
{
    start_unread(t);
    struct peer *bystander = peer_connect(t);
    come_and_go(t);
    step(t, "a client that was there all the time sends something",
         "it is served");
    peer_echo(bystander, 1000);
}

static void it_stops(struct test *t)
{
    start_unread(t);
    come_and_go(t);
    step(t, "end standard input; still nobody reads",
         "exit code 0 within %lu ms", limit(t, STOP_MS));
    server_close_stdin(t->target->process);
    t->may_end = true;
    double until = clock_ms() + limit(t, STOP_MS);
    while (server_alive(t->target->process)) {
        if (clock_ms() > until)
            fail(t, unread_hint, "after %lu ms the server still runs",
                 limit(t, STOP_MS));
        peers_stall(t, LOOK_MS, LOOK_MS);
    }
    server_leave_unread(t->target->process, false);
    expect_exit(
        t, 0, limit(t, STOP_MS), unread_hint,
        "A stop that was asked for is a success: exit code 0, also when "
        "nobody reads what the server prints.");
}

static void summary_arrives(struct test *t)
{
    start_unread(t);
    come_and_go(t);
    step(t, "read its output again, and end standard input",
         "exit code 0, and the summary arrives");
    server_leave_unread(t->target->process, false);
    server_close_stdin(t->target->process);
    t->may_end = true;
    expect_exit(t, 0, limit(t, STOP_MS), unread_hint,
                "A stop that was asked for is a success: exit code 0.");
    char *said = server_output(t->target->process, SERVER_STDOUT);
    if (said == NULL)
        suite_broken("out of memory");
    bool summary = strstr(said, ": stopped after ") != NULL;
    free(said);
    if (!summary)
        fail(t,
             "The summary is lost. Two causes fit: it was dropped like a line "
             "of the log, so keep room for it; or the process has ended before "
             "it was written.",
             "no `stopped after` in what the server printed");
}

const struct contract_case e13_output[] = {
    {"E13.1", "nobody reads the output: clients are served", 2,
     NEED_PROCESS | NEED_OPTIONS, all_are_served},
    {"E13.2", "nobody reads the output: the server stops", 2,
     NEED_PROCESS | NEED_OPTIONS, it_stops},
    {"E13.3", "what must not get lost arrives", 2, NEED_PROCESS | NEED_OPTIONS,
     summary_arrives},
    {NULL, NULL, 0, 0, NULL}};
