/* output_file.h -- a file that takes its place only when it is whole
 *
 * It is written beside its place, under a name that no other file has, and then
 * moved there. So an older file stays until there is a new one, and two
 * programs that write the same file do not mix. One thread uses one of them.
 * Every failure is told on standard error.
 */
#ifndef HARNESS_OUTPUT_FILE_H
#define HARNESS_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/win.h"

struct output_file {
    const char *name; /* NULL: not wanted */
    wchar_t *place;   /* the same */
    wchar_t *part;    /* beside it */
    FILE *file;       /* NULL: there is nothing to keep or to drop */
};

/* Begin to write it. Call this before a run: nobody wants to learn afterwards
 * that the run was for nothing. False when it cannot be written there: it is a
 * folder, a device such as NUL, or protected. */
bool output_open(struct output_file *output, const char *name);

/* Move it to its place. False when that fails or when not all could be
 * written. */
bool output_keep(struct output_file *output);

/* Leave no trace of it. Harmless after output_keep(). */
void output_drop(struct output_file *output);

/* Whether both names, which may be NULL, stand for the same place. */
bool output_same(const char *one, const char *other);

#endif
