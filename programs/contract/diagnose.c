/* diagnose.c -- see diagnose.h */
#include "common/win.h"

#include <stdio.h>

#include "programs/contract/diagnose.h"
#include "programs/contract/stages.h"
#include "programs/harness/text.h"

/* A case that needs more clients than the server can serve says nothing about
 * anything else. */
static const struct cause {
    const char *name, *sentence;
} causes[FACTS] = {
    [NEVER_ANSWERS] = {"it never answers",
                       "The server accepts a client and never answers it."},
    [WAITS_FOR_LINE] =
        {"it waits for a newline",
         "The server waits for a newline before it answers. TCP has no lines: "
         "send back whatever recv() gave, whatever its size."},
    [WAITS_FOR_MORE] =
        {"it waits for more bytes",
         "The server waits for more bytes before it answers. TCP has no "
         "messages: send back whatever recv() gave, whatever its size."},
    [WAITS_FOR_END] =
        {"it waits for the end",
         "The server answers only when the client has sent its last byte. Send "
         "back whatever recv() gave, and then receive again."},
    [LOSES_SIGNAL] =
        {"it loses a signal",
         "The server overlooks bytes that have come: it loses a signal. "
         "Usual causes: an event is reset after "
         "the bytes were read, "
         "together with the signal of what came in between, or the server "
         "waits without looking whether something is there already."},
    [CLOSES_AFTER_ECHO] =
        {"one echo per connection",
         "The server closes a connection after its first echo, although the "
         "client stays and nothing is owed. Two causes fit: it receives only "
         "once per connection, or it takes WSAEWOULDBLOCK (10035) for the end. "
         "That code says only that no more has come yet."},
    [HEARS_ONCE] =
        {"one echo per connection",
         "The server answers the first bytes of a client and nothing after "
         "them. The connection stays open, but the next receive is never "
         "begun, or its end is never noticed."},
    [STOPS_ANSWERING] = {"it stops answering",
                         "The server stops answering a client that does "
                         "nothing but send a byte and wait for it."},
    [ENDS_WITH_CLIENT] =
        {"it ends with its first client",
         "The server ends when its first client leaves. Usual cause: there is "
         "no loop around accept() and what follows it."},
    [OVERLOOKS_END] =
        {"it overlooks that a client leaves",
         "The server does not notice that its first client has left, and "
         "serves nobody after it. recv() returns 0 when the client has sent "
         "its last byte, and -1 after a reset: both end the connection."},
    [ACCEPTS_ONCE] =
        {"accept() is called once",
         "The server serves its first client and nobody after it. Usual cause: "
         "accept() is called once, and not in a loop."},
    [ONE_AT_A_TIME] =
        {"one client at a time",
         "The server serves one client at a time: accept() is not reached "
         "until the client before has left. To serve two, it needs a thread "
         "for each client, or one wait for all sockets."},
    [SECOND_UNSERVED] =
        {"a second client is not served",
         "While one client is connected a second one is not served, and not "
         "when the first one has left either."},
    [FORGETS_FIRST] =
        {"a second client displaces the first",
         "When a second client comes the first one is not served any more. "
         "Usual cause: one variable holds \"the\" client's socket."},
    [CROSSES] =
        {"echoes go to the wrong client",
         "What the first client sends comes back to the second one. Each "
         "connection needs state of its own: a socket, a buffer, a count."},
    [FEW_AT_A_TIME] =
        {"too few clients at a time",
         "The server serves a few clients at the same time; the next one is "
         "accepted only when one of them has left. Usual cause: a fixed number "
         "of threads, each of which keeps a client until it leaves."},
    [TURNS_AWAY] =
        {"a wall",
         "There is a wall: the server serves a few clients at the same time "
         "and turns the next one away. Usual causes: FD_SETSIZE is 64 unless "
         "defined before winsock2.h; an event wait takes 64 handles; an array "
         "with a fixed number of places."},
    [DEAF_AFTER_LEAVES] =
        {"deaf after clients have left",
         "The server is deaf after some clients have come, echoed and left in "
         "the orderly way. The process runs, but nobody new is served."},
    [DEAF_AFTER_RESETS] =
        {"deaf after resets",
         "The server is deaf after some clients have left by a reset. The "
         "process runs, but nobody new is served. An error of one connection "
         "ends that connection only."},
    [LOSES_THREADS] =
        {"its threads have left",
         "The server is deaf: its threads have left their loop. An error of "
         "one "
         "connection, or its end, is no reason to leave: "
         "GetQueuedCompletionStatus() returns FALSE also for an operation that "
         "failed."},
};

const char *diagnosis_name(enum fact fact)
{
    return causes[fact].name;
}

const char *diagnosis_sentence(enum fact fact)
{
    return causes[fact].sentence;
}

const char *diagnosis_blocks(const struct suite *suite,
                             const struct contract_case *what)
{
    const struct place *place = place_of(what);
    const struct finding *found = &suite->diagnosis->found;
    bool blocks = found->fact != FOUND_NOTHING &&
                  place->clients > found->clients &&
                  (!found->resets_only || place->resets);
    return blocks ? causes[found->fact].name : NULL;
}

/* Each question with the stage from which on its answer matters. */
static const struct question {
    unsigned stage;
    probe *ask;
} questions[] = {{1, probe_one},    {2, probe_two},    {2, probe_some},
                 {3, probe_leaves}, {4, probe_resets}, {6, probe_many}};

void diagnose(struct suite *suite, unsigned stage)
{
    struct diagnosis *diagnosis = suite->diagnosis;
    struct finding *found = &diagnosis->found;
    unsigned asked = diagnosis->asked;
    /* A server that we did not start is never fresh. */
    if (stage <= asked || suite->connect_given || suite->gone != NULL ||
        found->fact != FOUND_NOTHING)
        return;
    diagnosis->asked = stage;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (questions[i].stage > asked && questions[i].stage <= stage &&
            found->fact == FOUND_NOTHING && suite->gone == NULL)
            questions[i].ask(suite, found);
    if (suite->gone != NULL)
        *found = (struct finding){.fact = FOUND_NOTHING};
    if (found->fact == FOUND_NOTHING)
        return;
    text_make_plain(found->seen);
    printf("cause: %s\n       seen: %s\n", causes[found->fact].sentence,
           found->seen);
    fflush(stdout);
}
