/* err.h -- three ways a call can fail, and what a server does about each
 *
 *   expected    WSAEWOULDBLOCK, WSA_IO_PENDING    the model's own business
 *   one peer    reset, aborted, unreachable       ends that peer, is logged
 *   the server  a lost port, a failed wait        die_call(), ends the process
 *
 * Everything here may be called from any thread.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stddef.h>

#include "common/win.h"

/* How every program of the suite ends; see docs/contract.md, E8 to E10. */
enum exit_code {
    EXIT_STOPPED = 0, /* as asked */
    EXIT_FAILED = 1,  /* while serving */
    EXIT_USAGE = 2,   /* the command line */
    EXIT_LISTEN = 3   /* the port could not be had */
};

/* The first word of every message. Keeps the pointer. */
void err_program(const char *name);

/* The name of a Winsock or Win32 error code, such as "WSAECONNRESET", or
 * "unknown error". A constant: never freed. */
const char *err_name(unsigned long code);

/* The system's own sentence for the code, without its line end; empty when it
 * has none. `out` is always terminated. Source: FormatMessage function. */
void err_text(unsigned long code, char *out, size_t size);

/* "NAME (code) system text"; the text is left out when there is none. */
void err_describe(unsigned long code, char *out, size_t size);

/* Print `program: message` on standard error as one line. */
void err_print(const char *format, ...) PRINTF_LIKE(1, 2);

/* End the process with one of the codes above. Holds the console open first
 * when the window was opened for this program alone, or nobody could read
 * what went wrong. */
_Noreturn void err_exit(int code);

/* Print `program: call: NAME (code) text, at file:line`; the second one then
 * ends the process with EXIT_FAILED. The code is an argument so that the
 * caller reads WSAGetLastError() at once, before anything overwrites it. */
void err_warn(const char *call, unsigned long code, const char *file, int line);
_Noreturn void err_die(const char *call, unsigned long code, const char *file,
                       int line);

#define warn_call(call, code)                                                  \
    err_warn((call), (unsigned long)(code), __FILE__, __LINE__)
#define die_call(call, code)                                                   \
    err_die((call), (unsigned long)(code), __FILE__, __LINE__)

#endif
