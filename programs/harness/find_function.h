/* find_function.h -- functions that not every system has */
#ifndef HARNESS_FIND_FUNCTION_H
#define HARNESS_FIND_FUNCTION_H

#include <wchar.h>

typedef void (*any_function)(void); /* to be cast to its own type */

/* Returns NULL where the function is missing. Only for libraries that every
 * process has loaded, such as kernel32.dll. Any thread. */
any_function find_function(const wchar_t *library, const char *name);

#endif
