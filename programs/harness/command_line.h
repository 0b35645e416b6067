/* command_line.h -- arguments in the one string that CreateProcess() takes */
#ifndef HARNESS_COMMAND_LINE_H
#define HARNESS_COMMAND_LINE_H

#include <stddef.h>

/* The whole command line, quoted so that the program gets each argument as it
 * was. The caller frees it; NULL when out of memory. Any thread. */
wchar_t *command_line(const char *exe, const char *const *args, size_t count);

#endif
