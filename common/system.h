/* system.h -- the system that this runs on, and functions that not each one has */
#ifndef COMMON_SYSTEM_H
#define COMMON_SYSTEM_H

#include <stddef.h>
#include <wchar.h>

typedef void (*any_function)(void); /* to be cast to its own type */

/* Returns NULL where the function is missing. Only for libraries that the process
 * has loaded, such as kernel32.dll. Any thread. */
any_function find_function(const wchar_t *library, const char *name);

/* "8.0"; NULL on Windows itself. It lasts. Any thread. */
const char *system_wine(void);

/* "Windows 10.0.19045", or "... under Wine 8.0, Linux 6.1". Any thread. */
void system_name(char *out, size_t size);

#endif
