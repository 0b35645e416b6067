/* options.c -- see options.h */
#include "common/win.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/utf8.h"
#include "programs/compare/load.h"
#include "programs/compare/options.h"
#include "programs/compare/subject.h"
#include "programs/harness/server_process.h"

static const char help[] =
    "compare: the six servers side by side, every byte verified\n\n"
    "usage: compare [options]\n\n"
    "      --quick          fewer loads, a minute and a half; as many rounds\n"
    "                       as that allows; under Wine with --pin\n"
    "      --full           more clients, rounds and time: half an hour\n"
    "      --servers NAME=PATH,NAME=PATH,...\n"
    "                       other servers in the same run; after PATH may\n"
    "                       stand arguments, with %p for the port:\n"
    "                       mine=C:\\me\\echo.exe --listen %p\n"
    "                       HOST:PORT instead: one that runs already\n"
    "      --all            the servers before and beyond the six as well\n"
    "      --only NAME,...  only these, of all; blocking is the baseline\n"
    "      --rounds N       1 to 100; quick 3, default 5, full 7\n"
    "      --seconds S      measured time of a load in a round, 0.1 to 60;\n"
    "                       quick 0.2, default 0.5, full 2; four times\n"
    "                       as long where that is too short, and again\n"
    "      --pin            servers on the first processor, the load on the\n"
    "                       others: steadier, and says less about a server\n"
    "                       with many threads\n"
    "      --report FILE    the page to look at, default report.html\n"
    "      --json FILE      the same for programs\n"
    "      --csv FILE       the same for spreadsheets, a line per round\n"
    "  -h, --help, -?, /?   this text\n"
    "      --version        the version\n\n"
    "The servers and echo_load.exe have to be in the folder of compare.exe.\n"
    "In each round every server is started cold for every load, in an order\n"
    "that changes. A round with fewer echoes than clients is too short: it is\n"
    "measured again, and that load is measured longer from then on. A client\n"
    "that waits for half of the time or longer, while others get ten echoes\n"
    "and more, is unserved: then the result is invalid. A path with blanks\n"
    "stands in quotes. Ctrl+C ends early, and what was measured is "
    "reported.\n\n"
    "Exit codes: 0 all servers were right, 1 one was not, or left a client\n"
    "unserved, or the report could not be written, or the run was ended\n"
    "early, 2 bad command line.\n";

const char *mode_name(enum mode mode)
{
    static const char *const names[] = {"quick", "default", "full"};
    return names[mode];
}

/* ---- the servers ------------------------------------------------------- */

static const char *const models[] = {
    "select",           "asyncselect",        "eventselect",
    "overlapped_event", "overlapped_routine", "iocp",
};

/* Those in extras/, but for the baseline. */
static const char *const extras[] = {"polling",    "wsapoll",    "pool",
                                     "threadpool", "iocp_tuned", "rio"};

/* It cannot serve the clients of most loads: only who names it gets it. */
static const char *const by_name[] = {"one_client"};

static char *copy_of(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy == NULL)
        die_call("malloc", WSA_NOT_ENOUGH_MEMORY);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static struct subject *add_subject(struct options *o, const char *name,
                                   size_t len)
{
    struct subject *grown =
        realloc(o->subjects, (o->subject_count + 1) * sizeof *grown);
    if (grown == NULL)
        die_call("realloc", WSA_NOT_ENOUGH_MEMORY);
    o->subjects = grown;
    struct subject *s = &grown[o->subject_count++];
    *s = (struct subject){0};
    if (len >= sizeof s->name)
        args_error("--servers: the name '%.*s' is too long", (int)len, name);
    snprintf(s->name, sizeof s->name, "%.*s", (int)len, name);
    return s;
}

/* A server in the folder of this program. */
static void add_own(struct options *o, const char *name)
{
    struct subject *s = add_subject(o, name, strlen(name));
    char file[sizeof s->name + sizeof ".exe"];
    snprintf(file, sizeof file, "%s.exe", name);
    s->path = program_beside_us(file);
    if (s->path == NULL)
        die_call("GetModuleFileNameW", GetLastError());
}

/* Reads HOST:PORT, but no path: a path has more than digits behind its
 * colon. */
static bool read_address(struct subject *s, const char *text, size_t len)
{
    char *whole = copy_of(text, len);
    const char *colon = strrchr(whole, ':');
    unsigned long port = 0;
    if (colon == NULL || colon == whole || strpbrk(whole, " \\/\"") != NULL ||
        (size_t)(colon - whole) >= sizeof s->host ||
        !args_number(colon + 1, 1, 65535, &port)) {
        free(whole);
        return false;
    }
    snprintf(s->host, sizeof s->host, "%.*s", (int)(colon - whole), whole);
    s->port = (unsigned short)port;
    s->path = whole;
    return true;
}

/* Reads PATH or "PATH", then perhaps a blank and arguments. */
static void read_command(struct subject *s, const char *text, size_t len)
{
    bool quoted = len > 0 && text[0] == '"';
    const char *end = text + len;
    const char *path = text + quoted;
    const char *after = path;
    while (after < end && *after != (quoted ? '"' : ' '))
        after++;
    s->path = copy_of(path, (size_t)(after - path));
    after += quoted && after < end;
    while (after < end && *after == ' ')
        after++;
    if ((size_t)(end - after) >= sizeof s->args)
        args_error("--servers: too many arguments for '%s'", s->name);
    snprintf(s->args, sizeof s->args, "%.*s", (int)(end - after), after);
}

static void add_servers(struct options *o, const char *list)
{
    for (const char *item = list; *item != '\0';) {
        size_t len = strcspn(item, ",");
        const char *equals = memchr(item, '=', len);
        if (equals == NULL || equals == item)
            args_error("--servers takes NAME=PATH,NAME=PATH,..., not '%s'",
                       item);
        struct subject *s = add_subject(o, item, (size_t)(equals - item));
        size_t rest = len - (size_t)(equals + 1 - item);
        if (!read_address(s, equals + 1, rest))
            read_command(s, equals + 1, rest);
        item += len + (item[len] == ',');
    }
}

static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *item = list; *item != '\0';) {
        size_t item_len = strcspn(item, ",");
        if (item_len == len && strncmp(item, name, len) == 0)
            return true;
        item += item_len + (item[item_len] == ',');
    }
    return false;
}

static struct subject *find_subject(struct options *o, const char *name,
                                    size_t len)
{
    for (size_t i = 0; i < o->subject_count; i++)
        if (strlen(o->subjects[i].name) == len &&
            strncmp(o->subjects[i].name, name, len) == 0)
            return &o->subjects[i];
    return NULL;
}

static void keep_only(struct options *o, const char *list)
{
    for (const char *item = list; *item != '\0';) {
        size_t len = strcspn(item, ",");
        if (find_subject(o, item, len) == NULL)
            args_error("--only: there is no server '%.*s'", (int)len, item);
        item += len + (item[len] == ',');
    }
    size_t kept = 0;
    for (size_t i = 0; i < o->subject_count; i++)
        if (in_list(list, o->subjects[i].name))
            o->subjects[kept++] = o->subjects[i];
        else
            free(o->subjects[i].path);
    o->subject_count = kept;
    if (kept == 0)
        args_error("--only: there is no server in '%s'", list);
}

/* Looks at the file of a program. Its path becomes the full one, so that an
 * error message says where it was searched. */
static void look_at_file(const char *name, char **path, const char *hint,
                         WIN32_FILE_ATTRIBUTE_DATA *data)
{
    wchar_t *wide = utf8_path(*path);
    char *full = wide != NULL ? utf8_from_wide(wide) : NULL;
    if (full == NULL)
        die_call("malloc", GetLastError());
    free(*path);
    *path = full;
    BOOL is_there = GetFileAttributesExW(wide, GetFileExInfoStandard, data);
    DWORD error = GetLastError();
    free(wide);
    if (is_there && (data->dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0)
        return;
    if (is_there || error == ERROR_FILE_NOT_FOUND ||
        error == ERROR_PATH_NOT_FOUND) {
        err_print("%s: there is no program %s%s", name, full, hint);
    } else {
        char what[320];
        err_describe(error, what, sizeof what);
        err_print("%s: cannot look at %s: %s", name, full, what);
    }
    err_exit(EXIT_USAGE);
}

static void look_at_server(struct subject *s)
{
    WIN32_FILE_ATTRIBUTE_DATA data;
    if (s->host[0] != '\0')
        return;
    look_at_file(s->name, &s->path,
                 strchr(s->path, ' ') == NULL && s->args[0] != '\0'
                     ? " (a path with blanks stands in quotes)"
                     : "",
                 &data);
    s->exe_bytes =
        (unsigned long long)data.nFileSizeHigh << 32 | data.nFileSizeLow;
}

/* Puts all servers on the first processor that we may use, the load on the
 * others. False, and nothing is done, if there is only one. A server then sees
 * a single processor, and may start fewer threads. */
static bool pin(struct options *o)
{
    DWORD_PTR ours = 0;
    DWORD_PTR all = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &ours, &all))
        die_call("GetProcessAffinityMask", GetLastError());
    DWORD_PTR first = ours & (~ours + 1);
    if (ours == first)
        return false;
    for (size_t i = 0; i < o->subject_count; i++) {
        o->subjects[i].processors = first;
        o->subjects[i].load_processors = ours & ~first;
    }
    return true;
}

/* False: it could not start here. Who asked for it by its name is told so. */
static bool can_run(const char *extra, const char *only)
{
    if (strcmp(extra, "rio") != 0 || !server_on_wine())
        return true;
    if (only == NULL)
        err_print("rio is left out: Wine has no Registered I/O");
    else if (in_list(only, extra))
        args_error("--only: rio needs Registered I/O, which Wine does not "
                   "have");
    return false;
}

static void find_servers(struct options *o, bool all, const char *others,
                         const char *only)
{
    WIN32_FILE_ATTRIBUTE_DATA unused;
    char *load = load_path();
    look_at_file("echo_load", &load, "", &unused);
    free(load);
    add_own(o, "blocking");
    o->subjects[0].baseline = true;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        add_own(o, models[i]);
        o->subjects[o->subject_count - 1].model = models[i];
    }
    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
        if ((all || only != NULL) && can_run(extras[i], only))
            add_own(o, extras[i]);
    for (size_t i = 0; i < sizeof by_name / sizeof by_name[0]; i++)
        if (only != NULL)
            add_own(o, by_name[i]);
    if (others != NULL)
        add_servers(o, others);
    for (size_t i = 0; i < o->subject_count; i++) {
        const char *name = o->subjects[i].name;
        if (find_subject(o, name, strlen(name)) != &o->subjects[i])
            args_error("two servers have the name '%s'", name);
    }
    if (only != NULL)
        keep_only(o, only);
    for (size_t i = 0; i < o->subject_count; i++) {
        struct subject *s = &o->subjects[i];
        look_at_server(s);
        s->start_ms = calloc(o->rounds, sizeof *s->start_ms);
        if (s->start_ms == NULL)
            die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    }
}

/* ---- the table --------------------------------------------------------- */

struct options options_parse(int argc, char **argv)
{
    static const unsigned long rounds[] = {3, 5, 7};
    static const double seconds[] = {0.2, 0.5, 2};
    struct options o = {.mode = MODE_DEFAULT, .report = "report.html"};
    const char *others = NULL;
    const char *only = NULL;
    bool quick = false;
    bool full = false;
    bool all = false;
    const struct option options[] = {
        {NULL, "--quick", .out = &quick},
        {NULL, "--full", .out = &full},
        {NULL, "--all", .out = &all},
        {NULL, "--servers", &others, .read = option_text},
        {NULL, "--only", &only, .read = option_text},
        {NULL, "--rounds", &o.rounds, option_number, .min = 1, .max = 100},
        {NULL, "--seconds", &o.seconds, option_real, .min = 0.1, .max = 60,
         .takes = "0.1 to 60"},
        {NULL, "--pin", .out = &o.pin},
        {NULL, "--report", &o.report, .read = option_text},
        {NULL, "--json", &o.json, .read = option_text},
        {NULL, "--csv", &o.csv, .read = option_text},
        {0},
    };
    const struct program program = {.name = "compare", .help = help};
    args_read(&program, options, argc, argv);
    if (quick && full)
        args_error("--quick and --full exclude each other");
    if (quick)
        o.mode = MODE_QUICK;
    else if (full)
        o.mode = MODE_FULL;
    if (o.rounds == 0)
        o.rounds = rounds[o.mode];
    if (o.seconds == 0)
        o.seconds = seconds[o.mode];
    if (o.mode == MODE_QUICK)
        o.budget = 84; /* and a little for what varies: 90 in all */
    find_servers(&o, all, others, only);
    if (o.pin && !pin(&o)) {
        err_print("--pin needs two processors");
        err_exit(EXIT_USAGE);
    }
    /* Under Wine an echo between processors costs mostly the waking of the
     * other one, and a short run would measure that. */
    if (quick && server_on_wine())
        o.pin = pin(&o);
    return o;
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->subject_count; i++) {
        free(o->subjects[i].path);
        free(o->subjects[i].start_ms);
    }
    free(o->subjects);
}
