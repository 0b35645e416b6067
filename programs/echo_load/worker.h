/* worker.h -- the threads of a run */
#ifndef ECHO_LOAD_WORKER_H
#define ECHO_LOAD_WORKER_H

#include "programs/echo_load/run.h"

/* Main thread. With `to`, `to_len` and `options` set: make the workers, let
 * them go, tell them to end early (any thread), free what is theirs. */
void run_prepare(struct run *run);
void run_start(struct run *run);
void run_stop(void *arg);
void run_free(struct run *run);

#endif
