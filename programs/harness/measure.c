/* measure.c -- see measure.h */
#include "common/win.h"

#include <psapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>

#include "common/clock.h"
#include "common/system.h"
#include "programs/harness/measure.h"

bool server_on_wine(void)
{
    return system_wine() != NULL;
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

/* Count the threads; with `sum`, add up what they have used. */
static bool measure_threads(DWORD pid, bool sum, struct server_usage *usage)
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
        if (sum)
            usage->cpu_ms += thread_ms(entry.th32ThreadID);
    }
    CloseHandle(snapshot);
    return true;
}

/* Read a file of Linux's /proc, as text. False: there is none. */
static bool read_proc(const char *pid, const char *what, char *out, size_t size)
{
    char path[80];
    snprintf(path, sizeof path, "\\\\?\\unix\\proc\\%s\\%s", pid, what);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    size_t len = fread(out, 1, size - 1, file);
    fclose(file);
    for (size_t i = 0; i < len; i++)
        if (out[i] == '\0')
            out[i] = ' ';
    out[len] = '\0';
    return len > 0;
}

unsigned long measure_host_pid(const char *exe, const char *mark)
{
    WIN32_FIND_DATAA found;
    unsigned long pid = 0;
    HANDLE search = FindFirstFileA("\\\\?\\unix\\proc\\*", &found);
    if (search == INVALID_HANDLE_VALUE)
        return 0;
    do {
        char words[2048];
        if (found.cFileName[0] >= '1' && found.cFileName[0] <= '9' &&
            read_proc(found.cFileName, "cmdline", words, sizeof words) &&
            strstr(words, exe) != NULL && strstr(words, mark) != NULL)
            pid = strtoul(found.cFileName, NULL, 10);
    } while (pid == 0 && FindNextFileA(search, &found));
    FindClose(search);
    return pid;
}

/* The fields behind the name, which is in brackets and may hold anything: 12
 * and 13 are user and system time, in hundredths of a second. Source: proc(5).
 */
static void measure_host_cpu(unsigned long host_pid, struct server_usage *usage)
{
    char pid[12];
    char stat[1024];
    unsigned long user = 0;
    unsigned long kernel = 0;
    snprintf(pid, sizeof pid, "%lu", host_pid);
    const char *rest =
        read_proc(pid, "stat", stat, sizeof stat) ? strrchr(stat, ')') : NULL;
    if (rest != NULL &&
        sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &user, &kernel) == 2)
        usage->cpu_ms = (double)(user + kernel) * 10;
}

/* Wine's GetProcessTimes() tells the times of the process that asks, whichever
 * process it asks about. So under Wine we ask Linux. If Linux's number for the
 * process is not known, the sum over the living threads stands for it. */
static bool measure_cpu(HANDLE process, unsigned long host_pid,
                        struct server_usage *usage)
{
    FILETIME created, ended, kernel, user;
    if (server_on_wine()) {
        if (host_pid != 0)
            measure_host_cpu(host_pid, usage);
        return true;
    }
    if (!GetProcessTimes(process, &created, &ended, &kernel, &user))
        return false;
    usage->cpu_ms = filetime_ms(&kernel) + filetime_ms(&user);
    ULONG64 cycles = 0;
    if (QueryProcessCycleTime(process, &cycles))
        usage->cycles = cycles;
    return true;
}

static double cycles_per_ms_now(void)
{
    ULONG64 before = 0;
    ULONG64 after = 0;
    double began = clock_ms();
    double now = began;
    if (!QueryThreadCycleTime(GetCurrentThread(), &before))
        return 0;
    while (now < began + 5)
        now = clock_ms();
    if (!QueryThreadCycleTime(GetCurrentThread(), &after))
        return 0;
    return (double)(after - before) / (now - began);
}

/* A thread that is interrupted meanwhile gets fewer cycles than the time has:
 * so the highest of three rates counts. Source: QueryThreadCycleTime function.
 * Not run on Windows; Wine has no such count. */
double measure_cycles_per_ms(void)
{
    static double rate;
    static bool known;
    for (int i = 0; !known && !server_on_wine() && i < 3; i++) {
        double seen = cycles_per_ms_now();
        if (seen > rate)
            rate = seen;
    }
    known = true;
    return rate;
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

bool measure_process(HANDLE process, unsigned long pid, unsigned long host_pid,
                     struct server_usage *usage)
{
    PROCESS_MEMORY_COUNTERS_EX memory = {0};
    usage->cycles = 0;
    memory.cb = sizeof memory;
    if (!K32GetProcessMemoryInfo(process, (PROCESS_MEMORY_COUNTERS *)&memory,
                                 sizeof memory) ||
        !measure_threads(pid, server_on_wine() && host_pid == 0, usage) ||
        !measure_cpu(process, host_pid, usage))
        return false;
    usage->working_set = memory.WorkingSetSize;
    usage->private_bytes = memory.PrivateUsage;
    usage->handles = count_handles(process, pid);
    return true;
}
