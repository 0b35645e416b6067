/* caller.c -- see caller.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "common/output.h"
#include "watch/caller.h"
#include "watch/strict.h"

#ifdef TRACE

static SRWLOCK lock = SRWLOCK_INIT;
static struct caller *living;     /* under lock: of the threads there are */
static struct caller past;        /* under lock: the sum of all others */
static volatile LONG64 uncounted; /* interlocked: there was no memory */
static DWORD slot = FLS_OUT_OF_INDEXES;

/* A wait that brought nothing belongs to what came before it. */
static int turn_kind(const struct caller *mine)
{
    if (mine->only_wait && !mine->echo)
        return mine->kind_before;
    return mine->echo ? ECHOES : OTHERS;
}

static void turn_end(struct caller *mine)
{
    int kind = turn_kind(mine);
    for (int id = 0; id < TRACE_IDS; id++) {
        mine->calls[kind][id] += mine->calls[THIS_TURN][id];
        mine->calls[THIS_TURN][id] = 0;
    }
    mine->kind_before = kind;
    mine->echo = false;
}

static bool only_waits(enum trace_id id)
{
    return watched[id].waits == WAITS_MODEL ||
           watched[id].waits == WAITS_MODEL_IF_3;
}

/* A thread that has never called anything that only waits, waits in recv(). */
void caller_count(struct caller *mine, enum trace_id id)
{
    bool waits = only_waits(id);
    mine->waited = mine->waited || waits;
    bool begins = waits || (id == TRACE_recv && !mine->waited);
    if (begins)
        turn_end(mine);
    mine->only_wait = begins;
    mine->calls[THIS_TURN][id]++;
}

void caller_turn(struct caller *mine)
{
    turn_end(mine);
    mine->only_wait = false;
    mine->waited = true;
}

static void add_calls(struct caller *to, const struct caller *from)
{
    int kind = turn_kind(from);
    for (int id = 0; id < TRACE_IDS; id++) {
        to->calls[ECHOES][id] += from->calls[ECHOES][id];
        to->calls[OTHERS][id] += from->calls[OTHERS][id];
        to->calls[kind][id] += from->calls[THIS_TURN][id];
    }
}

/* Windows calls it when the thread ends. Source: FlsAlloc function. */
static void WINAPI caller_end(void *arg)
{
    struct caller *mine = arg;
    if (strict_on)
        strict_thread_ends();
    AcquireSRWLockExclusive(&lock);
    add_calls(&past, mine);
    if (mine->prev != NULL)
        mine->prev->next = mine->next;
    else
        living = mine->next;
    if (mine->next != NULL)
        mine->next->prev = mine->prev;
    ReleaseSRWLockExclusive(&lock);
    map_free(&mine->routines);
    free(mine);
}

void caller_begin(void)
{
    slot = FlsAlloc(caller_end);
    if (slot == FLS_OUT_OF_INDEXES)
        die_call("FlsAlloc", GetLastError());
}

struct caller *caller_mine(void)
{
    struct caller *mine = FlsGetValue(slot);
    if (mine != NULL)
        return mine;
    mine = calloc(1, sizeof *mine);
    if (mine == NULL || !FlsSetValue(slot, mine)) {
        InterlockedIncrement64(&uncounted);
        free(mine);
        return NULL;
    }
    AcquireSRWLockExclusive(&lock);
    mine->next = living;
    if (living != NULL)
        living->prev = mine;
    living = mine;
    ReleaseSRWLockExclusive(&lock);
    return mine;
}

static struct caller all_counts(void)
{
    AcquireSRWLockExclusive(&lock);
    struct caller sum = past;
    for (const struct caller *one = living; one != NULL; one = one->next)
        add_calls(&sum, one);
    ReleaseSRWLockExclusive(&lock);
    return sum;
}

/* A program that is not ours has its standard output for itself, and nobody
 * counts its echoes. */
#ifdef WATCH_LIBRARY
#define TABLE    OUTPUT_STDERR
#define PER_ECHO ""
#else
#define TABLE    OUTPUT_STDOUT
#define PER_ECHO "   per echo"
#endif

static void print_count(const char *name, LONG64 calls, LONG64 for_echoes,
                        unsigned long long echoes)
{
    char each[64] = "";
#ifdef WATCH_LIBRARY
    (void)echoes;
    if (for_echoes > 0)
        snprintf(each, sizeof each, " %12lld", (long long)for_echoes);
#else
    if (for_echoes > 0 && echoes > 0)
        snprintf(each, sizeof each, " %12lld %10.3f", (long long)for_echoes,
                 (double)for_echoes / (double)echoes);
#endif
    output_print(TABLE, "  %-28s %12lld%s\n", name, (long long)calls, each);
}

void trace_summary(unsigned long long echoes)
{
    struct caller counts = all_counts();
    LONG64 all = 0;
    LONG64 all_for_echoes = 0;
    output_print(TABLE, "\n  %-28s %12s %12s%s\n", "Winsock and Win32 calls",
                 "calls", "for echoes", PER_ECHO);
    for (int id = 0; id < TRACE_IDS; id++) {
        LONG64 for_echoes = counts.calls[ECHOES][id];
        LONG64 calls = for_echoes + counts.calls[OTHERS][id];
        if (calls != 0)
            print_count(watched[id].name, calls, for_echoes, echoes);
        all += calls;
        all_for_echoes += for_echoes;
    }
    print_count("together", all, all_for_echoes, echoes);
    if (uncounted > 0)
        output_print(TABLE, "  %lld calls were not counted: out of memory\n",
                     (long long)uncounted);
    output_flush();
}

#endif
