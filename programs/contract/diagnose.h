/* diagnose.h -- a mistake that explains many failures is looked for, and named
 * once
 *
 * A server that serves one client at a time fails half of the cases, each in
 * another way. So when something has failed, a few probes ask fresh servers
 * simple questions. What a probe has seen is a fact; each fact has one cause,
 * and the cause says which cases can no longer be judged.
 */
#ifndef CONTRACT_DIAGNOSE_H
#define CONTRACT_DIAGNOSE_H

#include "programs/contract/suite.h"

/* What a probe can find. */
enum fact {
    FOUND_NOTHING,
    NEVER_ANSWERS,
    WAITS_FOR_LINE,
    WAITS_FOR_MORE,
    WAITS_FOR_END,
    LOSES_SIGNAL,
    CLOSES_AFTER_ECHO,
    HEARS_ONCE,
    STOPS_ANSWERING,
    ENDS_WITH_CLIENT,
    OVERLOOKS_END,
    ACCEPTS_ONCE,
    ONE_AT_A_TIME,
    SECOND_UNSERVED,
    FORGETS_FIRST,
    CROSSES,
    FEW_AT_A_TIME,
    TURNS_AWAY,
    DEAF_AFTER_LEAVES,
    DEAF_AFTER_RESETS,
    LOSES_THREADS,
    FACTS
};

/* A fact with its figures. */
struct finding {
    enum fact fact;
    unsigned clients; /* that it can serve at the same time; 0: none */
    bool resets_only; /* it concerns only cases in which clients reset */
    char seen[400];
};

struct diagnosis {
    unsigned asked; /* the questions of the stages up to this one */
    struct finding found;
};

/* Ask the questions of the stages up to this one that were not asked yet, until
 * a cause is found; print it. */
void diagnose(struct suite *suite, unsigned stage);

/* The name of the cause because of which this case cannot be judged, or
 * NULL. */
const char *diagnosis_blocks(const struct suite *suite,
                             const struct contract_case *what);

const char *diagnosis_name(enum fact fact);
/* The cause in a sentence or two; NULL for FOUND_NOTHING. */
const char *diagnosis_sentence(enum fact fact);

/* ---- probes (probe.c) ----------------------------------------------------- */

/* Each starts a fresh server. *found is FOUND_NOTHING before. */
typedef void probe(struct suite *suite, struct finding *found);

/* One client at a time: is it answered, again and again, and the next one? */
probe probe_one;

/* A second client while the first one stays; then 12 and 70 of them. */
probe probe_two, probe_some, probe_many;

/* Clients that come, echo and leave: in the orderly way, or by a reset. */
probe probe_leaves, probe_resets;

#endif
