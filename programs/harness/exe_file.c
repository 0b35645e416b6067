/* exe_file.c -- see exe_file.h */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "programs/harness/exe_file.h"

/* The file headers as they stand in the file. False when it cannot be read; a
 * short file leaves zeros. */
static bool read_headers(const wchar_t *path, IMAGE_DOS_HEADER *dos,
                         IMAGE_FILE_HEADER *pe)
{
    struct {
        DWORD mark;
        IMAGE_FILE_HEADER header;
    } at_pe = {0};
    DWORD len = 0;
    memset(dos, 0, sizeof *dos);
    memset(pe, 0, sizeof *pe);
    HANDLE file =
        CreateFileW(path, GENERIC_READ,
                    FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return false;
    bool ok = ReadFile(file, dos, sizeof *dos, &len, NULL) != 0;
    if (ok && dos->e_magic == IMAGE_DOS_SIGNATURE &&
        SetFilePointer(file, dos->e_lfanew, NULL, FILE_BEGIN) !=
            INVALID_SET_FILE_POINTER)
        ok = ReadFile(file, &at_pe, sizeof at_pe, &len, NULL) != 0;
    DWORD error = GetLastError();
    CloseHandle(file);
    SetLastError(error);
    if (at_pe.mark == IMAGE_NT_SIGNATURE)
        *pe = at_pe.header;
    return ok;
}

static const char *machine_name(WORD machine)
{
    switch (machine) {
    case IMAGE_FILE_MACHINE_I386: return "32 bit x86";
    case IMAGE_FILE_MACHINE_AMD64: return "64 bit x86";
    case IMAGE_FILE_MACHINE_ARM64: return "64 bit ARM";
    case IMAGE_FILE_MACHINE_ARMNT: return "32 bit ARM";
    default: return "another processor";
    }
}

bool exe_file_is_program(const wchar_t *path, const char *name, char *why,
                         size_t size)
{
    IMAGE_DOS_HEADER dos;
    IMAGE_FILE_HEADER pe;
    if (!read_headers(path, &dos, &pe))
        snprintf(why, size, "%s cannot be read: %s (%lu)", name,
                 err_name(GetLastError()), GetLastError());
    else if (dos.e_magic != IMAGE_DOS_SIGNATURE)
        snprintf(
            why, size,
            "%s is no program of Windows (its first bytes are not \"MZ\"); "
            "a script or a batch file cannot be tested, only an exe",
            name);
    else if (pe.Machine == 0)
        snprintf(why, size, "%s is a damaged exe, or one of DOS", name);
    else if (pe.Characteristics & IMAGE_FILE_DLL)
        snprintf(why, size, "%s is a DLL, not a program", name);
    else
        return true;
    return false;
}

void exe_file_refused(const wchar_t *path, const char *name,
                      unsigned long error, char *why, size_t size)
{
    IMAGE_DOS_HEADER dos;
    IMAGE_FILE_HEADER pe;
    char text[160];
    if ((error == ERROR_BAD_EXE_FORMAT ||
         error == ERROR_EXE_MACHINE_TYPE_MISMATCH) &&
        read_headers(path, &dos, &pe)) {
        snprintf(why, size,
                 "%s is a program for %s, and this Windows cannot run it, or "
                 "it is damaged: %s (%lu)",
                 name, machine_name(pe.Machine), err_name(error), error);
        return;
    }
    err_text(error, text, sizeof text);
    snprintf(why, size, "%s cannot be started: CreateProcess: %s (%lu) %s",
             name, err_name(error), error, text);
}
