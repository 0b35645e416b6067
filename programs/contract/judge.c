/* judge.c -- what a failure means, before anything is blamed for it
 *
 * A case that fails is only a first suspicion. So three questions follow:
 *
 *   1. Is there a cause that explains many failures (diagnose.h)?
 *   2. Does the case fail on a fresh server too, or did earlier cases harm it?
 *   3. Does it fail without the one thing that it is about? A case about byte
 *      values is repeated with letters, a case about resets with clients that
 *      leave in the orderly way. That is its control (stages.c). If the control
 *      fails as well, the hint of the case is wrong, and is not given.
 */
#include "common/win.h"

#include <stdlib.h>

#include "programs/contract/diagnose.h"
#include "programs/contract/stages.h"

static void replace_hint(struct test *t, char *hint)
{
    free(t->hint);
    t->hint = hint;
}

/* Repeat the case on a fresh server. False if it passes there. */
static bool fails_fresh(struct test *t, const struct target *before,
                        struct target **shared)
{
    struct test again;
    test_run(&again, t->what, t->suite, shared);
    again.took_ms += t->took_ms;
    if (again.verdict == FAILED) {
        test_free(t);
        *t = again;
        return true;
    }
    t->took_ms = again.took_ms;
    test_free(&again);
    /* That the server has ended needs a word all the same. */
    replace_hint(
        t, format_text("%s%sIt passes on a fresh server. So what %s%s%s left "
                       "behind on this one did harm, or it fails only "
                       "sometimes: threads that race, or a machine that is "
                       "busy with something else.",
                       t->gone ? t->hint : "", t->gone ? " " : "",
                       before->first_case, before->cases > 1 ? " to " : "",
                       before->cases > 1 ? before->last_case : ""));
    return false;
}

static void run_control(struct test *t, const char *instead,
                        struct target **shared)
{
    struct test control;
    t->suite->control = true;
    test_run(&control, t->what, t->suite, shared);
    t->suite->control = false;
    t->took_ms += control.took_ms;
    if (control.verdict == FAILED)
        replace_hint(t, format_text("It fails in the same way with %s (%s). So "
                                    "it is not what this case is about.",
                                    instead, control.observed));
    else
        replace_hint(t,
                     format_text("%s (With %s it passes.)", t->hint, instead));
    test_free(&control);
}

void judge(struct test *t, const struct contract_case *what,
           struct suite *suite, struct target **shared)
{
    const struct place *place = place_of(what);
    bool in_stages = !suite->all && suite->only == NULL;
    struct target before = {0};
    if (*shared != NULL)
        before = **shared;
    test_run(t, what, suite, shared);
    if (t->verdict != FAILED)
        return;
    diagnose(suite, in_stages ? place->stage : STAGES);
    const char *cause = diagnosis_blocks(suite, what);
    if (cause != NULL) {
        replace_hint(t, format_text("The cause that is named above explains "
                                    "it: %s.",
                                    cause));
        return;
    }
    if (suite->connect_given || suite->gone != NULL)
        return; /* there is no fresh server */
    if (!t->fresh && !fails_fresh(t, &before, shared))
        return;
    if (place->control != NULL)
        run_control(t, place->control, shared);
}
