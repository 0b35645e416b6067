/* args.h -- the command line, the same for all six servers (docs/contract.md)
 */
#ifndef COMMON_ARGS_H
#define COMMON_ARGS_H

#include <stdbool.h>

#include "common/version.h"
#include "common/win.h"

struct option;

/* What a server says about itself: its name, what it can hold, and which of
 * the options make sense for it. */
struct model {
    const char *name;           /* "select": the first word of every message */
    const char *idea;           /* one line for --help */
    unsigned long most_clients; /* the model's own limit */
    const char *why_limit;      /* and where that limit comes from */
    const char *no_threads;     /* why --threads is refused; NULL: it has it */
    const struct option *own_options; /* NULL, or a table of more options */
    const char *own_help;             /* and their lines in --help */
};

/* The limit of a model that has none of its own: about as many connections as
 * TCP can tell apart by port when all of them come from one address. */
enum { NO_LIMIT_CLIENTS = 65535 };

struct args {
    struct sockaddr_storage address; /* where to listen, port included */
    int address_len;
    unsigned long max_clients;
    unsigned long threads;  /* 0: not given, the model chooses */
    unsigned long buffer;   /* bytes per connection */
    bool trace;             /* tell the calls on standard error */
    const char *trace_file; /* or NULL; ends in .json or .jsonl */
    const char *strict;     /* or NULL: the options of --strict, or "" */
    bool quiet;
    bool verbose;
    bool stop_on_eof;
};

/* Put the command line in UTF-8 in place of main()'s words: those came through
 * the machine's code page, and lost the letters that are not in it. From now on
 * a console shows UTF-8, too. Main thread, before anything else. */
void args_begin(int *argc, char ***argv);

/* Read the command line of a server; args_read() below says how. Main thread,
 * after args_begin(). */
struct args args_parse(const struct model *model, int argc, char **argv);

/* ---- for programs of any kind ------------------------------------------- */

/* Reads the value of an option into option->out. False if it is no such value.
 * One that says itself what is wrong calls args_error(). */
typedef bool option_reader(const struct option *option, char *value);

/* A row of a program's table of options, which ends with a row of zeros. */
struct option {
    const char *brief;   /* "-p", or NULL */
    const char *name;    /* "--port" */
    void *out;           /* where it goes; its type is the reader's */
    option_reader *read; /* NULL: it has no value, and out is a bool */
    double min, max;     /* for readers of numbers */
    const char *takes;   /* "a name that ...": what the value has to be; NULL:
                           * a whole number from min to max */
    bool optional;       /* a value only behind '='; without, it is "" */
    const char *refused; /* why this program does not have it, or NULL */
};

option_reader option_number; /* out: unsigned long */
option_reader option_real;   /* out: double; a row of it has `takes` */
option_reader option_text;   /* out: const char *; any text will do */

/* What a program says of itself, and what it does with a word of its command
 * line that is no option; NULL: it takes none. */
struct program {
    const char *name;
    const char *help;
    void (*operand)(void *to, char *word);
    void *to;
    const struct option *more; /* a second table of options, or NULL */
};

/* Read the whole command line: `--name VALUE`, `--name=VALUE`, `-n VALUE`, and
 * words that are no options. When an option is repeated, the last one counts.
 * --help (-h, -?, /?) and --version print and end the process with
 * EXIT_STOPPED, anything wrong ends it like args_error(). The values stay
 * argv's. Main thread, after args_begin(). */
void args_read(const struct program *program, const struct option *options,
               int argc, char **argv);

/* Cut a command line into its words, in place, as the C library does it. They
 * end with a NULL, and the caller frees the array. NULL: out of memory. Source:
 * Parsing C command-line arguments. */
char **args_words(char *line, int *count);

/* A whole decimal number from min to max with nothing around it. False leaves
 * *out alone. */
bool args_number(const char *text, unsigned long min, unsigned long max,
                 unsigned long *out);

/* Print `program: what is wrong; --help lists the options` and end the process
 * with EXIT_USAGE. */
_Noreturn void args_error(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
