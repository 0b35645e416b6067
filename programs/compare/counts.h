/* counts.h -- what one echo and one idle client ask of the system
 *
 * Counts, not speeds: they are the same on every machine and in every run, and
 * those of calls the same on Windows as under Wine.
 */
#ifndef COMPARE_COUNTS_H
#define COMPARE_COUNTS_H

#include "programs/compare/subject.h"

/* Fill in subject->counts and subject->capacity as far as this server tells them:
 * calls come from the table in its summary, which a server of another origin,
 * or one built with PLAIN=1, does not have. A server that fails here is marked
 * as unusable. */
void counts_take(struct subject *subject);

#endif
