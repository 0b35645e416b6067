/* counts.h -- what one echo and one idle client need
 *
 * These are counts, not speeds. They are the same on every machine and in every
 * run; the counts of calls are the same on Windows as under Wine.
 */
#ifndef COMPARE_COUNTS_H
#define COMPARE_COUNTS_H

#include "programs/compare/subject.h"

/* Fill in subject->counts and subject->capacity as far as this server tells
 * them. The calls come from the table in its summary. A server that is not
 * ours, or is built with PLAIN=1, has no such table. A server that fails here
 * is marked as unusable. */
void counts_take(struct subject *subject);

#endif
