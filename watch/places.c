/* places.c -- see places.h */
#include "common/win.h"

#include <dbghelp.h>

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/map.h"
#include "common/utf8.h"
#include "watch/image.h"
#include "watch/places.h"

/* dbghelp.dll allows one thread at a time, and so does everything here. */
static SRWLOCK lock = SRWLOCK_INIT;
static struct map places; /* under the lock: a struct place for each address */

/* ---- text ------------------------------------------------------------------ */

/* Text in memory of its own; NULL when there is none. */
static char *made(const char *format, ...) PRINTF_LIKE(1, 2);

static char *made(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text != NULL) {
        va_start(args, format);
        (void)vsnprintf(text, (size_t)len + 1, format, args);
        va_end(args);
    }
    return text;
}

static const char *base_of(const char *path)
{
    const char *base = path;
    for (const char *p = path; *p != '\0'; p++) {
        if (*p == '/' || *p == '\\')
            base = p + 1;
    }
    return base;
}

/* ---- the file of a module -------------------------------------------------- */

/* A build may have put a new program in place of the one that runs. Their
 * headers differ in the sizes of what follows, or in the time; only the address
 * in memory is changed when a program is loaded, and that comes behind these. */
static bool is_file_of(const BYTE *module, const BYTE *file, size_t size)
{
    enum { COMPARED = offsetof(IMAGE_NT_HEADERS, OptionalHeader.ImageBase) };
    LONG at = ((const IMAGE_DOS_HEADER *)module)->e_lfanew;
    return at >= 0 && (size_t)at < size && size - (size_t)at >= COMPARED &&
           memcmp(module + at, file + at, COMPARED) == 0;
}

/* These two tell whether a .pdb file should be asked: it is the right file, and
 * has no lines in it. */
static bool find_in(const BYTE *file, size_t size, const BYTE *module,
                    size_t offset, struct place *place)
{
    struct image_place found;
    if (!is_file_of(module, file, size))
        return false;
    image_find(file, size, offset, &found);
    if (found.function[0] != '\0')
        place->function = made("%s", found.function);
    if (found.line != 0 && found.file.len > 0) {
        place->file = made("%.*s%s%.*s", (int)found.folder.len,
                           found.folder.text, found.folder.len > 0 ? "/" : "",
                           (int)found.file.len, found.file.text);
        place->line = place->file != NULL ? (int)found.line : 0;
    }
    return !found.has_lines;
}

/* The file is mapped only while we look: a DLL that is unloaded can be
 * replaced. */
static bool ask_file(const wchar_t *path, const BYTE *module, size_t offset,
                     struct place *place)
{
    LARGE_INTEGER size;
    bool further = false;
    HANDLE file =
        CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return false;
    if (GetFileSizeEx(file, &size) && size.QuadPart < INT_MAX) {
        HANDLE mapping =
            CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
        const BYTE *bytes =
            mapping == NULL ? NULL
                            : MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
        if (bytes != NULL) {
            further =
                find_in(bytes, (size_t)size.QuadPart, module, offset, place);
            UnmapViewOfFile(bytes);
        }
        if (mapping != NULL)
            CloseHandle(mapping);
    }
    CloseHandle(file);
    return further;
}

/* ---- dbghelp.dll ----------------------------------------------------------- */

static struct {
    DWORD(WINAPI *set_options)(DWORD options);
    DWORD(WINAPI *get_options)(void);
    BOOL(WINAPI *initialize)(HANDLE who, PCWSTR search, BOOL all_modules);
    DWORD64(WINAPI *load_module)
    (HANDLE who, HANDLE file, PCWSTR path, PCWSTR name, DWORD64 base,
     DWORD size, PMODLOAD_DATA data, DWORD flags);
    BOOL(WINAPI *module_info)
    (HANDLE who, DWORD64 address, PIMAGEHLP_MODULEW64 info);
    BOOL(WINAPI *symbol)
    (HANDLE who, DWORD64 address, PDWORD64 distance, PSYMBOL_INFOW symbol);
    BOOL(WINAPI *line)
    (HANDLE who, DWORD64 address, PDWORD distance, PIMAGEHLP_LINEW64 line);
    BOOL(WINAPI *cleanup)(HANDLE who);
} dbghelp;

static bool dbghelp_load(void)
{
    static const char *const names[] = {
        "SymSetOptions",         "SymGetOptions",       "SymInitializeW",
        "SymLoadModuleExW",      "SymGetModuleInfoW64", "SymFromAddrW",
        "SymGetLineFromAddrW64", "SymCleanup"};
    FARPROC found[sizeof names / sizeof names[0]];
    static bool tried;
    static bool complete;
    if (tried)
        return complete;
    tried = true;
    /* From Windows' own folder: a file of that name beside the program may be
     * anything. */
    HMODULE library =
        LoadLibraryExW(L"dbghelp.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (library == NULL)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        found[i] = GetProcAddress(library, names[i]);
        if (found[i] == NULL)
            return false;
    }
    memcpy(&dbghelp, found, sizeof dbghelp);
    complete = true;
    return true;
}

/* Only what a .pdb file says. Without one, Windows' dbghelp.dll offers the nearest
 * function that the module exports; Wine's offers nothing. */
static void find_in_pdb(HANDLE who, DWORD64 address, struct place *place)
{
    union {
        SYMBOL_INFOW info;
        BYTE room[sizeof(SYMBOL_INFOW) + IMAGE_NAME_SIZE * sizeof(wchar_t)];
    } symbol = {.info = {.SizeOfStruct = sizeof symbol.info,
                         .MaxNameLen = IMAGE_NAME_SIZE}};
    IMAGEHLP_MODULEW64 module = {.SizeOfStruct = sizeof module};
    IMAGEHLP_LINEW64 line = {.SizeOfStruct = sizeof line};
    DWORD64 into_symbol = 0;
    DWORD into_line = 0;
    if (!dbghelp.symbol(who, address, &into_symbol, &symbol.info) ||
        !dbghelp.module_info(who, address, &module) ||
        module.SymType != SymPdb || into_symbol >= symbol.info.Size)
        return;
    free((char *)place->function); /* a symbol of the linker's */
    place->function = utf8_from_wide(symbol.info.Name);
    if (dbghelp.line(who, address, &into_line, &line)) {
        place->file = utf8_from_wide(line.FileName);
        place->line = place->file != NULL ? (int)line.LineNumber : 0;
    }
}

/* dbghelp.dll keeps one list of modules for each caller, who gives itself a
 * number: so a program that uses the DLL as well does not meet our list. The
 * usual search path may lead to a server far away, so we name another: the
 * module's folder. The place where the linker put the file is tried anyway. */
static void ask_pdb(wchar_t *path, const BYTE *module, size_t offset,
                    struct place *place)
{
    HANDLE who = &dbghelp;
    wchar_t *folder_end = wcsrchr(path, L'\\');
    if (folder_end == NULL || !dbghelp_load())
        return;
    *folder_end = L'\0';
    bool begun = dbghelp.initialize(who, path, FALSE);
    *folder_end = L'\\';
    if (!begun)
        return;
    DWORD options = dbghelp.get_options(); /* the same for all callers */
    dbghelp.set_options(SYMOPT_LOAD_LINES | SYMOPT_UNDNAME |
                        SYMOPT_FAIL_CRITICAL_ERRORS);
    DWORD64 base = (ULONG_PTR)module;
    if (dbghelp.load_module(who, NULL, path, NULL, base, 0, NULL, 0) != 0)
        find_in_pdb(who, base + offset, place);
    dbghelp.set_options(options);
    dbghelp.cleanup(who);
}

/* ---- places ---------------------------------------------------------------- */

/* Fills the place in, except for its text; returns that. */
static char *look_up(const void *return_address, struct place *place)
{
    static wchar_t path[32768]; /* no path of Windows is longer */
    HMODULE module = NULL;
    char *name = NULL;
    /* A call of a function that never returns may be the last instruction of
     * its function. Then the address behind it is in the next one. */
    ULONG_PTR address = (ULONG_PTR)return_address - 1;
    /* Asked about address 0, it answers with the program. */
    if (address == 0 ||
        !GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                            (LPCWSTR)address, &module))
        return made("0x%zx", (size_t)address);
    size_t offset = (size_t)(address - (ULONG_PTR)module);
    if (GetModuleFileNameW(module, path, sizeof path / sizeof path[0])) {
        name = utf8_from_wide(path);
        if (ask_file(path, (const BYTE *)module, offset, place))
            ask_pdb(path, (const BYTE *)module, offset, place);
    }
    FreeLibrary(module); /* we had asked it to stay meanwhile */
    const char *function = place->function != NULL ? place->function : "";
    const char *blank = place->function != NULL ? " " : "";
    char *text;
    if (place->file != NULL) {
        place->base = base_of(place->file);
        text = made("%s:%d%s%s", place->base, place->line, blank, function);
    } else {
        text = made("%s+0x%zx%s%s", name != NULL ? base_of(name) : "module",
                    offset, blank, function);
    }
    free(name);
    return text;
}

static const struct place too_many = {.text = "(one place too many)"};
static const struct place no_memory = {.text = "(no memory)"};

static const struct place *remember(const void *return_address)
{
    if (places.count >= PLACES_MOST)
        return &too_many;
    struct place *place = calloc(1, sizeof *place);
    if (place == NULL)
        return &no_memory;
    place->text = look_up(return_address, place);
    if (place->text != NULL &&
        map_put(&places, (ULONG_PTR)return_address, place))
        return place;
    free((char *)place->text);
    free((char *)place->function);
    free((char *)place->file);
    free(place);
    return &no_memory;
}

const struct place *place_of(const void *return_address)
{
    DWORD error = GetLastError();
    AcquireSRWLockExclusive(&lock);
    const struct place *place = map_get(&places, (ULONG_PTR)return_address);
    if (place == NULL)
        place = remember(return_address);
    ReleaseSRWLockExclusive(&lock);
    SetLastError(error);
    return place;
}
