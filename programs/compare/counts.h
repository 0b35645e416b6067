/* counts.h -- what one echo and one idle client need
 *
 * These are counts, not speeds. The counts of calls are the same on every
 * machine, in every run, and on Windows as under Wine; only SleepEx() is a
 * matter of timing. Windows and Wine may add handles and threads of their own,
 * Windows above all the threads of its pool.
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
