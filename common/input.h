/* input.h -- standard input, and where it ends */
#ifndef COMMON_INPUT_H
#define COMMON_INPUT_H

#include "common/win.h"

/* Wait for input, and read what there is of it: a line, or a piece of a file.
 * Returns the number of bytes, 0 at the end of the input, and -1 on an error,
 * which GetLastError() tells. A console ends at Ctrl+Z; on Windows this also
 * returns 0 there when Ctrl+C is pressed, before or after the handler of that
 * key has run. Holds no lock of the C library, which exit() would wait for. One
 * thread at a time. Source: ReadFile function. */
int input_read(void *out, DWORD size);

#endif
