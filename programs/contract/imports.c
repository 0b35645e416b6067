/* imports.c -- see imports.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "programs/contract/imports.h"
#include "programs/contract/suite.h"

/* A DLL of the program's own folder may import from another one there. */
enum { DEEPEST = 4, LONGEST_NAME = 256 };

/* ---- the bytes of a file --------------------------------------------------- */

/* Every number in it may be wrong. So all reading is done by place(), which
 * gives NULL for what lies outside. */
struct file {
    char *bytes;
    size_t size;
    size_t headers;  /* where the optional header begins */
    size_t sections; /* where the table of sections begins */
    unsigned section_count;
    bool wide; /* a 64 bit program */
};

static const char *place(const struct file *file, size_t at, size_t len)
{
    return at <= file->size && len <= file->size - at ? file->bytes + at : NULL;
}

static unsigned long number(const struct file *file, size_t at, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)place(file, at, len);
    unsigned long value = 0;
    for (size_t i = len; bytes != NULL && i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static bool file_read(struct file *file, const char *path)
{
    enum { MOST = 256 * 1024 * 1024 };
    memset(file, 0, sizeof *file);
    wchar_t *wide = utf8_path(path);
    FILE *in = wide != NULL ? _wfopen(wide, L"rb") : NULL;
    free(wide);
    if (in == NULL)
        return false;
    long size = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
    if (size >= 0 && size <= MOST && fseek(in, 0, SEEK_SET) == 0) {
        file->bytes = xrealloc(NULL, (size_t)size);
        file->size = fread(file->bytes, 1, (size_t)size, in);
    }
    fclose(in);
    return file->bytes != NULL;
}

/* False: it is no Windows program. */
static bool find_headers(struct file *file)
{
    size_t pe = number(file, 0x3C, 4);
    const char *mark = place(file, pe, 4), *dos = place(file, 0, 2);
    if (dos == NULL || memcmp(dos, "MZ", 2) != 0 || mark == NULL ||
        memcmp(mark, "PE\0\0", 4) != 0)
        return false;
    file->section_count = (unsigned)number(file, pe + 6, 2);
    file->headers = pe + 24;
    file->sections = file->headers + number(file, pe + 20, 2);
    file->wide = number(file, file->headers, 2) == 0x20B;
    return file->wide || number(file, file->headers, 2) == 0x10B;
}

/* Where in the file something lies that has this address in memory; SIZE_MAX
 * when it is not in the file. */
static size_t from_address(const struct file *file, unsigned long address)
{
    for (unsigned i = 0; i < file->section_count; i++) {
        size_t section = file->sections + (size_t)i * 40;
        unsigned long from = number(file, section + 12, 4);
        unsigned long stored = number(file, section + 16, 4);
        if (address >= from && address - from < stored)
            return number(file, section + 20, 4) + (size_t)(address - from);
    }
    return SIZE_MAX;
}

/* The address of one of the tables that the optional header lists; 0: none. */
static unsigned long table_address(const struct file *file, unsigned table)
{
    size_t list = file->headers + (file->wide ? 112 : 96);
    unsigned long tables = number(file, list - 4, 4);
    return table < tables ? number(file, list + (size_t)table * 8, 4) : 0;
}

/* A copy of a name; NULL: there is none. */
static char *name_at(const struct file *file, size_t at)
{
    const char *from = place(file, at, 1);
    size_t most = from != NULL ? file->size - at : 0;
    size_t len = most > 0 ? strnlen(from, most) : 0;
    return len > 0 && len < most && len < LONGEST_NAME ? format_text("%s", from)
                                                       : NULL;
}

/* ---- what is imported ------------------------------------------------------ */

static void add_name(struct imports *imports, char *name)
{
    imports->names =
        xrealloc(imports->names, (imports->count + 1) * sizeof *imports->names);
    imports->names[imports->count++] = name;
}

/* Both socket DLLs have these under the same numbers since Winsock 1.1, and
 * Microsoft's import library asks for them by number. The later functions have
 * names only. */
static const char *name_of_number(unsigned long number)
{
    static const struct {
        unsigned long number;
        const char *name;
    } known[] = {{1, "accept"},
                 {16, "recv"},
                 {18, "select"},
                 {19, "send"},
                 {101, "WSAAsyncSelect"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].number == number)
            return known[i].name;
    return NULL;
}

/* One DLL's functions: a list of numbers of 4 or 8 bytes, ended by 0. */
static void add_functions(struct imports *imports, const struct file *file,
                          unsigned long address, bool sockets)
{
    size_t width = file->wide ? 8 : 4;
    size_t at = from_address(file, address);
    for (; place(file, at, width) != NULL; at += width) {
        unsigned long low = number(file, at, 4);
        bool by_number = (number(file, at + width - 4, 4) & 0x80000000u) != 0;
        if (low == 0 && !by_number)
            return;
        const char *known =
            by_number && sockets ? name_of_number(low & 0xFFFF) : NULL;
        /* Before a name there is a number of two bytes. */
        size_t text = by_number ? SIZE_MAX : from_address(file, low);
        char *name = known != NULL      ? format_text("%s", known)
                     : text != SIZE_MAX ? name_at(file, text + 2)
                                        : NULL;
        if (name != NULL)
            add_name(imports, name);
    }
}

static void read_program(struct imports *imports, const char *path,
                         unsigned depth, bool *is_program);

static void add_dll(struct imports *imports, const struct file *file,
                    const char *path, const char *dll, unsigned long functions,
                    unsigned depth)
{
    bool sockets =
        _stricmp(dll, "ws2_32.dll") == 0 || _stricmp(dll, "wsock32.dll") == 0;
    imports->sockets = imports->sockets || sockets;
    add_functions(imports, file, functions, sockets);
    const char *slash = strrchr(path, '\\'), *other = strrchr(path, '/');
    if (slash == NULL || (other != NULL && other > slash))
        slash = other;
    int folder = slash != NULL ? (int)(slash + 1 - path) : 0;
    char *beside = format_text("%.*s%s", folder, path, dll);
    bool ignored = false;
    if (depth < DEEPEST)
        read_program(imports, beside, depth + 1, &ignored);
    free(beside);
}

/* The table of imports, or that of imports that are loaded at their first call:
 * rows in which the name of the DLL and the list of functions stand. */
static void add_table(struct imports *imports, const struct file *file,
                      const char *path, bool delayed, unsigned depth)
{
    unsigned long address = table_address(file, delayed ? 13 : 1);
    size_t row = address != 0 ? from_address(file, address) : SIZE_MAX;
    size_t size = delayed ? 32 : 20, name = delayed ? 4 : 12;
    for (; place(file, row, size) != NULL; row += size) {
        unsigned long dll_name = number(file, row + name, 4);
        unsigned long functions = number(file, row + (delayed ? 16 : 0), 4);
        if (functions == 0 && !delayed) /* some linkers write only one list */
            functions = number(file, row + 16, 4);
        if (dll_name == 0)
            return;
        size_t at = from_address(file, dll_name);
        char *dll = at != SIZE_MAX ? name_at(file, at) : NULL;
        if (dll != NULL)
            add_dll(imports, file, path, dll, functions, depth);
        free(dll);
    }
}

static void read_program(struct imports *imports, const char *path,
                         unsigned depth, bool *is_program)
{
    struct file file;
    *is_program = file_read(&file, path) && find_headers(&file);
    if (*is_program) {
        add_table(imports, &file, path, false, depth);
        add_table(imports, &file, path, true, depth);
    }
    free(file.bytes);
}

bool imports_read(struct imports *imports, const char *exe, char *why,
                  size_t size)
{
    bool is_program = false;
    memset(imports, 0, sizeof *imports);
    read_program(imports, exe, 0, &is_program);
    if (!is_program)
        snprintf(why, size, "%s cannot be read, or is no Windows program", exe);
    return is_program;
}

bool imports_has(const struct imports *imports, const char *name)
{
    for (size_t i = 0; i < imports->count; i++)
        if (strcmp(imports->names[i], name) == 0)
            return true;
    return false;
}

void imports_free(struct imports *imports)
{
    for (size_t i = 0; i < imports->count; i++)
        free(imports->names[i]);
    free(imports->names);
    memset(imports, 0, sizeof *imports);
}
