/* input.c -- see input.h */
#include "common/input.h"

int input_read(void *out, DWORD size)
{
    HANDLE in = GetStdHandle(STD_INPUT_HANDLE);
    DWORD len = 0;
    do {
        if (!ReadFile(in, out, size, &len, NULL)) {
            DWORD err = GetLastError();
            return err == ERROR_BROKEN_PIPE || err == ERROR_HANDLE_EOF ? 0 : -1;
        }
        /* The program at the other end of a pipe may write 0 bytes, and a read
         * returns with 0 bytes then. That is no end: only ERROR_BROKEN_PIPE
         * is. GetFileType() would not do, for a socket is a pipe to it, and the
         * 0 bytes of a socket are its end; so are those of a pipe of Linux. */
    } while (len == 0 && GetNamedPipeInfo(in, NULL, NULL, NULL, NULL));
    return (int)len;
}
