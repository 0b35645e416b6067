/* trace.c -- see trace.h; what runs on the threads that are traced */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/output.h"
#include "watch/trace.h"

#ifdef TRACE

#include "watch/record.h"

/* ---- counting: always --------------------------------------------------- */

static const char *const names[TRACE_IDS] = {
#define X(name) #name,
    TRACE_CALLS(X)
#undef X
};

/* A turn is what a thread does from the beginning of one wait to the beginning
 * of the next. It belongs to an echo when bytes came or went in it. The calls of
 * all other turns are for the start, the stop, and clients that come and go. */
enum { OTHERS, ECHOES, THIS_TURN, KINDS };

/* Each thread counts for itself, so that no echo changes a counter that threads
 * share. When a thread ends, Windows calls counts_end() for its counts. Source:
 * FlsAlloc function. */
struct counts {
    LONG64 calls[KINDS][TRACE_IDS];
    bool echo;           /* bytes came or went in this turn */
    bool only_wait;      /* nothing was called in it but the wait */
    int kind_before;     /* ECHOES or OTHERS: the turn before this one */
    bool waited;         /* the thread has called something that only waits */
    struct counts *next; /* under counts_lock */
    struct counts *prev;
};

static SRWLOCK counts_lock = SRWLOCK_INIT;
static struct counts *living; /* under counts_lock: of the threads there are */
static struct counts past;    /* under counts_lock: the sum of all others */
static volatile LONG64 uncounted; /* interlocked: there was no memory */
static DWORD counts_slot = FLS_OUT_OF_INDEXES;

/* A wait that brought nothing belongs to what came before it. */
static int turn_kind(const struct counts *mine)
{
    if (mine->only_wait && !mine->echo)
        return mine->kind_before;
    return mine->echo ? ECHOES : OTHERS;
}

static void turn_end(struct counts *mine)
{
    int kind = turn_kind(mine);
    for (int id = 0; id < TRACE_IDS; id++) {
        mine->calls[kind][id] += mine->calls[THIS_TURN][id];
        mine->calls[THIS_TURN][id] = 0;
    }
    mine->kind_before = kind;
    mine->echo = false;
}

/* What a model waits in: it brings nothing but the news. */
static bool only_waits(enum trace_id id)
{
    switch (id) {
    case TRACE_select:
    case TRACE_WSAPoll:
    case TRACE_GetMessageW:
    case TRACE_WSAWaitForMultipleEvents:
    case TRACE_SleepEx:
    case TRACE_GetQueuedCompletionStatus:
    case TRACE_GetQueuedCompletionStatusEx: return true;
    default: return false;
    }
}

/* A thread that has never called anything that only waits, waits in recv(). */
static void turn_count(struct counts *mine, enum trace_id id)
{
    bool waits = only_waits(id);
    mine->waited = mine->waited || waits;
    bool begins = waits || (id == TRACE_recv && !mine->waited);
    if (begins)
        turn_end(mine);
    mine->only_wait = begins;
    mine->calls[THIS_TURN][id]++;
}

static void add_calls(struct counts *to, const struct counts *from)
{
    int kind = turn_kind(from);
    for (int id = 0; id < TRACE_IDS; id++) {
        to->calls[ECHOES][id] += from->calls[ECHOES][id];
        to->calls[OTHERS][id] += from->calls[OTHERS][id];
        to->calls[kind][id] += from->calls[THIS_TURN][id];
    }
}

static void WINAPI counts_end(void *arg)
{
    struct counts *mine = arg;
    AcquireSRWLockExclusive(&counts_lock);
    add_calls(&past, mine);
    if (mine->prev != NULL)
        mine->prev->next = mine->next;
    else
        living = mine->next;
    if (mine->next != NULL)
        mine->next->prev = mine->prev;
    ReleaseSRWLockExclusive(&counts_lock);
    free(mine);
}

static struct counts *my_counts(void)
{
    struct counts *mine = FlsGetValue(counts_slot);
    if (mine != NULL)
        return mine;
    mine = calloc(1, sizeof *mine);
    if (mine == NULL || !FlsSetValue(counts_slot, mine)) {
        free(mine);
        return NULL;
    }
    AcquireSRWLockExclusive(&counts_lock);
    mine->next = living;
    if (living != NULL)
        living->prev = mine;
    living = mine;
    ReleaseSRWLockExclusive(&counts_lock);
    return mine;
}

void trace_count(enum trace_id id)
{
    DWORD error = GetLastError(); /* FlsGetValue() changes it */
    struct counts *mine = my_counts();
    if (mine != NULL)
        turn_count(mine, id);
    else
        InterlockedIncrement64(&uncounted);
    SetLastError(error);
}

void trace_echo(void)
{
    DWORD error = GetLastError();
    struct counts *mine = my_counts();
    if (mine != NULL)
        mine->echo = true;
    SetLastError(error);
}

static struct counts all_counts(void)
{
    AcquireSRWLockExclusive(&counts_lock);
    struct counts sum = past;
    for (const struct counts *one = living; one != NULL; one = one->next)
        add_calls(&sum, one);
    ReleaseSRWLockExclusive(&counts_lock);
    return sum;
}

static void print_count(const char *name, LONG64 calls, LONG64 for_echoes,
                        unsigned long long echoes)
{
    char each[64] = "";
    if (for_echoes > 0 && echoes > 0)
        snprintf(each, sizeof each, " %12lld %10.3f", (long long)for_echoes,
                 (double)for_echoes / (double)echoes);
    output_print(OUTPUT_STDOUT, "  %-28s %12lld%s\n", name, (long long)calls,
                 each);
}

void trace_summary(unsigned long long echoes)
{
    struct counts counts = all_counts();
    LONG64 all = 0;
    LONG64 all_for_echoes = 0;
    output_print(OUTPUT_STDOUT, "\n  %-28s %12s %12s %10s\n",
                 "Winsock and Win32 calls", "calls", "for echoes", "per echo");
    for (int id = 0; id < TRACE_IDS; id++) {
        LONG64 for_echoes = counts.calls[ECHOES][id];
        LONG64 calls = for_echoes + counts.calls[OTHERS][id];
        if (calls != 0)
            print_count(names[id], calls, for_echoes, echoes);
        all += calls;
        all_for_echoes += for_echoes;
    }
    print_count("together", all, all_for_echoes, echoes);
    if (uncounted > 0)
        output_print(OUTPUT_STDOUT,
                     "  %lld calls were not counted: out of memory\n",
                     (long long)uncounted);
    output_flush();
}

/* ---- recording: when asked for ------------------------------------------ */

bool trace_on;
bool trace_event_flags;
struct trace_ring *volatile trace_rings;

static DWORD my_ring_slot = TLS_OUT_OF_INDEXES;
static volatile LONG64 next_seq;
static volatile LONG no_ring; /* threads without one: out of memory */

/* This thread's ring, made at its first record. NULL: there is no memory. */
static struct trace_ring *my_ring(void)
{
    struct trace_ring *ring = TlsGetValue(my_ring_slot);
    if (ring != NULL)
        return ring;
    /* Not malloc(): of these pages only those that are used become real. */
    ring = VirtualAlloc(NULL, sizeof *ring, MEM_RESERVE | MEM_COMMIT,
                        PAGE_READWRITE);
    if (ring == NULL || !TlsSetValue(my_ring_slot, ring)) {
        InterlockedIncrement(&no_ring);
        return NULL;
    }
    ring->tid = GetCurrentThreadId();
    struct trace_ring *first;
    do {
        first = trace_rings;
        ring->next = first;
    } while (InterlockedCompareExchangePointer((void *volatile *)&trace_rings,
                                               ring, first) != first);
    return ring;
}

/* Room for the longest record there is, or NULL. One piece, so the end of the
 * ring may have to be left empty. The writer waits for every number: so a call
 * that has one and is not over is left room for its record, and for an end. */
static struct trace_record *ring_room(struct trace_ring *ring)
{
    if (ring == NULL)
        return NULL;
    size_t at = (size_t)ring->head % TRACE_RING_SIZE;
    bool fits = TRACE_RING_SIZE - at >= TRACE_RECORD_MOST;
    size_t need = TRACE_RECORD_MOST + (fits ? 0 : TRACE_RING_SIZE - at) +
                  (size_t)ring->owed * 2 * TRACE_RECORD_MOST;
    if (TRACE_RING_SIZE - ((size_t)ring->head - (size_t)ring->tail) < need) {
        InterlockedIncrement(&ring->dropped);
        return NULL;
    }
    struct trace_record *rec = (struct trace_record *)(ring->bytes + at);
    if (!fits) {
        rec->size = (unsigned)(TRACE_RING_SIZE - at);
        rec->kind = RECORD_PAD;
        InterlockedExchangeAdd64(&ring->head, rec->size);
        rec = (struct trace_record *)ring->bytes;
    }
    return rec;
}

/* From here on the record is the writer's. */
static void publish(struct trace_ring *ring, struct trace_record *rec,
                    size_t listed)
{
    rec->size = (unsigned)(sizeof *rec + listed * sizeof rec->list[0]);
    InterlockedExchangeAdd64(&ring->head, rec->size);
    trace_writer_wake();
}

static LONG64 take_seq(void)
{
    return InterlockedIncrement64(&next_seq) - 1;
}

static bool can_wait(enum trace_id id, const ULONG_PTR *args)
{
    switch (id) {
    case TRACE_DispatchMessageW: /* for all that window_proc() does */
    case TRACE_WaitForThreadpoolIoCallbacks:
    case TRACE_WaitForSingleObject: return true;
    case TRACE_WSAWaitForMultipleEvents: /* the timeout */
    case TRACE_WSAGetOverlappedResult: /* fWait */ return args[3] != 0;
    default: return only_waits(id);
    }
}

/* The first bytes of what is sent or was received. */
static void keep_text(struct trace_call *t, const void *bytes, size_t len)
{
    t->text_len = (unsigned)(len < TRACE_TEXT ? len : TRACE_TEXT);
    memcpy(t->text, bytes, t->text_len);
}

/* What an argument points to, and only before the call: afterwards it may be
 * somebody else's. */
static void look_before(struct trace_call *t)
{
    const ULONG_PTR *args = t->args;
    const OVERLAPPED *ov = NULL;
    const WSABUF *buf;
    switch (t->id) {
    case TRACE_send:
        keep_text(t, (const void *)args[1], (size_t)(int)args[2]);
        break;
    case TRACE_WSARecv:
    case TRACE_WSASend:
        buf = (const WSABUF *)args[1];
        t->out[0] = buf->len;
        if (t->id == TRACE_WSASend)
            keep_text(t, buf->buf, buf->len);
        if (args[6] == 0) /* with a routine, hEvent is not used */
            ov = (const OVERLAPPED *)args[5];
        break;
    case TRACE_AcceptEx: ov = (const OVERLAPPED *)args[7]; break;
    case TRACE_DispatchMessageW: {
        const MSG *message = (const MSG *)args[0];
        t->out[0] = message->message;
        t->out[1] = message->wParam;
        t->out[2] = (ULONG_PTR)message->lParam;
        break;
    }
    default: break;
    }
    if (ov != NULL)
        t->out[1] = (ULONG_PTR)ov->hEvent;
}

/* What the call has written. Its own thread may look at that: it is where the
 * model itself finds the answer. */
static void look_after(struct trace_call *t, LONG64 result)
{
    const ULONG_PTR *args = t->args;
    switch (t->id) {
    case TRACE_recv:
        if (result > 0)
            keep_text(t, (const void *)args[1], (size_t)result);
        break;
    case TRACE_GetMessageW: {
        const MSG *message = (const MSG *)args[0];
        t->out[0] = message->message;
        t->out[1] = message->wParam;
        t->out[2] = (ULONG_PTR)message->lParam;
        break;
    }
    case TRACE_GetQueuedCompletionStatus:
        t->out[0] = *(const DWORD *)args[1];
        t->out[1] = *(const ULONG_PTR *)args[2];
        t->out[2] = *(const ULONG_PTR *)args[3];
        break;
    case TRACE_GetQueuedCompletionStatusEx:
        t->out[0] = result ? *(const ULONG *)args[3] : 0;
        break;
    case TRACE_WSAEnumNetworkEvents:
        if (result == 0)
            t->out[0] =
                (ULONG_PTR)((const WSANETWORKEVENTS *)args[2])->lNetworkEvents;
        break;
    case TRACE_WSAGetOverlappedResult:
        t->out[0] = *(const DWORD *)args[2];
        break;
    default: break;
    }
}

/* Append words to the record's list, TRACE_LIST_MOST at most. */
static size_t keep(struct trace_record *rec, size_t at, const void *words,
                   size_t count)
{
    size_t kept = count < TRACE_LIST_MOST ? count : TRACE_LIST_MOST;
    memcpy(rec->list + at, words, kept * sizeof *rec->list);
    return at + kept;
}

static size_t keep_sets(struct trace_record *rec, const ULONG_PTR *args)
{
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        const fd_set *set = (const fd_set *)args[1 + i];
        if (set == NULL)
            continue;
        rec->list_len[i] = set->fd_count;
        at = keep(rec, at, set->fd_array, set->fd_count);
    }
    return at;
}

/* The events of a wait; and in out[0], one bit for each that is signalled now.
 * To ask an event does not change it: all of Winsock's are manual-reset. */
static size_t keep_events(struct trace_record *rec, const ULONG_PTR *args)
{
    const HANDLE *events = (const HANDLE *)args[1];
    rec->list_len[0] = (unsigned)args[0];
    if (trace_event_flags) {
        ULONG_PTR signalled = 0;
        for (unsigned i = 0; i < rec->list_len[0] && i < TRACE_LIST_MOST; i++) {
            if (WaitForSingleObject(events[i], 0) == WAIT_OBJECT_0)
                signalled |= (ULONG_PTR)1 << i;
        }
        rec->out[0] = signalled;
    }
    return keep(rec, 0, (const ULONG_PTR *)args[1], rec->list_len[0]);
}

/* Three words for each packet: OVERLAPPED, key, bytes. */
static size_t keep_packets(struct trace_record *rec, const ULONG_PTR *args)
{
    const OVERLAPPED_ENTRY *entries = (const OVERLAPPED_ENTRY *)args[1];
    size_t at = 0;
    rec->list_len[0] = 3 * (unsigned)rec->out[0];
    for (ULONG_PTR i = 0; i < rec->out[0] && at + 3 <= TRACE_LIST_MOST; i++) {
        rec->list[at++] = (ULONG_PTR)entries[i].lpOverlapped;
        rec->list[at++] = entries[i].lpCompletionKey;
        rec->list[at++] = entries[i].dwNumberOfBytesTransferred;
    }
    return at;
}

static size_t keep_list(struct trace_record *rec)
{
    rec->list_len[0] = rec->list_len[1] = 0;
    switch (rec->id) {
    case TRACE_select:
        /* After a failure the sets are as they went in. */
        return rec->result == SOCKET_ERROR ? 0 : keep_sets(rec, rec->args);
    case TRACE_WSAWaitForMultipleEvents: return keep_events(rec, rec->args);
    case TRACE_GetQueuedCompletionStatusEx:
        return rec->kind == RECORD_WOKE ? keep_packets(rec, rec->args) : 0;
    default: return 0;
    }
}

static void put_call(struct trace_ring *ring, struct trace_record *rec,
                     enum trace_kind kind, const struct trace_call *t,
                     LONG64 ended, LONG64 result, DWORD error)
{
    rec->kind = kind;
    rec->id = t->id;
    rec->depth = ring->depth;
    rec->seq = t->seq;
    rec->inside = ring->open;
    rec->began = t->began;
    rec->ended = ended;
    rec->place = t->place;
    rec->source = t->source;
    rec->result = result;
    rec->error = error;
    memcpy(rec->args, t->args, sizeof rec->args);
    memcpy(rec->out, t->out, sizeof rec->out);
    memcpy(rec->text, t->text, t->text_len);
    rec->text_len = t->text_len;
    publish(ring, rec, keep_list(rec));
}

void trace_enter(struct trace_call *t, enum trace_id id,
                 struct trace_place place, const char *source,
                 const ULONG_PTR *args)
{
    DWORD error = GetLastError();
    if (TlsGetValue(my_ring_slot) == NULL)
        trace_thread("stop"); /* every other thread has named itself */
    struct trace_ring *ring = my_ring();
    struct trace_record *rec = ring_room(ring);
    t->ring = NULL;
    if (rec != NULL) {
        t->ring = ring;
        t->id = id;
        t->place = place;
        t->source = source;
        t->waits = can_wait(id, args);
        memcpy(t->args, args, sizeof t->args);
        memset(t->out, 0, sizeof t->out);
        t->text_len = 0;
        look_before(t);
        t->seq = take_seq();
        t->began = (LONG64)clock_ns();
        if (t->waits) {
            put_call(ring, rec, RECORD_WAIT, t, t->began, 0, 0);
            ring->depth++;
        } else {
            ring->owed++;
            if (ring->open == 0)
                ring->open = t->seq + 1;
        }
    }
    SetLastError(error);
}

void trace_leave(struct trace_call *t, LONG64 result)
{
    DWORD error = GetLastError();
    LONG64 ended = (LONG64)clock_ns();
    struct trace_ring *ring = t->ring;
    if (ring != NULL) {
        if (t->waits) {
            ring->depth--;
        } else {
            ring->owed--;
            if (ring->open == t->seq + 1)
                ring->open = 0;
        }
        /* A wait may have filled the ring with what ran inside it. */
        struct trace_record *rec = ring_room(ring);
        if (rec != NULL) {
            look_after(t, result);
            if (t->waits)
                t->seq = take_seq();
            put_call(ring, rec, t->waits ? RECORD_WOKE : RECORD_CALL, t, ended,
                     result, error);
        }
    }
    SetLastError(error);
}

/* A record that is no call. */
static void note(enum trace_kind kind, const char *source, ULONG_PTR a,
                 ULONG_PTR b, DWORD error, struct trace_place place)
{
    DWORD last_error = GetLastError();
    struct trace_ring *ring = my_ring();
    struct trace_record *rec = ring_room(ring);
    if (rec != NULL) {
        *rec = (struct trace_record){.kind = kind,
                                     .id = TRACE_IDS,
                                     .depth = ring->depth,
                                     .seq = take_seq(),
                                     .inside = ring->open,
                                     .place = place,
                                     .source = source,
                                     .error = error,
                                     .args = {a, b}};
        rec->began = rec->ended = (LONG64)clock_ns();
        publish(ring, rec, 0);
    }
    SetLastError(last_error);
}

void trace_note(const char *what, const OVERLAPPED *ov, ULONG len, ULONG error,
                struct trace_place place)
{
    note(RECORD_EVENT, what, (ULONG_PTR)ov, len, error, place);
}

void trace_name(ULONG_PTR handle, const char *name)
{
    if (trace_on)
        note(RECORD_NAME, name, handle, 0, 0, TRACE_HERE);
}

void trace_connection(SOCKET sock, unsigned long id)
{
    if (trace_on)
        note(RECORD_CONNECTION, NULL, sock, id, 0, TRACE_HERE);
}

void trace_thread(const char *name)
{
    if (trace_on)
        note(RECORD_THREAD, name, 0, 0, 0, TRACE_HERE);
}

void trace_callback_begins(const char *name, struct trace_place place)
{
    DWORD error = GetLastError();
    struct counts *mine = my_counts();
    if (mine != NULL) {
        turn_end(mine);
        mine->only_wait = false;
        mine->waited = true; /* in the pool */
    }
    if (trace_on && TlsGetValue(my_ring_slot) == NULL)
        trace_thread(name);
    if (trace_on)
        trace_note("callback", NULL, 0, 0, place);
    SetLastError(error);
}

void trace_begin(const char *model, bool narrate, const char *file)
{
    counts_slot = FlsAlloc(counts_end);
    if (counts_slot == FLS_OUT_OF_INDEXES)
        die_call("FlsAlloc", GetLastError());
    if (!narrate && file == NULL)
        return;
    my_ring_slot = TlsAlloc();
    if (my_ring_slot == TLS_OUT_OF_INDEXES)
        die_call("TlsAlloc", GetLastError());
    trace_writer_begin(model, narrate, file);
    trace_on = true;
    trace_thread("main");
}

#endif
