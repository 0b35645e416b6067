/* scenario.h -- the loads that every server gets */
#ifndef COMPARE_SCENARIO_H
#define COMPARE_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

#include "programs/compare/options.h"

enum scenario_kind {
    KIND_ECHO,   /* more and more clients; each sends, waits, compares */
    KIND_SIZE,   /* larger and larger messages */
    KIND_BULK,   /* one client that does not wait for the echo */
    KIND_CHURN,  /* connect, echo, close, and again */
    KIND_IDLE,   /* many clients that are silent, and a few that are not */
    KIND_FLOODS, /* clients that send without end, and one that pings */
};

struct scenario {
    enum scenario_kind kind;
    char id[24];      /* "echo-64" */
    char name[48];    /* "64 clients, 64 bytes" */
    unsigned clients; /* that are measured */
    unsigned others;  /* that are not: silent ones, or floods */
    unsigned bytes;   /* of a message */
    unsigned pipeline;
    double seconds; /* measured; longer when that turns out to be too short */
    double asked;   /* the same, in the beginning */
    bool headline;  /* the report quotes it in its first table */
};

/* The scenarios of options->mode. The caller frees them. */
struct scenario *scenarios_make(const struct options *options, size_t *count);

/* True for so few echoes that some client cannot have had its turn. Then the
 * figures tell how a load begins, not how it goes on. `fewest` is what one
 * client got: if that is nothing, once a longer time is asked for. More often
 * would be in vain: on a busy machine a server may accept its last client after
 * a minute. */
bool scenario_too_short(const struct scenario *scenario, double echoes,
                        double fewest);

/* Measure four times as long from now on. False: it is as long as it can be. */
bool scenario_lengthen(struct scenario *scenario);

/* "echo", as the report calls it. */
const char *scenario_kind_name(enum scenario_kind kind);

#endif
