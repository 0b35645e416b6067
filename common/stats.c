/* stats.c -- see stats.h */
#include "common/win.h"

#include <stdio.h>

#include "common/err.h"
#include "common/net.h"
#include "common/stats.h"
#include "common/trace.h"

static const struct model *model;
static bool quiet;
static bool verbose;
static LARGE_INTEGER started; /* in ticks of the performance counter */

static volatile LONG connections; /* numbers given out */
static volatile LONG clients;
static volatile LONG most_clients;
static volatile LONG refused;
static volatile LONG resets;
static volatile LONG64 echoes;
static volatile LONG64 bytes;

void stats_begin(const struct model *the_model, const struct args *args)
{
    model = the_model;
    quiet = args->quiet;
    verbose = args->verbose;
    QueryPerformanceCounter(&started);

    /* Lines are flushed one by one; the buffers make each a single write, so
     * that lines of several threads never mix. */
    (void)setvbuf(stdout, NULL, _IOFBF, 4096);
    (void)setvbuf(stderr, NULL, _IOFBF, 4096);
}

void stats_ready(SOCKET listener, unsigned long threads)
{
    char name[NET_NAME_SIZE];
    net_local_name(listener, name, sizeof name);
    printf("%s: listening on %s, pid %lu, %lu thread%s (Ctrl+C stops)\n",
           model->name, name, (unsigned long)GetCurrentProcessId(), threads,
           threads == 1 ? "" : "s");
    fflush(stdout);
}

static void raise_to(volatile LONG *most, LONG now)
{
    LONG seen = *most;
    while (now > seen) {
        LONG before = InterlockedCompareExchange(most, now, seen);
        if (before == seen)
            return;
        seen = before; /* another thread was faster: look again */
    }
}

unsigned long stats_opened(SOCKET sock, const struct sockaddr_storage *peer)
{
    long id = InterlockedIncrement(&connections);
    raise_to(&most_clients, InterlockedIncrement(&clients));
    trace_connection(sock, (unsigned long)id);
    if (!quiet) {
        char name[NET_NAME_SIZE];
        net_name(peer, name, sizeof name);
        printf("#%ld open %s\n", id, name);
        fflush(stdout);
    }
    return (unsigned long)id;
}

void stats_refused(unsigned long limit)
{
    long id = InterlockedIncrement(&connections);
    InterlockedIncrement(&refused);
    if (!quiet) {
        printf("#%ld refused: %lu client%s is the limit\n", id, limit,
               limit == 1 ? "" : "s");
        fflush(stdout);
    }
}

void stats_refused_error(const char *call, unsigned long code)
{
    long id = InterlockedIncrement(&connections);
    InterlockedIncrement(&refused);
    err_print("#%ld refused: %s: %s (%lu)", id, call, err_name(code), code);
}

void stats_received(unsigned long id, size_t len)
{
    if (verbose) {
        printf("#%lu received %zu\n", id, len);
        fflush(stdout);
    }
}

void stats_sent(unsigned long id, size_t len, size_t owed)
{
    InterlockedExchangeAdd64(&bytes, (LONG64)len);
    if (owed == 0)
        InterlockedIncrement64(&echoes);
    if (verbose) {
        printf("#%lu sent %zu, owes %zu\n", id, len, owed);
        fflush(stdout);
    }
}

void stats_closed(unsigned long id, unsigned long long echoed,
                  unsigned long code)
{
    InterlockedDecrement(&clients);
    if (code != 0)
        InterlockedIncrement(&resets);
    if (quiet)
        return;
    if (code == 0)
        printf("#%lu closed, %llu bytes\n", id, echoed);
    else if (code == WSAECONNRESET || code == WSAECONNABORTED)
        printf("#%lu reset after %llu bytes\n", id, echoed);
    else
        printf("#%lu ended by %s (%lu) after %llu bytes\n", id, err_name(code),
               code, echoed);
    fflush(stdout);
}

void stats_summary(void)
{
    LARGE_INTEGER now;
    LARGE_INTEGER per_second;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&per_second);
    double seconds =
        (double)(now.QuadPart - started.QuadPart) / (double)per_second.QuadPart;

    printf("%s: stopped after %.1f s: %ld clients, %ld refused, %ld reset, "
           "%ld at once, %lld echoes, %lld bytes\n",
           model->name, seconds, (long)(connections - refused), (long)refused,
           (long)resets, (long)most_clients, (long long)echoes,
           (long long)bytes);
    trace_summary((unsigned long long)echoes);
    fflush(stdout);
}
