/* options.h -- the command line of compare.exe */
#ifndef COMPARE_OPTIONS_H
#define COMPARE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum mode { MODE_QUICK, MODE_DEFAULT, MODE_FULL };

struct subject;

struct options {
    enum mode mode;
    unsigned long rounds;
    double seconds; /* measured, in each round of a scenario */
    double budget;  /* seconds: a round that would exceed it is not begun */
    bool pin;       /* servers on the first processor, the load on the others */
    struct subject *subjects;
    size_t subject_count;
    const char *report; /* files to write; the last two NULL if not wanted */
    const char *json;
    const char *csv;
};

/* Parse the command line, and find the servers. --help and --version print and
 * end the process with EXIT_STOPPED. Any mistake, also a server that is not
 * there, is told on standard error and ends it with EXIT_USAGE. Main thread. */
struct options options_parse(int argc, char **argv);
void options_free(struct options *options);

const char *mode_name(enum mode mode);

#endif
