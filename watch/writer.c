/* writer.c -- the thread that takes the records and writes them */
#include "common/win.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/system.h"
#include "common/utf8.h"
#include "watch/layer.h"

#ifdef TRACE

#include "watch/json.h"
#include "watch/places.h"
#include "watch/real.h"

/* How long the end of the process waits for a writer that gets nothing done,
 * because nobody reads our standard error any more. */
enum { END_PATIENCE_MS = 1000 };

/* What the user has asked with. */
#ifdef WATCH_LIBRARY
#define FILE_OPTION "WATCH=trace"
#else
#define FILE_OPTION "--trace-file"
#endif

/* From here on viewers are slow. */
enum { MANY_RECORDS = 1000000 };

/* So much text is put together for one write. */
enum { WRITE_SIZE = 64 * 1024 };

static HANDLE wake; /* set: there may be something to do */
static volatile LONG
    asleep; /* a thread that leaves a record has to set `wake` */
static volatile LONG ending;
static HANDLE ended;
static LPTOP_LEVEL_EXCEPTION_FILTER next_filter;

/* From here on: the writer's own, once it runs. */

/* Where text goes. */
struct sink {
    HANDLE file; /* NULL: not asked for, or given up */
    const char *name;
    const char *tail; /* what makes it complete so far */
    struct trace_text text;
};

static struct trace_state state;
static struct sink narration;
static struct sink file;
static struct trace_thread *first_thread; /* the main thread */
static struct trace_record told;          /* its last record that has a line */
static struct trace_record told_before;   /* and the one before */
static unsigned long left_out; /* of its calls, since the last line */
static bool events;            /* .json, not .jsonl */
static LONG64 next_seq;
static volatile LONG64 records; /* written: others look, too */
static LONG64 dropped;

/* ---- writing ------------------------------------------------------------- */

static void sink_give_up(struct sink *sink, DWORD error)
{
    char text[256];
    err_describe(error, text, sizeof text);
    if (sink != &narration)
        err_print("%s: %s; the trace ends here", sink->name, text);
    sink->file = NULL;
}

static bool write_all(struct sink *sink, const char *text, size_t len)
{
    while (len > 0) {
        DWORD written = 0;
        if (!WriteFile(sink->file, text, (DWORD)len, &written, NULL)) {
            sink_give_up(sink, GetLastError());
            return false;
        }
        text += written;
        len -= written;
    }
    return true;
}

/* Every write leaves a complete file, so that it can be opened whatever may
 * end the process: it brings the tail along, and the next one begins on top of
 * that. */
static void sink_write(struct sink *sink)
{
    if (sink->file == NULL || sink->text.len == 0)
        return;
    trace_add(&sink->text, "%s", sink->tail);
    if (sink->text.full || state.full) {
        sink_give_up(sink, ERROR_NOT_ENOUGH_MEMORY);
    } else if (write_all(sink, sink->text.text, sink->text.len)) {
        LARGE_INTEGER back = {.QuadPart = -(LONGLONG)strlen(sink->tail)};
        if (back.QuadPart != 0 &&
            !SetFilePointerEx(sink->file, back, NULL, FILE_CURRENT))
            sink_give_up(sink, GetLastError());
    }
    sink->text.len = 0;
}

static void narrate_left_out(void)
{
    if (left_out > 0)
        trace_add_left_out(&narration.text, &state, first_thread, &told,
                           left_out);
    left_out = 0;
}

/* While there is no client, the main thread may make the same one or two calls
 * again and again: iocp asks for 32 clients. Then only the first of them have
 * lines, and one line says how many more there were. */
static bool is_repeated(struct trace_thread *thread,
                        const struct trace_record *rec)
{
    if (first_thread == NULL)
        first_thread = thread;
    if (thread != first_thread)
        return false;
    bool same = state.clients == 0 && rec->kind == RECORD_CALL &&
                rec->kind == told_before.kind &&
                rec->place.line == told_before.place.line &&
                trace_failed(rec) == trace_failed(&told_before);
    if (same)
        left_out++;
    else
        narrate_left_out();
    told_before = told;
    told = *rec; /* without its list */
    return same;
}

static void write_record(struct trace_thread *thread,
                         const struct trace_record *rec)
{
    struct trace_change change = trace_apply(&state, thread, rec);
    if (narration.file != NULL && trace_has_line(&state, rec) &&
        !is_repeated(thread, rec))
        trace_add_line(&narration.text, &state, thread, rec);
    if (file.file != NULL && events)
        trace_events_add(&file.text, &state, thread, rec, &change);
    else if (file.file != NULL)
        trace_lines_add(&file.text, &state, thread, rec, &change);
    trace_forget(&state, rec);
    records++;
    if (file.file != NULL && records == MANY_RECORDS)
        err_print("%s: %d records already; a viewer takes in some 60000 a "
                  "second, and has to keep them all in memory",
                  file.name, MANY_RECORDS);
    if (narration.text.len >= WRITE_SIZE)
        sink_write(&narration);
    if (file.text.len >= WRITE_SIZE)
        sink_write(&file);
}

static void write_dropped(struct trace_ring *ring)
{
    LONG all = ring->dropped;
    unsigned long count = (unsigned long)(all - ring->dropped_told);
    if (count == 0)
        return;
    ring->dropped_told = all;
    dropped += count;
    if (narration.file != NULL)
        trace_add(&narration.text,
                  "-- %lu records dropped: more than could be written --\n",
                  count);
    if (file.file != NULL && events)
        trace_events_dropped(&file.text, &state, count, (LONG64)clock_ns());
    else if (file.file != NULL)
        trace_lines_dropped(&file.text, &state, count, (LONG64)clock_ns());
}

static void write_end(void)
{
    if (narration.file != NULL)
        narrate_left_out();
    if (file.file != NULL && events)
        trace_events_unfinished(&file.text, &state, (LONG64)clock_ns());
    else if (file.file != NULL)
        trace_lines_end(&file.text, records, dropped);
}

/* ---- taking records in their order --------------------------------------- */

static struct trace_record *ring_first(struct trace_ring *ring)
{
    while (ring->tail != InterlockedCompareExchange64(&ring->head, 0, 0)) {
        size_t at = (size_t)ring->tail % TRACE_RING_SIZE;
        struct trace_record *rec = (struct trace_record *)(ring->bytes + at);
        if (rec->kind != RECORD_PAD)
            return rec;
        InterlockedExchangeAdd64(&ring->tail, rec->size);
    }
    return NULL;
}

/* The next record and its ring, or NULL: none is there, or one that began
 * earlier is still to come. But what ran inside that one comes before it. At
 * the end nothing more comes: then the earliest there is. */
static struct trace_record *next_record(struct trace_ring **from, bool last)
{
    struct trace_record *earliest = NULL;
    for (struct trace_ring *ring = trace_rings; ring != NULL;
         ring = ring->next) {
        struct trace_record *rec = ring_first(ring);
        if (rec == NULL)
            continue;
        bool next = rec->seq <= next_seq ||
                    (rec->inside != 0 && rec->inside <= next_seq + 1);
        if (next || (last && (earliest == NULL || rec->seq < earliest->seq))) {
            earliest = rec;
            *from = ring;
        }
        if (next)
            break;
    }
    return earliest;
}

/* A program that was only linked with us did not say where it calls: its debug
 * information knows. */
static void find_place(struct trace_record *rec)
{
#ifdef WATCH_LIBRARY
    if (rec->caller == NULL || rec->place.function != NULL)
        return;
    const struct place *place = place_of(rec->caller);
    rec->place = (struct trace_place){
        place->base != NULL ? place->base : "",
        place->function != NULL ? place->function : place->text, place->line};
#else
    (void)rec;
#endif
}

static void drain(bool last)
{
    struct trace_ring *ring;
    struct trace_record *rec;
    while ((rec = next_record(&ring, last)) != NULL) {
        find_place(rec);
        if (ring->thread == NULL)
            ring->thread = trace_thread_new(&state, ring->tid);
        if (ring->thread != NULL)
            write_record(ring->thread, rec);
        else
            state.full = true;
        if (rec->seq >= next_seq)
            next_seq = rec->seq + 1;
        InterlockedExchangeAdd64(&ring->tail, rec->size);
    }
    for (ring = trace_rings; ring != NULL; ring = ring->next)
        write_dropped(ring);
}

static unsigned __stdcall writer_main(void *arg)
{
    REAL(SetEvent)(arg);
    for (;;) {
        /* First say that we sleep, then look once more: a record that comes
         * after the look finds that we sleep, and wakes us. */
        InterlockedExchange(&asleep, TRUE);
        struct trace_ring *ring;
        if (!ending && next_record(&ring, false) == NULL)
            REAL(WaitForSingleObject)(wake, INFINITE);
        InterlockedExchange(&asleep, FALSE);
        bool last = ending;
        drain(last);
        if (last)
            write_end();
        sink_write(&narration);
        sink_write(&file);
        if (last)
            break;
    }
    REAL(SetEvent)(ended);
    /* It ends with the process. Under Wine 8 a thread that ended by itself in that
     * moment was seen to bring the process down, once in about a thousand times.
     */
    Sleep(INFINITE);
    return 0;
}

void trace_writer_wake(void)
{
    if (asleep && InterlockedExchange(&asleep, FALSE))
        REAL(SetEvent)(wake);
}

/* ---- begin and end ------------------------------------------------------- */

/* At exit, or while the process dies: then the writer may need what the thread
 * that died holds, and so this waits only so long. */
void trace_writer_end(void)
{
    if (ended == NULL)
        return;
    InterlockedExchange(&ending, TRUE);
    REAL(SetEvent)(wake);
    LONG64 before;
    do
        before = records;
    while (REAL(WaitForSingleObject)(ended, END_PATIENCE_MS) == WAIT_TIMEOUT &&
           records != before);
}

static LONG WINAPI on_crash(EXCEPTION_POINTERS *info)
{
    trace_writer_end();
    return next_filter != NULL ? next_filter(info) : EXCEPTION_CONTINUE_SEARCH;
}

static void open_file(const char *name)
{
    file.name = name;
    file.tail = "";
    wchar_t *path = utf8_path(name);
    if (path == NULL)
        die_call("malloc", GetLastError());
    file.file =
        CreateFileW(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE,
                    NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file.file == INVALID_HANDLE_VALUE) {
        char text[256];
        err_describe(GetLastError(), text, sizeof text);
        err_print(FILE_OPTION ": cannot write '%s': %s", name, text);
        err_exit(EXIT_LISTEN);
    }
    free(path);
    size_t len = strlen(name);
    events = len >= 5 && _stricmp(name + len - 5, ".json") == 0;
    if (events) {
        file.tail = trace_events_tail;
        trace_events_begin(&file.text, &state);
    } else {
        trace_event_flags = true;
        trace_lines_begin(&file.text, &state);
    }
    sink_write(&file);
}

static void describe_process(void)
{
    SYSTEM_INFO info;
    LARGE_INTEGER counter;
    GetSystemInfo(&info);
    state.pid = GetCurrentProcessId();
    state.processors = info.dwNumberOfProcessors;
    state.command = utf8_from_wide(GetCommandLineW());
    if (state.command == NULL)
        die_call("malloc", ERROR_NOT_ENOUGH_MEMORY);
    system_name(state.system, sizeof state.system);
    QueryPerformanceFrequency(&counter);
    state.qpf = counter.QuadPart;
    QueryPerformanceCounter(&counter);
    state.qpc = counter.QuadPart;
    state.began = (LONG64)clock_ns();
}

void trace_writer_begin(const char *model, bool narrate, const char *file_name)
{
    state.model = model;
    describe_process();
    if (file_name != NULL)
        open_file(file_name);
    if (narrate) {
        narration.file = GetStdHandle(STD_ERROR_HANDLE);
        narration.tail = "";
        trace_add_heading(&narration.text);
        sink_write(&narration);
    }

    /* The first time that MinGW-w64 prints a number with a point it calls
     * atexit(). The writer could not do so any more while exit() runs. */
    char unused[8];
    snprintf(unused, sizeof unused, "%.3f", trace_us(&state, state.began));

    wake = REAL(CreateEventW)(NULL, FALSE, FALSE, NULL);
    ended = REAL(CreateEventW)(NULL, TRUE, FALSE, NULL);
    if (wake == NULL || ended == NULL)
        die_call("CreateEventW", GetLastError());
    HANDLE begun = REAL(CreateEventW)(NULL, TRUE, FALSE, NULL);
    if (begun == NULL)
        die_call("CreateEventW", GetLastError());
    uintptr_t thread = _beginthreadex(NULL, 0, writer_main, begun, 0, NULL);
    if (thread == 0)
        die_call("_beginthreadex", GetLastError());
    CloseHandle((HANDLE)thread);
    /* A thread that has not begun when the process ends, never does: then a
     * program of a few milliseconds would have no trace. But where the system
     * holds threads back, as in DllMain(), this must not wait for ever. */
    if (REAL(WaitForSingleObject)(begun, END_PATIENCE_MS) == WAIT_OBJECT_0)
        CloseHandle(begun);
    next_filter = SetUnhandledExceptionFilter(on_crash);
    if (atexit(trace_writer_end) != 0)
        die_call("atexit", ERROR_NOT_ENOUGH_MEMORY);
}

#endif
