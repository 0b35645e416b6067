/* args.h -- the command line, the same for all six servers (docs/contract.md)
 */
#ifndef COMMON_ARGS_H
#define COMMON_ARGS_H

#include <stdbool.h>

#include "common/win.h"

#define SUITE_VERSION "1.0.0"

/* What a server says about itself: its name, what it can hold, and which of
 * the options make sense for it. */
struct model {
    const char *name;           /* "select": the first word of every message */
    const char *idea;           /* one line for --help */
    unsigned long most_clients; /* the model's own limit */
    const char *why_limit;      /* and where that limit comes from */
    const char *no_threads;     /* why --threads is refused; NULL: it has it */
    bool has_window;            /* --window */
};

/* The limit of a model that has none of its own: about as many connections as
 * TCP can tell apart by port when all of them come from one address. */
enum { NO_LIMIT_CLIENTS = 65535 };

struct args {
    struct sockaddr_storage address; /* where to listen, port included */
    int address_len;
    unsigned long max_clients;
    unsigned long threads; /* 0: not given, the model chooses */
    unsigned long buffer;  /* bytes per connection */
    bool window;
    bool trace;             /* tell the calls on standard error */
    const char *trace_file; /* or NULL; ends in .json or .jsonl */
    bool quiet;
    bool verbose;
    bool stop_on_eof;
};

/* Parse the command line. --help and --version print and end the process with
 * EXIT_STOPPED; anything wrong says what and how to get help on standard
 * error and ends it with EXIT_USAGE. Main thread, before anything else. */
struct args args_parse(const struct model *model, int argc, char **argv);

/* A whole decimal number from min to max with nothing around it. False leaves
 * *out alone. */
bool args_number(const char *text, unsigned long min, unsigned long max,
                 unsigned long *out);

/* For programs that are no servers and read a command line of their own. */

/* The value of option `name`, from --name=VALUE or the next argument, over
 * which *at then steps; NULL if argv[*at] is another option. argv ends with
 * NULL. A value that is missing ends the process like args_error(). */
char *args_value(const char *name, char **argv, int *at);

/* Whether an argument is an option, by its short name or its long one. */
bool args_is(const char *arg, const char *short_name, const char *long_name);

/* If `arg` asks for help or the version, print `help`, or `name` and the
 * version, and end the process with EXIT_STOPPED. */
void args_help(const char *arg, const char *name, const char *help);

/* Print `program: what 'text'; --help shows the usage` and end the process
 * with EXIT_USAGE. */
_Noreturn void args_error(const char *what, const char *text);

#endif
