/* report.h -- what was found, as a page, as JSON, as CSV, as a table */
#ifndef COMPARE_REPORT_H
#define COMPARE_REPORT_H

#include <stdbool.h>

#include "programs/compare/results.h"

/* A file that is written beside its place and moved there when it is complete:
 * so an older report stays until there is a new one. */
struct output {
    const char *name; /* NULL: not wanted */
    wchar_t *place;   /* the same */
    wchar_t *part;    /* beside it */
    FILE *file;       /* NULL: there is nothing to keep or to drop */
};

/* Call this before the run: nobody wants to learn afterwards that the run was
 * for nothing. False, with the reason on standard error, when the file cannot
 * be written. */
bool output_open(struct output *output, const char *name);

/* Move it to its place. False, with the reason on standard error, when that
 * fails or when not all could be written. */
bool output_keep(struct output *output);

/* Leave no trace of it. Harmless after output_keep(). */
void output_drop(struct output *output);

void report_page(const struct comparison *c, FILE *out);
void report_json(const struct comparison *c, FILE *out);
void report_csv(const struct comparison *c, FILE *out);

/* For a terminal, 80 columns. */
void report_print(const struct comparison *c);

#endif
