/* json.c -- see json.h */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "watch/json.h"

#ifdef TRACE

/* ---- parts of both ------------------------------------------------------- */

static void add_string(struct trace_text *out, const char *text)
{
    trace_add(out, "\"");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            trace_add(out, "\\%c", *p);
        else if ((unsigned char)*p < ' ')
            trace_add(out, "\\u%04x", (unsigned)*p);
        else
            trace_add(out, "%c", *p);
    }
    trace_add(out, "\"");
}

typedef void add_words(struct trace_text *out, const struct trace_state *state,
                       const struct trace_record *rec);

/* "key": "what a function of text.h says" -- nothing when that is
 * nothing. */
static void add_told(struct trace_text *out, const char *key, add_words *words,
                     const struct trace_state *state,
                     const struct trace_record *rec)
{
    struct trace_text told = {0};
    words(&told, state, rec);
    if (told.len > 0) {
        trace_add(out, ",\"%s\":", key);
        add_string(out, told.text);
    }
    out->full |= told.full;
    free(told.text);
}

static void add_socket(struct trace_text *out, const struct trace_state *state,
                       ULONG_PTR sock)
{
    trace_add(out, "\"");
    trace_add_socket(out, state, sock);
    trace_add(out, "\"");
}

/* The operation that a record is about, or NULL. */
static const struct trace_op *op_of(const struct trace_state *state,
                                    const struct trace_record *rec)
{
    ULONG_PTR ov = 0;
    if (rec->kind == RECORD_DONE)
        ov = rec->args[0];
    else if (watched[rec->id].operation != 0)
        ov = rec->args[watched[rec->id].operation];
    else if (watched[rec->id].told == TOLD_REAPED ||
             rec->id == TRACE_CancelIoEx)
        ov = rec->args[1];
    else if (rec->id == TRACE_GetQueuedCompletionStatus &&
             rec->kind != RECORD_WAIT)
        ov = rec->out[2];
    return ov == 0 ? NULL : trace_op_of(state, ov);
}

/* Does the call have an error worth its name? Would-block is one, pending is
 * not. */
static DWORD error_of(const struct trace_record *rec)
{
    if (rec->kind == RECORD_DONE)
        return rec->error;
    return rec->kind != RECORD_WAIT && trace_failed(rec) ? rec->error : 0;
}

/* ---- .json: the Trace Event Format --------------------------------------- */

const char trace_events_tail[] = "\n]}\n";

static void event_head(struct trace_text *out, const struct trace_state *state,
                       const char *name, const char *phase, LONG64 ns)
{
    trace_add(out, ",\n{\"name\":");
    add_string(out, name);
    trace_add(out, ",\"ph\":\"%s\",\"ts\":%.3f,\"pid\":%lu", phase,
              trace_us(state, ns), (unsigned long)state->pid);
}

void trace_events_begin(struct trace_text *out, const struct trace_state *state)
{
    trace_add(
        out,
        "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"program\":\"%s %s\","
        "\"pid\":\"%lu\"},\"traceEvents\":[\n"
        "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%lu,"
        "\"args\":{\"name\":\"%s\"}}",
        state->model, SUITE_VERSION, (unsigned long)state->pid,
        (unsigned long)state->pid, state->model);
}

static void thread_event(struct trace_text *out,
                         const struct trace_state *state,
                         const struct trace_thread *thread)
{
    trace_add(out,
              ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":%lu,"
              "\"tid\":%lu,\"args\":{\"name\":\"%s\"}}",
              (unsigned long)state->pid, (unsigned long)thread->tid,
              thread->name);
}

/* "select/select.c:131 on_readable", as far as it is known. */
static void add_at(struct trace_text *out, const struct trace_state *state,
                   const struct trace_record *rec)
{
    size_t len = 0;
    const char *function = trace_function(state, rec, &len);
    trace_add(out, "\"at\":\"");
    if (rec->place.line != 0)
        trace_add(out, "%s:%d ", rec->place.file, rec->place.line);
    trace_add(out, "%.*s\"", (int)len, function);
}

static void call_event(struct trace_text *out, const struct trace_state *state,
                       const struct trace_thread *thread,
                       const struct trace_record *rec)
{
    const struct trace_op *op = op_of(state, rec);
    DWORD error = error_of(rec);
    event_head(out, state, watched[rec->id].name, "X", rec->began);
    trace_add(out, ",\"cat\":\"%s\",\"dur\":%.3f,\"tid\":%lu,\"args\":{",
              rec->kind == RECORD_WOKE ? "wait" : "call",
              trace_us(state, rec->ended) - trace_us(state, rec->began),
              (unsigned long)thread->tid);
    add_at(out, state, rec);
    if (rec->source != NULL) {
        trace_add(out, ",\"source\":");
        add_string(out, rec->source);
    }
    /* After a wait the lists are those that came out. */
    if (rec->kind == RECORD_CALL)
        add_told(out, "arguments", trace_add_args, state, rec);
    add_told(out, "result", trace_add_result, state, rec);
    if (error != 0)
        trace_add(out, ",\"error\":\"%s\",\"code\":%lu", err_name(error),
                  (unsigned long)error);
    if (op != NULL)
        trace_add(out, ",\"op\":%lu", op->number);
    trace_add(out, "}}");
}

/* An operation in flight: its name and id join the two ends. */
static void op_event(struct trace_text *out, const struct trace_state *state,
                     const struct trace_op *op, const char *phase, LONG64 ns,
                     DWORD tid, bool unfinished)
{
    char name[64];
    snprintf(name, sizeof name, "%s %s", trace_op_kind(op->id), op->name);
    event_head(out, state, name, phase, ns);
    trace_add(out, ",\"cat\":\"operation\",\"id\":\"%lu\"", op->number);
    if (tid != 0)
        trace_add(out, ",\"tid\":%lu", (unsigned long)tid);
    if (unfinished)
        trace_add(out, ",\"args\":{\"unfinished\":true}");
    trace_add(out, "}");
}

static void counter_event(struct trace_text *out,
                          const struct trace_state *state, const char *name,
                          unsigned long value, LONG64 ns)
{
    event_head(out, state, name, "C", ns);
    trace_add(out, ",\"args\":{\"now\":%lu}}", value);
}

/* Something happened that is no call. */
static bool is_event(const struct trace_record *rec)
{
    return rec->kind == RECORD_DONE || rec->kind == RECORD_APC ||
           rec->kind == RECORD_LEAVE;
}

static void instant_event(struct trace_text *out,
                          const struct trace_state *state,
                          const struct trace_thread *thread,
                          const struct trace_record *rec)
{
    const struct trace_op *op = op_of(state, rec);
    struct trace_text what = {0};
    trace_add_what(&what, state, rec);
    out->full |= what.full;
    event_head(out, state, what.text != NULL ? what.text : "", "i", rec->began);
    free(what.text);
    trace_add(out, ",\"cat\":\"event\",\"s\":\"t\",\"tid\":%lu,\"args\":{",
              (unsigned long)thread->tid);
    add_at(out, state, rec);
    if (op != NULL)
        trace_add(out, ",\"op\":%lu,\"bytes\":%lu", op->number,
                  (unsigned long)rec->args[1]);
    if (rec->error != 0)
        trace_add(out, ",\"error\":\"%s\"", err_name(rec->error));
    trace_add(out, "}}");
}

void trace_events_add(struct trace_text *out, const struct trace_state *state,
                      const struct trace_thread *thread,
                      const struct trace_record *rec,
                      const struct trace_change *change)
{
    if (change->thread_named)
        thread_event(out, state, thread);
    if (rec->kind == RECORD_CALL || rec->kind == RECORD_WOKE)
        call_event(out, state, thread, rec);
    else if (is_event(rec))
        instant_event(out, state, thread, rec);
    if (change->begun != NULL)
        op_event(out, state, change->begun, "b", rec->began, thread->tid,
                 false);
    for (unsigned i = 0; i < change->ended_count; i++)
        op_event(out, state, change->ended[i], "e", rec->ended, thread->tid,
                 false);
    if (change->clients)
        counter_event(out, state, "clients", state->clients, rec->ended);
    if (change->begun != NULL || change->ended_count > 0)
        counter_event(out, state, "operations", state->pending, rec->ended);
}

void trace_events_unfinished(struct trace_text *out,
                             const struct trace_state *state, LONG64 ns)
{
    for (const struct trace_op *op = state->ops; op != NULL; op = op->next) {
        if (op->state != OP_REAPED)
            op_event(out, state, op, "e", ns, 0, true);
    }
    for (const struct trace_thread *t = state->threads; t != NULL;
         t = t->next) {
        for (unsigned i = t->depth; i-- > 0;) {
            if (i >= TRACE_DEPTH_MOST)
                continue;
            const struct trace_wait *wait = &t->waits[i];
            event_head(out, state, watched[wait->id].name, "X", wait->began);
            trace_add(out,
                      ",\"cat\":\"wait\",\"dur\":%.3f,\"tid\":%lu,"
                      "\"args\":{\"at\":\"%s:%d %s\",\"unfinished\":true}}",
                      trace_us(state, ns) - trace_us(state, wait->began),
                      (unsigned long)t->tid, wait->place.file, wait->place.line,
                      wait->place.function);
        }
    }
}

void trace_events_dropped(struct trace_text *out,
                          const struct trace_state *state, unsigned long count,
                          LONG64 ns)
{
    event_head(out, state, "records dropped", "i", ns);
    trace_add(out, ",\"cat\":\"trace\",\"s\":\"p\",\"args\":{\"count\":%lu}}",
              count);
}

/* ---- .jsonl: a line for each record -------------------------------------- */

static void add_names(struct trace_text *out, const struct trace_state *state,
                      const ULONG_PTR *socks, unsigned kept, unsigned all)
{
    trace_add(out, "[");
    for (unsigned i = 0; i < kept; i++) {
        if (i > 0)
            trace_add(out, ",");
        add_socket(out, state, socks[i]);
    }
    if (kept < all)
        trace_add(out, "%s{\"more\":%u}", kept > 0 ? "," : "", all - kept);
    trace_add(out, "]");
}

static void add_sets(struct trace_text *out, const struct trace_state *state,
                     const struct trace_sets *sets)
{
    if (!sets->known) {
        trace_add(out, "null");
        return;
    }
    trace_add(out, "{\"read\":");
    add_names(out, state, sets->sock[0], sets->kept[0], sets->len[0]);
    trace_add(out, ",\"write\":");
    add_names(out, state, sets->sock[1], sets->kept[1], sets->len[1]);
    trace_add(out, "}");
}

/* Clients, the newest first: what has come from each and gone back to it. */
static void state_connections(struct trace_text *out,
                              const struct trace_state *state)
{
    unsigned kept = 0;
    trace_add(out, "\"connections\":[");
    for (const struct trace_handle *h = state->handles; h != NULL;
         h = h->next) {
        if (h->id == 0)
            continue;
        if (kept == TRACE_LIST_MOST) {
            trace_add(out, ",{\"more\":%lu}", state->clients - kept);
            break;
        }
        trace_add(out,
                  "%s{\"id\":%llu,\"received\":%llu,\"sent\":%llu,"
                  "\"owed\":%llu}",
                  kept++ > 0 ? "," : "", h->id, h->received, h->sent,
                  h->received - h->sent);
    }
    trace_add(out, "]");
}

/* Where each thread was seen last; in which wait, and whether it sleeps there or
 * runs something inside it. */
static void state_threads(struct trace_text *out,
                          const struct trace_state *state)
{
    const char *between = "";
    trace_add(out, ",\"threads\":[");
    for (const struct trace_thread *t = state->threads; t != NULL;
         t = t->next) {
        trace_add(out, "%s{\"name\":\"%s\",\"asleep\":%s,", between, t->name,
                  t->asleep ? "true" : "false");
        if (t->depth > 0 && t->depth <= TRACE_DEPTH_MOST)
            trace_add(out, "\"in\":\"%s\"",
                      watched[t->waits[t->depth - 1].id].name);
        else
            trace_add(out, "\"in\":null");
        if (t->function != NULL)
            trace_add(out, ",\"function\":\"%.*s\"", (int)t->function_len,
                      t->function);
        if (t->place.line != 0)
            trace_add(out, ",\"at\":\"%s:%d\"", t->place.file, t->place.line);
        const struct trace_handle *h = trace_handle_of(state, t->sock);
        if (h != NULL && h->id != 0)
            trace_add(out, ",\"conn\":%llu", h->id);
        trace_add(out, "}");
        between = ",";
    }
    trace_add(out, "]");
}

static void state_queue(struct trace_text *out, const struct trace_state *state)
{
    const char *between = "";
    unsigned kept = 0;
    trace_add(out, ",\"queue\":{\"taken\":%lu,\"last\":", state->messages);
    if (state->messages == 0) {
        trace_add(out, "null");
    } else {
        trace_add(out, "\"");
        trace_add_message(out, state, state->message);
        trace_add(out, "\"");
    }
    trace_add(out, ",\"interest\":{");
    for (const struct trace_handle *h = state->handles;
         h != NULL && kept < TRACE_LIST_MOST; h = h->next) {
        if (h->interest == 0)
            continue;
        trace_add(out, "%s", between);
        add_socket(out, state, h->handle);
        trace_add(out, ":\"");
        trace_add_mask(out, h->interest);
        trace_add(out, "\"");
        between = ",";
        kept++;
    }
    trace_add(out, "}}");
}

static void state_events(struct trace_text *out,
                         const struct trace_state *state)
{
    const char *between = "";
    trace_add(out, ",\"events\":[");
    for (const struct trace_thread *t = state->threads; t != NULL;
         t = t->next) {
        if (t->events == 0)
            continue;
        trace_add(out, "%s{\"thread\":\"%s\",\"slots\":[", between, t->name);
        for (unsigned i = 0; i < t->events; i++) {
            trace_add(out, "%s{\"event\":\"", i > 0 ? "," : "");
            trace_add_event(out, state, t->event[i]);
            trace_add(out, "\",\"signalled\":%s}",
                      t->signalled >> i & 1 ? "true" : "false");
        }
        trace_add(out, "]}");
        between = ",";
    }
    trace_add(out, "]");
}

static void add_phase(struct trace_text *out, const struct trace_op *op)
{
    switch (op->state) {
    case OP_PENDING: /* it may be done already: nobody has told us */
        trace_add(out, "\"phase\":\"pending\",\"inferred\":true,"
                       "\"buffer\":\"system\"}");
        break;
    case OP_DONE:
        trace_add(out, "\"phase\":\"done\",\"buffer\":\"system\"}");
        break;
    case OP_REAPED:
        trace_add(out, "\"phase\":\"reaped\",\"buffer\":\"server\"}");
        break;
    }
}

static bool is_waiting_accept(const struct trace_op *op)
{
    return op->id == TRACE_AcceptEx && op->state == OP_PENDING;
}

/* All AcceptEx() that wait for somebody are alike: one entry, with their
 * numbers. */
static bool add_accepts(struct trace_text *out, const struct trace_state *state)
{
    const struct trace_op *last = NULL;
    for (const struct trace_op *op = state->ops; op != NULL; op = op->next) {
        if (!is_waiting_accept(op))
            continue;
        trace_add(out, "%s%lu", last == NULL ? "{\"ops\":[" : ",", op->number);
        last = op;
    }
    if (last == NULL)
        return false;
    trace_add(out, "],\"kind\":\"accept\",\"of\":\"%s\",", last->name);
    add_phase(out, last);
    return true;
}

static void state_operations(struct trace_text *out,
                             const struct trace_state *state)
{
    unsigned long more = 0;
    trace_add(out, ",\"operations\":[");
    unsigned long kept = add_accepts(out, state);
    for (const struct trace_op *op = state->ops; op != NULL; op = op->next) {
        if (is_waiting_accept(op))
            continue;
        if (kept == TRACE_LIST_MOST) {
            more++;
            continue;
        }
        trace_add(out, "%s{\"op\":%lu,\"kind\":\"%s\",\"of\":\"%s\",",
                  kept++ > 0 ? "," : "", op->number, trace_op_kind(op->id),
                  op->name);
        add_phase(out, op);
    }
    if (more > 0)
        trace_add(out, ",{\"more\":%lu}", more);
    trace_add(out, "],\"in_flight\":%lu", state->pending);
}

static void state_port(struct trace_text *out, const struct trace_state *state)
{
    unsigned waiting = 0;
    unsigned running = 0;
    for (const struct trace_thread *t = state->threads; t != NULL;
         t = t->next) {
        enum trace_id in = t->depth > 0 ? t->waits[0].id : TRACE_IDS;
        if (strncmp(t->name, "worker", 6) != 0)
            continue;
        if (in == TRACE_GetQueuedCompletionStatus ||
            in == TRACE_GetQueuedCompletionStatusEx)
            waiting++;
        else
            running++;
    }
    trace_add(out, ",\"port\":{\"waiting\":%u,\"running\":%u,\"packets\":%lu}",
              waiting, running, state->packets);
}

static void add_state(struct trace_text *out, const struct trace_state *state)
{
    bool events = false;
    for (const struct trace_thread *t = state->threads; t != NULL; t = t->next)
        events |= t->events > 0;

    trace_add(out, ",\"state\":{");
    state_connections(out, state);
    state_threads(out, state);
    if (state->asked.known) {
        trace_add(out, ",\"sets\":{\"in\":");
        add_sets(out, state, &state->asked);
        trace_add(out, ",\"out\":");
        add_sets(out, state, &state->answered);
        trace_add(out, "}");
    }
    if (state->async)
        state_queue(out, state);
    if (events)
        state_events(out, state);
    if (state->next_op > 0)
        state_operations(out, state);
    if (state->apcs_queued > 0)
        trace_add(out, ",\"apcs\":{\"queued\":%lu,\"run\":%lu}",
                  state->apcs_queued, state->apcs_run);
    if (state->port)
        state_port(out, state);
    trace_add(out, "}");
}

void trace_lines_begin(struct trace_text *out, const struct trace_state *state)
{
    trace_add(out,
              "{\"kind\":\"begin\",\"format\":2,\"program\":\"%s %s\","
              "\"pid\":%lu,\"command\":",
              state->model, SUITE_VERSION, (unsigned long)state->pid);
    add_string(out, state->command);
    trace_add(out, ",\"system\":");
    add_string(out, state->system);
    trace_add(out, ",\"processors\":%lu,\"qpc\":%lld,\"qpf\":%lld}\n",
              (unsigned long)state->processors, (long long)state->qpc,
              (long long)state->qpf);
}

static const char *kind_name(const struct trace_record *rec)
{
    switch (rec->kind) {
    case RECORD_CALL: return "call";
    case RECORD_WAIT: return "wait";
    case RECORD_WOKE: return "woke";
    case RECORD_DONE:
    case RECORD_APC:
    case RECORD_LEAVE: return "event";
    case RECORD_NEWCOMER: return "newcomer";
    case RECORD_OPENED: return "connection";
    case RECORD_LISTENER: return "name";
    case RECORD_THREAD: return "thread";
    default: return "";
    }
}

static void line_call(struct trace_text *out, const struct trace_state *state,
                      const struct trace_record *rec)
{
    trace_add(out, ",\"call\":\"%s\"", watched[rec->id].name);
    if (rec->source != NULL) {
        trace_add(out, ",\"source\":");
        add_string(out, rec->source);
    }
    if (rec->kind != RECORD_WOKE)
        add_told(out, "arguments", trace_add_args, state, rec);
    if (rec->kind != RECORD_WAIT) {
        trace_add(out, ",\"us\":%.3f",
                  trace_us(state, rec->ended) - trace_us(state, rec->began));
        trace_add(out, ",\"value\":%lld", (long long)rec->result);
        add_told(out, "result", trace_add_result, state, rec);
    }
}

/* A socket has a name, or a peer, from now on. */
static void line_name(struct trace_text *out, const struct trace_state *state,
                      const struct trace_record *rec)
{
    const struct trace_handle *h = NULL;
    if (rec->kind == RECORD_OPENED)
        h = state->opened;
    else if (rec->kind == RECORD_LISTENER || rec->kind == RECORD_NEWCOMER)
        h = trace_handle_of(state, rec->args[0]);
    if (h == NULL)
        return;
    trace_add(out, ",\"handle\":%llu,\"name\":", (unsigned long long)h->handle);
    add_socket(out, state, h->handle);
    if (h->peer[0] != '\0')
        trace_add(out, ",\"%s\":\"%s\"",
                  rec->kind == RECORD_LISTENER ? "address" : "peer", h->peer);
    if (h->accepted_by != 0)
        trace_add(out, ",\"op\":%lu", h->accepted_by);
}

static void add_numbers(struct trace_text *out, const char *key,
                        const unsigned long *numbers, unsigned count)
{
    if (count == 0)
        return;
    trace_add(out, ",\"%s\":[", key);
    for (unsigned i = 0; i < count; i++)
        trace_add(out, "%s%lu", i > 0 ? "," : "", numbers[i]);
    trace_add(out, "]");
}

/* What the record is about, for programs: the words of `arguments` and `result`
 * are for people. */
static void line_about(struct trace_text *out, const struct trace_state *state,
                       const struct trace_thread *thread,
                       const struct trace_record *rec,
                       const struct trace_change *change)
{
    const struct trace_handle *h = trace_handle_of(state, thread->sock);
    bool over = rec->kind == RECORD_CALL || rec->kind == RECORD_WOKE;
    if (h != NULL && h->id != 0)
        trace_add(out, ",\"conn\":%llu", h->id);
    if (over && rec->id == TRACE_select && !trace_failed(rec)) {
        trace_add(out, ",\"ready\":");
        add_names(out, state, rec->list,
                  rec->list_len[0] + rec->list_len[1] < TRACE_LIST_MOST
                      ? rec->list_len[0] + rec->list_len[1]
                      : TRACE_LIST_MOST,
                  rec->list_len[0] + rec->list_len[1]);
    }
    if (over && watched[rec->id].told == TOLD_SLOT && rec->result >= 0 &&
        rec->result < rec->list_len[0])
        trace_add(out, ",\"slot\":%lld", (long long)rec->result);
    if (over && rec->id == TRACE_GetQueuedCompletionStatus)
        trace_add(out, ",\"key\":%llu", (unsigned long long)rec->out[1]);
    if (over && watched_takes(rec->id) && rec->result > 0) {
        h = trace_handle_of(state, rec->out[1]);
        trace_add(out, ",\"message\":{\"number\":%llu",
                  (unsigned long long)rec->out[0]);
        if (h != NULL) {
            trace_add(out, ",\"of\":\"%s\",\"event\":\"", h->name);
            trace_add_mask(out, WSAGETSELECTEVENT(rec->out[2]));
            trace_add(out, "\"");
        }
        trace_add(out, "}");
    }
    add_numbers(out, "posted", change->posted, change->posted_count);
}

void trace_lines_add(struct trace_text *out, const struct trace_state *state,
                     const struct trace_thread *thread,
                     const struct trace_record *rec,
                     const struct trace_change *change)
{
    const struct trace_op *op = op_of(state, rec);
    DWORD error = error_of(rec);
    trace_add(
        out, "{\"kind\":\"%s\",\"seq\":%lld,\"t\":%.3f,\"thread\":\"%s\"",
        kind_name(rec), (long long)rec->seq,
        trace_us(state, rec->kind == RECORD_WOKE ? rec->ended : rec->began),
        thread->name);
    size_t len = 0;
    const char *function = trace_function(state, rec, &len);
    if (function != NULL)
        trace_add(out, ",\"function\":\"%.*s\"", (int)len, function);
    if (rec->place.line != 0)
        trace_add(out, ",\"at\":\"%s:%d\"", rec->place.file, rec->place.line);
    if (rec->id != TRACE_IDS)
        line_call(out, state, rec);
    if (is_event(rec)) {
        add_told(out, "event", trace_add_what, state, rec);
        if (op != NULL)
            trace_add(out, ",\"bytes\":%lu", (unsigned long)rec->args[1]);
    }
    line_name(out, state, rec);
    if (op != NULL)
        trace_add(out, ",\"op\":%lu,\"of\":\"%s\"", op->number, op->name);
    if (error != 0)
        trace_add(out, ",\"error\":\"%s\",\"code\":%lu", err_name(error),
                  (unsigned long)error);
    line_about(out, state, thread, rec, change);
    unsigned long ended[TRACE_LIST_MOST / 3];
    for (unsigned i = 0; i < change->ended_count; i++)
        ended[i] = change->ended[i]->number;
    add_numbers(out, "ended", ended, change->ended_count);
    add_state(out, state);
    trace_add(out, "}\n");
}

void trace_lines_dropped(struct trace_text *out,
                         const struct trace_state *state, unsigned long count,
                         LONG64 ns)
{
    trace_add(out, "{\"kind\":\"dropped\",\"t\":%.3f,\"count\":%lu}\n",
              trace_us(state, ns), count);
}

void trace_lines_end(struct trace_text *out, LONG64 records, LONG64 dropped)
{
    trace_add(out, "{\"kind\":\"end\",\"records\":%lld,\"dropped\":%lld}\n",
              (long long)records, (long long)dropped);
}

#endif
