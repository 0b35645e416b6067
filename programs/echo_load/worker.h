/* worker.h -- the threads of a run */
#ifndef ECHO_LOAD_WORKER_H
#define ECHO_LOAD_WORKER_H

#include "programs/echo_load/run.h"

/* With `to`, `to_len` and `options` set: make the workers, start them, tell
 * them to end early, free what is theirs. Main thread; run_stop() any
 * thread. */
void run_prepare(struct run *run);
void run_start(struct run *run);
void run_stop(void *arg);
void run_free(struct run *run);

#endif
