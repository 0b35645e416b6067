/* args.c -- see args.h */
#include "common/win.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/console.h"
#include "common/err.h"
#include "common/utf8.h"

/* ---- the words ----------------------------------------------------------- */

/* Take the quotes off in place, so the word gets shorter, or stays as long. A
 * backslash stands for itself, unless a quote follows its run: then each two
 * stand for one, and a single one at the end makes the quote an ordinary
 * character. So do two quotes where only one should come, the closing one. */
static char *next_word(char **rest)
{
    char *word = *rest;
    char *from = word;
    char *to = word;
    bool quoted = false;
    while (*from != '\0' && (quoted || (*from != ' ' && *from != '\t'))) {
        size_t slashes = strspn(from, "\\");
        size_t kept = from[slashes] == '"' ? slashes / 2 : slashes;
        memmove(to, from, kept);
        to += kept;
        from += slashes;
        if (*from == '"' && slashes % 2 == 0 && !(quoted && from[1] == '"')) {
            quoted = !quoted;
            from++;
        } else if (*from == '"') {
            from += slashes % 2 == 0 ? 2 : 1;
            *to++ = '"';
        } else if (slashes == 0) {
            *to++ = *from++;
        }
    }
    *rest = from + strspn(from, " \t");
    *to = '\0';
    return word;
}

char **args_words(char *line, int *count)
{
    /* Every word but the first has a blank before it, and a character. */
    char **words = calloc(strlen(line) / 2 + 2, sizeof *words);
    *count = 0;
    if (words == NULL)
        return NULL;
    do
        words[(*count)++] = next_word(&line);
    while (*line != '\0');
    return words;
}

void args_begin(int *argc, char ***argv)
{
    console_utf8();
    char *line = utf8_from_wide(GetCommandLineW());
    if (line == NULL)
        die_call("malloc", ERROR_NOT_ENOUGH_MEMORY);
    char **words = args_words(line, argc);
    if (words == NULL)
        die_call("calloc", ERROR_NOT_ENOUGH_MEMORY);
    *argv = words; /* they stay as long as the process */
}

/* ---- a table of options -------------------------------------------------- */

void args_error(const char *format, ...)
{
    char line[512];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    err_print("%s; --help lists the options", line);
    err_exit(EXIT_USAGE);
}

bool args_number(const char *text, unsigned long min, unsigned long max,
                 unsigned long *out)
{
    unsigned long long value = 0;
    if (*text == '\0')
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        value = value * 10 + (unsigned long long)(*p - '0');
        if (value > max)
            return false; /* also keeps value from ever overflowing */
    }
    if (value < min)
        return false;
    *out = (unsigned long)value;
    return true;
}

bool option_number(const struct option *option, char *value)
{
    return args_number(value, (unsigned long)option->min,
                       (unsigned long)option->max, option->out);
}

bool option_real(const struct option *option, char *value)
{
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' ||
        !(number >= option->min && number <= option->max)) /* NAN is neither */
        return false;
    *(double *)option->out = number;
    return true;
}

bool option_text(const struct option *option, char *value)
{
    *(const char **)option->out = value;
    return true;
}

/* The name of an option as it was given, without a value behind '='. */
struct name {
    const char *text;
    int len;
};

static bool is(struct name given, const char *name)
{
    return name != NULL && strlen(name) == (size_t)given.len &&
           memcmp(name, given.text, (size_t)given.len) == 0;
}

static const struct option *find(const struct option *options,
                                 struct name given)
{
    for (const struct option *o = options; o->name != NULL; o++)
        if (is(given, o->name) || is(given, o->brief))
            return o;
    return NULL;
}

static _Noreturn void answer(const struct program *program, bool version)
{
    if (version)
        printf("%s %s\n", program->name, SUITE_VERSION);
    else
        fputs(program->help, stdout);
    exit(EXIT_STOPPED);
}

static void read_value(const struct option *option, struct name given,
                       char *value)
{
    if (value == NULL)
        args_error("%.*s needs a value", given.len, given.text);
    if (option->read(option, value))
        return;
    if (option->takes != NULL)
        args_error("%.*s takes %s, not '%s'", given.len, given.text,
                   option->takes, value);
    args_error("%.*s takes a whole number from %.0f to %.0f, not '%s'",
               given.len, given.text, option->min, option->max, value);
}

/* Read the option at *argv. Returns what comes after it and its value. */
static char **read_option(const struct program *program,
                          const struct option *options, char **argv)
{
    char *arg = *argv;
    char *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    struct name given = {
        arg, (int)(equals != NULL ? equals - arg : (ptrdiff_t)strlen(arg))};
    bool version = is(given, "--version");
    bool help = is(given, "--help") || is(given, "-h") || is(given, "-?") ||
                is(given, "/?");
    const struct option *option = find(options, given);
    if (option == NULL && program->more != NULL)
        option = find(program->more, given);
    if (option == NULL && !help && !version)
        args_error("unknown option '%s'", arg);
    if (option != NULL && option->refused != NULL)
        args_error("%.*s does not apply: %s", given.len, given.text,
                   option->refused);
    if (option != NULL && option->optional) {
        static char none[] = "";
        read_value(option, given, equals != NULL ? equals + 1 : none);
        return argv + 1;
    }
    if (option != NULL && option->read != NULL) {
        read_value(option, given, equals != NULL ? equals + 1 : argv[1]);
        return argv + (equals != NULL ? 1 : 2);
    }
    if (equals != NULL)
        args_error("%.*s takes no value, not '%s'", given.len, given.text,
                   equals + 1);
    if (option == NULL)
        answer(program, version);
    *(bool *)option->out = true;
    return argv + 1;
}

void args_read(const struct program *program, const struct option *options,
               int argc, char **argv)
{
    err_program(program->name);
    char **end = argv + argc;
    for (char **at = argv + 1; at < end;) {
        if (**at == '-' || strcmp(*at, "/?") == 0)
            at = read_option(program, options, at);
        else if (program->operand != NULL)
            program->operand(program->to, *at++);
        else
            args_error("unexpected '%s'", *at);
    }
}

/* ---- the table of the servers -------------------------------------------- */

/* The text stays: a process has one model. */
static const char *help_for(const struct model *model)
{
    static char text[2048];
    snprintf(
        text, sizeof text,
        "%s: echo server, %s\n\n"
        "usage: %s [options]\n\n"
        "  -p, --port N         TCP port, default 5566; 0: any free port\n"
        "  -b, --bind ADDRESS   IPv4 or IPv6 literal, default 127.0.0.1\n"
        "  -c, --max-clients N  refuse above N; default and most: %lu\n"
        "                       (%s)\n"
        "%s%s"
        "      --buffer BYTES   echo buffer per connection, default "
        "65536,\n"
        "                       1 to 1048576\n"
        "  -q, --quiet          ready line, summary and errors only\n"
        "  -v, --verbose        also every receive and send\n"
        "      --stop-on-eof    stop when standard input ends\n"
        "      --trace          tell every Winsock call on standard error\n"
        "      --trace-file F   keep the calls in F: .json for Perfetto "
        "and\n"
        "                       chrome://tracing, .jsonl for programs\n"
        "      --strict[=SEED]  keep to Windows' rules, and report who breaks "
        "one;\n"
        "                       or =S3,S6: only these rules\n"
        "  -h, --help, -?, /?   this text\n"
        "      --version        the version\n\n"
        "Ctrl+C stops the server, a second Ctrl+C at once.\n"
        "Exit codes: 0 stopped as asked, 1 failed while serving,\n"
        "            2 bad command line, 3 cannot listen (or write F).\n",
        model->name, model->idea, model->name, model->most_clients,
        model->why_limit,
        model->no_threads == NULL
            ? "  -t, --threads N      worker threads, 1 to 256\n"
            : "",
        model->own_help != NULL ? model->own_help : "");
    return text;
}

/* out: struct args. The port is set when all is read: --port may come first. */
static bool read_address(const struct option *option, char *value)
{
    struct args *args = option->out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&args->address;
    memset(&args->address, 0, sizeof args->address);
    if (InetPtonA(AF_INET, value, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        args->address_len = sizeof *v4;
    } else if (InetPtonA(AF_INET6, value, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        args->address_len = sizeof *v6;
    } else {
        return false;
    }
    return true;
}

/* The end of the name says which form the file gets. */
static bool read_trace_file(const struct option *option, char *value)
{
    const char *end = strrchr(value, '.');
    if (end == NULL ||
        (_stricmp(end, ".json") != 0 && _stricmp(end, ".jsonl") != 0))
        return false;
    return option_text(option, value);
}

struct args args_parse(const struct model *model, int argc, char **argv)
{
    struct args args = {.max_clients = model->most_clients,
                        .buffer = 65536,
                        .address_len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args.address;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    unsigned long port = 5566;
#ifdef TRACE
    const char *no_trace = NULL;
#else
    const char *no_trace = "this program was built without tracing";
#endif
    const struct option options[] = {
        {"-p", "--port", &port, option_number, .max = 65535},
        {"-b", "--bind", &args, read_address,
         .takes = "an IPv4 or IPv6 address in figures"},
        {"-c", "--max-clients", &args.max_clients, option_number, .min = 1,
         .max = model->most_clients},
        {"-t", "--threads", &args.threads, option_number, .min = 1, .max = 256,
         .refused = model->no_threads},
        {NULL, "--buffer", &args.buffer, option_number, .min = 1,
         .max = 1024 * 1024},
        {"-q", "--quiet", .out = &args.quiet},
        {"-v", "--verbose", .out = &args.verbose},
        {NULL, "--stop-on-eof", .out = &args.stop_on_eof},
        {NULL, "--trace", .out = &args.trace, .refused = no_trace},
        {NULL, "--trace-file", &args.trace_file, read_trace_file,
         .takes = "a name that ends in .json or .jsonl", .refused = no_trace},
        {NULL, "--strict", &args.strict, option_text, .optional = true,
         .refused = no_trace},
        {0},
    };
    const struct program program = {.name = model->name,
                                    .help = help_for(model),
                                    .more = model->own_options};
    args_read(&program, options, argc, argv);
    if (args.quiet && args.verbose)
        args_error("--quiet and --verbose exclude each other");

    /* The port sits at the same place in both kinds of address. */
    v4->sin_port = htons((unsigned short)port);
    return args;
}
