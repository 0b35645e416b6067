/* speed.c -- see file_copy.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "extras/file_copy/file_copy.h"

enum { ROUNDS = 5 };

/* The three ways; each gives milliseconds, or a negative number: said why. All
 * read what is in the cache already, unless --unbuffered, and none flushes. */

static double time_port(const struct files *f, const struct options *o)
{
    double from = clock_ms();
    if (!copy_through_port(f, o))
        return -1.0;
    if (set_size(f->target, f->size))
        return clock_ms() - from;
    say_failed("SetFileInformationByHandle", o->target, GetLastError());
    return -1.0;
}

static double time_copy_file(const struct files *f, const struct options *o)
{
    double from = clock_ms();
    if (CopyFileExW(f->source_path, f->part_path, NULL, NULL, NULL,
                    o->unbuffered ? COPY_FILE_NO_BUFFERING : 0))
        return clock_ms() - from;
    say_failed("CopyFileExW", o->source, GetLastError());
    return -1.0;
}

static bool loop(HANDLE source, HANDLE target, const struct files *f,
                 const struct options *o)
{
    DWORD sector = o->unbuffered ? f->sector : 1;
    DWORD size = round_up(1024ULL * o->block_kib, f->sector);
    char *buf =
        VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    DWORD len = 0;
    DWORD done = 0;
    bool ok = buf != NULL;
    while (ok && (ok = ReadFile(source, buf, size, &len, NULL)) && len > 0)
        ok = WriteFile(target, buf, round_up(len, sector), &done, NULL);
    if (!ok)
        say_failed("ReadFile, WriteFile", o->source, GetLastError());
    if (buf != NULL)
        VirtualFree(buf, 0, MEM_RELEASE);
    return ok;
}

static double time_loop(const struct files *f, const struct options *o)
{
    double from = clock_ms();
    DWORD how = o->unbuffered ? FILE_FLAG_NO_BUFFERING : 0;
    bool ok = false;
    HANDLE source =
        CreateFileW(f->source_path, GENERIC_READ, FILE_SHARE_READ, NULL,
                    OPEN_EXISTING, how | FILE_FLAG_SEQUENTIAL_SCAN, NULL);
    HANDLE target = CreateFileW(f->part_path, GENERIC_WRITE, 0, NULL,
                                CREATE_ALWAYS, how, NULL);
    if (source == INVALID_HANDLE_VALUE || target == INVALID_HANDLE_VALUE)
        say_failed("CreateFileW", o->target, GetLastError());
    else
        ok = loop(source, target, f, o) && set_size(target, f->size);
    if (source != INVALID_HANDLE_VALUE)
        CloseHandle(source);
    if (target != INVALID_HANDLE_VALUE)
        CloseHandle(target);
    return ok ? clock_ms() - from : -1.0;
}

/* One copy of one kind, into a new file that is taken away again. */
static double time_one(const struct options *o,
                       double (*way)(const struct files *f,
                                     const struct options *o),
                       bool opens_itself)
{
    struct files f;
    double ms = -1.0;
    if (files_open(&f, o)) {
        if (opens_itself) { /* these want to create the file themselves */
            CloseHandle(f.target);
            f.target = INVALID_HANDLE_VALUE;
        }
        ms = way(&f, o);
    }
    files_close(&f);
    return ms;
}

static int smaller_first(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;
    return (a > b) - (a < b);
}

bool measure(const struct options *o)
{
    static const struct {
        const char *name;
        double (*way)(const struct files *f, const struct options *o);
        bool opens_itself;
    } ways[] = {{"a loop", time_loop, true},
                {"CopyFileExW", time_copy_file, true},
                {"the port", time_port, false}};
    enum { WAYS = sizeof ways / sizeof ways[0] };
    double ms[WAYS][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WAYS; i++) {
            int way = (i + round) % WAYS; /* none is always the first */
            ms[way][round] = time_one(o, ways[way].way, ways[way].opens_itself);
            if (ms[way][round] < 0.0)
                return false;
        }
    }
    for (int way = 0; way < WAYS; way++)
        qsort(ms[way], ROUNDS, sizeof ms[way][0], smaller_first);
    printf("speed, the loop's is 1; medians of %d rounds\n", ROUNDS);
    for (int way = 0; way < WAYS; way++)
        printf("%-12s %5.2f  (%.1f ms)\n", ways[way].name,
               ms[0][ROUNDS / 2] / ms[way][ROUNDS / 2], ms[way][ROUNDS / 2]);
    return true;
}
