/* files.c -- see file_copy.h
 *
 * Here is what keeps the target whole or absent.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/utf8.h"
#include "extras/file_copy/file_copy.h"

enum { TRIES = 100, MOST_SECTOR = 65536 };

void say_failed(const char *call, const char *path, DWORD error)
{
    char what[320];
    err_describe(error, what, sizeof what);
    err_print("%s '%s': %s", call, path, what);
}

/* The largest sector of the two disks. A disk may have sectors of 512 bytes for
 * programs and of 4096 in truth; to keep to the larger one is never wrong.
 * Source: FILE_STORAGE_INFO structure; GetDiskFreeSpaceW function. */
static DWORD sector_of(HANDLE file, const wchar_t *path)
{
    FILE_STORAGE_INFO info;
    wchar_t root[MAX_PATH];
    DWORD per_cluster, bytes = 0, free_clusters, clusters;
    if (GetVolumePathNameW(path, root, MAX_PATH))
        GetDiskFreeSpaceW(root, &per_cluster, &bytes, &free_clusters,
                          &clusters);
    if (GetFileInformationByHandleEx(file, FileStorageInfo, &info,
                                     sizeof info) &&
        info.PhysicalBytesPerSectorForPerformance > bytes &&
        info.PhysicalBytesPerSectorForPerformance <= MOST_SECTOR)
        bytes = info.PhysicalBytesPerSectorForPerformance;
    return bytes > 0 ? bytes : 4096;
}

bool set_size(HANDLE file, uint64_t size)
{
    /* Not SetEndOfFile(): without the cache its file pointer would have to be a
     * multiple of the sector. */
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size};
    return SetFileInformationByHandle(file, FileEndOfFileInfo, &end,
                                      sizeof end) != 0;
}

/* Opens the source. False: said why. Nobody may write to it meanwhile. */
static bool open_source(struct files *f, const struct options *o)
{
    DWORD attributes = GetFileAttributesW(f->source_path);
    if (attributes != INVALID_FILE_ATTRIBUTES &&
        (attributes & FILE_ATTRIBUTE_DIRECTORY)) {
        err_print("'%s' is a folder", o->source);
        return false;
    }
    f->source = CreateFileW(
        f->source_path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING,
        FILE_FLAG_OVERLAPPED | (o->unbuffered ? FILE_FLAG_NO_BUFFERING
                                              : FILE_FLAG_SEQUENTIAL_SCAN),
        NULL);
    if (f->source == INVALID_HANDLE_VALUE) {
        say_failed("CreateFileW", o->source, GetLastError());
        return false;
    }
    LARGE_INTEGER size;
    if (GetFileType(f->source) != FILE_TYPE_DISK ||
        !GetFileSizeEx(f->source, &size)) {
        err_print("'%s' is no file on a disk", o->source);
        return false;
    }
    f->size = (uint64_t)size.QuadPart;
    return true;
}

/* What is known of the file or folder at that path. Returns 0 or an error. */
static DWORD look_at(const wchar_t *path, BY_HANDLE_FILE_INFORMATION *info)
{
    HANDLE file = CreateFileW(
        path, FILE_READ_ATTRIBUTES,
        FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
        OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL); /* a folder, too */
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = GetFileInformationByHandle(file, info) ? 0 : GetLastError();
    CloseHandle(file);
    return error;
}

/* False: said why. Another name may lead to the same file: a hard link, another
 * spelling, a drive of subst. Source: BY_HANDLE_FILE_INFORMATION structure. */
static bool may_replace(const struct files *f, const struct options *o)
{
    BY_HANDLE_FILE_INFORMATION one = {0};
    BY_HANDLE_FILE_INFORMATION other = {0};
    DWORD error = look_at(f->target_path, &other);
    if (error == ERROR_FILE_NOT_FOUND)
        return true;
    if (error == 0 && !GetFileInformationByHandle(f->source, &one))
        error = GetLastError();
    if (error != 0)
        say_failed("CreateFileW", o->target, error);
    else if (one.dwVolumeSerialNumber == other.dwVolumeSerialNumber &&
             one.nFileIndexHigh == other.nFileIndexHigh &&
             one.nFileIndexLow == other.nFileIndexLow)
        err_print("'%s' and '%s' are the same file", o->source, o->target);
    else if (other.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        err_print("'%s' is a folder", o->target);
    else if (other.dwFileAttributes & FILE_ATTRIBUTE_READONLY)
        err_print("'%s' may only be read, and is not replaced", o->target);
    else
        return true;
    return false;
}

/* The length of the folder in it, up to its last separator. */
static int folder_of(const char *path)
{
    size_t len = strlen(path);
    while (len > 0 && strchr("\\/:", path[len - 1]) == NULL)
        len--;
    return (int)len;
}

/* A file in the folder of the target, under a name that no other file has, and
 * that is not too long where the target's is not. */
static bool create_part(struct files *f, const struct options *o)
{
    size_t size = strlen(o->target) + 40;
    char *name = malloc(size);
    DWORD error = ERROR_NOT_ENOUGH_MEMORY;
    for (int i = 0; name != NULL && i < TRIES; i++) {
        snprintf(name, size, "%.*sfile_copy-%lx-%d.part", folder_of(o->target),
                 o->target, (unsigned long)GetCurrentProcessId(), i);
        f->part_path = utf8_path(name);
        if (f->part_path == NULL)
            break;
        f->target = CreateFileW(
            f->part_path, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_NEW,
            FILE_FLAG_OVERLAPPED | (o->unbuffered ? FILE_FLAG_NO_BUFFERING : 0),
            NULL);
        if (f->target != INVALID_HANDLE_VALUE)
            break;
        error = GetLastError();
        free(f->part_path);
        f->part_path = NULL;
        if (error != ERROR_FILE_EXISTS)
            break;
    }
    free(name);
    if (f->target == INVALID_HANDLE_VALUE)
        say_failed("CreateFileW", o->target, error);
    return f->target != INVALID_HANDLE_VALUE;
}

bool files_open(struct files *f, const struct options *o)
{
    *f = (struct files){.source = INVALID_HANDLE_VALUE,
                        .target = INVALID_HANDLE_VALUE,
                        .source_path = utf8_path(o->source),
                        .target_path = utf8_path(o->target)};
    if (f->source_path == NULL || f->target_path == NULL)
        die_call("malloc", ERROR_NOT_ENOUGH_MEMORY);
    if (!open_source(f, o) || !may_replace(f, o) || !create_part(f, o))
        return false;
    DWORD one = sector_of(f->source, f->source_path);
    DWORD other = sector_of(f->target, f->target_path);
    f->sector = one > other ? one : other;
    return true;
}

void files_close(struct files *f)
{
    if (f->source != INVALID_HANDLE_VALUE)
        CloseHandle(f->source);
    if (f->target != INVALID_HANDLE_VALUE)
        CloseHandle(f->target);
    if (f->part_path != NULL && !DeleteFileW(f->part_path))
        warn_call("DeleteFileW", GetLastError());
    free(f->part_path);
    free(f->target_path);
    free(f->source_path);
}
