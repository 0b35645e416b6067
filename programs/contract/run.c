/* run.c -- the life of one case, and what has to be right around it */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "programs/contract/pattern.h"
#include "programs/contract/peer.h"
#include "programs/contract/suite.h"
#include "programs/harness/text.h"

const char *case_misses(const struct suite *suite,
                        const struct contract_case *what)
{
    if ((what->needs & NEED_PROCESS) != 0 && suite->connect_given)
        return "needs --exe: it has to start the server";
    if ((what->needs & NEED_OPTIONS) != 0 && !suite->full)
        return "needs the suite's command line and ready line "
               "(docs/contract.md)";
    if ((what->needs & NEED_STRICT) != 0 && !suite->strict)
        return "only with --strict";
    return NULL;
}

void test_not_run(struct test *t, enum verdict verdict, const char *reason)
{
    free(t->observed);
    t->verdict = verdict;
    t->observed = format_text("%s", reason);
}

/* The case is over; the server has to be as good as before. */
static void check_server(struct test *t)
{
    char why[1024];
    /* After a failure the server is replaced anyway; a short look is enough to
     * recognize a dead one. */
    unsigned long ms = limit(t, t->verdict == FAILED ? 500 : ANSWER_MS);
    if (t->may_end || target_check(t, t->target, ms, why, sizeof why))
        return;
    if (t->verdict == FAILED) {
        char *both = format_text("%s; afterwards %s", t->observed, why);
        free(t->observed);
        t->observed = both;
        text_make_plain(t->observed);
        return;
    }
    step(t, "afterwards: connect a new client, send 64 bytes",
         "the server lives and echoes as before");
    free(t->observed);
    t->verdict = FAILED;
    t->observed = format_text("%s", why);
    text_make_plain(t->observed);
    t->hint = format_text(
        "The steps above went well, but after them the server is not as good "
        "as before. Look at what it does when such connections end.");
}

/* A server that did start may not do so once more: it has used something up, or
 * a process of it still runs. That is tried twice, and only once in a run. */
static bool make_shared(struct test *t, struct target **shared)
{
    char why[1024];
    struct suite *suite = t->suite;
    for (int i = 0; i < 2 && *shared == NULL && suite->gone == NULL; i++)
        *shared = target_start(suite, TARGET_PLAIN, NULL, why, sizeof why);
    if (*shared == NULL && suite->gone == NULL)
        suite->gone = format_text("%s", why);
    if (*shared != NULL)
        return true;
    step(t, "start the server again", "it starts as it did before");
    t->verdict = FAILED;
    t->observed = format_text("%s", suite->gone);
    text_make_plain(t->observed);
    t->hint = format_text(
        "The server started before, and now it does not, so nothing more can "
        "be tested. What did it leave behind: a file, a lock, a process?");
    return false;
}

void test_make(struct test *t, const struct contract_case *what,
               struct suite *suite)
{
    memset(t, 0, sizeof *t);
    t->what = what;
    t->suite = suite;
}

/* The case has used the server that cases share: remember its name. */
static void note_case(struct target *target, const struct contract_case *what)
{
    if (target->cases++ == 0)
        target->first_case = what->id;
    target->last_case = what->id;
}

void test_run(struct test *t, const struct contract_case *what,
              struct suite *suite, struct target **shared)
{
    double begun = clock_ms();
    test_make(t, what, suite);
    t->random = suite->seed;
    for (const char *c = what->id; *c != '\0'; c++)
        t->random = pattern_mix(t->random ^ (uint64_t)*c);
    const char *misses = case_misses(suite, what);
    if (misses != NULL) {
        test_not_run(t, SKIPPED, misses);
        return;
    }
    if (!make_shared(t, shared))
        return;
    t->target = *shared;
    t->fresh = t->target->cases == 0;
    if (setjmp(t->back) == 0)
        what->run(t);
    if (t->own == NULL)
        note_case(*shared, what);
    else
        t->fresh = true;
    peers_free(t);
    check_server(t);
    peers_free(t);

    /* A server that failed a case may be in any state: begin afresh. */
    if (t->own == NULL && t->verdict == FAILED) {
        target_free(*shared);
        *shared = NULL;
    }
    target_free(t->own);
    t->own = NULL;
    t->target = NULL;
    t->took_ms = clock_ms() - begun;
}
