/* cell.h -- one server under one load, once */
#ifndef COMPARE_CELL_H
#define COMPARE_CELL_H

#include "compare/results.h"

/* Start the server cold, load it, stop it. True: everything was right, and the
 * figures are set and the latencies added; otherwise `why` tells. Nothing runs
 * afterwards in either case. */
bool cell_run(struct subject *subject, const struct scenario *scenario,
              struct figures *figures, struct histogram *latency,
              double *start_ms, char *why, size_t size);

#endif
