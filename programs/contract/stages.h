/* stages.h -- in which order a server is built, and what each case needs of it
 *
 * Nobody writes a whole server in one evening. So the cases are in eight
 * stages, and a server that does not pass one of them yet is not asked for the
 * next.
 */
#ifndef CONTRACT_STAGES_H
#define CONTRACT_STAGES_H

#include "programs/contract/suite.h"

enum { STAGES = 8 };

struct place {
    const char *id;
    unsigned stage;      /* from 1 */
    unsigned clients;    /* connected at the same time; 0: it needs no echo */
    bool resets;         /* some of them leave by a reset */
    const char *control; /* what the case does instead when it runs as its own
                          * control (judge.c); NULL: it has none */
};

const struct place *place_of(const struct contract_case *what);

/* "two clients", for 2. */
const char *stage_name(unsigned stage);

#endif
