/* measurement.h -- one server under one load, once */
#ifndef COMPARE_MEASUREMENT_H
#define COMPARE_MEASUREMENT_H

#include "programs/compare/results.h"

enum measurement_end {
    MEASUREMENT_RIGHT,     /* the figures are set and the latencies added */
    MEASUREMENT_WRONG,     /* `why` tells */
    MEASUREMENT_TOO_SHORT, /* too few echoes, none wrong; `why` tells */
    MEASUREMENT_UNSERVED,  /* figures->unserved clients; `why` tells */
    MEASUREMENT_NO_PORTS,  /* not the server's fault; `why` tells */
};

/* Start the server cold, load it, stop it. Nothing runs afterwards. */
enum measurement_end measurement_run(struct subject *subject,
                                     const struct scenario *scenario,
                                     struct figures *figures,
                                     struct histogram *latency,
                                     double *start_ms, char *why, size_t size);

#endif
