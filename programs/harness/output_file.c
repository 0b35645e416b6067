/* output_file.c -- see output_file.h */
#include "common/win.h"

#include <fcntl.h>
#include <io.h>
#include <stdlib.h>
#include <wchar.h>

#include "common/err.h"
#include "common/utf8.h"
#include "programs/harness/output_file.h"

enum { NAMES_TRIED = 100, MOVES_TRIED = 20, MOVE_AGAIN_MS = 50 };

static bool cannot(const char *what, const char *name, unsigned long code)
{
    char text[320];
    err_describe(code, text, sizeof text);
    err_print("cannot %s '%s': %s", what, name, text);
    return false;
}

/* What the C library gives has to be freed; there is no way to go on without. */
static void *needed(void *memory)
{
    if (memory == NULL)
        die_call("malloc", WSA_NOT_ENOUGH_MEMORY);
    return memory;
}

bool output_same(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        return false;
    wchar_t *a = needed(utf8_path(one));
    wchar_t *b = needed(utf8_path(other));
    bool same = CompareStringOrdinal(a, -1, b, -1, TRUE) == CSTR_EQUAL;
    free(a);
    free(b);
    return same;
}

/* Is the place itself free, or a file that may be replaced? */
static bool may_replace(const struct output_file *o)
{
    if (o->name[0] == '\0')
        return cannot("write", o->name, ERROR_INVALID_NAME);
    if (wcsncmp(o->place, L"\\\\.\\", 4) == 0) {
        err_print("cannot write '%s': that is a device, not a file", o->name);
        return false;
    }
    DWORD attributes = GetFileAttributesW(o->place);
    if (attributes != INVALID_FILE_ATTRIBUTES &&
        (attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_READONLY)))
        return cannot("write", o->name, ERROR_ACCESS_DENIED);
    return true;
}

/* Create a file that was not there. Another run has another process id; the
 * number is for what a run that was ended has left behind. */
static HANDLE create_part(struct output_file *o)
{
    HANDLE file = INVALID_HANDLE_VALUE;
    size_t size = wcslen(o->place) + 40;
    o->part = needed(malloc(size * sizeof *o->part));
    for (int i = 0; file == INVALID_HANDLE_VALUE && i < NAMES_TRIED; i++) {
        _snwprintf(o->part, size, L"%ls.%lu-%d.part", o->place,
                   GetCurrentProcessId(), i);
        file = CreateFileW(o->part, GENERIC_WRITE, FILE_SHARE_READ, NULL,
                           CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
        if (file == INVALID_HANDLE_VALUE && GetLastError() != ERROR_FILE_EXISTS)
            break;
    }
    return file;
}

static void close_output(struct output_file *o)
{
    free(o->place);
    free(o->part);
    *o = (struct output_file){.name = o->name};
}

bool output_open(struct output_file *o, const char *name)
{
    *o = (struct output_file){.name = name};
    if (name == NULL)
        return true;
    o->place = needed(utf8_path(name));
    if (!may_replace(o)) {
        close_output(o);
        return false;
    }
    HANDLE handle = create_part(o);
    DWORD error = GetLastError();
    if (handle != INVALID_HANDLE_VALUE) {
        int number = _open_osfhandle((intptr_t)handle, _O_BINARY);
        if (number < 0)
            CloseHandle(handle);
        else if ((o->file = _fdopen(number, "wb")) == NULL)
            _close(number);
        if (o->file != NULL)
            return true;
        DeleteFileW(o->part);
        error = ERROR_TOO_MANY_OPEN_FILES;
    }
    close_output(o);
    return cannot("write", name, error);
}

/* A scanner, a viewer or another run may have the old file open for a moment,
 * and nothing tells when it lets go. */
static bool move_to_place(const struct output_file *o)
{
    for (int left = MOVES_TRIED; left > 0; left--) {
        if (MoveFileExW(o->part, o->place, MOVEFILE_REPLACE_EXISTING))
            return true;
        if (GetLastError() != ERROR_ACCESS_DENIED &&
            GetLastError() != ERROR_SHARING_VIOLATION)
            return false;
        if (left > 1)
            Sleep(MOVE_AGAIN_MS);
    }
    return false;
}

bool output_keep(struct output_file *o)
{
    if (o->file == NULL)
        return true;
    bool kept = ferror(o->file) == 0;
    kept = fclose(o->file) == 0 && kept;
    if (!kept) {
        DeleteFileW(o->part);
        cannot("write all of", o->name, ERROR_DISK_FULL);
    } else if (!move_to_place(o)) {
        unsigned long code = GetLastError();
        char *part = needed(utf8_from_wide(o->part));
        err_print("it is kept as %s", part);
        free(part);
        kept = cannot("replace", o->name, code);
    }
    close_output(o);
    return kept;
}

void output_drop(struct output_file *o)
{
    if (o->file == NULL)
        return;
    fclose(o->file);
    DeleteFileW(o->part);
    close_output(o);
}
