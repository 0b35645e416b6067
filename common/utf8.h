/* utf8.h -- text is UTF-8 in our programs, and UTF-16 in Windows
 *
 * The name of a file can have any letters. A call that ends in A, and fopen(),
 * take only those of the machine's code page. So a name goes through one of
 * these functions, and then to a call that ends in W.
 *
 * Everything here may be called on any thread. The caller frees each result.
 * NULL, with GetLastError(): out of memory.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdio.h>
#include <wchar.h>

/* What is no text in the one becomes U+FFFD in the other. */
wchar_t *utf8_to_wide(const char *text);
char *utf8_from_wide(const wchar_t *wide);

/* A path for a call that ends in W: the full one, from the root on. Windows
 * takes MAX_PATH characters, unless it is set up for more or the path begins
 * with \\?\. So a longer one begins like that. Source: Maximum Path Length
 * Limitation. */
wchar_t *utf8_path(const char *path);

/* The same text, for a file that has to be UTF-8: bytes that are none become
 * U+FFFD. Text of other programs may have any bytes; and what was cut may end
 * in the middle of a letter. */
char *utf8_clean(const char *text);

/* Create a file, or empty an old one, for fwrite(). NULL, with GetLastError(),
 * when that fails. fclose() ends it. */
FILE *utf8_create(const char *path);

#endif
