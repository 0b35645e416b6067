/* err.h -- three ways a call can fail, and what a server does about each
 *
 *   expected    EAGAIN, EINTR                   the model's own business
 *   one peer    reset, aborted, unreachable     ends that peer, is logged
 *   the server  a lost port, a failed wait      die_call(), ends the process
 *
 * Everything here may be called from any thread.
 */
#ifndef LINUX_COMMON_ERR_H
#define LINUX_COMMON_ERR_H

#include <stddef.h>

#include "extras/linux/common/output.h"

/* How every program of the suite ends; see docs/contract.md, E8 to E10. */
enum exit_code {
    EXIT_STOPPED = 0, /* as asked */
    EXIT_FAILED = 1,  /* while serving */
    EXIT_USAGE = 2,   /* the command line */
    EXIT_LISTEN = 3   /* the port, or io_uring, could not be had */
};

/* The first word of every message. Keeps the pointer. */
void err_program(const char *name);

/* The name of a code of errno, such as "ECONNRESET", or "unknown error". */
const char *err_name(int err);

/* "NAME (code) system text" */
void err_describe(int err, char *out, size_t size);

/* Print `program: message` on standard error as one line. */
void err_print(const char *format, ...) PRINTF_LIKE(1, 2);

/* Print `program: call: NAME (code) text, at file:line`; the second one then
 * ends the process with EXIT_FAILED. */
void err_warn(const char *call, int err, const char *file, int line);
_Noreturn void err_die(const char *call, int err, const char *file, int line);

#define warn_call(call, err) err_warn((call), (err), __FILE__, __LINE__)
#define die_call(call, err)  err_die((call), (err), __FILE__, __LINE__)

#endif
