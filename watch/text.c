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

/* What is told of a call: a letter for each of its arguments, and one for its
 * result.
 *
 *   s socket        e event     h port         c count, of the next: events
 *   o OVERLAPPED    w WSABUF    n number       t timeout in milliseconds
 *   f FD_ events    m message   l its lParam   i ioctl    p option   d SD_
 *   a the function of an APC    r set of sockets          M a MSG    - nothing
 *   b the first bytes           x PTP_IO
 */
struct shape {
    const char *name;
    const char *args;
    enum {
        TELL_OK,
        TELL_NOTHING,
        TELL_BYTES,
        TELL_POSTED,
        TELL_SOCKET,
        TELL_EVENT,
        TELL_SETS,
        TELL_READY,
        TELL_MESSAGE,
        TELL_SLOT,
        TELL_WAIT,
        TELL_SLEEP,
        TELL_PACKET,
        TELL_PACKETS,
        TELL_EVENTS,
        TELL_REAPED
    } result;
};

static const struct shape shapes[TRACE_IDS] = {
    [TRACE_select] = {"select", "-rr", TELL_SETS},
    [TRACE_WSAPoll] = {"WSAPoll", "-nt", TELL_READY},
    [TRACE_GetMessageW] = {"GetMessageW", "", TELL_MESSAGE},
    [TRACE_DispatchMessageW] = {"DispatchMessageW", "M", TELL_NOTHING},
    [TRACE_WSAWaitForMultipleEvents] = {"WSAWaitForMultipleEvents", "c--t",
                                        TELL_SLOT},
    [TRACE_SleepEx] = {"SleepEx", "t", TELL_SLEEP},
    [TRACE_GetQueuedCompletionStatus] = {"GetQueuedCompletionStatus", "h---t",
                                         TELL_PACKET},
    [TRACE_GetQueuedCompletionStatusEx] = {"GetQueuedCompletionStatusEx",
                                           "h-n-t", TELL_PACKETS},
    [TRACE_WaitForSingleObject] = {"WaitForSingleObject", "-t", TELL_WAIT},
    [TRACE_WSAEnumNetworkEvents] = {"WSAEnumNetworkEvents", "s", TELL_EVENTS},
    [TRACE_WSAGetOverlappedResult] = {"WSAGetOverlappedResult", "so",
                                      TELL_REAPED},
    [TRACE_recv] = {"recv", "s-n", TELL_BYTES},
    [TRACE_send] = {"send", "sbn", TELL_BYTES},
    [TRACE_WSARecv] = {"WSARecv", "sw---o", TELL_POSTED},
    [TRACE_WSASend] = {"WSASend", "sbw--o", TELL_POSTED},
    [TRACE_accept] = {"accept", "s", TELL_SOCKET},
    [TRACE_AcceptEx] = {"AcceptEx", "ss-----o", TELL_POSTED},
    [TRACE_WSASocketW] = {"WSASocketW", "", TELL_SOCKET},
    [TRACE_bind] = {"bind", "s", TELL_OK},
    [TRACE_connect] = {"connect", "s", TELL_OK},
    [TRACE_getsockname] = {"getsockname", "s", TELL_OK},
    [TRACE_getpeername] = {"getpeername", "s", TELL_OK},
    [TRACE_getsockopt] = {"getsockopt", "s-p", TELL_OK},
    [TRACE_setsockopt] = {"setsockopt", "s-p", TELL_OK},
    [TRACE_ioctlsocket] = {"ioctlsocket", "si", TELL_OK},
    [TRACE_WSAAsyncSelect] = {"WSAAsyncSelect", "s-mf", TELL_OK},
    [TRACE_WSAEventSelect] = {"WSAEventSelect", "sef", TELL_OK},
    [TRACE_CreateIoCompletionPort] = {"CreateIoCompletionPort", "shn", TELL_OK},
    [TRACE_SetFileCompletionNotificationModes] =
        {"SetFileCompletionNotificationModes", "sn", TELL_OK},
    [TRACE_CreateThreadpoolIo] = {"CreateThreadpoolIo", "s", TELL_OK},
    [TRACE_StartThreadpoolIo] = {"StartThreadpoolIo", "x", TELL_NOTHING},
    [TRACE_CancelThreadpoolIo] = {"CancelThreadpoolIo", "x", TELL_NOTHING},
    [TRACE_WaitForThreadpoolIoCallbacks] = {"WaitForThreadpoolIoCallbacks", "x",
                                            TELL_NOTHING},
    [TRACE_CloseThreadpoolIo] = {"CloseThreadpoolIo", "x", TELL_NOTHING},
    [TRACE_WSACreateEvent] = {"WSACreateEvent", "", TELL_EVENT},
    [TRACE_WSASetEvent] = {"WSASetEvent", "e", TELL_OK},
    [TRACE_WSAResetEvent] = {"WSAResetEvent", "e", TELL_OK},
    [TRACE_WSACloseEvent] = {"WSACloseEvent", "e", TELL_OK},
    [TRACE_PostMessageW] = {"PostMessageW", "-msl", TELL_OK},
    [TRACE_QueueUserAPC] = {"QueueUserAPC", "a", TELL_OK},
    [TRACE_PostQueuedCompletionStatus] = {"PostQueuedCompletionStatus", "h-n",
                                          TELL_OK},
    [TRACE_CancelIoEx] = {"CancelIoEx", "so", TELL_OK},
    [TRACE_shutdown] = {"shutdown", "sd", TELL_OK},
    [TRACE_closesocket] = {"closesocket", "s", TELL_OK},
};

const char *trace_call_name(enum trace_id id)
{
    return shapes[id].name;
}

const char *trace_op_kind(enum trace_id id)
{
    return id == TRACE_AcceptEx  ? "accept"
           : id == TRACE_WSARecv ? "recv"
                                 : "send";
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
        trace_add(out, h->owner == 0 ? "%s" : "event of %s", h->name);
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
    const struct trace_handle *named = trace_handle_of(state, message);
    if (named != NULL)
        trace_add(out, "%s", named->name);
    else if (message >= WM_APP && message < 0xC000)
        trace_add(out, "WM_APP+%u", (unsigned)(message - WM_APP));
    else
        trace_add(out, "message 0x%04X", (unsigned)message);
}

void trace_add_message(struct trace_text *out, const struct trace_state *state,
                       const ULONG_PTR *message)
{
    add_message_name(out, state, message[0]);
    if (message[0] < WM_APP || message[1] == 0)
        return; /* not about a socket */
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
    if (op != NULL)
        trace_add(out, "op %lu", op->number);
    else
        trace_add(out, ov == 0 ? "all" : "op ?");
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

static void add_source_function(struct trace_text *out, const char *source)
{
    trace_add(out, "%.*s", (int)strcspn(source, ", "), source);
}

static void add_count(struct trace_text *out, unsigned long long count,
                      const char *what)
{
    trace_add(out, "%llu %s%s", count, what, count == 1 ? "" : "s");
}

static void add_number(struct trace_text *out, char letter, ULONG_PTR value)
{
    if (letter == 't' && (DWORD)value == INFINITE)
        trace_add(out, "for ever");
    else if (letter == 't')
        trace_add(out, "%lu ms", (unsigned long)value);
    else if (letter == 'c')
        add_count(out, value, "event");
    else if (letter == 'i')
        trace_add(out, (u_long)value == (u_long)FIONBIO ? "FIONBIO" : "?");
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
                    const struct trace_record *rec, char letter,
                    ULONG_PTR value)
{
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
                  rec->id == TRACE_send ? (unsigned long long)rec->args[2]
                                        : (unsigned long long)rec->out[0]);
        break;
    case 'f': trace_add_mask(out, value); break;
    case 'l': trace_add_mask(out, WSAGETSELECTEVENT(value)); break;
    case 'm': add_message_name(out, state, value); break;
    case 'M': trace_add_message(out, state, rec->out); break;
    case 'a': add_source_function(out, rec->source); break;
    default: add_number(out, letter, value); break;
    }
}

void trace_add_args(struct trace_text *out, const struct trace_state *state,
                    const struct trace_record *rec)
{
    const char *letters = shapes[rec->id].args;
    const char *between = "";
    if (rec->id == TRACE_select) {
        add_sets(out, state, rec);
        return;
    }
    for (size_t i = 0; letters[i] != '\0'; i++) {
        if (letters[i] == '-')
            continue;
        trace_add(out, "%s", between);
        add_arg(out, state, rec, letters[i], rec->args[i]);
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
    else if (rec->result < TRACE_LIST_MOST) {
        trace_add(out, "slot %lld: ", (long long)rec->result);
        trace_add_event(out, state, rec->list[rec->result]);
    }
}

/* Four outcomes; docs of GetQueuedCompletionStatus, "Return value". */
static void add_packet(struct trace_text *out, const struct trace_state *state,
                       const struct trace_record *rec)
{
    if (rec->out[2] == 0) {
        trace_add(out, "posted packet, key %lu", (unsigned long)rec->out[1]);
        return;
    }
    add_op(out, state, rec->out[2]);
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
    add_count(out, taken, "packet");
    for (unsigned at = 0; at < rec->list_len[0] && at < 3 * SHOWN; at += 3) {
        trace_add(out, at == 0 ? ": " : ", ");
        if (rec->list[at] == 0)
            trace_add(out, "posted, key %lu", (unsigned long)rec->list[at + 1]);
        else
            add_op(out, state, rec->list[at]);
    }
    if (taken > SHOWN)
        trace_add(out, ", +%lu", taken - SHOWN);
}

static void add_success(struct trace_text *out, const struct trace_state *state,
                        const struct trace_record *rec)
{
    switch (shapes[rec->id].result) {
    case TELL_NOTHING: break;
    case TELL_OK: trace_add(out, "ok"); break;
    case TELL_BYTES:
        if (rec->id == TRACE_recv && rec->result == 0)
            trace_add(out, "0, end of stream");
        else
            add_count(out, (unsigned long long)rec->result, "byte");
        if (rec->id == TRACE_recv && rec->result > 0) {
            trace_add(out, " ");
            add_bytes(out, rec, (unsigned long long)rec->result);
        }
        break;
    case TELL_POSTED:
        trace_add(out,
                  rec->error == WSA_IO_PENDING &&
                          rec->result != (rec->id == TRACE_AcceptEx ? TRUE : 0)
                      ? "pending"
                      : "done at once");
        break;
    case TELL_SOCKET:
        trace_add(out, "socket %llu", (unsigned long long)rec->result);
        break;
    case TELL_EVENT:
        trace_add(out, "event %llu", (unsigned long long)rec->result);
        break;
    case TELL_SETS: add_sets(out, state, rec); break;
    case TELL_READY:
        trace_add(out, "%lld ready", (long long)rec->result);
        break;
    case TELL_MESSAGE:
        if (rec->result == 0)
            trace_add(out, "WM_QUIT");
        else
            trace_add_message(out, state, rec->out);
        break;
    case TELL_SLOT: add_slot(out, state, rec); break;
    case TELL_WAIT:
        trace_add(out, rec->result == WAIT_OBJECT_0 ? "signalled" : "timeout");
        break;
    case TELL_SLEEP:
        trace_add(out,
                  rec->result == WAIT_IO_COMPLETION ? "APCs ran" : "timeout");
        break;
    case TELL_PACKET: add_packet(out, state, rec); break;
    case TELL_PACKETS: add_packets(out, state, rec); break;
    case TELL_EVENTS: trace_add_mask(out, rec->out[0]); break;
    case TELL_REAPED: add_count(out, rec->out[0], "byte"); break;
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

static void add_event(struct trace_text *out, const struct trace_state *state,
                      const struct trace_record *rec, size_t column)
{
    trace_add(out, "* %s", rec->source);
    if (rec->args[0] == 0)
        return; /* an APC */
    trace_add(out, ", ");
    add_op(out, state, rec->args[0]);
    pad_to(out, column);
    if (rec->error != 0)
        trace_add(out, "%s", err_name(rec->error));
    else
        add_count(out, rec->args[1], "byte");
}

bool trace_has_line(const struct trace_record *rec)
{
    return rec->kind != RECORD_THREAD && rec->kind != RECORD_NAME &&
           (rec->kind != RECORD_WOKE || rec->id != TRACE_DispatchMessageW);
}

static void add_place(struct trace_text *out, const struct trace_state *state,
                      const struct trace_thread *thread,
                      const struct trace_record *rec)
{
    char place[64] = "";
    LONG64 ns = rec->kind == RECORD_WOKE ? rec->ended : rec->began;
    if (rec->kind != RECORD_CONNECTION)
        snprintf(place, sizeof place, "%s:%d", rec->place.function,
                 rec->place.line);
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
        trace_add(out, "%s(", trace_call_name(rec->id));
        trace_add_args(out, state, rec);
        trace_add(out, ")");
        pad_to(out, column);
        if (rec->kind == RECORD_CALL)
            trace_add_result(out, state, rec);
        else if (rec->id != TRACE_DispatchMessageW)
            trace_add(out, "waits");
        break;
    case RECORD_WOKE:
        trace_add(out, "%s", trace_call_name(rec->id));
        pad_to(out, column);
        trace_add_result(out, state, rec);
        break;
    case RECORD_EVENT: add_event(out, state, rec, column); break;
    case RECORD_CONNECTION:
        trace_add(out, "socket %llu is #%lu", (unsigned long long)rec->args[0],
                  (unsigned long)rec->args[1]);
        break;
    default: break;
    }
    while (out->len > start && out->text[out->len - 1] == ' ')
        out->len--;
    trace_add(out, "\n");
}

#endif
