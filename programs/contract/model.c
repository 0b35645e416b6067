/* model.c -- --model: does the server use the model that it is graded for?
 *
 * Two things are looked at: the functions that the program's file imports
 * (imports.h), and how many threads there are more when there are more clients.
 * Both can only speak against a model: a function that is not imported is not
 * called by its name, but one that is imported need not be called. What is seen
 * is said, and no more.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/contract/imports.h"
#include "programs/contract/peer.h"

enum { NEEDS = 3, CHOICES = 8 };

/* Of each row in `needs` a server of this model imports a function or more. A
 * function in `strange` is part of another model; it speaks against a server
 * that imports none of `usual`. */
static const struct model_signs {
    const char *name;
    const char *needs[NEEDS][CHOICES];
    const char *usual[CHOICES];
    const char *strange[CHOICES];
    const char *part_of; /* what those are part of */
} all_models[] = {
    {.name = "select", .needs = {{"select"}}},
    {.name = "asyncselect",
     .needs = {{"WSAAsyncSelect"},
               {"GetMessageW", "GetMessageA", "PeekMessageW", "PeekMessageA"}}},
    {.name = "eventselect",
     .needs = {{"WSAEventSelect"}},
     .usual = {"recv"},
     .strange = {"WSAGetOverlappedResult", "GetOverlappedResult", "SleepEx",
                 "GetQueuedCompletionStatus", "GetQueuedCompletionStatusEx"},
     .part_of = "receiving with overlapped operations"},
    {.name = "overlapped_event",
     .needs = {{"WSARecv"},
               {"WSAGetOverlappedResult", "GetOverlappedResult"},
               {"WSAWaitForMultipleEvents", "WaitForMultipleObjects",
                "WaitForMultipleObjectsEx", "MsgWaitForMultipleObjects",
                "MsgWaitForMultipleObjectsEx"}},
     .strange = {"GetQueuedCompletionStatus", "GetQueuedCompletionStatusEx",
                 "StartThreadpoolIo"},
     .part_of = "having completions told by a port"},
    {.name = "overlapped_routine",
     .needs = {{"WSARecv"},
               {"SleepEx", "WSAWaitForMultipleEvents", "WaitForSingleObjectEx",
                "WaitForMultipleObjectsEx", "MsgWaitForMultipleObjectsEx",
                "SignalObjectAndWait"}},
     .usual = {"SleepEx", "WaitForSingleObjectEx", "WaitForMultipleObjectsEx",
               "MsgWaitForMultipleObjectsEx", "SignalObjectAndWait"},
     .strange = {"WSAGetOverlappedResult", "GetOverlappedResult",
                 "GetQueuedCompletionStatus", "GetQueuedCompletionStatusEx"},
     .part_of = "asking for results, which a completion routine is given"},
    {.name = "iocp",
     .needs = {{"CreateIoCompletionPort"},
               {"GetQueuedCompletionStatus", "GetQueuedCompletionStatusEx"}}},
};
enum { MODELS = sizeof all_models / sizeof *all_models };

static const struct model_signs *find_model(const char *name)
{
    for (size_t i = 0; i < MODELS; i++)
        if (strcmp(all_models[i].name, name) == 0)
            return &all_models[i];
    return NULL;
}

bool model_known(const char *name)
{
    return find_model(name) != NULL;
}

static const char hint[] =
    "The program's file was looked at, and how its threads grow; its calls "
    "were not watched. A call by a pointer (GetProcAddress) is not seen. If "
    "the "
    "server makes its calls in that way, grade it without --model and look "
    "into "
    "its source.";

/* ---- imports --------------------------------------------------------------- */

/* "A(), B() or C()" */
static char *list(const char *const *names)
{
    char *text = format_text("%s()", names[0]);
    for (size_t i = 1; i < CHOICES && names[i] != NULL; i++) {
        bool last = i + 1 == CHOICES || names[i + 1] == NULL;
        char *longer =
            format_text("%s%s%s()", text, last ? " or " : ", ", names[i]);
        free(text);
        text = longer;
    }
    return text;
}

static const char *first_of(const struct imports *imports,
                            const char *const *names)
{
    for (size_t i = 0; i < CHOICES && names[i] != NULL; i++)
        if (imports_has(imports, names[i]))
            return names[i];
    return NULL;
}

/* What speaks against the model; NULL: nothing. The caller frees it. */
static char *imports_refuse(const struct imports *imports,
                            const struct model_signs *model)
{
    for (size_t i = 0; i < NEEDS && model->needs[i][0] != NULL; i++) {
        if (first_of(imports, model->needs[i]) != NULL)
            continue;
        char *missing = list(model->needs[i]);
        char *text = format_text("not %s, so far as imports tell: the program "
                                 "imports no %s",
                                 model->name, missing);
        free(missing);
        return text;
    }
    const char *strange = first_of(imports, model->strange);
    if (strange == NULL || first_of(imports, model->usual) != NULL)
        return NULL;
    char *usual = model->usual[0] != NULL ? list(model->usual) : NULL;
    char *text = format_text(
        "not %s, so far as imports tell: the program imports %s%s%s%s(), which "
        "is part of %s",
        model->name, usual != NULL ? "no " : "", usual != NULL ? usual : "",
        usual != NULL ? ", but " : "", strange, model->part_of);
    free(usual);
    return text;
}

static char *imports_seen(const struct imports *imports,
                          const struct model_signs *model)
{
    char *text = format_text("it imports");
    for (size_t i = 0; i < NEEDS && model->needs[i][0] != NULL; i++) {
        char *longer = format_text("%s%s %s()", text, i > 0 ? "," : "",
                                   first_of(imports, model->needs[i]));
        free(text);
        text = longer;
    }
    return text;
}

/* ---- threads --------------------------------------------------------------- */

enum { MORE = 40, ENOUGH = 8 };

/* It is no matter of the model why a client is not served. */
static bool answers(struct test *t, struct peer *p)
{
    p->tolerant = true;
    peer_say(p, 1);
    peer_settle(p, limit(t, ANSWER_MS));
    return p->received == 1;
}

/* Let more clients come, and count the threads that come with them. The number
 * of clients that were served; a server may have places for a few only. */
static unsigned grow(struct test *t, unsigned long *threads)
{
    unsigned served = 0;
    unsigned long before = measure(t).threads;
    for (unsigned i = 0; i < MORE && served == i; i++) {
        served += answers(t, peer_begin(t));
    }
    unsigned long after = measure(t).threads;
    *threads = after > before ? after - before : 0;
    return served;
}

static void uses_model(struct test *t)
{
    const struct model_signs *model = find_model(t->suite->model);
    struct imports imports;
    char why[512];
    if (model == NULL)
        suite_broken("there is no model %s", t->suite->model);
    step(t, "read what %s imports", "what a server of the model %s calls",
         t->suite->exe, model->name);
    if (!imports_read(&imports, t->suite->exe, why, sizeof why))
        skip(t, "%s", why);
    bool sockets = imports.sockets;
    char *against = imports_refuse(&imports, model);
    char *seen = against == NULL ? imports_seen(&imports, model) : NULL;
    imports_free(&imports);
    t->observed = against != NULL ? against : seen; /* the test frees it */
    if (!sockets)
        skip(t, "imports do not tell: neither the program nor a DLL beside it "
                "imports anything of ws2_32.dll, so it calls Winsock by "
                "pointers or through other DLLs");
    if (against != NULL)
        fail(t, hint, "%s", against);

    struct peer *first = peer_begin(t);
    t->may_end = !answers(t, first); /* other cases tell about that */
    if (t->may_end)
        skip(t,
             "%s, but its first client is not served, so how its threads grow "
             "is not seen",
             seen);
    step(t, "%u more clients come, one after the other, and stay",
         "not a thread for each of them", MORE);
    unsigned long threads = 0;
    unsigned served = grow(t, &threads);
    if (served >= ENOUGH && threads * 4 >= served * 3)
        fail(t, hint,
             "not %s: with %u more clients there were %lu more threads, as "
             "where each client has a thread",
             model->name, served, threads);
    t->seen = format_text("%s; with %u more clients there were %lu more "
                          "threads",
                          seen, served, threads);
}

const struct contract_case model_case = {
    "M1", "the server uses the model it is graded for", 1, NEED_PROCESS,
    uses_model};
