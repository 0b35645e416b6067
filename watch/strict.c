/* strict.c -- see strict.h; options, sockets, and the reports */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/net.h"
#include "common/output.h"
#include "watch/places.h"
#include "watch/strict_state.h"

#ifdef TRACE

bool strict_on;
SRWLOCK strict_lock = SRWLOCK_INIT;

static unsigned long seed = 1;
static unsigned rules;                    /* bit n: rule n */
static unsigned broken[STRICT_RULES + 1]; /* under lock */
static volatile LONG64 calls;             /* that were looked at */
static struct map socks;                  /* under lock; of strict_sock */
static unsigned long long numbers;        /* under lock */
static bool logged;                       /* numbers come from the log */

/* ---- options and the end ----------------------------------------------- */

static void at_end(void)
{
    char line[400] = "";
    size_t len = 0;
    unsigned sum = 0;
    strict_on = false; /* what the end of the process does is nobody's fault */
    for (int rule = 1; rule <= STRICT_RULES; rule++) {
        if (broken[rule] == 0)
            continue;
        sum += broken[rule];
        len += (size_t)snprintf(line + len, sizeof line - len, "%s S%d x%u",
                                len == 0 ? ":" : ",", rule, broken[rule]);
    }
    if (sum > 0)
        output_print(OUTPUT_STDERR, "strict: %u rules broken%s\n", sum, line);
    else
        output_print(OUTPUT_STDERR,
                     "strict: no rule broken, %lld calls looked at\n",
                     (long long)calls);
    output_flush();
}

static bool read_number(const char *text, unsigned long most,
                        unsigned long *out)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number > most)
        return false;
    *out = number;
    return true;
}

static bool read_option(const char *word, size_t len)
{
    char text[16];
    unsigned long number = 0;
    if (len >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)len, word);
    if (read_number(text, ULONG_MAX, &seed) ||
        (strncmp(text, "seed=", 5) == 0 &&
         read_number(text + 5, ULONG_MAX, &seed)))
        return true;
    if (text[0] != 'S' || !read_number(text + 1, STRICT_RULES, &number) ||
        number == 0)
        return false;
    rules |= 1U << number;
    return true;
}

static bool read_options(const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (!read_option(text, len))
            return false;
        text += len + (text[len] == ',');
    }
    return true;
}

void strict_begin(const char *options)
{
    if (options == NULL)
        return;
    if (!read_options(options)) {
        err_print("strict takes a seed and rules, as in seed=7,S3,S6; not '%s'",
                  options);
        err_exit(EXIT_USAGE);
    }
    if (rules == 0)
        rules = ~0U;
    output_print(OUTPUT_STDERR, "strict: seed %lu\n", seed);
    if (atexit(at_end) != 0)
        die_call("atexit", ERROR_NOT_ENOUGH_MEMORY);
    watch_places = true;
    strict_on = true;
}

bool strict_has(int rule)
{
    return (rules >> rule & 1) != 0;
}

/* ---- choices ------------------------------------------------------------- */

/* Neighbours give very different numbers. Source: Steele, Lea and Flood, "Fast
 * splittable pseudorandom number generators". */
static unsigned long long mix(unsigned long long x)
{
    x += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

unsigned strict_number(struct strict_sock *s, unsigned of)
{
    static struct strict_sock nobody; /* under lock */
    struct strict_sock *chooser = s != NULL ? s : &nobody;
    return (
        unsigned)(mix(mix(mix(seed) ^ chooser->number) + ++chooser->choices) %
                  of);
}

bool strict_chance(int rule, struct strict_sock *s, unsigned of)
{
    return strict_has(rule) && strict_number(s, of) == 0;
}

/* ---- sockets --------------------------------------------------------------- */

struct strict_sock *strict_sock_known(ULONG_PTR sock)
{
    return sock != INVALID_SOCKET ? map_get(&socks, sock) : NULL;
}

struct strict_sock *strict_sock_of(ULONG_PTR sock)
{
    struct strict_sock *s = strict_sock_known(sock);
    if (s != NULL || sock == INVALID_SOCKET)
        return s;
    s = calloc(1, sizeof *s);
    if (s != NULL && !map_put(&socks, sock, s)) {
        free(s);
        return NULL;
    }
    if (s != NULL)
        s->sock = sock;
    return s;
}

struct strict_sock *strict_sock_new(ULONG_PTR sock)
{
    struct strict_sock *s = strict_sock_of(sock);
    if (s != NULL)
        *s = (struct strict_sock){
            .sock = sock, .ops = s->ops, .ahead = s->ahead};
    return s;
}

struct strict_sock *strict_sock_next(size_t *at)
{
    while (*at < socks.places) {
        const struct map_entry *entry = &socks.entries[(*at)++];
        if (entry->key != INVALID_SOCKET)
            return entry->value;
    }
    return NULL;
}

/* A connection is there. */
void strict_newcomer(struct strict_sock *s)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    if (!logged)
        s->number = ++numbers;
    else if (REAL(getpeername)(s->sock, (struct sockaddr *)&peer, &len) == 0)
        net_name(&peer, s->peer, sizeof s->peer);
}

void strict_opened(unsigned long long number,
                   const struct sockaddr_storage *peer)
{
    char name[sizeof((struct strict_sock *)0)->peer];
    size_t at = 0;
    struct strict_sock *s;
    net_name(peer, name, sizeof name);
    AcquireSRWLockExclusive(&strict_lock);
    while ((s = strict_sock_next(&at)) != NULL) {
        if (s->number == 0 && strcmp(s->peer, name) == 0) {
            s->number = number;
            break;
        }
    }
    ReleaseSRWLockExclusive(&strict_lock);
}

void strict_log_numbers(void)
{
    logged = true;
}

/* ---- reports ----------------------------------------------------------------- */

struct strict_spot strict_spot_of(const struct trace_call *call)
{
    return (struct strict_spot){watched[call->id].name, call->place,
                                call->caller};
}

static void add_spot(char *out, size_t size, const struct strict_spot *spot,
                     const char *how)
{
    const char *file = spot->place.file;
    if (file != NULL)
        snprintf(out, size, "  %s%s%s() at %s:%d in %s()\n", how,
                 how[0] != '\0' ? " by " : "", spot->call, file,
                 spot->place.line, spot->place.function);
    else
        snprintf(out, size, "  %s%s%s() at %s\n", how,
                 how[0] != '\0' ? " by " : "", spot->call,
                 place_of(spot->from)->text);
}

/* So many of a rule are told; the others are counted. */
enum { TOLD_MOST = 10 };

void strict_broken(int rule, unsigned long long number,
                   const struct strict_spot *where,
                   const struct strict_spot *before, const char *how,
                   const char *what, const char *windows)
{
    char who[32] = "";
    char here[300] = "";
    char there[300] = "";
    if (!strict_has(rule) || !strict_on || ++broken[rule] > TOLD_MOST)
        return;
    if (number != 0)
        snprintf(who, sizeof who, " #%llu", number);
    if (where != NULL)
        add_spot(here, sizeof here, where, "");
    if (before != NULL && before->call != NULL)
        add_spot(there, sizeof there, before, how);
    output_print(OUTPUT_STDERR, "strict: S%d%s: %s\n%s%s  Windows: %s%s\n",
                 rule, who, what, here, there, windows,
                 broken[rule] == TOLD_MOST ? "; no more is told of this rule"
                                           : "");
}

/* ---- around each call ---------------------------------------------------------- */

void strict_thread_ends(void)
{
    struct strict_sock *s;
    size_t at = 0;
    AcquireSRWLockExclusive(&strict_lock);
    while ((s = strict_sock_next(&at)) != NULL) {
        for (const struct strict_op *op = s->ops; op != NULL; op = op->next) {
            if (op->state == OP_FLYING && op->tid == GetCurrentThreadId() &&
                !op->stays && op->ov.Internal == (ULONG_PTR)STATUS_PENDING)
                strict_broken(13, op->number, NULL, &op->began, "begun",
                              "a thread ends with an operation in flight",
                              "the operation is cancelled");
        }
    }
    ReleaseSRWLockExclusive(&strict_lock);
}

bool strict_begins(struct trace_call *call, ULONG_PTR *w)
{
    DWORD error = GetLastError();
    InterlockedIncrement64(&calls);
    bool made = strict_call_begins(call, w);
    if (made)
        SetLastError(error);
    return made;
}

#endif
