/* measure.h -- what a process uses */
#ifndef HARNESS_MEASURE_H
#define HARNESS_MEASURE_H

#include <stdbool.h>

#include "common/win.h"
#include "programs/harness/server_process.h"

/* Measure a living process. `host_pid` is its number on the system below Wine,
 * or 0. False, with GetLastError(), when a call fails. */
bool measure_process(HANDLE process, unsigned long pid, unsigned long host_pid,
                     struct server_usage *usage);

/* The cycles of one ms of processor time; 0: this system counts none. The first
 * call measures for 15 ms. One thread at a time. */
double measure_cycles_per_ms(void);

/* On Wine: the number that Linux gives the process whose command line holds
 * `exe`, a file name, and `mark`; 0 when it is not found. */
unsigned long measure_host_pid(const char *exe, const char *mark);

#endif
