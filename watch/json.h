/* json.h -- records as JSON
 *
 * For this folder only. Two formats, both described in
 * docs/tracing.md: the Trace Event Format that Perfetto and chrome://tracing
 * open, and one object a line with all that is known at that moment.
 */
#ifndef WATCH_JSON_H
#define WATCH_JSON_H

#include "watch/text.h"

#ifdef TRACE

/* .json: what comes before the first event; an event, with the separator that
 * it needs; and what has to stand at the end to make the whole complete. */
void trace_events_begin(struct trace_text *out,
                        const struct trace_state *state);
void trace_events_add(struct trace_text *out, const struct trace_state *state,
                      const struct trace_thread *thread,
                      const struct trace_record *rec,
                      const struct trace_change *change);
extern const char trace_events_tail[];

/* At the end of the trace: waits that are still open, operations that are
 * still in flight. Marked as unfinished. */
void trace_events_unfinished(struct trace_text *out,
                             const struct trace_state *state, LONG64 ns);
void trace_events_dropped(struct trace_text *out,
                          const struct trace_state *state, unsigned long count,
                          LONG64 ns);

/* .jsonl */
void trace_lines_begin(struct trace_text *out, const struct trace_state *state);
void trace_lines_add(struct trace_text *out, const struct trace_state *state,
                     const struct trace_thread *thread,
                     const struct trace_record *rec,
                     const struct trace_change *change);
void trace_lines_dropped(struct trace_text *out,
                         const struct trace_state *state, unsigned long count,
                         LONG64 ns);
void trace_lines_end(struct trace_text *out, LONG64 records, LONG64 dropped);

#endif
#endif
