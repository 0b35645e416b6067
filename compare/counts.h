/* counts.h -- what one echo and one idle client ask of the system
 *
 * Counts, not speeds: they are the same on every machine and in every run, and
 * those of calls the same on Windows as under Wine.
 */
#ifndef COMPARE_COUNTS_H
#define COMPARE_COUNTS_H

#include "compare/subject.h"

/* Fill in subject->counts and subject->wall as far as this server tells them:
 * calls come from the table in its summary, which a server of other manners,
 * or one built with PLAIN=1, does not have. A server that fails here is marked
 * dead. */
void counts_take(struct subject *subject);

#endif
