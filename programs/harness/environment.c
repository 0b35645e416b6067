/* environment.c -- see environment.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/system.h"
#include "programs/harness/environment.h"

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
    system_name(e->system, sizeof e->system);
    snprintf(e->wine, sizeof e->wine, "%s",
             system_wine() != NULL ? system_wine() : "");
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
