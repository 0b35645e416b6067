/* report.h -- what was found, as a page, as JSON, as CSV, as a table */
#ifndef COMPARE_REPORT_H
#define COMPARE_REPORT_H

#include <stdbool.h>

#include "programs/compare/results.h"

void report_page(const struct comparison *c, FILE *out);
void report_json(const struct comparison *c, FILE *out);
void report_csv(const struct comparison *c, FILE *out);

/* For a terminal, 80 columns. */
void report_print(const struct comparison *c);

#endif
