/* system.c -- see system.h */
#include "common/win.h"

#include <stdio.h>

#include "common/err.h"
#include "common/system.h"

any_function find_function(const wchar_t *library, const char *name)
{
    HMODULE module = GetModuleHandleW(library);
    return module != NULL ? (any_function)GetProcAddress(module, name) : NULL;
}

const char *system_wine(void)
{
    typedef const char *CDECL wine_version(void);
    wine_version *version =
        (wine_version *)find_function(L"ntdll.dll", "wine_get_version");
    return version != NULL ? version() : NULL;
}

/* GetVersionEx() tells the version that this program was made for,
 * RtlGetVersion() the version that it runs on. Source: RtlGetVersion
 * function. */
void system_name(char *out, size_t size)
{
    typedef LONG WINAPI windows_version(OSVERSIONINFOW * info);
    typedef void CDECL host_version(const char **name, const char **release);
    windows_version *version =
        (windows_version *)find_function(L"ntdll.dll", "RtlGetVersion");
    host_version *host =
        (host_version *)find_function(L"ntdll.dll", "wine_get_host_version");
    OSVERSIONINFOW info = {.dwOSVersionInfoSize = sizeof info};
    const char *wine = system_wine();
    const char *name = "";
    const char *release = "";
    if (version == NULL || version(&info) != 0)
        die_call("RtlGetVersion", ERROR_PROC_NOT_FOUND);
    if (wine != NULL && host != NULL)
        host(&name, &release);
    snprintf(out, size, "Windows %lu.%lu.%lu%s%s%s%s%s%s",
             (unsigned long)info.dwMajorVersion,
             (unsigned long)info.dwMinorVersion,
             (unsigned long)info.dwBuildNumber,
             wine != NULL ? " under Wine " : "", wine != NULL ? wine : "",
             wine != NULL ? ", " : "", name, wine != NULL ? " " : "", release);
}
