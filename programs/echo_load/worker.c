/* worker.c -- see worker.h */
#include "common/win.h"

#include <process.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "programs/echo_load/conn.h"
#include "programs/echo_load/turns.h"
#include "programs/echo_load/worker.h"

enum {
    RAMP_AT_ONCE = 64, /* connects on their way: spares the server's backlog */
    MS = 1000000,      /* in nanoseconds */
    SWEEP = 250 * MS   /* how often silence is looked for */
};

/* Packets without an OVERLAPPED come from ourselves. */
enum { KEY_START = 1, KEY_STOP = 2 };

/* ---- who is next ------------------------------------------------------- */

static void worker_pump(struct worker *w)
{
    uint64_t now = clock_ns();
    while (w->phase == PHASE_RUN && w->idle != NULL && turns_next(w) <= now &&
           now < w->run->until) {
        struct conn *c = turns_take(w);
        uint64_t from = now;
        if (c->given_up)
            continue; /* it failed while it was in the queue */
        if (w->run->options.rate > 0)
            from = turns_due(w, w->arrivals++);
        /* We slept, and a wait ends on a whole millisecond: that delay comes
         * from our own clock and not from the server. */
        if (from >= w->slept_since)
            from = from + MS < now ? from + MS : now;
        if (w->run->options.churn)
            conn_open(w, c, from);
        else
            conn_echo(w, c, from);
    }
}

/* ---- phases ------------------------------------------------------------ */

static void tell(const struct worker *w, ULONG_PTR key)
{
    if (!PostQueuedCompletionStatus(w->port, 0, key, NULL))
        die_call("PostQueuedCompletionStatus", GetLastError());
}

/* Connect the next ones; when all have ended their connects, say so. The last
 * worker that says so sets the time and tells all of them to begin. */
static void worker_ramp(struct worker *w)
{
    struct run *run = w->run;
    if (run->options.churn)
        w->next = w->count; /* they connect when their turn comes */
    while (w->next < w->count && w->connecting < RAMP_AT_ONCE)
        conn_open(w, &w->conns[w->next++], 0);
    if (w->next < w->count || w->connecting > 0 || w->ready)
        return;
    w->ready = true;
    if (InterlockedDecrement(&run->ramping) > 0)
        return;
    run->start = clock_ns();
    run->measure_from = run->start + run->options.warmup;
    run->until = run->measure_from + run->options.duration;
    if (!run->options.quiet)
        err_print("%s after %.3f s; warm-up %.3f s, then %.3f s measured",
                  run->options.churn ? "ready" : "all connected",
                  (double)(run->start - run->began) / 1e9,
                  (double)run->options.warmup / 1e9,
                  (double)run->options.duration / 1e9);
    for (unsigned i = 0; i < run->worker_count; i++)
        tell(&run->workers[i], KEY_START);
}

static void worker_begin(struct worker *w)
{
    if (w->phase != PHASE_RAMP)
        return;
    w->phase = PHASE_RUN;
    for (size_t i = 0; i < w->count; i++)
        if (!w->conns[i].given_up)
            turns_add(w, &w->conns[i], 0);
}

/* Echoes that were due, and have not begun. They have waited since then. */
static void count_skipped(struct worker *w, uint64_t now)
{
    struct results *r = &w->results;
    uint64_t due = turns_due(w, w->arrivals);
    while (now >= w->run->measure_from && due < now) {
        histogram_add(r->latency, now - due);
        r->skipped++;
        due = turns_due(w, w->arrivals + r->skipped);
    }
}

static void worker_drain(struct worker *w, uint64_t now)
{
    if (w->phase == PHASE_DRAIN)
        return;
    if (w->phase == PHASE_RUN && w->run->options.rate > 0)
        count_skipped(w, now);
    w->phase = PHASE_DRAIN;
    w->ended = now;
    for (size_t i = 0; i < w->count; i++)
        conn_drain(w, &w->conns[i]);
}

/* ---- the loop ---------------------------------------------------------- */

/* A sweep that comes late tells that we did not run: the computer slept, or had
 * other work. What came meanwhile is not read yet, so this time is not a
 * silence of the server. */
static void worker_sweep(struct worker *w, uint64_t now)
{
    uint64_t late = now - w->next_sweep;
    w->next_sweep = now + SWEEP;
    for (size_t i = 0; i < w->count; i++) {
        if (late > SWEEP)
            w->conns[i].progress += late;
        conn_check(w, &w->conns[i], now);
    }
}

/* Milliseconds until there is something to do even if no packet comes. */
static DWORD patience(const struct worker *w, uint64_t now)
{
    uint64_t at = w->next_sweep;
    if (w->phase == PHASE_RUN) {
        if (w->run->until < at)
            at = w->run->until;
        if (w->idle != NULL && turns_next(w) < at)
            at = turns_next(w);
    }
    return at > now ? (DWORD)((at - now + MS - 1) / MS) : 0;
}

/* Also before each packet: the other worker may have ended a moment before us,
 * and what it closes makes room for ours. An echo that comes then has not come
 * in the measured time. */
static void worker_end_in_time(struct worker *w)
{
    uint64_t now = clock_ns();
    if (w->run->stop)
        worker_drain(w, now);
    else if (w->phase == PHASE_RUN && now >= w->run->until)
        worker_drain(w, w->run->until);
}

static void worker_wait(struct worker *w)
{
    DWORD len = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *ov = NULL;
    uint64_t now = clock_ns();
    w->slept_since = w->idle != NULL ? now : UINT64_MAX; /* see worker_pump() */
    BOOL ok =
        GetQueuedCompletionStatus(w->port, &len, &key, &ov, patience(w, now));
    if (ov != NULL) { /* also when not ok: an operation that failed */
        struct conn *c = (struct conn *)key;
        worker_end_in_time(w);
        conn_packet(w, c, ov, len, ok != FALSE);
        /* Send before asking for more: the server can begin meanwhile. */
        worker_pump(w);
        conn_receive(w, c);
    } else if (!ok && GetLastError() != WAIT_TIMEOUT)
        die_call("GetQueuedCompletionStatus", GetLastError());
    else if (ok && key == KEY_START)
        worker_begin(w);
    else if (ok && key == KEY_STOP)
        worker_drain(w, clock_ns());
}

static unsigned __stdcall worker_main(void *arg)
{
    struct worker *w = arg;
    w->next_sweep = clock_ns() + SWEEP;
    while (w->live > 0) {
        uint64_t now = clock_ns();
        if (w->phase == PHASE_RAMP)
            worker_ramp(w);
        worker_end_in_time(w);
        if (now >= w->next_sweep)
            worker_sweep(w, now);
        worker_pump(w);
        if (w->live > 0)
            worker_wait(w);
    }
    if (w->phase == PHASE_RAMP)
        worker_ramp(w); /* the others still wait for us */
    if (w->phase != PHASE_DRAIN)
        w->ended = clock_ns();
    return 0;
}

/* ---- start and stop ---------------------------------------------------- */

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    return memory;
}

static void worker_prepare(struct run *run, unsigned index)
{
    struct worker *w = &run->workers[index];
    const struct load_options *o = &run->options;
    size_t room = conn_buffer_size(o);
    *w = (struct worker){.run = run, .index = index};
    w->count = (size_t)o->connections / run->worker_count +
               (index < o->connections % run->worker_count);
    w->live = w->count;
    w->conns = allocate(w->count, sizeof *w->conns);
    w->from = allocate(w->count * (size_t)o->pipeline, sizeof *w->from);
    w->buffers = allocate(w->count, room);
    for (size_t i = 0; i < w->count; i++) {
        w->conns[i].sock = INVALID_SOCKET;
        w->conns[i].from = w->from + i * o->pipeline;
        w->conns[i].buf = w->buffers + i * room;
    }
    w->results.latency = histogram_new();
    w->results.connect = histogram_new();
    if (w->results.latency == NULL || w->results.connect == NULL)
        die_call("calloc", WSA_NOT_ENOUGH_MEMORY);
    w->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (w->port == NULL) /* not INVALID_HANDLE_VALUE */
        die_call("CreateIoCompletionPort", GetLastError());
}

/* ConnectEx() belongs to the provider of the socket: ask the provider for its
 * address. */
static LPFN_CONNECTEX find_connect_ex(int family)
{
    GUID id = WSAID_CONNECTEX;
    LPFN_CONNECTEX connect_ex = NULL;
    DWORD len = 0;
    SOCKET sock = WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        die_call("WSASocketW", WSAGetLastError());
    if (WSAIoctl(sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id,
                 &connect_ex, sizeof connect_ex, &len, NULL,
                 NULL) == SOCKET_ERROR)
        die_call("WSAIoctl(ConnectEx)", WSAGetLastError());
    if (closesocket(sock) == SOCKET_ERROR)
        warn_call("closesocket", WSAGetLastError());
    return connect_ex;
}

void run_prepare(struct run *run)
{
    run->connect_ex = find_connect_ex(run->to.ss_family);
    run->worker_count = run->options.connections < LOAD_WORKERS
                            ? (unsigned)run->options.connections
                            : LOAD_WORKERS;
    run->ramping = (LONG)run->worker_count;
    for (unsigned i = 0; i < run->worker_count; i++)
        worker_prepare(run, i);
}

void run_start(struct run *run)
{
    run->began = clock_ns();
    for (unsigned i = 0; i < run->worker_count; i++) {
        struct worker *w = &run->workers[i];
        w->thread = (HANDLE)_beginthreadex(NULL, 0, worker_main, w, 0, NULL);
        if (w->thread == NULL)
            die_call("_beginthreadex", GetLastError());
    }
}

void run_stop(void *arg)
{
    struct run *run = arg;
    InterlockedExchange(&run->stop, 1);
    for (unsigned i = 0; i < run->worker_count; i++)
        tell(&run->workers[i], KEY_STOP);
}

void run_free(struct run *run)
{
    for (unsigned i = 0; i < run->worker_count; i++) {
        struct worker *w = &run->workers[i];
        CloseHandle(w->thread);
        CloseHandle(w->port);
        free(w->conns);
        free(w->from);
        free(w->buffers);
        free(w->results.errors.entries);
        free(w->results.latency);
        free(w->results.connect);
    }
}
