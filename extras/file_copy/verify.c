/* verify.c -- see file_copy.h */
#include "common/win.h"

#include "common/err.h"
#include "extras/file_copy/file_copy.h"

enum { VERIFY_BLOCK = 1024 * 1024 };

/* The next bytes of each. False: one cannot be read. */
static bool read_both(HANDLE one, HANDLE other, char *bytes, DWORD *len,
                      DWORD *other_len)
{
    return ReadFile(one, bytes, VERIFY_BLOCK, len, NULL) &&
           ReadFile(other, bytes + VERIFY_BLOCK, VERIFY_BLOCK, other_len, NULL);
}

static bool same_bytes(const struct options *o, const volatile LONG *stop,
                       HANDLE one, HANDLE other, char *bytes)
{
    for (uint64_t at = 0; *stop == 0; at += VERIFY_BLOCK) {
        DWORD len = 0;
        DWORD other_len = 0;
        if (!read_both(one, other, bytes, &len, &other_len)) {
            say_failed("ReadFile", o->target, GetLastError());
            return false;
        }
        DWORD i = 0;
        while (i < len && i < other_len && bytes[i] == bytes[VERIFY_BLOCK + i])
            i++;
        if (i < len || i < other_len) {
            err_print("byte %llu of the copy differs",
                      (unsigned long long)(at + i));
            return false;
        }
        if (len < VERIFY_BLOCK)
            return true;
    }
    return false;
}

/* Read the part from the disk and not out of the cache, which would say what we
 * have written and not what the disk has kept. */
bool verify(const struct files *f, const struct options *o,
            const volatile LONG *stop)
{
    HANDLE one =
        CreateFileW(f->source_path, GENERIC_READ, FILE_SHARE_READ, NULL,
                    OPEN_EXISTING, FILE_FLAG_SEQUENTIAL_SCAN, NULL);
    HANDLE other =
        CreateFileW(f->part_path, GENERIC_READ, FILE_SHARE_READ, NULL,
                    OPEN_EXISTING, FILE_FLAG_NO_BUFFERING, NULL);
    char *bytes = VirtualAlloc(NULL, 2 * (size_t)VERIFY_BLOCK,
                               MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    bool same = false;
    if (one == INVALID_HANDLE_VALUE || other == INVALID_HANDLE_VALUE ||
        bytes == NULL)
        say_failed("CreateFileW", o->target, GetLastError());
    else
        same = same_bytes(o, stop, one, other, bytes);
    if (one != INVALID_HANDLE_VALUE)
        CloseHandle(one);
    if (other != INVALID_HANDLE_VALUE)
        CloseHandle(other);
    if (bytes != NULL)
        VirtualFree(bytes, 0, MEM_RELEASE);
    return same;
}
