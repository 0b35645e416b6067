/* state.c -- see state.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net.h"
#include "watch/places.h"
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
    case FAILS_NOT_0: return rec->result != 0;
    default: return rec->result == SOCKET_ERROR;
    }
}

bool trace_posted(const struct trace_record *rec)
{
    int operation = watched[rec->id].operation;
    return operation != 0 && rec->args[operation] != 0 && !trace_failed(rec);
}

bool trace_at_once(const struct trace_record *rec)
{
    bool refused = rec->result ==
                   (watched[rec->id].fails == FAILS_ZERO ? 0 : SOCKET_ERROR);
    return watched[rec->id].told == TOLD_POSTED &&
           (!refused || rec->error != WSA_IO_PENDING);
}

const char *trace_code(const char *source, unsigned index, ULONG_PTR address,
                       size_t *len)
{
    if (source != NULL)
        return trace_argument(source, index, len);
#ifdef WATCH_LIBRARY
    const struct place *place = place_of((const char *)address + 1);
    const char *name = place->function != NULL ? place->function : place->text;
#else
    const char *name = "";
    (void)address;
#endif
    *len = strlen(name);
    return name;
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
            e->of_owner = true;
            snprintf(e->name, sizeof e->name, "%s", name);
            break;
        }
    }
}

ULONG_PTR trace_message_handle(ULONG_PTR message)
{
    return 2 * message + 1;
}

/* A message, argument number `index`: its name stands in the source, if that is
 * known. */
static void message_named(struct trace_state *state,
                          const struct trace_record *rec, unsigned index,
                          bool of_sockets)
{
    struct trace_handle *h =
        handle_make(state, trace_message_handle(rec->args[index]));
    size_t len = 0;
    if (h == NULL)
        return;
    h->of_sockets = h->of_sockets || of_sockets;
    if (rec->source == NULL)
        return;
    const char *from = trace_argument(rec->source, index, &len);
    snprintf(h->name, sizeof h->name, "%.*s", (int)len, from);
}

static void connection_number(struct trace_state *state,
                              struct trace_change *change,
                              struct trace_handle *h, unsigned long long number)
{
    char name[TRACE_NAME_SIZE];
    snprintf(name, sizeof name, "#%llu", number);
    handle_name(state, h->handle, name);
    h->id = number;
    state->opened = h;
    state->clients++;
    change->clients = true;
}

static void peer_name(const struct trace_record *rec, char *peer)
{
    struct sockaddr_storage address = {0};
    memcpy(&address, rec->list, sizeof(struct sockaddr_in6));
    net_name(&address, peer, TRACE_PEER_SIZE);
}

/* A socket has come from accept(), or AcceptEx() is done with it. */
static void newcomer(struct trace_state *state, struct trace_change *change,
                     const struct trace_record *rec)
{
    struct trace_handle *h = handle_make(state, rec->args[0]);
    if (h == NULL)
        return;
    peer_name(rec, h->peer);
    state->opened = NULL;
    if (!state->logged)
        connection_number(state, change, h, ++state->numbers);
}

/* Who has this number in the log is known by the peer. */
static void opened(struct trace_state *state, struct trace_change *change,
                   const struct trace_record *rec)
{
    char peer[TRACE_PEER_SIZE];
    peer_name(rec, peer);
    state->opened = NULL;
    for (struct trace_handle *h = state->handles; h != NULL; h = h->next) {
        if (h->id == 0 && strcmp(h->peer, peer) == 0) {
            connection_number(state, change, h, rec->args[0]);
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
    e->of_owner = s != NULL && s->name[0] != '\0';
    if (e->of_owner)
        snprintf(e->name, sizeof e->name, "%s", s->name);
}

static void event_signalled(struct trace_state *state, ULONG_PTR event,
                            bool signalled);

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

static void count_bytes(struct trace_state *state, ULONG_PTR sock,
                        enum trace_id id, ULONG_PTR len)
{
    struct trace_handle *h = trace_handle_of(state, sock);
    if (h == NULL)
        return;
    switch (id) {
    case TRACE_recv:
    case TRACE_recvfrom:
    case TRACE_WSARecv:
    case TRACE_WSARecvFrom:
    case TRACE_WSARecvMsg: h->received += len; break;
    case TRACE_send:
    case TRACE_sendto:
    case TRACE_WSASend:
    case TRACE_WSASendTo:
    case TRACE_TransmitFile: h->sent += len; break;
    default: break;
    }
}

/* The server has been told how it ended. */
static void op_reap(struct trace_state *state, struct trace_change *change,
                    ULONG_PTR ov, ULONG_PTR len)
{
    struct trace_op *op = trace_op_of(state, ov);
    if (op == NULL || op->state == OP_REAPED)
        return;
    count_bytes(state, op->sock, op->id, len);
    if (op->accepts != 0) {
        struct trace_handle *h = handle_make(state, op->accepts);
        if (h != NULL)
            h->accepted_by = op->number;
    }
    op->state = OP_REAPED;
    state->pending--;
    change->ended[change->ended_count++] = op;
}

static struct trace_op *op_begin(struct trace_state *state,
                                 struct trace_change *change,
                                 const struct trace_record *rec)
{
    ULONG_PTR ov = rec->args[watched[rec->id].operation];
    struct trace_op *op = ov != 0 ? op_make(state, ov) : NULL;
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
    op->accepts = rec->id == TRACE_AcceptEx ? rec->args[1] : 0;
    op->routine = NULL;
    int routine = watched_routine(rec->id);
    if (routine != 0 && rec->args[routine] != 0)
        op->routine = trace_code(rec->source, (unsigned)routine,
                                 rec->args[routine], &op->routine_len);
    if (!trace_posted(rec)) {
        op->state = OP_REAPED;
        return NULL;
    }
    op->state = trace_at_once(rec) ? OP_DONE : OP_PENDING;
    state->pending++;
    /* The program wants to hear nothing more of it: the call is its end, too. */
    if (op->state == OP_DONE && s != NULL && s->skips)
        op_reap(state, change, ov, rec->out[2]);
    if (rec->out[1] != 0) {
        event_owner(state, rec->out[1], rec->args[0]);
        event_signalled(state, rec->out[1], op->state == OP_DONE);
    }
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

/* "worker #" becomes "worker 3", when there are two others. Without a name it is
 * called like the function in which it began, if that is known. */
static void thread_name(struct trace_state *state, struct trace_thread *thread,
                        const char *name, ULONG_PTR began_in)
{
    char given[TRACE_NAME_SIZE];
    if (name[0] == '\0' && began_in != 0) {
        const char *function = trace_code(NULL, 0, began_in, &(size_t){0});
        snprintf(given, sizeof given, "%.*s #", (int)sizeof given - 8,
                 function);
        name = given;
    }
    if (name[0] == '\0')
        name = "thread #";
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

/* A call has set or reset an event: as every array of a wait shows it. */
static void event_signalled(struct trace_state *state, ULONG_PTR event,
                            bool signalled)
{
    for (struct trace_thread *t = state->threads; t != NULL; t = t->next) {
        for (unsigned i = 0; i < t->events; i++) {
            ULONG_PTR bit = (ULONG_PTR)1 << i;
            if (t->event[i] == event)
                t->signalled =
                    signalled ? t->signalled | bit : t->signalled & ~bit;
        }
    }
}

/* ---- what is sent, and who takes it ---------------------------------------- */

static void posted_put(struct trace_state *state, struct trace_change *change,
                       const struct trace_record *rec, ULONG_PTR a, ULONG_PTR b)
{
    struct trace_posted **end = &state->posted;
    struct trace_posted *one = malloc(sizeof *one);
    if (one == NULL) {
        state->full = true;
        return;
    }
    *one = (struct trace_posted){rec->id, {a, b}, ++state->next_posted, NULL};
    while (*end != NULL)
        end = &(*end)->next;
    *end = one;
    change->posted[change->posted_count++] = one->number;
}

static void posted_take(struct trace_state *state, struct trace_change *change,
                        enum trace_id id, ULONG_PTR a, ULONG_PTR b)
{
    for (struct trace_posted **at = &state->posted; *at != NULL;
         at = &(*at)->next) {
        struct trace_posted *one = *at;
        if (one->id == id && one->what[0] == a && one->what[1] == b) {
            change->posted[change->posted_count++] = one->number;
            *at = one->next;
            free(one);
            return;
        }
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
    thread->asleep = !watched_dispatches(rec->id);
    if (rec->id == TRACE_select) {
        sets_copy(&state->asked, rec);
        state->answered.known = false;
    } else if (rec->id == TRACE_WSAWaitForMultipleEvents) {
        events_copy(thread, rec);
    }
}

/* Packets of a port, or results of Registered I/O. */
static void packets_taken(struct trace_state *state,
                          struct trace_change *change,
                          const struct trace_record *rec)
{
    if (rec->id == TRACE_GetQueuedCompletionStatus) {
        state->packets += rec->result || rec->out[2] != 0;
        op_reap(state, change, rec->out[2], rec->result ? rec->out[0] : 0);
        if (rec->result)
            posted_take(state, change, TRACE_PostQueuedCompletionStatus,
                        rec->out[2], rec->out[1]);
        return;
    }
    if (rec->id == TRACE_GetQueuedCompletionStatusEx)
        state->packets += (unsigned long)rec->out[0];
    for (unsigned at = 0; at < rec->list_len[0] && at + 3 <= TRACE_LIST_MOST;
         at += 3) {
        op_reap(state, change, rec->list[at], rec->list[at + 2]);
        if (rec->id == TRACE_GetQueuedCompletionStatusEx)
            posted_take(state, change, TRACE_PostQueuedCompletionStatus,
                        rec->list[at], rec->list[at + 1]);
    }
}

/* Of a socket for datagrams that is said: in these servers it is what wakes a
 * wait. */
static void socket_made(struct trace_state *state,
                        const struct trace_record *rec)
{
    char name[TRACE_NAME_SIZE];
    if (trace_failed(rec))
        return;
    /* What had this value before was closed by a call that is not watched. */
    handle_remove(state, (ULONG_PTR)rec->result);
    if (rec->args[1] != SOCK_DGRAM)
        return;
    snprintf(name, sizeof name, "datagram %llu",
             (unsigned long long)rec->result);
    handle_name(state, (ULONG_PTR)rec->result, name);
}

/* Until it belongs to a socket, an event has a number. */
static void event_made(struct trace_state *state,
                       const struct trace_record *rec)
{
    char name[TRACE_NAME_SIZE];
    if (trace_failed(rec))
        return;
    handle_remove(state, (ULONG_PTR)rec->result);
    snprintf(name, sizeof name, "event %lu", ++state->events_made);
    handle_name(state, (ULONG_PTR)rec->result, name);
}

static void message_taken(struct trace_state *state,
                          struct trace_change *change,
                          const struct trace_record *rec)
{
    if (watched[rec->id].told == TOLD_PEEKED && rec->result == 0)
        return;
    posted_take(state, change, TRACE_PostMessageW, rec->out[0], rec->out[1]);
    if (change->posted_count == 0)
        posted_take(state, change, TRACE_PostMessageA, rec->out[0],
                    rec->out[1]);
    state->messages++;
    memcpy(state->message, rec->out, sizeof state->message);
}

/* Sockets, events and other handles: who they are, and how they behave. */
static void handle_made(struct trace_state *state,
                        const struct trace_record *rec)
{
    struct trace_handle *h;
    switch (rec->id) {
    case TRACE_listen:
        if (!trace_failed(rec))
            handle_name(state, rec->args[0], "listener");
        break;
    case TRACE_socket:
    case TRACE_WSASocketA:
    case TRACE_WSASocketW: socket_made(state, rec); break;
    case TRACE_accept:
    case TRACE_WSAAccept:
        if (!trace_failed(rec))
            handle_remove(state, (ULONG_PTR)rec->result);
        break;
    case TRACE_CreateEventA:
    case TRACE_CreateEventW:
    case TRACE_WSACreateEvent: event_made(state, rec); break;
    case TRACE_SetEvent:
    case TRACE_ResetEvent:
    case TRACE_WSASetEvent:
    case TRACE_WSAResetEvent:
        event_signalled(state, rec->args[0],
                        rec->id == TRACE_SetEvent ||
                            rec->id == TRACE_WSASetEvent);
        break;
    case TRACE_WSAEnumNetworkEvents: /* it resets the event, too */
        if (!trace_failed(rec))
            event_signalled(state, rec->args[1], false);
        break;
    case TRACE_SetFileCompletionNotificationModes:
        h = handle_make(state, rec->args[0]);
        if (h != NULL && !trace_failed(rec))
            h->skips =
                (rec->args[1] & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) != 0;
        break;
    case TRACE_CreateThreadpoolIo:
        if (!trace_failed(rec))
            event_owner(state, (ULONG_PTR)rec->result, rec->args[0]);
        break;
    case TRACE_WSAEventSelect:
        if (rec->args[1] != 0)
            event_owner(state, rec->args[1], rec->args[0]);
        break;
    default: break;
    }
}

/* Bytes have come or gone, and no operation was begun for them. */
static void bytes_moved(struct trace_state *state,
                        const struct trace_record *rec)
{
    switch (rec->id) {
    case TRACE_WSARecv:
    case TRACE_WSASend:
    case TRACE_WSARecvFrom:
    case TRACE_WSASendTo:
    case TRACE_WSARecvMsg:
        if (rec->args[watched[rec->id].operation] == 0 && !trace_failed(rec))
            count_bytes(state, rec->args[0], rec->id, rec->out[2]);
        break;
    case TRACE_recv:
    case TRACE_send:
    case TRACE_recvfrom:
    case TRACE_sendto:
        if (rec->result > 0)
            count_bytes(state, rec->args[0], rec->id, (ULONG_PTR)rec->result);
        break;
    default: break;
    }
}

/* Something is sent to a thread of the program, and will be taken there. */
static void sent(struct trace_state *state, struct trace_change *change,
                 const struct trace_record *rec)
{
    switch (rec->id) {
    case TRACE_PostMessageA:
    case TRACE_PostMessageW:
        message_named(state, rec, 1, false);
        if (!trace_failed(rec))
            posted_put(state, change, rec, rec->args[1], rec->args[2]);
        break;
    case TRACE_PostQueuedCompletionStatus:
        if (!trace_failed(rec))
            posted_put(state, change, rec, rec->args[3], rec->args[2]);
        break;
    case TRACE_QueueUserAPC:
        state->apcs_queued++;
        if (!trace_failed(rec))
            posted_put(state, change, rec, rec->out[0], 0);
        break;
    default: break;
    }
}

static void call_made(struct trace_state *state, struct trace_thread *thread,
                      const struct trace_record *rec,
                      struct trace_change *change)
{
    struct trace_handle *h;
    if (watched[rec->id].operation != 0)
        change->begun = op_begin(state, change, rec);
    switch (rec->id) {
    case TRACE_select:
        if (!trace_failed(rec))
            sets_copy(&state->answered, rec);
        break;
    case TRACE_GetMessageA:
    case TRACE_GetMessageW:
    case TRACE_PeekMessageA:
    case TRACE_PeekMessageW: message_taken(state, change, rec); break;
    case TRACE_WSAWaitForMultipleEvents:
        events_copy(thread, rec);
        /* fall through */
    case TRACE_WaitForMultipleObjects:
    case TRACE_WaitForMultipleObjectsEx:
    case TRACE_MsgWaitForMultipleObjects:
    case TRACE_MsgWaitForMultipleObjectsEx:
        if (rec->result >= 0 && rec->result < rec->list_len[0] &&
            rec->result < TRACE_LIST_MOST)
            op_done_by_event(state, rec->list[rec->result]);
        break;
    case TRACE_GetQueuedCompletionStatus:
    case TRACE_GetQueuedCompletionStatusEx:
    case TRACE_RIODequeueCompletion: packets_taken(state, change, rec); break;
    case TRACE_WSAGetOverlappedResult:
    case TRACE_GetOverlappedResult:
        if (rec->result != FALSE || rec->error != WSA_IO_INCOMPLETE)
            op_reap(state, change, rec->args[1], rec->result ? rec->out[0] : 0);
        break;
    case TRACE_WSAAsyncSelect:
        message_named(state, rec, 2, true);
        h = handle_make(state, rec->args[0]);
        if (h != NULL)
            h->interest = rec->args[3];
        state->async = true;
        break;
    case TRACE_CreateIoCompletionPort: state->port = true; break;
    case TRACE_closesocket:
        h = trace_handle_of(state, rec->args[0]);
        if (h != NULL && h->id != 0) {
            state->clients--;
            change->clients = true;
        }
        break;
    default:
        handle_made(state, rec);
        bytes_moved(state, rec);
        sent(state, change, rec);
        break;
    }
}

const char *trace_function(const struct trace_state *state,
                           const struct trace_record *rec, size_t *len)
{
    const struct trace_op *op = NULL;
    if (rec->kind == RECORD_DONE)
        op = trace_op_of(state, rec->args[0]);
    if (op != NULL && op->routine != NULL) {
        *len = op->routine_len;
        return op->routine;
    }
    if (rec->kind == RECORD_APC)
        return trace_code(rec->source, 0, rec->args[1], len);
    *len = rec->place.function != NULL ? strlen(rec->place.function) : 0;
    return rec->place.function;
}

/* Where the thread is now: in this call, or on its way after it. */
static void thread_seen(struct trace_state *state, struct trace_thread *thread,
                        const struct trace_record *rec)
{
    bool of_socket = rec->kind != RECORD_OPENED && rec->id != TRACE_IDS &&
                     watched[rec->id].args[0] == 's';
    thread->place = rec->place;
    thread->function = trace_function(state, rec, &thread->function_len);
    thread->sock = of_socket ? rec->args[0] : 0;
    if (rec->kind == RECORD_OPENED && state->opened != NULL)
        thread->sock = state->opened->handle;
}

struct trace_change trace_apply(struct trace_state *state,
                                struct trace_thread *thread,
                                const struct trace_record *rec)
{
    struct trace_change change = {0};
    thread->asleep = false;
    switch (rec->kind) {
    case RECORD_PAD:
    case RECORD_LEAVE: break;
    case RECORD_WAIT: wait_begun(state, thread, rec); break;
    case RECORD_WOKE:
        thread->depth = rec->depth; /* and it is a call, too */
        /* fall through */
    case RECORD_CALL: call_made(state, thread, rec, &change); break;
    case RECORD_DONE:
        op_reap(state, &change, rec->args[0], rec->args[1]);
        state->apcs_run += rec->depth > 0; /* it runs inside a wait */
        break;
    case RECORD_APC:
        posted_take(state, &change, TRACE_QueueUserAPC, rec->args[0], 0);
        state->apcs_run += rec->depth > 0; /* it runs inside a wait */
        break;
    case RECORD_NEWCOMER: newcomer(state, &change, rec); break;
    case RECORD_OPENED: opened(state, &change, rec); break;
    case RECORD_LISTENER:
        state->logged = true; /* only our own servers say so */
        handle_name(state, rec->args[0], "listener");
        if (trace_handle_of(state, rec->args[0]) != NULL)
            peer_name(rec, trace_handle_of(state, rec->args[0])->peer);
        break;
    case RECORD_THREAD:
        thread_name(state, thread, (const char *)rec->list, rec->args[0]);
        change.thread_named = true;
        break;
    }
    if (rec->kind != RECORD_THREAD && rec->kind != RECORD_NEWCOMER)
        thread_seen(state, thread, rec);
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
