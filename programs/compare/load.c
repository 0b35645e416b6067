/* load.c -- see load.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "programs/compare/load.h"
#include "programs/harness/server_process.h"

enum {
    RAMP_MS = 60000,  /* to connect all clients */
    AFTER_MS = 40000, /* to end, after the measured time */
    SILENCE_S = 20    /* of a connection: after that its echo is lost */
};

struct load {
    struct server_process *process;
    double seconds; /* all the time it should take once all are connected */
};

static const char program[] = "echo_load.exe";

char *load_path(void)
{
    char *path = program_beside_us(program);
    if (path == NULL)
        die_call("GetModuleFileNameW", GetLastError());
    return path;
}

struct load *load_start(const struct load_order *o, char *why, size_t size)
{
    static unsigned long seed; /* every run has other bytes and other ports */
    char port[8], connections[12], bytes[12], pipeline[12], warmup[16],
        seconds[16], seed_text[12], silence[12];
    snprintf(port, sizeof port, "%u", o->port);
    snprintf(connections, sizeof connections, "%u", o->connections);
    snprintf(bytes, sizeof bytes, "%u", o->bytes);
    snprintf(pipeline, sizeof pipeline, "%u", o->pipeline);
    snprintf(warmup, sizeof warmup, "%.0fms", o->warmup * 1000);
    snprintf(seconds, sizeof seconds, "%.0fms", o->seconds * 1000);
    snprintf(seed_text, sizeof seed_text, "%lu", ++seed);
    snprintf(silence, sizeof silence, "%d", SILENCE_S);
    const char *args[] = {
        "--host",    o->host,     "--port",     port,         "--connections",
        connections, "--size",    bytes,        "--pipeline", pipeline,
        "--warmup",  warmup,      "--duration", seconds,      "--seed",
        seed_text,   "--timeout", silence,      "--json",     "-",
        "--churn",
    };
    size_t count = sizeof args / sizeof args[0] - (o->churn ? 0 : 1);
    char *exe = load_path();
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    struct server_start how = {.exe = exe,
                               .args = args,
                               .arg_count = count,
                               .processors = o->processors};
    load->seconds = o->warmup + o->seconds;
    load->process = server_start(&how, why, size);
    free(exe);
    if (load->process != NULL)
        return load;
    free(load);
    return NULL;
}

/* This is in the line that echo_load prints when all clients are connected. */
static const char begin_mark[] = "; warm-up ";

bool load_wait_begin(struct load *load)
{
    return server_wait_text(load->process, SERVER_STDERR, begin_mark,
                            RAMP_MS) == SERVER_WAIT_OK;
}

bool load_wait(struct load *load, double seconds)
{
    unsigned long code = 0;
    return server_wait_exit(load->process, (unsigned long)(seconds * 1000),
                            &code) != SERVER_WAIT_OK;
}

/* ---- what it says ------------------------------------------------------ */

/* Returns the place behind `"key": `, or NULL if there is no such key. The text
 * comes from echo_load: in it each key stands once before the next object that
 * has the same key. */
static const char *value_of(const char *json, const char *key)
{
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *at = strstr(json, quoted);
    return at != NULL ? at + strlen(quoted) : NULL;
}

static bool read_number(const char *json, const char *key, double *out)
{
    const char *value = value_of(json, key);
    char *end = NULL;
    if (value == NULL)
        return false;
    *out = strtod(value, &end);
    return end != value;
}

/* [[VALUE, COUNT], ...] */
static bool read_histogram(const char *json, struct histogram *latency)
{
    const char *at = value_of(json, "histogram_ns");
    if (at == NULL || *at != '[')
        return false;
    for (at++; *at != ']'; at += strspn(at, "], \r\n")) {
        char *end = NULL;
        if (*at != '[')
            return false;
        unsigned long long value = strtoull(at + 1, &end, 10);
        if (*end != ',')
            return false;
        unsigned long long count = strtoull(end + 1, &end, 10);
        if (*end != ']')
            return false;
        histogram_add_many(latency, value, count);
        at = end + 1;
        if (*at == ']')
            return true;
    }
    return true;
}

static bool is_true(const char *json, const char *key)
{
    const char *value = value_of(json, key);
    return value != NULL && strncmp(value, "true", 4) == 0;
}

/* Finds the first line of its standard error that tells of trouble. Lines of
 * others, such as the system, begin in another way. If there is no such line,
 * tells what is known: a client that was ended from outside had no time to say
 * more. */
static void read_trouble(const char *said, unsigned long code, double echoes,
                         char *why, size_t size)
{
    static const char ours[] = "echo_load: ";
    const char *last = "nothing";
    size_t last_len = strlen(last);
    for (const char *line = said; *line != '\0';) {
        size_t len = strcspn(line, "\r\n");
        const char *mark = strstr(line, begin_mark);
        if (strncmp(line, ours, sizeof ours - 1) == 0 &&
            (mark == NULL || mark > line + len)) {
            snprintf(why, size, "%.*s", (int)(len - (sizeof ours - 1)),
                     line + sizeof ours - 1);
            return;
        }
        if (len > 0) {
            last = line;
            last_len = len;
        }
        line += len + strspn(line + len, "\r\n");
    }
    snprintf(why, size,
             "the load client ended with exit code %lu and %.0f echoes; the "
             "last it said: %.*s",
             code, echoes, (int)last_len, last);
}

bool load_finish(struct load *load, struct load_figures *f,
                 struct histogram *latency, char *why, size_t size)
{
    unsigned long code = 0;
    unsigned long patience = (unsigned long)(load->seconds * 1000) + AFTER_MS;
    *f = (struct load_figures){0};
    bool ended =
        server_wait_exit(load->process, patience, &code) == SERVER_WAIT_OK;
    char *json = server_output(load->process, SERVER_STDOUT);
    char *said = server_output(load->process, SERVER_STDERR);
    bool read = json != NULL && said != NULL && ended &&
                read_number(json, "echoes", &f->echoes) &&
                read_number(json, "echoes_per_s", &f->echoes_per_s) &&
                read_number(json, "mib_per_s", &f->mib_per_s) &&
                read_number(json, "connects_per_s", &f->connects_per_s) &&
                read_number(json, "fewest", &f->fewest) &&
                read_number(json, "median", &f->median) &&
                read_number(json, "most", &f->most) &&
                read_number(json, "unserved", &f->unserved);
    if (!ended)
        snprintf(why, size, "the load client did not end");
    else if (code != EXIT_STOPPED &&
             !(read && is_true(json, "nothing_measured")))
        read_trouble(said != NULL ? said : "", code, read ? f->echoes : 0, why,
                     size);
    else if (!read || (latency != NULL && !read_histogram(json, latency)))
        snprintf(why, size, "the load client's figures cannot be read");
    else
        why[0] = '\0';
    free(json);
    free(said);
    return why[0] == '\0';
}

void load_free(struct load *load)
{
    if (load == NULL)
        return;
    server_free(load->process);
    free(load);
}
