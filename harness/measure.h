/* measure.h -- what a process uses */
#ifndef HARNESS_MEASURE_H
#define HARNESS_MEASURE_H

#include <stdbool.h>

#include "common/win.h"
#include "harness/server_process.h"

/* Measure a living process. False, with GetLastError(), when a call fails. */
bool measure_process(HANDLE process, unsigned long pid,
                     struct server_usage *usage);

#endif
