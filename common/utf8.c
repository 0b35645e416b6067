/* utf8.c -- see utf8.h */
#include "common/win.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/utf8.h"

wchar_t *utf8_to_wide(const char *text)
{
    int len = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wchar_t *wide = malloc((size_t)len * sizeof *wide);
    if (wide == NULL)
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    else
        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, len);
    return wide;
}

char *utf8_from_wide(const wchar_t *wide)
{
    int len = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = malloc((size_t)len);
    if (text == NULL)
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    else
        WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, len, NULL, NULL);
    return text;
}

/* \\server\share becomes \\?\UNC\server\share, and C:\folder \\?\C:\folder. */
static wchar_t *without_limit(const wchar_t *full)
{
    bool share = wcsncmp(full, L"\\\\", 2) == 0;
    const wchar_t *prefix = share ? L"\\\\?\\UNC" : L"\\\\?\\";
    const wchar_t *rest = share ? full + 1 : full;
    size_t len = wcslen(prefix) + wcslen(rest) + 1;
    wchar_t *path = malloc(len * sizeof *path);
    if (path == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    wcscpy(path, prefix);
    wcscat(path, rest);
    return path;
}

wchar_t *utf8_path(const char *path)
{
    wchar_t *given = utf8_to_wide(path);
    DWORD size = given != NULL ? GetFullPathNameW(given, 0, NULL, NULL) : 0;
    if (size == 0)
        return given; /* it is no path, and the call that gets it says so */
    wchar_t *full = malloc(size * sizeof *full);
    if (full == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    } else if (GetFullPathNameW(given, size, full, NULL) >= MAX_PATH &&
               wcsncmp(full, L"\\\\?\\", 4) != 0 &&
               wcsncmp(full, L"\\\\.\\", 4) != 0) {
        wchar_t *limited = full;
        full = without_limit(limited);
        free(limited);
    }
    free(given);
    return full;
}

char *utf8_clean(const char *text)
{
    wchar_t *wide = utf8_to_wide(text);
    char *clean = wide != NULL ? utf8_from_wide(wide) : NULL;
    free(wide);
    return clean;
}

FILE *utf8_create(const char *path)
{
    wchar_t *wide = utf8_path(path);
    FILE *file = wide != NULL ? _wfopen(wide, L"wb") : NULL;
    DWORD error = GetLastError();
    free(wide);
    SetLastError(error);
    return file;
}
