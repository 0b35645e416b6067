/* state.c -- see state.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/state.h"

#ifdef TRACE

double trace_us(const struct trace_state *state, LONG64 ns)
{
    return (double)(ns - state->began) / 1000;
}

bool trace_failed(const struct trace_record *rec)
{
    if (watched[rec->id].told == TOLD_POSTED && rec->error == WSA_IO_PENDING)
        return false;
    switch (watched[rec->id].fails) {
    case FAILS_NEVER: return false;
    case FAILS_ZERO: return rec->result == 0;
    case FAILS_WAIT: return (DWORD)rec->result == WAIT_FAILED;
    default: return rec->result == SOCKET_ERROR;
    }
}

bool trace_posted(const struct trace_record *rec)
{
    return watched[rec->id].operation != 0 && !trace_failed(rec);
}

bool trace_at_once(const struct trace_record *rec)
{
    bool refused = rec->result ==
                   (watched[rec->id].fails == FAILS_ZERO ? 0 : SOCKET_ERROR);
    return watched[rec->id].told == TOLD_POSTED &&
           (!refused || rec->error != WSA_IO_PENDING);
}

/* ---- handles ------------------------------------------------------------- */

struct trace_handle *trace_handle_of(const struct trace_state *state,
                                     ULONG_PTR handle)
{
    return map_get(&state->by_handle, handle);
}

static struct trace_handle *handle_make(struct trace_state *state,
                                        ULONG_PTR handle)
{
    struct trace_handle *h = trace_handle_of(state, handle);
    if (h != NULL || handle == 0)
        return h;
    h = calloc(1, sizeof *h);
    if (h == NULL || !map_put(&state->by_handle, handle, h)) {
        free(h);
        state->full = true;
        return NULL;
    }
    h->handle = handle;
    h->next = state->handles;
    if (h->next != NULL)
        h->next->prev = h;
    state->handles = h;
    return h;
}

static void handle_remove(struct trace_state *state, ULONG_PTR handle)
{
    struct trace_handle *h = trace_handle_of(state, handle);
    if (h == NULL)
        return;
    map_remove(&state->by_handle, handle);
    if (h->prev != NULL)
        h->prev->next = h->next;
    else
        state->handles = h->next;
    if (h->next != NULL)
        h->next->prev = h->prev;
    free(h);
}

static void handle_name(struct trace_state *state, ULONG_PTR handle,
                        const char *name)
{
    struct trace_handle *h = handle_make(state, handle);
    if (h == NULL)
        return;
    snprintf(h->name, sizeof h->name, "%s", name);
    /* An event may have been made for the socket before it had a name. */
    for (struct trace_handle *e = state->handles; e != NULL; e = e->next) {
        if (e->owner == handle) {
            snprintf(e->name, sizeof e->name, "%s", name);
            break;
        }
    }
}

static void event_owner(struct trace_state *state, ULONG_PTR event,
                        ULONG_PTR sock)
{
    struct trace_handle *e = handle_make(state, event);
    const struct trace_handle *s = trace_handle_of(state, sock);
    if (e == NULL)
        return;
    e->owner = sock;
    if (s != NULL)
        snprintf(e->name, sizeof e->name, "%s", s->name);
}

/* ---- operations ---------------------------------------------------------- */

struct trace_op *trace_op_of(const struct trace_state *state, ULONG_PTR ov)
{
    return map_get(&state->by_ov, ov);
}

static struct trace_op *op_make(struct trace_state *state, ULONG_PTR ov)
{
    struct trace_op *op = trace_op_of(state, ov);
    if (op != NULL)
        return op;
    op = calloc(1, sizeof *op);
    if (op == NULL || !map_put(&state->by_ov, ov, op)) {
        free(op);
        state->full = true;
        return NULL;
    }
    op->ov = ov;
    op->state = OP_REAPED;
    op->next = state->ops;
    if (op->next != NULL)
        op->next->prev = op;
    state->ops = op;
    return op;
}

static void op_remove(struct trace_state *state, struct trace_op *op)
{
    map_remove(&state->by_ov, op->ov);
    if (op->prev != NULL)
        op->prev->next = op->next;
    else
        state->ops = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    free(op);
}

static struct trace_op *op_begin(struct trace_state *state,
                                 const struct trace_record *rec)
{
    ULONG_PTR ov = rec->args[watched[rec->id].operation];
    struct trace_op *op = op_make(state, ov);
    const struct trace_handle *s = trace_handle_of(state, rec->args[0]);
    if (op == NULL)
        return NULL;
    if (op->state != OP_REAPED)
        state->pending--; /* the record of its end was dropped */
    op->number = ++state->next_op;
    op->sock = rec->args[0];
    op->id = rec->id;
    op->began = rec->began;
    snprintf(op->name, sizeof op->name, "%s", s != NULL ? s->name : "");
    if (!trace_posted(rec)) {
        op->state = OP_REAPED;
        return NULL;
    }
    op->state = trace_at_once(rec) ? OP_DONE : OP_PENDING;
    state->pending++;
    if (rec->out[1] != 0)
        event_owner(state, rec->out[1], rec->args[0]);
    return op;
}

static void op_done(struct trace_state *state, ULONG_PTR ov)
{
    struct trace_op *op = trace_op_of(state, ov);
    if (op != NULL && op->state == OP_PENDING)
        op->state = OP_DONE;
}

static struct trace_op *op_reap(struct trace_state *state, ULONG_PTR ov)
{
    struct trace_op *op = trace_op_of(state, ov);
    if (op == NULL || op->state == OP_REAPED)
        return NULL;
    op->state = OP_REAPED;
    state->pending--;
    return op;
}

/* An event is set when the operation with it is done. */
static void op_done_by_event(struct trace_state *state, ULONG_PTR event)
{
    const struct trace_handle *e = trace_handle_of(state, event);
    if (e == NULL)
        return;
    for (struct trace_op *op = state->ops; op != NULL; op = op->next) {
        if (op->sock == e->owner && op->state == OP_PENDING) {
            op->state = OP_DONE;
            return;
        }
    }
}

static void socket_forget(struct trace_state *state, ULONG_PTR sock)
{
    handle_remove(state, sock);
    for (struct trace_op *op = state->ops, *next; op != NULL; op = next) {
        next = op->next;
        if (op->sock == sock && op->state == OP_REAPED)
            op_remove(state, op);
    }
}

/* ---- threads ------------------------------------------------------------- */

struct trace_thread *trace_thread_new(struct trace_state *state, DWORD tid)
{
    struct trace_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->tid = tid;
    snprintf(t->name, sizeof t->name, "tid %lu", (unsigned long)tid);
    t->next = state->threads;
    state->threads = t;
    return t;
}

/* "worker #" becomes "worker 3", when there are two others. */
static void thread_name(struct trace_state *state, struct trace_thread *thread,
                        const char *name)
{
    size_t len = strcspn(name, "#");
    unsigned number = 1;
    for (const struct trace_thread *t = state->threads; t != NULL; t = t->next)
        number += t != thread && strncmp(t->name, name, len) == 0;
    if (name[len] == '#')
        snprintf(thread->name, sizeof thread->name, "%.*s%u", (int)len, name,
                 number);
    else
        snprintf(thread->name, sizeof thread->name, "%s", name);
}

static void sets_copy(struct trace_sets *sets, const struct trace_record *rec)
{
    size_t at = 0;
    sets->known = true;
    for (int i = 0; i < 2; i++) {
        unsigned len = rec->list_len[i];
        sets->len[i] = len;
        sets->kept[i] = len < TRACE_LIST_MOST ? len : TRACE_LIST_MOST;
        memcpy(sets->sock[i], rec->list + at,
               sets->kept[i] * sizeof sets->sock[i][0]);
        at += sets->kept[i];
    }
}

static void events_copy(struct trace_thread *thread,
                        const struct trace_record *rec)
{
    unsigned len = rec->list_len[0];
    thread->events = len < TRACE_LIST_MOST ? len : TRACE_LIST_MOST;
    memcpy(thread->event, rec->list, thread->events * sizeof rec->list[0]);
    thread->signalled = rec->out[0];
}

/* ---- what each record means ---------------------------------------------- */

static void wait_begun(struct trace_state *state, struct trace_thread *thread,
                       const struct trace_record *rec)
{
    if (rec->depth < TRACE_DEPTH_MOST)
        thread->waits[rec->depth] =
            (struct trace_wait){rec->id, rec->began, rec->place};
    thread->depth = rec->depth + 1;
    if (rec->id == TRACE_select) {
        sets_copy(&state->asked, rec);
        state->answered.known = false;
    } else if (rec->id == TRACE_WSAWaitForMultipleEvents) {
        events_copy(thread, rec);
    }
}

static void packets_taken(struct trace_state *state,
                          const struct trace_record *rec)
{
    if (rec->id == TRACE_GetQueuedCompletionStatus) {
        state->packets += rec->result || rec->out[2] != 0;
        op_done(state, rec->out[2]);
        return;
    }
    state->packets += (unsigned long)rec->out[0];
    for (unsigned at = 0; at < rec->list_len[0] && at + 3 <= TRACE_LIST_MOST;
         at += 3)
        op_done(state, rec->list[at]);
}

static struct trace_op *result_asked(struct trace_state *state,
                                     const struct trace_record *rec)
{
    if (rec->result == FALSE && rec->error == WSA_IO_INCOMPLETE)
        return NULL;
    return op_reap(state, rec->args[1]);
}

static void call_made(struct trace_state *state, struct trace_thread *thread,
                      const struct trace_record *rec,
                      struct trace_change *change)
{
    struct trace_handle *h;
    if (watched[rec->id].operation != 0)
        change->begun = op_begin(state, rec);
    switch (rec->id) {
    case TRACE_select:
        if (!trace_failed(rec))
            sets_copy(&state->answered, rec);
        break;
    case TRACE_GetMessageW:
        state->messages++;
        memcpy(state->message, rec->out, sizeof state->message);
        break;
    case TRACE_WSAWaitForMultipleEvents:
        events_copy(thread, rec);
        if (rec->result >= 0 && rec->result < thread->events)
            op_done_by_event(state, thread->event[rec->result]);
        break;
    case TRACE_GetQueuedCompletionStatus:
    case TRACE_GetQueuedCompletionStatusEx: packets_taken(state, rec); break;
    case TRACE_WSAGetOverlappedResult:
        change->ended = result_asked(state, rec);
        break;
    case TRACE_WSAAsyncSelect:
        h = handle_make(state, rec->args[0]);
        if (h != NULL)
            h->interest = rec->args[3];
        state->async = true;
        break;
    case TRACE_WSAEventSelect:
        if (rec->args[1] != 0)
            event_owner(state, rec->args[1], rec->args[0]);
        break;
    case TRACE_CreateIoCompletionPort: state->port = true; break;
    case TRACE_CreateThreadpoolIo:
        if (!trace_failed(rec))
            event_owner(state, (ULONG_PTR)rec->result, rec->args[0]);
        break;
    case TRACE_QueueUserAPC: state->apcs_queued++; break;
    case TRACE_closesocket:
        h = trace_handle_of(state, rec->args[0]);
        if (h != NULL && h->id != 0) {
            state->clients--;
            change->clients = true;
        }
        break;
    default: break;
    }
}

struct trace_change trace_apply(struct trace_state *state,
                                struct trace_thread *thread,
                                const struct trace_record *rec)
{
    struct trace_change change = {0};
    char name[TRACE_NAME_SIZE];
    switch (rec->kind) {
    case RECORD_PAD: break;
    case RECORD_WAIT: wait_begun(state, thread, rec); break;
    case RECORD_WOKE:
        thread->depth = rec->depth; /* and it is a call, too */
        /* fall through */
    case RECORD_CALL: call_made(state, thread, rec, &change); break;
    case RECORD_EVENT:
        state->apcs_run += rec->depth > 0; /* it runs inside a wait */
        if (rec->args[0] != 0)
            change.ended = op_reap(state, rec->args[0]);
        break;
    case RECORD_CONNECTION:
        snprintf(name, sizeof name, "#%llu", (unsigned long long)rec->args[1]);
        handle_name(state, rec->args[0], name);
        struct trace_handle *h = trace_handle_of(state, rec->args[0]);
        if (h != NULL) {
            h->id = rec->args[1];
            state->clients++;
            change.clients = true;
        }
        break;
    case RECORD_NAME: handle_name(state, rec->args[0], rec->source); break;
    case RECORD_THREAD:
        thread_name(state, thread, rec->source);
        change.thread_named = true;
        break;
    }
    return change;
}

void trace_forget(struct trace_state *state, const struct trace_record *rec)
{
    if (rec->kind != RECORD_CALL)
        return;
    if (rec->id == TRACE_closesocket)
        socket_forget(state, rec->args[0]);
    else if (rec->id == TRACE_WSACloseEvent ||
             rec->id == TRACE_CloseThreadpoolIo)
        handle_remove(state, rec->args[0]);
}

#endif
