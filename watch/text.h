/* text.h -- records in words
 *
 * For this folder only. All of these put text into a buffer
 * that grows.
 */
#ifndef WATCH_TEXT_H
#define WATCH_TEXT_H

#include "common/win.h"
#include "watch/state.h"

#ifdef TRACE

/* Text that grows at its end. Start with {0}; free `text`. */
struct trace_text {
    char *text; /* always terminated, NULL while empty */
    size_t len;
    size_t size;
    bool full; /* there was no memory: something is missing */
};

void trace_add(struct trace_text *out, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* "accept" or "recv": what kind of operation the call begins. */
const char *trace_op_kind(enum trace_id id);

/* "#17", or "socket 412" for one without a name; the same for events. */
void trace_add_socket(struct trace_text *out, const struct trace_state *state,
                      ULONG_PTR sock);
void trace_add_event(struct trace_text *out, const struct trace_state *state,
                     ULONG_PTR event);

/* "FD_READ|FD_CLOSE", or "0". */
void trace_add_mask(struct trace_text *out, ULONG_PTR mask);

/* "WM_APP+1 #17 FD_READ". The three words of a message. */
void trace_add_message(struct trace_text *out, const struct trace_state *state,
                       const ULONG_PTR *message);

/* The arguments that matter: "#17, 65536". */
void trace_add_args(struct trace_text *out, const struct trace_state *state,
                    const struct trace_record *rec);

/* What came of it: "64 bytes", "pending", "WSAEWOULDBLOCK". */
void trace_add_result(struct trace_text *out, const struct trace_state *state,
                      const struct trace_record *rec);

/* What happened that is no call: "recv done", "APC worker_add". */
void trace_add_what(struct trace_text *out, const struct trace_state *state,
                    const struct trace_record *rec);

/* What --trace begins with, and a line of it. Some records have no line. The
 * line for calls that were left out names the last of them. */
void trace_add_heading(struct trace_text *out);
bool trace_has_line(const struct trace_state *state,
                    const struct trace_record *rec);
void trace_add_left_out(struct trace_text *out, const struct trace_state *state,
                        const struct trace_thread *thread,
                        const struct trace_record *rec, unsigned long count);
void trace_add_line(struct trace_text *out, const struct trace_state *state,
                    const struct trace_thread *thread,
                    const struct trace_record *rec);

#endif
#endif
