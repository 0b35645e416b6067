/* log.c -- see log.h */
#include "common/win.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/output.h"

static const struct model *model;
static bool quiet;
static bool verbose;
static uint64_t started; /* clock_ns() */

/* Interlocked; an echo changes none of them. */
static volatile LONG64 connections; /* numbers given out */
static volatile LONG clients;
static volatile LONG most_clients;
static volatile LONG64 refused;
static volatile LONG64 resets;
static volatile LONG64 echoes; /* of connections that are closed */
static volatile LONG64 bytes;  /* of connections that are closed */

void log_begin(const struct model *the_model, const struct args *args)
{
    model = the_model;
    quiet = args->quiet;
    verbose = args->verbose;
    started = clock_ns();
    if (!output_begin())
        die_call("_beginthreadex", GetLastError());
}

void log_ready(SOCKET listener, unsigned long threads)
{
    char name[NET_NAME_SIZE];
    net_local_name(listener, name, sizeof name);
    output_print(OUTPUT_STDOUT,
                 "%s: listening on %s, pid %lu, %lu thread%s (Ctrl+C stops)\n",
                 model->name, name, (unsigned long)GetCurrentProcessId(),
                 threads, threads == 1 ? "" : "s");
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

void log_opened(struct log_conn *conn, const struct sockaddr_storage *peer)
{
    *conn = (struct log_conn){
        .number = (unsigned long long)InterlockedIncrement64(&connections)};
    raise_to(&most_clients, InterlockedIncrement(&clients));
    if (!quiet) {
        char name[NET_NAME_SIZE];
        net_name(peer, name, sizeof name);
        output_print(OUTPUT_LOG, "#%llu open %s\n", conn->number, name);
    }
}

void log_refused(unsigned long limit)
{
    long long id = InterlockedIncrement64(&connections);
    InterlockedIncrement64(&refused);
    if (!quiet) {
        output_print(OUTPUT_LOG, "#%lld refused: %lu client%s is the limit\n",
                     id, limit, limit == 1 ? "" : "s");
    }
}

void log_refused_error(const char *call, unsigned long code)
{
    long long id = InterlockedIncrement64(&connections);
    InterlockedIncrement64(&refused);
    err_print("#%lld refused: %s: %s (%lu)", id, call, err_name(code), code);
}

void log_received(const struct log_conn *conn, size_t len)
{
    if (verbose) {
        output_print(OUTPUT_LOG, "#%llu received %zu\n", conn->number, len);
    }
}

void log_sent(struct log_conn *conn, size_t len, size_t owed)
{
    conn->bytes += len;
    if (owed == 0)
        conn->echoes++;
    if (verbose) {
        output_print(OUTPUT_LOG, "#%llu sent %zu, owes %zu\n", conn->number,
                     len, owed);
    }
}

void log_closed(const struct log_conn *conn, unsigned long code)
{
    InterlockedExchangeAdd64(&bytes, (LONG64)conn->bytes);
    InterlockedExchangeAdd64(&echoes, (LONG64)conn->echoes);
    InterlockedDecrement(&clients);
    if (code != 0)
        InterlockedIncrement64(&resets);
    if (quiet)
        return;
    if (code == 0)
        output_print(OUTPUT_LOG, "#%llu closed, %llu bytes\n", conn->number,
                     conn->bytes);
    else if (code == WSAECONNRESET || code == WSAECONNABORTED)
        output_print(OUTPUT_LOG, "#%llu reset after %llu bytes\n", conn->number,
                     conn->bytes);
    else
        output_print(OUTPUT_LOG, "#%llu ended by %s (%lu) after %llu bytes\n",
                     conn->number, err_name(code), code, conn->bytes);
}

void log_summary(void)
{
    double seconds = (double)(clock_ns() - started) / 1e9;
    output_print(
        OUTPUT_STDOUT,
        "%s: stopped after %.1f s: %lld clients, %lld refused, %lld reset, "
        "%ld at once, %lld echoes, %lld bytes\n",
        model->name, seconds, (long long)(connections - refused),
        (long long)refused, (long long)resets, (long)most_clients,
        (long long)echoes, (long long)bytes);
    output_flush();
}

unsigned long long log_echoes(void)
{
    return (unsigned long long)InterlockedCompareExchange64(&echoes, 0, 0);
}
