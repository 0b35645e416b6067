/* environment.h -- the system under this run: every report has to name it */
#ifndef HARNESS_ENVIRONMENT_H
#define HARNESS_ENVIRONMENT_H

struct environment {
    char system[128]; /* "Windows 10.0.19045", "... under Wine 8.0, Linux" */
    char wine[32];    /* "8.0", or empty */
    char cpu[80];
    unsigned long processors; /* logical */
    unsigned long memory_mib;
    char compiler[64];
    char date[32]; /* UTC, ISO 8601 */
};

void environment_read(struct environment *environment);

#endif
