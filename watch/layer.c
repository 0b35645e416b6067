/* layer.c -- see layer.h and call.h; what runs on the threads of the program */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/system.h"
#include "watch/layer.h"

#ifdef TRACE

#include "watch/call.h"
#include "watch/real.h"
#include "watch/strict.h"

bool trace_on;
bool watch_places;
bool trace_event_flags;
struct trace_ring *volatile trace_rings;

/* Of ntdll.dll; with no header, and the same since Windows NT. */
typedef LONG NTAPI event_query(HANDLE event, int what, void *state, ULONG size,
                               ULONG *got);
static event_query *query_event;

static volatile LONG64 next_seq;
static volatile LONG no_ring; /* threads without one: out of memory */

/* A ring for this thread. NULL: there is no memory. */
static struct trace_ring *ring_make(void)
{
    /* Not malloc(): of these pages only those that are used become real. */
    struct trace_ring *ring = VirtualAlloc(
        NULL, sizeof *ring, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (ring == NULL) {
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

/* What is known of each socket, found by its value without a lock. Two sockets
 * whose values are far apart may share an entry: then a wait is told in one line
 * instead of two, or a byte counts for an echo that was none of a client's. */
static volatile struct sock {
    bool non_blocking; /* a call on it does not wait */
    bool client;       /* it came from accept() or AcceptEx() */
    bool skips;        /* what is done at once sends it no packet */
} socks[0x10000];

static volatile struct sock *sock_of(ULONG_PTR sock)
{
    return &socks[sock / 4 % (sizeof socks / sizeof socks[0])];
}

static void look_at_socket(enum trace_id id, const ULONG_PTR *args)
{
    switch (id) {
    case TRACE_ioctlsocket:
        if ((u_long)args[1] == (u_long)FIONBIO)
            sock_of(args[0])->non_blocking = *(const u_long *)args[2] != 0;
        break;
    case TRACE_WSAAsyncSelect:
    case TRACE_WSAEventSelect: sock_of(args[0])->non_blocking = true; break;
    case TRACE_closesocket: /* before: the value may be used again at once */
        sock_of(args[0])->non_blocking = false;
        sock_of(args[0])->client = false;
        sock_of(args[0])->skips = false;
        break;
    case TRACE_SetFileCompletionNotificationModes:
        sock_of(args[0])->skips =
            (args[1] & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) != 0;
        break;
    default: break;
    }
}

static bool can_wait(enum trace_id id, const ULONG_PTR *args)
{
    switch (watched[id].waits) {
    case WAITS_NOT: return false;
    case WAITS_BLOCKING: return !sock_of(args[0])->non_blocking;
    case WAITS_UNPOSTED:
        return args[watched[id].operation] == 0 &&
               !sock_of(args[0])->non_blocking;
    case WAITS_IF_3:
    case WAITS_MODEL_IF_3: return args[3] != 0;
    default: return true;
    }
}

/* The first bytes of what is sent or was received. */
static void keep_text(struct trace_call *t, const void *bytes, size_t len)
{
    t->text_len = (unsigned)(len < TRACE_TEXT ? len : TRACE_TEXT);
    memcpy(t->text, bytes, t->text_len);
}

static void keep_message(struct trace_call *t)
{
    const MSG *message = (const MSG *)t->args[0];
    t->out[0] = message->message;
    t->out[1] = message->wParam;
    t->out[2] = (ULONG_PTR)message->lParam;
}

/* What an argument points to, and only before the call: afterwards it may be
 * somebody else's. */
static void look_before(struct trace_call *t)
{
    const ULONG_PTR *args = t->args;
    const OVERLAPPED *ov = NULL;
    const WSABUF *buf;
    int routine = watched_routine(t->id);
    /* With a routine, hEvent is not used. */
    if (watched[t->id].told == TOLD_POSTED &&
        (routine == 0 || args[routine] == 0))
        ov = (const OVERLAPPED *)args[watched[t->id].operation];
    switch (t->id) {
    case TRACE_send:
    case TRACE_sendto:
        keep_text(t, (const void *)args[1], (size_t)(int)args[2]);
        break;
    case TRACE_WSARecv:
    case TRACE_WSASend:
    case TRACE_WSARecvFrom:
    case TRACE_WSASendTo:
        buf = (const WSABUF *)args[1];
        t->out[0] = buf->len;
        if (t->id == TRACE_WSASend || t->id == TRACE_WSASendTo)
            keep_text(t, buf->buf, buf->len);
        break;
    case TRACE_DispatchMessageA:
    case TRACE_DispatchMessageW: keep_message(t); break;
    default: break;
    }
    /* The lowest bit of hEvent only says that no packet is wanted. */
    if (ov != NULL)
        t->out[1] = (ULONG_PTR)ov->hEvent & ~(ULONG_PTR)1;
}

/* Of an operation that was done at once. Where its packet comes nevertheless,
 * another thread may have the OVERLAPPED by now. */
static DWORD bytes_at_once(enum trace_id id, const ULONG_PTR *args)
{
    const OVERLAPPED *ov = (const OVERLAPPED *)args[watched[id].operation];
    if (args[3] != 0)
        return *(const DWORD *)args[3];
    return ov != NULL && sock_of(args[0])->skips ? (DWORD)ov->InternalHigh : 0;
}

/* What the call has written. Its own thread may look at that: it is where the
 * model itself finds the answer. */
static void look_after(struct trace_call *t, LONG_PTR result)
{
    const ULONG_PTR *args = t->args;
    switch (t->id) {
    case TRACE_recv:
    case TRACE_recvfrom:
        if (result > 0)
            keep_text(t, (const void *)args[1], (size_t)result);
        break;
    case TRACE_WSARecv:
    case TRACE_WSASend:
    case TRACE_WSARecvFrom:
    case TRACE_WSASendTo:
        if (result == 0)
            t->out[2] = bytes_at_once(t->id, args);
        break;
    case TRACE_WSARecvMsg:
        if (result == 0 && args[2] != 0)
            t->out[2] = *(const DWORD *)args[2];
        break;
    case TRACE_PeekMessageA:
    case TRACE_PeekMessageW:
        if (result == 0)
            break;
        /* fall through */
    case TRACE_GetMessageA:
    case TRACE_GetMessageW: keep_message(t); break;
    case TRACE_GetQueuedCompletionStatus:
        t->out[0] = *(const DWORD *)args[1];
        t->out[1] = *(const ULONG_PTR *)args[2];
        t->out[2] = *(const ULONG_PTR *)args[3];
        break;
    case TRACE_GetQueuedCompletionStatusEx:
        t->out[0] = result ? *(const ULONG *)args[3] : 0;
        break;
    case TRACE_RIODequeueCompletion:
        t->out[0] = (ULONG)result == RIO_CORRUPT_CQ ? 0 : (ULONG_PTR)result;
        break;
    case TRACE_WSAEnumNetworkEvents:
        if (result == 0)
            t->out[0] =
                (ULONG_PTR)((const WSANETWORKEVENTS *)args[2])->lNetworkEvents;
        break;
    case TRACE_WSAGetOverlappedResult:
    case TRACE_GetOverlappedResult: t->out[0] = *(const DWORD *)args[2]; break;
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

/* To wait for an event without any time would tell as much, but it takes the
 * signal away from one that resets itself. */
static bool is_signalled(HANDLE event)
{
    LONG state[2]; /* its kind, and whether it is signalled */
    return query_event != NULL &&
           query_event(event, 0, state, sizeof state, NULL) >= 0 &&
           state[1] != 0;
}

/* The events of a wait; and in out[0], one bit for each that is signalled now. */
static size_t keep_events(struct trace_record *rec, const ULONG_PTR *args)
{
    const HANDLE *events = (const HANDLE *)args[1];
    rec->list_len[0] = (unsigned)args[0];
    if (trace_event_flags) {
        ULONG_PTR signalled = 0;
        for (unsigned i = 0; i < rec->list_len[0] && i < TRACE_LIST_MOST; i++) {
            if (is_signalled(events[i]))
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

/* The same three of each result: the context takes the OVERLAPPED's place. */
static size_t keep_results(struct trace_record *rec, const ULONG_PTR *args)
{
    const RIORESULT *results = (const RIORESULT *)args[1];
    size_t at = 0;
    rec->list_len[0] = 3 * (unsigned)rec->out[0];
    for (ULONG_PTR i = 0; i < rec->out[0] && at + 3 <= TRACE_LIST_MOST; i++) {
        rec->list[at++] = (ULONG_PTR)results[i].RequestContext;
        rec->list[at++] = (ULONG_PTR)results[i].Status;
        rec->list[at++] = results[i].BytesTransferred;
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
    case TRACE_WSAWaitForMultipleEvents:
    case TRACE_WaitForMultipleObjects:
    case TRACE_WaitForMultipleObjectsEx:
    case TRACE_MsgWaitForMultipleObjects:
    case TRACE_MsgWaitForMultipleObjectsEx: return keep_events(rec, rec->args);
    case TRACE_GetQueuedCompletionStatusEx:
        return rec->kind == RECORD_WOKE ? keep_packets(rec, rec->args) : 0;
    case TRACE_RIODequeueCompletion: return keep_results(rec, rec->args);
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
    rec->caller = t->caller;
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

/* ---- records that are no call --------------------------------------------- */

/* Up to TRACE_LIST_MOST words of `bytes`, or none, are kept with it. */
static void note(struct caller *mine, enum trace_kind kind, const char *source,
                 ULONG_PTR a, ULONG_PTR b, DWORD error, const void *bytes,
                 size_t len)
{
    struct trace_record *rec = ring_room(mine->ring);
    if (rec == NULL)
        return;
    *rec = (struct trace_record){.kind = kind,
                                 .id = TRACE_IDS,
                                 .depth = mine->ring->depth,
                                 .seq = take_seq(),
                                 .inside = mine->ring->open,
                                 .source = source,
                                 .error = error,
                                 .args = {a, b}};
    if (kind == RECORD_OPENED || kind == RECORD_LISTENER) {
        rec->place = mine->here;
        mine->here = (struct trace_place){0};
    }
    rec->began = rec->ended = (LONG64)clock_ns();
    size_t words = (len + sizeof rec->list[0] - 1) / sizeof rec->list[0];
    if (words > 0)
        memcpy(rec->list, bytes, len);
    publish(mine->ring, rec, words);
}

/* What SetThreadDescription() was told, without what is not ASCII. The function
 * is not on every Windows 10. */
static void described(char *name, size_t size)
{
    typedef HRESULT WINAPI get_description(HANDLE thread, PWSTR * text);
    get_description *get = (get_description *)find_function(
        L"kernel32.dll", "GetThreadDescription");
    PWSTR text = NULL;
    if (get == NULL || FAILED(get(GetCurrentThread(), &text)))
        return;
    size_t len = 0;
    for (; len < size - 1 && text[len] != L'\0'; len++)
        name[len] =
            (char)(text[len] >= L' ' && text[len] <= L'~' ? text[len] : L'?');
    name[len] = '\0';
    LocalFree(text);
}

/* This thread's, if it is to record something: with its first record it says
 * who it is. */
static struct caller *recorder(void)
{
    struct caller *mine = caller_mine();
    if (!trace_on || mine == NULL)
        return NULL;
    if (mine->ring == NULL) {
        mine->ring = ring_make();
        if (mine->ring == NULL)
            return NULL;
        if (mine->name[0] == '\0')
            described(mine->name, sizeof mine->name);
        note(mine, RECORD_THREAD, NULL, mine->began_in, 0, 0, mine->name,
             strlen(mine->name) + 1);
    }
    return mine;
}

/* Of connections and listeners, whatever is not said of a call. */
static void say(enum trace_kind kind, ULONG_PTR number,
                const struct sockaddr_storage *peer)
{
    DWORD error = GetLastError();
    struct caller *mine = recorder();
    if (mine != NULL)
        note(mine, kind, NULL, number, 0, 0, peer,
             peer == NULL ? 0 : sizeof(struct sockaddr_in6));
    SetLastError(error);
}

SOCKET trace_listener(SOCKET sock)
{
    strict_log_numbers();
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    if (trace_on &&
        REAL(getsockname)(sock, (struct sockaddr *)&address, &len) == 0)
        say(RECORD_LISTENER, sock, &address);
    return sock;
}

void trace_opened(const struct log_conn *log,
                  const struct sockaddr_storage *peer)
{
    if (strict_on)
        strict_opened(log->number, peer);
    say(RECORD_OPENED, (ULONG_PTR)log->number, peer);
}

static void newcomer(ULONG_PTR sock, ULONG_PTR listener)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    sock_of(sock)->client = true;
    sock_of(sock)->non_blocking =
        sock_of(listener)->non_blocking; /* inherited */
    if (trace_on &&
        REAL(getpeername)(sock, (struct sockaddr *)&peer, &len) == 0)
        say(RECORD_NEWCOMER, sock, &peer);
}

/* ---- calls ---------------------------------------------------------------- */

void watch_at(const char *file, const char *function, int line,
              const char *arguments)
{
    DWORD error = GetLastError();
    struct caller *mine = caller_mine();
    if (mine != NULL) {
        mine->here = (struct trace_place){file, function, line};
        mine->source = arguments;
    }
    SetLastError(error);
}

static void record_begin(struct trace_call *t)
{
    struct caller *mine = recorder();
    struct trace_ring *ring = mine != NULL ? mine->ring : NULL;
    struct trace_record *rec = ring_room(ring);
    if (rec == NULL)
        return;
    t->ring = ring;
    t->waits = can_wait(t->id, t->args);
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

static void record_end(struct trace_call *t, LONG_PTR result, DWORD error)
{
    LONG64 ended = (LONG64)clock_ns();
    struct trace_ring *ring = t->ring;
    if (t->waits) {
        ring->depth--;
    } else {
        ring->owed--;
        if (ring->open == t->seq + 1)
            ring->open = 0;
    }
    /* A wait may have filled the ring with what ran inside it. */
    struct trace_record *rec = ring_room(ring);
    if (rec == NULL)
        return;
    look_after(t, result);
    if (t->waits)
        t->seq = take_seq();
    put_call(ring, rec, t->waits ? RECORD_WOKE : RECORD_CALL, t, ended, result,
             error);
}

/* Bytes that have come from a client or gone to one when the call returns. */
static ULONG_PTR bytes_of(const struct trace_call *t, LONG_PTR result)
{
    const ULONG_PTR *args = t->args;
    ULONG_PTR sum = 0;
    switch (t->id) {
    case TRACE_recv:
    case TRACE_send:
    case TRACE_recvfrom:
    case TRACE_sendto:
        return result > 0 && sock_of(args[0])->client ? (ULONG_PTR)result : 0;
    case TRACE_WSARecv:
    case TRACE_WSASend:
    case TRACE_WSARecvFrom:
    case TRACE_WSASendTo: return result == 0 ? bytes_at_once(t->id, args) : 0;
    case TRACE_WSAGetOverlappedResult:
    case TRACE_GetOverlappedResult: return result ? *(const DWORD *)args[2] : 0;
    case TRACE_GetQueuedCompletionStatus:
        return result && *(OVERLAPPED *const *)args[3] != NULL
                   ? *(const DWORD *)args[1]
                   : 0;
    case TRACE_GetQueuedCompletionStatusEx:
        for (ULONG i = 0; result && i < *(const ULONG *)args[3]; i++)
            sum += ((const OVERLAPPED_ENTRY *)args[1])[i]
                       .dwNumberOfBytesTransferred;
        return sum;
    case TRACE_RIODequeueCompletion:
        for (LONG_PTR i = 0; (ULONG)result != RIO_CORRUPT_CQ && i < result; i++)
            sum += ((const RIORESULT *)args[1])[i].BytesTransferred;
        return sum;
    default: return 0;
    }
}

void call_begins(struct trace_call *t, enum trace_id id)
{
    DWORD error = GetLastError(); /* FlsGetValue() changes it */
    t->id = id;
    t->mine = caller_mine();
    if (t->mine != NULL)
        caller_count(t->mine, id);
    if (watch_places && t->mine != NULL) {
        t->place = t->mine->here;
        t->source = t->mine->source;
        t->mine->here = (struct trace_place){0};
        t->mine->source = NULL;
        if (trace_on)
            record_begin(t);
    }
    look_at_socket(id, t->args);
    SetLastError(error);
}

void call_ends(struct trace_call *t, LONG_PTR result)
{
    DWORD error = GetLastError();
    if (t->mine != NULL && bytes_of(t, result) > 0)
        t->mine->echo = true;
    if (t->ring != NULL)
        record_end(t, result, error);
    if ((t->id == TRACE_accept || t->id == TRACE_WSAAccept) &&
        (SOCKET)result != INVALID_SOCKET)
        newcomer((ULONG_PTR)result, t->args[0]);
    else if (t->id == TRACE_setsockopt && result == 0 &&
             (int)t->args[2] == SO_UPDATE_ACCEPT_CONTEXT)
        newcomer(t->args[0], t->args[0]);
    SetLastError(error);
}

/* ---- what the system calls ------------------------------------------------ */

void call_done(const OVERLAPPED *ov, DWORD len, DWORD error)
{
    DWORD last_error = GetLastError();
    struct caller *mine = caller_mine();
    if (mine != NULL && len > 0)
        mine->echo = true;
    mine = recorder();
    if (mine != NULL)
        note(mine, RECORD_DONE, NULL, (ULONG_PTR)ov, len, error, NULL, 0);
    SetLastError(last_error);
}

void call_apc(const char *source, ULONG_PTR which, PAPCFUNC theirs)
{
    DWORD error = GetLastError();
    struct caller *mine = recorder();
    if (mine != NULL)
        note(mine, RECORD_APC, source, which, (ULONG_PTR)theirs, 0, NULL, 0);
    SetLastError(error);
}

void call_pool(const OVERLAPPED *ov, DWORD len, DWORD error)
{
    DWORD last_error = GetLastError();
    struct caller *mine = caller_mine();
    if (mine != NULL)
        caller_turn(mine);
    if (mine != NULL && mine->ring == NULL)
        call_thread("pool #");
    SetLastError(last_error);
    call_done(ov, len, error);
}

void call_pool_leaves(void)
{
    DWORD error = GetLastError();
    struct caller *mine = recorder();
    if (mine != NULL)
        note(mine, RECORD_LEAVE, NULL, 0, 0, 0, NULL, 0);
    SetLastError(error);
}

void call_thread(const char *name)
{
    struct caller *mine = caller_mine();
    if (mine != NULL)
        snprintf(mine->name, sizeof mine->name, "%s", name);
}

void call_thread_in(ULONG_PTR began_in)
{
    struct caller *mine = caller_mine();
    if (mine != NULL)
        mine->began_in = began_in;
}

void trace_begin(const char *model, bool narrate, const char *file)
{
    caller_begin();
    if (!narrate && file == NULL)
        return;
    query_event = (event_query *)find_function(L"ntdll.dll", "NtQueryEvent");
    call_thread("main");
    trace_writer_begin(model, narrate, file);
    trace_on = watch_places = true;
    if (recorder() == NULL) /* the first record is the main thread's */
        die_call("VirtualAlloc", ERROR_NOT_ENOUGH_MEMORY);
}

#endif
