/* cell.h -- one server under one load, once */
#ifndef COMPARE_CELL_H
#define COMPARE_CELL_H

#include "compare/results.h"

enum cell_end {
    CELL_RIGHT,     /* the figures are set and the latencies added */
    CELL_WRONG,     /* `why` tells */
    CELL_TOO_SHORT, /* nothing was wrong, but too few echoes; `why` tells */
};

/* Start the server cold, load it, stop it. Nothing runs afterwards. */
enum cell_end cell_run(struct subject *subject, const struct scenario *scenario,
                       struct figures *figures, struct histogram *latency,
                       double *start_ms, char *why, size_t size);

#endif
