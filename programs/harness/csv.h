/* csv.h -- a cell of a table that a spreadsheet reads */
#ifndef HARNESS_CSV_H
#define HARNESS_CSV_H

#include <stdio.h>

/* Write the text as one cell, with quotes where it needs them. Part of it may be
 * a server's, and a spreadsheet runs a cell that begins like a formula: so such
 * a text gets a quote mark in front, as one types it there. In many countries a
 * spreadsheet takes the semicolon for the end of a cell, and then no quote is
 * where it expects one: so a formula may begin in the middle of a text. */
void csv_put(FILE *out, const char *text);

#endif
