/* log.c -- see log.h */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "extras/linux/common/err.h"
#include "extras/linux/common/log.h"
#include "extras/linux/common/net.h"
#include "extras/linux/common/output.h"

static const struct model *model;
static bool quiet;
static bool verbose;
static double started; /* seconds() */

/* An echo changes none of them. */
static atomic_ulong connections; /* numbers given out */
static atomic_ulong clients;
static atomic_ulong most_clients;
static atomic_ulong refused;
static atomic_ulong resets;
static atomic_ullong echoes; /* of connections that are closed */
static atomic_ullong bytes;  /* of connections that are closed */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* does not fail with this clock */
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void log_begin(const struct model *the_model, const struct args *args)
{
    model = the_model;
    quiet = args->quiet;
    verbose = args->verbose;
    started = seconds();
}

void log_ready(int listener, unsigned long threads)
{
    char name[NET_NAME_SIZE];
    net_local_name(listener, name, sizeof name);
    output_print(OUTPUT_STDOUT,
                 "%s: listening on %s, pid %ld, %lu thread%s (Ctrl+C stops)\n",
                 model->name, name, (long)getpid(), threads,
                 threads == 1 ? "" : "s");
}

void log_opened(struct log_conn *conn, const struct sockaddr_storage *peer)
{
    *conn = (struct log_conn){.number = ++connections};
    unsigned long now = ++clients;
    unsigned long seen = most_clients;
    while (now > seen &&
           !atomic_compare_exchange_weak(&most_clients, &seen, now))
        continue; /* another thread was faster: seen is what it wrote */
    if (!quiet) {
        char name[NET_NAME_SIZE];
        net_name(peer, name, sizeof name);
        output_print(OUTPUT_LOG, "#%lu open %s\n", conn->number, name);
    }
}

void log_refused(unsigned long limit)
{
    unsigned long id = ++connections;
    refused++;
    if (!quiet)
        output_print(OUTPUT_LOG, "#%lu refused: %lu client%s is the limit\n",
                     id, limit, limit == 1 ? "" : "s");
}

void log_refused_error(const char *call, int err)
{
    unsigned long id = ++connections;
    refused++;
    output_print(OUTPUT_WARNING, "%s: #%lu refused: %s: %s (%d)\n", model->name,
                 id, call, err_name(err), err);
}

void log_received(const struct log_conn *conn, size_t len)
{
    if (verbose)
        output_print(OUTPUT_LOG, "#%lu received %zu\n", conn->number, len);
}

void log_sent(struct log_conn *conn, size_t len, size_t owed)
{
    conn->bytes += len;
    if (owed == 0)
        conn->echoes++;
    if (verbose)
        output_print(OUTPUT_LOG, "#%lu sent %zu, owes %zu\n", conn->number, len,
                     owed);
}

void log_closed(const struct log_conn *conn, int err)
{
    bytes += conn->bytes;
    echoes += conn->echoes;
    clients--;
    if (err != 0)
        resets++;
    if (quiet)
        return;
    if (err == 0)
        output_print(OUTPUT_LOG, "#%lu closed, %llu bytes\n", conn->number,
                     conn->bytes);
    else if (err == ECONNRESET || err == EPIPE)
        output_print(OUTPUT_LOG, "#%lu reset after %llu bytes\n", conn->number,
                     conn->bytes);
    else
        output_print(OUTPUT_LOG, "#%lu ended by %s (%d) after %llu bytes\n",
                     conn->number, err_name(err), err, conn->bytes);
}

void log_summary(void)
{
    output_print(OUTPUT_STDOUT,
                 "%s: stopped after %.1f s: %lu clients, %lu refused, "
                 "%lu reset, %lu at once, %llu echoes, %llu bytes\n",
                 model->name, seconds() - started,
                 (unsigned long)(connections - refused), (unsigned long)refused,
                 (unsigned long)resets, (unsigned long)most_clients,
                 (unsigned long long)echoes, (unsigned long long)bytes);
}
