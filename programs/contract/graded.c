/* graded.c -- which file is graded: its full path and its SHA-256
 *
 * A name says little: there is an iocp.exe in many folders. And a file can be
 * changed between two runs, or in the middle of one. So it stays open in a way
 * that nobody can write to it or replace it meanwhile.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <wincrypt.h>

#include "common/err.h"
#include "common/utf8.h"
#include "programs/contract/suite.h"

enum { SHA256_BYTES = 32 };

static bool hash_file(HANDLE file, HCRYPTHASH hash, BYTE *digest)
{
    static BYTE bytes[64 * 1024];
    DWORD len = 0;
    DWORD size = SHA256_BYTES;
    do {
        if (!ReadFile(file, bytes, sizeof bytes, &len, NULL) ||
            !CryptHashData(hash, bytes, len, 0))
            return false;
    } while (len > 0);
    return CryptGetHashParam(hash, HP_HASHVAL, digest, &size, 0) != 0;
}

/* By the older of the two interfaces of Windows: the newer one is in bcrypt.dll,
 * which Windows may take from the folder of the program. */
static bool sha256(HANDLE file, BYTE *digest)
{
    HCRYPTPROV provider = 0;
    HCRYPTHASH hash = 0;
    bool ok = CryptAcquireContextW(&provider, NULL, NULL, PROV_RSA_AES,
                                   CRYPT_VERIFYCONTEXT) &&
              CryptCreateHash(provider, CALG_SHA_256, 0, 0, &hash) &&
              hash_file(file, hash, digest);
    if (hash != 0)
        CryptDestroyHash(hash);
    if (provider != 0)
        CryptReleaseContext(provider, 0);
    return ok;
}

bool graded_open(struct graded *graded, const char *exe, char *why, size_t size)
{
    BYTE digest[SHA256_BYTES];
    wchar_t *path = utf8_path(exe);
    if (path == NULL || (graded->path = utf8_from_wide(path)) == NULL)
        die_call("malloc", ERROR_NOT_ENOUGH_MEMORY);
    DWORD kind = GetFileAttributesW(path);
    if (kind == INVALID_FILE_ATTRIBUTES ||
        (kind & FILE_ATTRIBUTE_DIRECTORY) != 0) {
        snprintf(why, size, "there is no %s", exe);
        free(path);
        return false;
    }
    graded->file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ, NULL,
                               OPEN_EXISTING, FILE_FLAG_SEQUENTIAL_SCAN, NULL);
    DWORD error = GetLastError();
    free(path);
    if (graded->file == INVALID_HANDLE_VALUE) {
        graded->file = NULL;
        snprintf(why, size, "%s cannot be read: %s%s", graded->path,
                 err_name(error),
                 error == ERROR_SHARING_VIOLATION
                     ? " (another program is writing it)"
                     : "");
        return false;
    }
    if (!sha256(graded->file, digest)) {
        snprintf(why, size, "%s cannot be read: %s", graded->path,
                 err_name(GetLastError()));
        return false;
    }
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(graded->sha256 + 2 * i, 3, "%02x", digest[i]);
    return true;
}

void graded_close(struct graded *graded)
{
    if (graded->file != NULL)
        CloseHandle(graded->file);
    free(graded->path);
    *graded = (struct graded){0};
}
