/* exe_file.h -- is this file a program that Windows can start? */
#ifndef HARNESS_EXE_FILE_H
#define HARNESS_EXE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* False when the file cannot be read, or is no program of Windows: a script, a
 * batch file, a DLL, a program of Linux. `why` then says so; `name` is the file
 * in these words. CreateProcess() would run a batch file, by cmd.exe, and then
 * that would be measured and ended. Any thread. */
bool exe_file_is_program(const wchar_t *path, const char *name, char *why,
                         size_t size);

/* For a program that CreateProcess() refuses with this error: the reason. */
void exe_file_refused(const wchar_t *path, const char *name,
                      unsigned long error, char *why, size_t size);

#endif
