/* text.h -- a buffer that grows */
#ifndef HARNESS_TEXT_H
#define HARNESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Begins as {0}; the owner frees `bytes`. */
struct text {
    char *bytes; /* ended by a zero byte; may hold others; NULL while empty */
    size_t len, size;
    bool failed; /* out of memory; this stays so */
};

/* Add bytes at the end. Does nothing once it has failed. */
void text_add(struct text *text, const char *bytes, size_t len);

/* Make a text of a server, in place, one line of characters that may be shown
 * (child_text.h). It may hold anything, also what would make a terminal do as
 * the server likes. */
void text_make_plain(char *text);

#endif
