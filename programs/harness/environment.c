/* environment.c -- see environment.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "programs/harness/environment.h"
#include "programs/harness/find_function.h"

/* GetVersionEx() tells the version that this program was made for,
 * RtlGetVersion() the version that it runs on. Source: RtlGetVersion
 * function. */
static void read_system(struct environment *e)
{
    typedef LONG(WINAPI * version_fn)(OSVERSIONINFOW *);
    typedef const char *(*wine_fn)(void);
    typedef void (*host_fn)(const char **, const char **);
    version_fn version =
        (version_fn)find_function(L"ntdll.dll", "RtlGetVersion");
    wine_fn wine = (wine_fn)find_function(L"ntdll.dll", "wine_get_version");
    host_fn host =
        (host_fn)find_function(L"ntdll.dll", "wine_get_host_version");
    OSVERSIONINFOW info = {.dwOSVersionInfoSize = sizeof info};
    const char *name = "";
    const char *release = "";
    if (version == NULL || version(&info) != 0)
        die_call("RtlGetVersion", ERROR_PROC_NOT_FOUND);
    int len =
        snprintf(e->system, sizeof e->system, "Windows %lu.%lu.%lu",
                 info.dwMajorVersion, info.dwMinorVersion, info.dwBuildNumber);
    if (wine == NULL)
        return;
    if (host != NULL)
        host(&name, &release);
    snprintf(e->wine, sizeof e->wine, "%s", wine());
    snprintf(e->system + len, sizeof e->system - (size_t)len,
             " under Wine %s, %s %s", e->wine, name, release);
}

static void read_processor(struct environment *e)
{
    DWORD size = sizeof e->cpu;
    LSTATUS status =
        RegGetValueA(HKEY_LOCAL_MACHINE,
                     "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0",
                     "ProcessorNameString", RRF_RT_REG_SZ, NULL, e->cpu, &size);
    if (status != ERROR_SUCCESS)
        snprintf(e->cpu, sizeof e->cpu, "unknown");
    while (e->cpu[0] != '\0' && e->cpu[strlen(e->cpu) - 1] == ' ')
        e->cpu[strlen(e->cpu) - 1] = '\0';
    e->processors = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
}

void environment_read(struct environment *e)
{
    MEMORYSTATUSEX memory = {.dwLength = sizeof memory};
    SYSTEMTIME now;
    *e = (struct environment){0};
    read_system(e);
    read_processor(e);
    if (!GlobalMemoryStatusEx(&memory))
        die_call("GlobalMemoryStatusEx", GetLastError());
    e->memory_mib = (unsigned long)(memory.ullTotalPhys >> 20);
#if defined(__clang__)
    snprintf(e->compiler, sizeof e->compiler, "%s", __VERSION__);
#elif defined(__GNUC__)
    snprintf(e->compiler, sizeof e->compiler, "gcc %s", __VERSION__);
#else
    snprintf(e->compiler, sizeof e->compiler, "MSVC %d", _MSC_VER);
#endif
    GetSystemTime(&now);
    snprintf(e->date, sizeof e->date, "%04u-%02u-%02uT%02u:%02u:%02uZ",
             now.wYear, now.wMonth, now.wDay, now.wHour, now.wMinute,
             now.wSecond);
}
