/* child_text.h -- text that another program printed, as UTF-8
 *
 * A program prints in UTF-8, or in the code page of its system, which is GBK
 * (936) on a Chinese Windows. What we print and write ourselves is UTF-8.
 */
#ifndef HARNESS_CHILD_TEXT_H
#define HARNESS_CHILD_TEXT_H

#include <stddef.h>

/* The length of the character at `text`, 1 to 4 bytes, if it is one that may be
 * shown: complete, and not a control character, nor one that changes the
 * direction of the text around it or has no width. 0 otherwise. */
size_t child_text_shown(const char *text);

/* A copy in which each line is UTF-8: a line that is not is taken for text in
 * the code page. The caller frees it; NULL when out of memory. */
char *child_text_from(const char *text, unsigned code_page);

#endif
