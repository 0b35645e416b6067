/* measure.c -- see measure.h */
#include "common/win.h"

#include <psapi.h>
#include <stdlib.h>
#include <tlhelp32.h>

#include "harness/find_function.h"
#include "harness/measure.h"

bool server_on_wine(void)
{
    return find_function(L"ntdll.dll", "wine_get_version") != NULL;
}

/* ---- threads and CPU time -------------------------------------------------- */

static double filetime_ms(const FILETIME *time)
{
    ULARGE_INTEGER ticks; /* of 100 ns */
    ticks.LowPart = time->dwLowDateTime;
    ticks.HighPart = time->dwHighDateTime;
    return (double)ticks.QuadPart / 10000.0;
}

/* CPU time of one thread; 0 when it has just ended. */
static double thread_ms(DWORD id)
{
    FILETIME created, ended, kernel, user;
    HANDLE thread = OpenThread(THREAD_QUERY_INFORMATION, FALSE, id);
    double ms = 0;
    if (thread == NULL)
        return 0;
    if (GetThreadTimes(thread, &created, &ended, &kernel, &user))
        ms = filetime_ms(&kernel) + filetime_ms(&user);
    CloseHandle(thread);
    return ms;
}

/* Count the threads and add up what they have used. */
static bool measure_threads(DWORD pid, struct server_usage *usage)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    if (snapshot == INVALID_HANDLE_VALUE)
        return false;
    THREADENTRY32 entry = {0};
    entry.dwSize = sizeof entry;
    usage->threads = 0;
    usage->cpu_ms = 0;
    for (BOOL more = Thread32First(snapshot, &entry); more;
         more = Thread32Next(snapshot, &entry)) {
        if (entry.th32OwnerProcessID != pid)
            continue;
        usage->threads++;
        usage->cpu_ms += thread_ms(entry.th32ThreadID);
    }
    CloseHandle(snapshot);
    return true;
}

/* Wine's GetProcessTimes() tells the times of the process that asks, whichever
 * it asks about, so there the sum over the living threads has to do. */
static bool measure_cpu(HANDLE process, struct server_usage *usage)
{
    FILETIME created, ended, kernel, user;
    if (server_on_wine())
        return true;
    if (!GetProcessTimes(process, &created, &ended, &kernel, &user))
        return false;
    usage->cpu_ms = filetime_ms(&kernel) + filetime_ms(&user);
    return true;
}

/* ---- handles --------------------------------------------------------------- */

/* The table of all handles of the system, as NtQuerySystemInformation() class
 * 16 gives it. Not in the mingw headers. Only used on Wine. */
struct handle_table {
    ULONG count;
    struct {
        USHORT pid, trace;
        UCHAR type, flags;
        USHORT handle;
        void *object;
        ULONG access;
    } entries[1];
};

typedef LONG(WINAPI *query_system_fn)(ULONG, void *, ULONG, ULONG *);

enum { SYSTEM_HANDLE_INFORMATION = 16 };

static unsigned long count_in_table(const struct handle_table *table, DWORD pid)
{
    unsigned long count = 0;
    for (ULONG i = 0; i < table->count; i++)
        if (table->entries[i].pid == pid)
            count++;
    return count;
}

/* Wine's GetProcessHandleCount() says 0 for every process. */
static unsigned long count_handles_on_wine(DWORD pid)
{
    const LONG too_small = (LONG)0xC0000004; /* STATUS_INFO_LENGTH_MISMATCH */
    query_system_fn query = (query_system_fn)find_function(
        L"ntdll.dll", "NtQuerySystemInformation");
    unsigned long count = 0;
    LONG status = query == NULL ? 0 : too_small;
    for (ULONG size = 1 << 18; status == too_small; size *= 2) {
        struct handle_table *table = malloc(size);
        if (table == NULL)
            return 0;
        status = query(SYSTEM_HANDLE_INFORMATION, table, size, NULL);
        if (status >= 0)
            count = count_in_table(table, pid);
        free(table);
    }
    return count;
}

static unsigned long count_handles(HANDLE process, DWORD pid)
{
    DWORD count = 0;
    if (!GetProcessHandleCount(process, &count))
        return 0;
    return count == 0 && server_on_wine() ? count_handles_on_wine(pid) : count;
}

/* ---- all of it -------------------------------------------------------------- */

bool measure_process(HANDLE process, unsigned long pid,
                     struct server_usage *usage)
{
    PROCESS_MEMORY_COUNTERS_EX memory = {0};
    memory.cb = sizeof memory;
    if (!K32GetProcessMemoryInfo(process, (PROCESS_MEMORY_COUNTERS *)&memory,
                                 sizeof memory) ||
        !measure_threads(pid, usage) || !measure_cpu(process, usage))
        return false;
    usage->working_set = memory.WorkingSetSize;
    usage->private_bytes = memory.PrivateUsage;
    usage->handles = count_handles(process, pid);
    return true;
}
