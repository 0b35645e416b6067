/* file_copy.c -- copies a file through a completion port
 *
 *   source --ReadFile()--> [block] --WriteFile()--> target
 *      |                                               |
 *      +----> [port: a queue of packets] <-------------+
 *                     |
 *      copy_run() takes one packet after the other, on one thread
 *
 * A port is not for sockets alone: it tells of each operation that ends on a
 * handle which was opened for overlapped I/O. Several blocks are on their way at
 * once, each read or written: --in-flight of them, each with an OVERLAPPED and a
 * buffer of its own.
 *
 * The target is written under another name beside its place, and moved there
 * when it is whole. So an older file stays until there is a new one, whatever
 * fails.
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/stop.h"
#include "extras/file_copy/file_copy.h"

/* What a packet is about. The key of a handle says which one it is; the others
 * are posted by ourselves. */
enum key {
    KEY_START,  /* a block begins; no operation has ended */
    KEY_SOURCE, /* a read is done */
    KEY_TARGET, /* a write is done */
    KEY_STOP    /* Ctrl+C; there is no block with it */
};

/* One block on its way. While a packet for it is to come, all of it belongs to
 * the system. */
struct block {
    OVERLAPPED ov; /* has the offset: the file pointer is not looked at */
    char *buf;
    DWORD len; /* bytes that count; what is read and written may be more */
};

struct copy {
    const struct options *options;
    HANDLE source;
    HANDLE target;
    HANDLE port;
    uint64_t size;
    DWORD block_size; /* a multiple of `sector` */
    DWORD sector;     /* what offset and length have to be multiples of */

    struct block *blocks;
    char *memory;       /* of all blocks */
    uint64_t next;      /* where the next read begins */
    uint64_t written;   /* bytes */
    unsigned in_flight; /* packets that will come; not KEY_STOP's */
    bool failed;        /* said already; begin nothing more */

    volatile LONG stopped; /* interlocked: Ctrl+C */

    bool show; /* the progress */
    double shown;
};

enum { SHOW_MS = 100 };

static const char help[] =
    "file_copy: copies a file through a completion port\n\n"
    "usage: file_copy [options] SOURCE TARGET\n\n"
    "      --unbuffered     past the system's cache\n"
    "      --block KIB      size of a block, 1 to 16384, default 64\n"
    "      --in-flight N    blocks on their way at once, 1 to 64, default 8\n"
    "      --verify         then read both, and compare every byte\n"
    "      --measure        compare the speed with CopyFileExW and with a "
    "loop;\n"
    "                       the target is left alone\n"
    "  -q, --quiet          no progress\n"
    "  -h, --help, -?, /?   this text\n"
    "      --version        the version\n\n"
    "The target is replaced when the new file is whole, and not before. What "
    "is\n"
    "copied is the contents and the time of the last change.\n"
    "Exit codes: 0 copied, 1 not copied, and the target is as it was,\n"
    "            2 bad command line.\n";

/* ---- what goes wrong ------------------------------------------------------- */

/* Only the first failure is told: the others are consequences of it, such as
 * what our own CancelIoEx() ends. */
static void copy_fail(struct copy *copy, const char *call, const char *path,
                      DWORD error)
{
    if (!copy->failed && !copy->stopped)
        say_failed(call, path, error);
    copy->failed = true;
}

/* ---- the blocks ------------------------------------------------------------ */

DWORD round_up(uint64_t len, DWORD to)
{
    return (DWORD)((len + to - 1) / to * to);
}

static void set_offset(struct block *b, uint64_t offset)
{
    b->ov = (OVERLAPPED){.Offset = (DWORD)offset,
                         .OffsetHigh = (DWORD)(offset >> 32)};
}

static uint64_t offset_of(const struct block *b)
{
    return (uint64_t)b->ov.OffsetHigh << 32 | b->ov.Offset;
}

/* A packet will come if the call has succeeded, at once or not; and only then.
 * To count it in any other case means to wait for ever. */
static void count_packet(struct copy *copy, const char *call, const char *path,
                         BOOL ok)
{
    DWORD error = ok ? ERROR_IO_PENDING : GetLastError();
    if (error == ERROR_IO_PENDING)
        copy->in_flight++;
    else
        copy_fail(copy, call, path, error);
}

/* Without the cache a length has to be a multiple of the sector: the last read
 * asks for more than there is, and brings less. Source: File Buffering. */
static void block_read(struct copy *copy, struct block *b)
{
    uint64_t left = copy->size - copy->next;
    if (copy->failed || copy->stopped || left == 0)
        return; /* no packet will come for this block any more */
    b->len = left < copy->block_size ? (DWORD)left : copy->block_size;
    set_offset(b, copy->next);
    copy->next += b->len;
    count_packet(copy, "ReadFile", copy->options->source,
                 ReadFile(copy->source, b->buf, round_up(b->len, copy->sector),
                          NULL, &b->ov));
}

/* The rest of the last sector is cut off at the end, in copy_finish(). It is
 * cleared, so that nothing of an earlier block gets onto the disk. */
static void block_write(struct copy *copy, struct block *b)
{
    DWORD len = round_up(b->len, copy->sector);
    if (copy->failed || copy->stopped)
        return;
    memset(b->buf + b->len, 0, len - b->len);
    set_offset(b, offset_of(b));
    count_packet(copy, "WriteFile", copy->options->target,
                 WriteFile(copy->target, b->buf, len, NULL, &b->ov));
}

static void show_progress(struct copy *copy, bool last)
{
    double now = clock_ms();
    if (!copy->show || (!last && now - copy->shown < SHOW_MS))
        return;
    copy->shown = now;
    double part =
        copy->size == 0 ? 1.0 : (double)copy->written / (double)copy->size;
    char line[80];
    DWORD done;
    int len =
        snprintf(line, sizeof line, "\r%3.0f %% of %llu bytes%s", 100.0 * part,
                 (unsigned long long)copy->size, last ? "\r\n" : "");
    /* Not fprintf(stderr): it would write each letter by itself. That it fails
     * is not told: there is no place left to tell it. */
    (void)WriteFile(GetStdHandle(STD_ERROR_HANDLE), line, (DWORD)len, &done,
                    NULL);
}

/* ---- the loop -------------------------------------------------------------- */

/* `len` is how much really came, whatever was asked for. */
static void on_read(struct copy *copy, struct block *b, DWORD len, DWORD error)
{
    if (error != 0)
        copy_fail(copy, "ReadFile", copy->options->source, error);
    else if (len != b->len) /* nobody may write to it; but it is shorter now */
        copy_fail(copy, "ReadFile", copy->options->source, ERROR_HANDLE_EOF);
    else
        block_write(copy, b);
}

static void on_written(struct copy *copy, struct block *b, DWORD len,
                       DWORD error)
{
    if (error != 0) {
        copy_fail(copy, "WriteFile", copy->options->target, error);
    } else if (len != round_up(b->len, copy->sector)) {
        /* A full disk: Windows fails, Wine writes what there is room for. */
        copy_fail(copy, "WriteFile", copy->options->target, ERROR_DISK_FULL);
    } else {
        copy->written += b->len;
        show_progress(copy, false);
        block_read(copy, b);
    }
}

/* Ask all to end. Each packet still comes, and until then the system may write
 * into our memory: so the loop goes on. */
static void copy_cancel(struct copy *copy)
{
    CancelIoEx(copy->source, NULL); /* fails when nothing is in flight */
    CancelIoEx(copy->target, NULL);
}

/* Until no packet is to come. The four outcomes of the call are those of
 * iocp.c:worker_run. */
static void copy_run(struct copy *copy)
{
    bool cancelled = false;
    while (copy->in_flight > 0) {
        DWORD len = 0;
        ULONG_PTR key = 0;
        OVERLAPPED *ov = NULL;
        BOOL ok =
            GetQueuedCompletionStatus(copy->port, &len, &key, &ov, INFINITE);
        DWORD error = ok ? 0 : GetLastError();
        if (ov == NULL && !ok)
            die_call("GetQueuedCompletionStatus", error);
        if (ov != NULL) { /* else it is KEY_STOP's, which only wakes us */
            struct block *b = CONTAINING_RECORD(ov, struct block, ov);
            copy->in_flight--;
            if (key == KEY_START)
                block_read(copy, b);
            else if (key == KEY_SOURCE)
                on_read(copy, b, len, error);
            else
                on_written(copy, b, len, error);
        }
        if ((copy->failed || copy->stopped) && !cancelled) {
            cancelled = true;
            copy_cancel(copy);
        }
    }
    show_progress(copy, true);
}

/* Each block starts with a packet of our own, as if a write had just ended. So
 * there is one place where a block goes on, and it is the loop. */
static void copy_start(struct copy *copy)
{
    for (unsigned long i = 0; i < copy->options->in_flight; i++) {
        struct block *b = &copy->blocks[i];
        b->buf = copy->memory + i * copy->block_size;
        if (!PostQueuedCompletionStatus(copy->port, 0, KEY_START, &b->ov)) {
            copy_fail(copy, "PostQueuedCompletionStatus", copy->options->target,
                      GetLastError());
            return;
        }
        copy->in_flight++;
    }
}

/* ---- before and after ------------------------------------------------------ */

/* From here to copy_close() the memory of the blocks is needed. */
static bool copy_open(struct copy *copy, const struct files *f)
{
    const struct options *o = copy->options;
    copy->source = f->source;
    copy->target = f->target;
    copy->size = f->size;
    copy->sector = o->unbuffered ? f->sector : 1;
    copy->block_size = round_up(1024ULL * o->block_kib, f->sector);
    copy->port = CreateIoCompletionPort(f->source, NULL, KEY_SOURCE, 1);
    if (copy->port == NULL ||
        CreateIoCompletionPort(f->target, copy->port, KEY_TARGET, 0) == NULL) {
        copy_fail(copy, "CreateIoCompletionPort", copy->options->target,
                  GetLastError());
        return false;
    }
    copy->blocks = calloc(o->in_flight, sizeof *copy->blocks);
    /* It begins at a page, so it is aligned for every disk. */
    copy->memory = VirtualAlloc(NULL, o->in_flight * (size_t)copy->block_size,
                                MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    if (copy->blocks == NULL || copy->memory == NULL) {
        copy_fail(copy, "VirtualAlloc", copy->options->target,
                  ERROR_NOT_ENOUGH_MEMORY);
        return false;
    }
    /* A full disk is found now and not in the middle. This does not let NTFS
     * write later than WriteFile(): a write behind the valid data is always
     * done at once. Source: SetFileValidData function. */
    uint64_t tail = f->size % copy->sector;
    if (!set_size(f->target, f->size - tail + round_up(tail, copy->sector))) {
        copy_fail(copy, "SetFileInformationByHandle", copy->options->target,
                  GetLastError());
        return false;
    }
    return true;
}

static void copy_close(struct copy *copy)
{
    if (copy->port != NULL)
        CloseHandle(copy->port);
    if (copy->memory != NULL)
        VirtualFree(copy->memory, 0, MEM_RELEASE);
    free(copy->blocks);
}

/* Cut off what was written to fill the last sector, and keep the time of the
 * last change. The flush: the new name could reach the disk before the bytes. */
static void copy_finish(struct copy *copy)
{
    FILETIME changed;
    if (!set_size(copy->target, copy->size))
        copy_fail(copy, "SetFileInformationByHandle", copy->options->target,
                  GetLastError());
    else if (!FlushFileBuffers(copy->target))
        copy_fail(copy, "FlushFileBuffers", copy->options->target,
                  GetLastError());
    else if (!GetFileTime(copy->source, NULL, NULL, &changed) ||
             !SetFileTime(copy->target, NULL, NULL, &changed))
        copy_fail(copy, "SetFileTime", copy->options->target, GetLastError());
}

/* Runs on another thread, until stop_end(). */
static void copy_stop(void *arg)
{
    struct copy *copy = arg;
    InterlockedExchange(&copy->stopped, TRUE);
    if (!PostQueuedCompletionStatus(copy->port, 0, KEY_STOP, NULL))
        die_call("PostQueuedCompletionStatus", GetLastError());
}

/* ---- all of it ------------------------------------------------------------- */

bool copy_through_port(const struct files *f, const struct options *o)
{
    struct copy copy = {.options = o};
    if (copy_open(&copy, f)) {
        copy_start(&copy);
        copy_run(&copy);
    }
    copy_close(&copy);
    return !copy.failed;
}

/* The bytes, and then their comparison: Ctrl+C ends both. */
static bool copy_bytes(struct files *f, const struct options *o)
{
    DWORD mode;
    struct copy copy = {.options = o};
    bool whole = false;
    copy.show =
        !o->quiet && GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode);
    if (copy_open(&copy, f)) {
        stop_begin(copy_stop, &copy, false);
        copy_start(&copy);
        copy_run(&copy);
        if (!copy.failed && !copy.stopped)
            copy_finish(&copy);
        CloseHandle(f->target);
        f->target = INVALID_HANDLE_VALUE;
        whole = !copy.failed && !copy.stopped &&
                (!o->verify || verify(f, o, &copy.stopped));
        stop_end();
    }
    copy_close(&copy);
    if (copy.stopped)
        err_print("stopped; '%s' is as it was", o->target);
    return whole && !copy.stopped;
}

static bool copy_file(const struct options *o)
{
    struct files f;
    bool done = files_open(&f, o) && copy_bytes(&f, o);
    if (done &&
        MoveFileExW(f.part_path, f.target_path,
                    MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
        free(f.part_path);
        f.part_path = NULL; /* it is in its place */
    } else if (done) {
        say_failed("MoveFileExW", o->target, GetLastError());
        done = false;
    }
    uint64_t size = f.size;
    files_close(&f);
    if (done && !o->quiet)
        printf("%llu bytes copied%s\n", (unsigned long long)size,
               o->verify ? ", and every byte compared" : "");
    return done;
}

/* A program of Windows gets its command line as it was typed, so nobody has
 * looked for matching names. */
static bool has_wildcard(const char *path)
{
    if (strncmp(path, "\\\\?\\", 4) == 0)
        path += 4;
    return strpbrk(path, "*?") != NULL;
}

static void take_name(void *to, char *word)
{
    struct options *o = to;
    if (has_wildcard(word))
        args_error("'%s' has a wildcard; one file is copied at a time", word);
    if (*word == '\0')
        args_error("a name is empty");
    if (o->source == NULL)
        o->source = word;
    else if (o->target == NULL)
        o->target = word;
    else
        args_error("unexpected '%s'", word);
}

int main(int argc, char **argv)
{
    struct options o = {.block_kib = 64, .in_flight = 8};
    const struct option options[] = {
        {NULL, "--unbuffered", .out = &o.unbuffered},
        {NULL, "--block", &o.block_kib, option_number, .min = 1, .max = 16384},
        {NULL, "--in-flight", &o.in_flight, option_number, .min = 1, .max = 64},
        {NULL, "--verify", .out = &o.verify},
        {NULL, "--measure", .out = &o.measure},
        {"-q", "--quiet", .out = &o.quiet},
        {0},
    };
    const struct program program = {
        .name = "file_copy", .help = help, .operand = take_name, .to = &o};
    args_begin(&argc, &argv);
    args_read(&program, options, argc, argv);
    if (o.target == NULL)
        args_error("it takes two names, SOURCE and TARGET");
    bool ok = o.measure ? measure(&o) : copy_file(&o);
    return ok ? EXIT_STOPPED : EXIT_FAILED;
}
