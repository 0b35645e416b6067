/* options.h -- the command line of echo_load */
#ifndef ECHO_LOAD_OPTIONS_H
#define ECHO_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "programs/harness/dial.h"

/* Times are in nanoseconds. */
struct load_options {
    struct dial dial;
    uint64_t connections;
    uint64_t size; /* of an echo, in bytes */
    uint64_t duration;
    uint64_t warmup;
    uint64_t rate;     /* echoes a second, all together; 0: no limit */
    uint64_t pipeline; /* most echoes on their way in one connection */
    uint64_t think;    /* pause between an echo and the next */
    uint64_t seed;
    bool churn;
    bool half_close;
    bool quiet;
    const char *json; /* files to write, or NULL */
    const char *hgrm;
};

/* --help and --version print and end the process with EXIT_STOPPED, anything
 * wrong ends it with EXIT_USAGE. Main thread, before anything else. */
struct load_options load_options_parse(int argc, char **argv);

#endif
