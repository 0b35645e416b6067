/* text.c -- see text.h */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "watch/text.h"

#ifdef TRACE

void trace_add(struct trace_text *out, const char *format, ...)
{
    for (;;) {
        va_list args;
        size_t room = out->size - out->len;
        va_start(args, format);
        int len = vsnprintf(out->text == NULL ? NULL : out->text + out->len,
                            room, format, args);
        va_end(args);
        if (len < 0)
            return;
        if ((size_t)len < room) {
            out->len += (size_t)len;
            return;
        }
        size_t size = 2 * out->size + (size_t)len + 1024;
        char *text = realloc(out->text, size);
        if (text == NULL) {
            out->full = true;
            return;
        }
        out->text = text;
        out->text[out->len] = '\0';
        out->size = size;
    }
}

const char *trace_op_kind(enum trace_id id)
{
    switch (id) {
    case TRACE_AcceptEx: return "accept";
    case TRACE_ConnectEx: return "connect";
    case TRACE_DisconnectEx: return "disconnect";
    case TRACE_WSARecv:
    case TRACE_WSARecvFrom:
    case TRACE_WSARecvMsg:
    case TRACE_RIOReceive: return "recv";
    default: return "send";
    }
}

/* ---- parts --------------------------------------------------------------- */

static void add_handle(struct trace_text *out, const struct trace_state *state,
                       ULONG_PTR handle, const char *kind)
{
    const struct trace_handle *h = trace_handle_of(state, handle);
    if (h != NULL && h->name[0] != '\0')
        trace_add(out, "%s", h->name);
    else
        trace_add(out, "%s %llu", kind, (unsigned long long)handle);
}

void trace_add_socket(struct trace_text *out, const struct trace_state *state,
                      ULONG_PTR sock)
{
    add_handle(out, state, sock, "socket");
}

void trace_add_event(struct trace_text *out, const struct trace_state *state,
                     ULONG_PTR event)
{
    const struct trace_handle *h = trace_handle_of(state, event);
    if (h != NULL && h->name[0] != '\0')
        trace_add(out, h->of_owner ? "event of %s" : "%s", h->name);
    else
        trace_add(out, "event %llu", (unsigned long long)event);
}

void trace_add_mask(struct trace_text *out, ULONG_PTR mask)
{
    static const struct {
        const char *name;
        ULONG_PTR bit;
    } bits[] = {{"FD_READ", FD_READ},       {"FD_WRITE", FD_WRITE},
                {"FD_OOB", FD_OOB},         {"FD_ACCEPT", FD_ACCEPT},
                {"FD_CONNECT", FD_CONNECT}, {"FD_CLOSE", FD_CLOSE}};
    const char *between = "";
    if (mask == 0)
        trace_add(out, "0");
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (mask & bits[i].bit) {
            trace_add(out, "%s%s", between, bits[i].name);
            between = "|";
        }
    }
}

static void add_message_name(struct trace_text *out,
                             const struct trace_state *state, ULONG_PTR message)
{
    const struct trace_handle *named =
        trace_handle_of(state, trace_message_handle(message));
    if (named != NULL && named->name[0] != '\0')
        trace_add(out, "%s", named->name);
    else if (message >= WM_APP && message < 0xC000)
        trace_add(out, "WM_APP+%u", (unsigned)(message - WM_APP));
    else if (message >= WM_USER && message < WM_APP)
        trace_add(out, "WM_USER+%u", (unsigned)(message - WM_USER));
    else
        trace_add(out, "message 0x%04X", (unsigned)message);
}

void trace_add_message(struct trace_text *out, const struct trace_state *state,
                       const ULONG_PTR *message)
{
    add_message_name(out, state, message[0]);
    const struct trace_handle *named =
        trace_handle_of(state, trace_message_handle(message[0]));
    if (named == NULL || !named->of_sockets || message[1] == 0)
        return;
    trace_add(out, " ");
    trace_add_socket(out, state, message[1]);
    trace_add(out, " ");
    trace_add_mask(out, WSAGETSELECTEVENT(message[2]));
    if (WSAGETSELECTERROR(message[2]) != 0)
        trace_add(out, " %s", err_name(WSAGETSELECTERROR(message[2])));
}

static void add_op(struct trace_text *out, const struct trace_state *state,
                   ULONG_PTR ov)
{
    const struct trace_op *op = trace_op_of(state, ov);
    const struct trace_handle *h = trace_handle_of(state, ov);
    if (op != NULL)
        trace_add(out, "op %lu", op->number);
    else if (h != NULL) /* it is no operation, but has a name */
        trace_add(out, "%s", h->name);
    else
        trace_add(out, ov == 0 ? "all" : "no operation");
}

/* So many names of a set are shown in a line. */
enum { SHOWN = 4 };

static void add_sockets(struct trace_text *out, const struct trace_state *state,
                        const ULONG_PTR *socks, unsigned len)
{
    for (unsigned i = 0; i < len && i < SHOWN; i++) {
        if (i > 0)
            trace_add(out, " ");
        trace_add_socket(out, state, socks[i]);
    }
    if (len > SHOWN)
        trace_add(out, " +%u", len - SHOWN);
}

static void add_sets(struct trace_text *out, const struct trace_state *state,
                     const struct trace_record *rec)
{
    unsigned reads = rec->list_len[0];
    unsigned kept = reads < TRACE_LIST_MOST ? reads : TRACE_LIST_MOST;
    const char *between = "";
    if (reads > 0) {
        trace_add(out, "read: ");
        add_sockets(out, state, rec->list, reads);
        between = "; ";
    }
    if (rec->list_len[1] > 0) {
        trace_add(out, "%swrite: ", between);
        add_sockets(out, state, rec->list + kept, rec->list_len[1]);
    }
}

/* As in C, but every byte that is no printable ASCII and has no short name is a
 * dot: the line must not change the terminal. */
static void add_bytes(struct trace_text *out, const struct trace_record *rec,
                      unsigned long long len)
{
    static const char escaped[] = "\n\r\t\0\"\\";
    static const char names[] = "nrt0\"\\";
    trace_add(out, "\"");
    for (unsigned i = 0; i < rec->text_len; i++) {
        char c = rec->text[i];
        const char *found = memchr(escaped, c, sizeof names - 1);
        if (found != NULL)
            trace_add(out, "\\%c", names[found - escaped]);
        else
            trace_add(out, "%c", c >= ' ' && c <= '~' ? c : '.');
    }
    trace_add(out, len > rec->text_len ? "\"..." : "\"");
}

static void add_function(struct trace_text *out, const struct trace_record *rec,
                         unsigned index)
{
    size_t len = 0;
    const char *name = trace_code(rec->source, index, rec->args[index], &len);
    trace_add(out, "%.*s", (int)len, name);
}

static void add_count(struct trace_text *out, unsigned long long count,
                      const char *what)
{
    trace_add(out, "%llu %s%s", count, what, count == 1 ? "" : "s");
}

static void add_control_code(struct trace_text *out, DWORD code)
{
    static const struct {
        const char *name;
        DWORD code;
    } codes[] = {{"FIONBIO", (DWORD)FIONBIO},
                 {"SIO_GET_EXTENSION_FUNCTION_POINTER",
                  (DWORD)SIO_GET_EXTENSION_FUNCTION_POINTER},
                 {"SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER",
                  (DWORD)SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].code == code) {
            trace_add(out, "%s", codes[i].name);
            return;
        }
    }
    trace_add(out, "0x%08lX", (unsigned long)code);
}

static void add_number(struct trace_text *out, char letter, ULONG_PTR value)
{
    if (letter == 't' && (DWORD)value == INFINITE)
        trace_add(out, "for ever");
    else if (letter == 't')
        trace_add(out, "%lu ms", (unsigned long)value);
    else if (letter == 'c')
        add_count(out, value, "event");
    else if (letter == 'C')
        add_count(out, value, "object");
    else if (letter == 'i')
        add_control_code(out, (DWORD)value);
    else if (letter == 'y')
        trace_add(out, value == SOCK_DGRAM ? "SOCK_DGRAM" : "SOCK_STREAM");
    else if (letter == 'd')
        trace_add(out, value == SD_SEND ? "SD_SEND" : "SD_BOTH");
    else if (letter == 'p' && (int)value == SO_UPDATE_ACCEPT_CONTEXT)
        trace_add(out, "SO_UPDATE_ACCEPT_CONTEXT");
    else if (letter == 'p')
        trace_add(out, "option 0x%04X", (unsigned)value);
    else
        trace_add(out, "%lu", (unsigned long)value);
}

static void add_arg(struct trace_text *out, const struct trace_state *state,
                    const struct trace_record *rec, unsigned index)
{
    char letter = watched[rec->id].args[index];
    ULONG_PTR value = rec->args[index];
    switch (letter) {
    case 's':
        if (value == 0 || value == INVALID_SOCKET)
            trace_add(out, "none");
        else
            trace_add_socket(out, state, value);
        break;
    case 'e':
        if (value == 0)
            trace_add(out, "none");
        else
            trace_add_event(out, state, value);
        break;
    case 'x':
        trace_add(out, "io of ");
        add_handle(out, state, value, "io");
        break;
    case 'h': trace_add(out, value == 0 ? "new" : "port"); break;
    case 'o': add_op(out, state, value); break;
    case 'w': trace_add(out, "%lu", (unsigned long)rec->out[0]); break;
    case 'b':
        add_bytes(out, rec,
                  watched[rec->id].args[2] == 'n'
                      ? (unsigned long long)rec->args[2]
                      : (unsigned long long)rec->out[0]);
        break;
    case 'f': trace_add_mask(out, value); break;
    case 'l': trace_add_mask(out, WSAGETSELECTEVENT(value)); break;
    case 'm': add_message_name(out, state, value); break;
    case 'M': trace_add_message(out, state, rec->out); break;
    case 'a': add_function(out, rec, index); break;
    default: add_number(out, letter, value); break;
    }
}

void trace_add_args(struct trace_text *out, const struct trace_state *state,
                    const struct trace_record *rec)
{
    const char *letters = watched[rec->id].args;
    const char *between = "";
    if (rec->id == TRACE_select) {
        add_sets(out, state, rec);
        return;
    }
    for (unsigned i = 0; letters[i] != '\0'; i++) {
        if (letters[i] == '-' || (letters[i] == 'o' && rec->args[i] == 0 &&
                                  i == (unsigned)watched[rec->id].operation))
            continue;
        trace_add(out, "%s", between);
        add_arg(out, state, rec, (unsigned)i);
        between = ", ";
    }
}

/* ---- results ------------------------------------------------------------- */

static void add_slot(struct trace_text *out, const struct trace_state *state,
                     const struct trace_record *rec)
{
    if (rec->result == (LONG64)WSA_WAIT_TIMEOUT)
        trace_add(out, "timeout");
    else if (rec->result == (LONG64)WSA_WAIT_IO_COMPLETION)
        trace_add(out, "an APC ran");
    else if (rec->result == rec->list_len[0])
        trace_add(out, "a message");
    else if (rec->result < rec->list_len[0] && rec->result < TRACE_LIST_MOST) {
        trace_add(out, "slot %lld: ", (long long)rec->result);
        trace_add_event(out, state, rec->list[rec->result]);
    }
}

/* "recv of #1, op 33" */
static void add_whose(struct trace_text *out, const struct trace_state *state,
                      ULONG_PTR ov)
{
    const struct trace_op *op = trace_op_of(state, ov);
    if (op != NULL)
        trace_add(out, "%s%s%s, ", trace_op_kind(op->id),
                  op->name[0] != '\0' ? " of " : "", op->name);
    add_op(out, state, ov);
}

/* Four outcomes; docs of GetQueuedCompletionStatus, "Return value". */
static void add_packet(struct trace_text *out, const struct trace_state *state,
                       const struct trace_record *rec)
{
    if (rec->out[2] == 0) {
        trace_add(out, "posted packet, key %lu", (unsigned long)rec->out[1]);
        return;
    }
    add_whose(out, state, rec->out[2]);
    trace_add(out, ", key %lu, ", (unsigned long)rec->out[1]);
    if (rec->result)
        add_count(out, rec->out[0], "byte");
    else
        trace_add(out, "%s", err_name(rec->error));
}

static void add_packets(struct trace_text *out, const struct trace_state *state,
                        const struct trace_record *rec)
{
    unsigned long taken = (unsigned long)rec->out[0];
    add_count(out, taken,
              watched[rec->id].told == TOLD_RESULTS ? "result" : "packet");
    for (unsigned at = 0; at < rec->list_len[0] && at < 3 * SHOWN; at += 3) {
        trace_add(out, at == 0 ? ": " : ", ");
        if (rec->list[at] == 0)
            trace_add(out, "posted, key %lu", (unsigned long)rec->list[at + 1]);
        else {
            add_whose(out, state, rec->list[at]);
            trace_add(out, ", ");
            add_count(out, rec->list[at + 2], "byte");
        }
    }
    if (taken > SHOWN)
        trace_add(out, ", +%lu", taken - SHOWN);
}

static void add_success(struct trace_text *out, const struct trace_state *state,
                        const struct trace_record *rec)
{
    switch (watched[rec->id].told) {
    case TOLD_NOTHING: break;
    case TOLD_NUMBER: trace_add(out, "%lld", (long long)rec->result); break;
    case TOLD_OK: trace_add(out, "ok"); break;
    case TOLD_BYTES:
        if (rec->id == TRACE_recv && rec->result == 0)
            trace_add(out, "0, end of stream");
        else
            add_count(out, (unsigned long long)rec->result, "byte");
        if ((rec->id == TRACE_recv || rec->id == TRACE_recvfrom) &&
            rec->result > 0) {
            trace_add(out, " ");
            add_bytes(out, rec, (unsigned long long)rec->result);
        }
        break;
    case TOLD_POSTED:
        if (rec->args[watched[rec->id].operation] == 0) {
            add_count(out, rec->out[2], "byte");
            break;
        }
        trace_add(out, trace_at_once(rec) ? "done at once" : "pending");
        break;
    case TOLD_SOCKET:
        trace_add(out, "socket %llu", (unsigned long long)rec->result);
        break;
    case TOLD_EVENT: trace_add_event(out, state, (ULONG_PTR)rec->result); break;
    case TOLD_SETS: add_sets(out, state, rec); break;
    case TOLD_READY:
        trace_add(out, "%lld ready", (long long)rec->result);
        break;
    case TOLD_PEEKED:
    case TOLD_MESSAGE:
        if (rec->result == 0 && watched[rec->id].told == TOLD_PEEKED)
            trace_add(out, "no message");
        else if (rec->result == 0)
            trace_add(out, "WM_QUIT");
        else
            trace_add_message(out, state, rec->out);
        break;
    case TOLD_SLOT: add_slot(out, state, rec); break;
    case TOLD_WAIT:
        trace_add(out, rec->result == WAIT_OBJECT_0        ? "signalled"
                       : rec->result == WAIT_IO_COMPLETION ? "an APC ran"
                       : rec->result == WAIT_ABANDONED     ? "abandoned"
                                                           : "timeout");
        break;
    case TOLD_SLEEP:
        trace_add(out,
                  rec->result == WAIT_IO_COMPLETION ? "APCs ran" : "timeout");
        break;
    case TOLD_PACKET: add_packet(out, state, rec); break;
    case TOLD_RESULTS:
    case TOLD_PACKETS: add_packets(out, state, rec); break;
    case TOLD_EVENTS: trace_add_mask(out, rec->out[0]); break;
    case TOLD_REAPED: add_count(out, rec->out[0], "byte"); break;
    }
}

void trace_add_result(struct trace_text *out, const struct trace_state *state,
                      const struct trace_record *rec)
{
    bool packet =
        rec->id == TRACE_GetQueuedCompletionStatus && rec->out[2] != 0;
    if (trace_failed(rec) && !packet)
        trace_add(out, "%s", err_name(rec->error));
    else
        add_success(out, state, rec);
}

/* ---- a line of --trace --------------------------------------------------- */

void trace_add_heading(struct trace_text *out)
{
    trace_add(out, "%11s  %-9s %-22s %-46s %s\n", "ms", "thread", "in", "call",
              "result");
}

static void pad_to(struct trace_text *out, size_t column)
{
    do
        trace_add(out, " ");
    while (out->len < column);
}

void trace_add_what(struct trace_text *out, const struct trace_state *state,
                    const struct trace_record *rec)
{
    if (rec->kind == RECORD_DONE) {
        const struct trace_op *op = trace_op_of(state, rec->args[0]);
        trace_add(out, "%s done", op != NULL ? trace_op_kind(op->id) : "it is");
    } else if (rec->kind == RECORD_APC) {
        size_t len = 0;
        const char *name = trace_code(rec->source, 0, rec->args[1], &len);
        trace_add(out, "APC %.*s", (int)len, name);
    } else {
        trace_add(out, "return to the pool");
    }
}

static void add_event(struct trace_text *out, const struct trace_state *state,
                      const struct trace_record *rec, size_t column)
{
    trace_add(out, "* ");
    trace_add_what(out, state, rec);
    if (rec->kind != RECORD_DONE)
        return;
    trace_add(out, ", ");
    add_op(out, state, rec->args[0]);
    pad_to(out, column);
    if (rec->error != 0)
        trace_add(out, "%s", err_name(rec->error));
    else
        add_count(out, rec->args[1], "byte");
}

bool trace_has_line(const struct trace_state *state,
                    const struct trace_record *rec)
{
    if (rec->kind == RECORD_NEWCOMER || rec->kind == RECORD_OPENED)
        return state->opened != NULL;
    return rec->kind != RECORD_THREAD && rec->kind != RECORD_LISTENER &&
           (rec->kind != RECORD_WOKE || !watched_dispatches(rec->id));
}

static void add_place(struct trace_text *out, const struct trace_state *state,
                      const struct trace_thread *thread,
                      const struct trace_record *rec)
{
    char place[64] = "";
    LONG64 ns = rec->kind == RECORD_WOKE ? rec->ended : rec->began;
    size_t len = 0;
    const char *function = trace_function(state, rec, &len);
    if (rec->place.line != 0)
        snprintf(place, sizeof place, "%.*s:%d", (int)len, function,
                 rec->place.line);
    else
        snprintf(place, sizeof place, "%.*s", (int)len, function);
    trace_add(out, "%11.3f  %-9s %-22s %*s", trace_us(state, ns) / 1000,
              thread->name, place, 2 * (int)rec->depth, "");
}

void trace_add_left_out(struct trace_text *out, const struct trace_state *state,
                        const struct trace_thread *thread,
                        const struct trace_record *rec, unsigned long count)
{
    add_place(out, state, thread, rec);
    trace_add(out, "... the same again: %lu more calls\n", count);
}

void trace_add_line(struct trace_text *out, const struct trace_state *state,
                    const struct trace_thread *thread,
                    const struct trace_record *rec)
{
    size_t start = out->len;
    add_place(out, state, thread, rec);
    size_t column = start + 91;
    switch (rec->kind) {
    case RECORD_WAIT:
    case RECORD_CALL:
        trace_add(out, "%s(", watched[rec->id].name);
        trace_add_args(out, state, rec);
        trace_add(out, ")");
        pad_to(out, column);
        if (rec->kind == RECORD_CALL)
            trace_add_result(out, state, rec);
        else if (!watched_dispatches(rec->id) &&
                 watched[rec->id].waits != WAITS_LAST)
            trace_add(out, "waits");
        break;
    case RECORD_WOKE:
        trace_add(out, "%s", watched[rec->id].name);
        pad_to(out, column);
        trace_add_result(out, state, rec);
        break;
    case RECORD_DONE:
    case RECORD_APC:
    case RECORD_LEAVE: add_event(out, state, rec, column); break;
    case RECORD_NEWCOMER:
    case RECORD_OPENED:
        if (state->opened != NULL)
            trace_add(out, "socket %llu is %s, %s",
                      (unsigned long long)state->opened->handle,
                      state->opened->name, state->opened->peer);
        break;
    default: break;
    }
    while (out->len > start && out->text[out->len - 1] == ' ')
        out->len--;
    trace_add(out, "\n");
}

#endif
