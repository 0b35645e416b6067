/* imports.h -- what a program imports, read from its file
 *
 * A Windows program names, in a table of its file, the DLLs and functions that
 * it needs. A function that it gets in another way is not in that table: by
 * GetProcAddress(), or through another DLL that calls it. Source: PE Format.
 */
#ifndef CONTRACT_IMPORTS_H
#define CONTRACT_IMPORTS_H

#include <stdbool.h>
#include <stddef.h>

struct imports {
    char **names; /* functions, without "()" */
    size_t count;
    bool sockets; /* something of ws2_32.dll or wsock32.dll is among them */
};

/* Read the table of this program, and those of the DLLs that it imports from
 * its own folder. False: it could not be read; `why` then tells the reason. */
bool imports_read(struct imports *imports, const char *exe, char *why,
                  size_t size);
bool imports_has(const struct imports *imports, const char *name);
void imports_free(struct imports *imports);

#endif
