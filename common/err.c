/* err.c -- see err.h */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/console.h"
#include "common/err.h"
#include "common/output.h"

static const char *program = "winsock-models";

void err_program(const char *name)
{
    program = name;
}

#define NAMED(code)                                                            \
    {                                                                          \
        code, #code                                                            \
    }

/* A student searches for the name, never for the number. Where Winsock and
 * Win32 share a number, the name that Winsock programmers know stands here. */
static const struct {
    unsigned long code;
    const char *name;
} names[] = {
    NAMED(ERROR_FILE_NOT_FOUND),
    NAMED(ERROR_PATH_NOT_FOUND),
    NAMED(ERROR_TOO_MANY_OPEN_FILES),
    NAMED(ERROR_ACCESS_DENIED),
    NAMED(WSA_INVALID_HANDLE),
    NAMED(WSA_NOT_ENOUGH_MEMORY),
    NAMED(ERROR_OUTOFMEMORY),
    NAMED(ERROR_WRITE_PROTECT),
    NAMED(ERROR_GEN_FAILURE),
    NAMED(ERROR_SHARING_VIOLATION),
    NAMED(ERROR_LOCK_VIOLATION),
    NAMED(ERROR_HANDLE_EOF),
    NAMED(ERROR_NETNAME_DELETED),
    NAMED(WSA_INVALID_PARAMETER),
    NAMED(ERROR_FILE_EXISTS),
    NAMED(ERROR_BROKEN_PIPE),
    NAMED(ERROR_DISK_FULL),
    NAMED(ERROR_INVALID_NAME),
    NAMED(WAIT_TIMEOUT),
    NAMED(ERROR_MOD_NOT_FOUND),
    NAMED(ERROR_BAD_EXE_FORMAT),
    NAMED(ERROR_NO_DATA),
    NAMED(ERROR_PIPE_NOT_CONNECTED),
    NAMED(ERROR_MORE_DATA),
    NAMED(ERROR_ABANDONED_WAIT_0),
    NAMED(WSA_OPERATION_ABORTED),
    NAMED(WSA_IO_INCOMPLETE),
    NAMED(WSA_IO_PENDING),
    NAMED(ERROR_NOACCESS),
    NAMED(ERROR_NOT_FOUND),
    NAMED(ERROR_CONNECTION_REFUSED),
    NAMED(ERROR_CONNECTION_ABORTED),
    NAMED(ERROR_COMMITMENT_LIMIT),
    NAMED(ERROR_NO_SYSTEM_RESOURCES),
    NAMED(ERROR_NOT_ENOUGH_QUOTA),
    NAMED(ERROR_INVALID_WINDOW_HANDLE),
    NAMED(WSAEINTR),
    NAMED(WSAEBADF),
    NAMED(WSAEACCES),
    NAMED(WSAEFAULT),
    NAMED(WSAEINVAL),
    NAMED(WSAEMFILE),
    NAMED(WSAEWOULDBLOCK),
    NAMED(WSAEINPROGRESS),
    NAMED(WSAEALREADY),
    NAMED(WSAENOTSOCK),
    NAMED(WSAEDESTADDRREQ),
    NAMED(WSAEMSGSIZE),
    NAMED(WSAEPROTOTYPE),
    NAMED(WSAENOPROTOOPT),
    NAMED(WSAEPROTONOSUPPORT),
    NAMED(WSAESOCKTNOSUPPORT),
    NAMED(WSAEOPNOTSUPP),
    NAMED(WSAEPFNOSUPPORT),
    NAMED(WSAEAFNOSUPPORT),
    NAMED(WSAEADDRINUSE),
    NAMED(WSAEADDRNOTAVAIL),
    NAMED(WSAENETDOWN),
    NAMED(WSAENETUNREACH),
    NAMED(WSAENETRESET),
    NAMED(WSAECONNABORTED),
    NAMED(WSAECONNRESET),
    NAMED(WSAENOBUFS),
    NAMED(WSAEISCONN),
    NAMED(WSAENOTCONN),
    NAMED(WSAESHUTDOWN),
    NAMED(WSAETIMEDOUT),
    NAMED(WSAECONNREFUSED),
    NAMED(WSAEHOSTDOWN),
    NAMED(WSAEHOSTUNREACH),
    NAMED(WSAEPROCLIM),
    NAMED(WSASYSNOTREADY),
    NAMED(WSAVERNOTSUPPORTED),
    NAMED(WSANOTINITIALISED),
    NAMED(WSAEDISCON),
    NAMED(WSAHOST_NOT_FOUND),
    NAMED(WSATRY_AGAIN),
    NAMED(WSANO_RECOVERY),
    NAMED(WSANO_DATA),
};

const char *err_name(unsigned long code)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code)
            return names[i].name;
    }
    return "unknown error";
}

void err_text(unsigned long code, char *out, size_t size)
{
    wchar_t *wide = NULL;
    DWORD len = FormatMessageW(
        FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM |
            FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK,
        NULL, code, 0, (wchar_t *)&wide, 0, NULL);
    out[0] = '\0';
    if (len == 0)
        return;

    /* The sentence comes in the user's language: write it in the encoding
     * that the console shows, or in UTF-8 when there is no console. */
    UINT page = GetConsoleOutputCP();
    if (page == 0)
        page = CP_UTF8;
    if (WideCharToMultiByte(page, 0, wide, -1, out, (int)size, NULL, NULL) == 0)
        out[0] = '\0';
    LocalFree(wide);

    size_t end = strlen(out);
    while (end > 0 && (out[end - 1] == ' ' || out[end - 1] == '.'))
        out[--end] = '\0';
}

void err_describe(unsigned long code, char *out, size_t size)
{
    char text[256];
    err_text(code, text, sizeof text);
    snprintf(out, size, "%s (%lu)%s%s", err_name(code), code,
             text[0] != '\0' ? " " : "", text);
}

void err_print(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    output_print(OUTPUT_STDERR, "%s: %s\n", program, line);
}

static void print_call(enum output to, const char *call, unsigned long code,
                       const char *file, int line)
{
    char what[320];
    err_describe(code, what, sizeof what);
    output_print(to, "%s: %s: %s, at %s:%d\n", program, call, what, file, line);
}

void err_exit(int code)
{
    output_flush();
    fflush(stdout);
    console_hold();
    exit(code);
}

void err_warn(const char *call, unsigned long code, const char *file, int line)
{
    print_call(OUTPUT_WARNING, call, code, file, line);
}

void err_die(const char *call, unsigned long code, const char *file, int line)
{
    print_call(OUTPUT_STDERR, call, code, file, line);
    err_exit(EXIT_FAILED);
}
