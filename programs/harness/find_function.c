/* find_function.c -- see find_function.h */
#include "common/win.h"

#include "programs/harness/find_function.h"

any_function find_function(const wchar_t *library, const char *name)
{
    HMODULE module = GetModuleHandleW(library);
    return module != NULL ? (any_function)GetProcAddress(module, name) : NULL;
}
