/* dial.h -- where the server is, and a connection to it
 *
 * Every client program needs this before its own work begins. Failures are
 * printed with their name and a hint, and end the process.
 */
#ifndef HARNESS_DIAL_H
#define HARNESS_DIAL_H

#include <stddef.h>

#include "common/args.h"
#include "common/win.h"

struct dial {
    const char *host;   /* a name, or an address without brackets; NULL: ours */
    unsigned long port; /* 0: the default */
    unsigned long timeout; /* seconds, 1 to 3600 */
};

#define DIAL_DEFAULT                                                           \
    {                                                                          \
        .host = NULL, .port = 0, .timeout = 10                                 \
    }

/* For the programs' --help. */
#define DIAL_USAGE                                                             \
    "  HOST is a name or an address, an IPv6 address with port as\n"           \
    "  [::1]:5566. Default 127.0.0.1, port 5566.\n\n"                          \
    "      --host HOST[:PORT]  the same, as options\n"                         \
    "  -p, --port PORT\n"                                                      \
    "      --timeout SECONDS   patience with a silent server, 1 to 3600,\n"    \
    "                          default 10\n"

/* Rows for a table of options (common/args.h), and a function for words that
 * are no options: a HOST, a HOST:PORT or a PORT; `to` is a struct dial. The
 * words of argv are cut up, and kept. */
#define DIAL_OPTIONS(dial)                                                     \
    {NULL, "--host", (dial), .read = dial_read_host},                          \
        {"-p", "--port", (dial), .read = dial_read_port},                      \
    {                                                                          \
        NULL, "--timeout", &(dial)->timeout, option_number,                    \
            .min = 1, .max = 3600, .takes = "1 to 3600 whole seconds"          \
    }
option_reader dial_read_host;
option_reader dial_read_port;
void dial_operand(void *to, char *word);

/* Connect, or print why not and end the process with EXIT_FAILED. A host name
 * can stand for several addresses: each gets the timeout, and the first one to
 * answer counts. `name` receives its address. The socket is blocking and
 * overlapped, and sends small pieces at once (TCP_NODELAY); the caller closes
 * it. */
SOCKET dial_connect(const struct dial *dial, char *name, size_t size);

/* Print `what: NAME (code) text; hint` and end the process with EXIT_FAILED. */
_Noreturn void dial_failed(const char *what, unsigned long code);

#endif
