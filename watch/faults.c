/* faults.c -- see faults.h */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/map.h"
#include "watch/faults.h"

#ifdef TRACE

#include "watch/call.h"
#include "watch/real.h"
#include "watch/wrap.h"

enum { CODES_MOST = 16 };

static const struct {
    const char *call;
    DWORD codes[CODES_MOST]; /* ends with a 0 */
} documented[] = {
#define CODES(call, page, ...) {#call, {__VA_ARGS__}},
#include "watch/codes.h"
};

/* All of this is set by faults_begin(), before there is another thread. */
bool faults_on;
static char text[1024]; /* what was asked for, taken apart */
static const char *wanted = "";
static const char *window; /* the file, or NULL */
static long every;
static long at;
static DWORD code;
static bool early_close; /* FD_CLOSE */
static bool apcs;        /* APC */
static bool hang_up;     /* POLLHUP */
static bool pending;     /* and so on */
static bool mixed;
static bool bytes_first; /* AT_ONCE */
static bool groups;

static volatile LONG serving; /* interlocked, like the next one */
static volatile LONG calls;   /* of those that are to fail */

/* ---- what is asked for ------------------------------------------------------ */

static DWORD first_code(const char *call)
{
    for (size_t i = 0; i < sizeof documented / sizeof documented[0]; i++) {
        if (strcmp(documented[i].call, call) == 0)
            return documented[i].codes[0];
    }
    return ERROR_NOT_ENOUGH_MEMORY; /* a new row of calls.h */
}

/* 0: there is no such code in codes.h. */
static DWORD code_of(const char *name)
{
    DWORD number = strtoul(name, NULL, 10);
    for (size_t i = 0; i < sizeof documented / sizeof documented[0]; i++) {
        for (const DWORD *one = documented[i].codes; *one != 0; one++) {
            if (*one == number || strcmp(err_name(*one), name) == 0)
                return *one;
        }
    }
    return 0;
}

static bool is_call(const char *name)
{
    for (int id = 0; id < TRACE_IDS; id++) {
        if (strcmp(watched[id].name, name) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof documented / sizeof documented[0]; i++) {
        if (strcmp(documented[i].call, name) == 0)
            return true;
    }
    return false;
}

static bool is_wanted(const char *call)
{
    return strcmp(wanted, call) == 0;
}

/* One of call=NAME, every=N, at=N, code=CODE. */
static bool understood(const char *word)
{
    const char *value = strchr(word, '=');
    if (value++ == NULL)
        return false;
    size_t len = (size_t)(value - word);
    char *end = NULL;
    long number = strtol(value, &end, 10);
    bool counts = number > 0 && *end == '\0';
    if (strncmp(word, "call=", len) == 0) {
        wanted = value;
        early_close = is_wanted("FD_CLOSE");
        apcs = is_wanted("APC");
        hang_up = is_wanted("POLLHUP");
        pending = is_wanted("PENDING");
        mixed = is_wanted("MIXED");
        bytes_first = is_wanted("AT_ONCE");
        groups = is_wanted("GROUPS");
        return early_close || apcs || hang_up || pending || mixed ||
               bytes_first || groups || is_call(wanted);
    }
    if (strncmp(word, "code=", len) == 0) {
        code = code_of(value);
        return code != 0;
    }
    if (counts && strncmp(word, "every=", len) == 0)
        every = number;
    else if (counts && strncmp(word, "at=", len) == 0)
        at = number;
    else
        return false;
    return true;
}

void faults_begin(const char *wish)
{
    char env[sizeof text] = "";
    DWORD len = GetEnvironmentVariableA("WATCH_FAULTS", env, sizeof env);
    if (wish == NULL)
        wish = env;
    bool good = len < sizeof env && strlen(wish) < sizeof text;
    faults_on = len > 0 || wish != env;
    snprintf(text, sizeof text, "%s", wish);
    for (char *word = text; good && *word != '\0';) {
        if (strncmp(word, "while=", 6) == 0) {
            window = word + 6;
            break;
        }
        char *end = word + strcspn(word, ",");
        char *next = *end != '\0' ? end + 1 : end;
        *end = '\0';
        good = understood(word);
        word = next;
    }
    if (!good || (faults_on && *wanted == '\0')) {
        err_print(
            "WATCH_FAULTS=%s: this is not understood; it is "
            "call=NAME,every=N,at=N,code=CODE,while=FILE, not all of them",
            wish);
        err_exit(EXIT_USAGE);
    }
    if (code == 0)
        code = first_code(wanted);
}

void faults_serving(void)
{
    InterlockedExchange(&calls, 0);
    InterlockedExchange(&serving, TRUE);
}

/* ---- a call fails ----------------------------------------------------------- */

/* In one piece: the program's own lines must not come in between. */
static void tell(const char *format, ...)
{
    char line[200];
    DWORD done = 0;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), line, (DWORD)len, &done, NULL);
}

static bool in_window(void)
{
    return window == NULL ||
           GetFileAttributesA(window) != INVALID_FILE_ATTRIBUTES;
}

/* While the program serves. With neither `every` nor `while` nothing fails. */
static bool hits(LONG number)
{
    if (every == 0 && window == NULL)
        return false;
    return (every == 0 || number % every == 0) && in_window();
}

bool faults_strike(const char *call)
{
    if (!is_wanted(call))
        return false;
    DWORD before = GetLastError();
    LONG number = InterlockedIncrement(&calls);
    bool hit = serving ? hits(number) : number == at;
    if (hit)
        tell("fault: %s\n", call);
    SetLastError(hit ? code : before);
    if (hit)
        _doserrno = code; /* what _beginthreadex() leaves */
    return hit;
}

/* Of the row, as the program gets it. */
static LONG_PTR failure(enum trace_id id)
{
    switch (watched[id].fails) {
    case FAILS_ZERO: return 0;
    case FAILS_WAIT: return (LONG_PTR)WAIT_FAILED;
    case FAILS_NOT_0: return (LONG_PTR)code;
    default: return SOCKET_ERROR;
    }
}

/* These are made, and then say that they failed: whatever they were about is over
 * in any case, as Windows has it. So is a newcomer that left. */
static bool fails_after(enum trace_id id)
{
    return (id == TRACE_accept && code == WSAECONNRESET) ||
           id == TRACE_WSAGetOverlappedResult || id == TRACE_closesocket ||
           id == TRACE_WSACloseEvent || id == TRACE_CancelIoEx;
}

static bool succeeded(enum trace_id id, LONG_PTR result)
{
    return watched[id].fails == FAILS_ZERO ? result != 0
                                           : result != SOCKET_ERROR;
}

static bool fails(struct trace_call *call)
{
    if (call->id == TRACE_RIODequeueCompletion) {
        call->instead = (LONG_PTR)RIO_CORRUPT_CQ;
        return faults_strike(watched[call->id].name);
    }
    if (watched[call->id].fails == FAILS_NEVER || fails_after(call->id) ||
        !faults_strike(watched[call->id].name))
        return false;
    call->instead = failure(call->id);
    if (call->id == TRACE_GetQueuedCompletionStatus) /* no packet was taken */
        *(OVERLAPPED **)call->args[3] = NULL;
    return true;
}

/* ---- what Windows does and Wine does not --------------------------------------- */

/* APC: a call that can block waits alertably, so that completion routines run
 * inside it. Each new depth of such calls in one another is told. */
static void wait_alertably(void)
{
    static _Thread_local int depth;
    static volatile LONG deepest;
    depth++;
    if (depth > deepest) {
        InterlockedExchange(&deepest, depth);
        tell("fault: APC depth %d\n", depth);
    }
    wrap_run_apcs();
    depth--;
}

/* POLLHUP: once a client has sent its end, every wait answers POLLHUP for it at
 * once, even if it asks only whether it can send. */
static int answer_hang_ups(WSAPOLLFD *polls, ULONG count)
{
    static volatile LONG waits;
    int ready = 0;
    for (ULONG i = 0; i < count; i++) {
        polls[i].revents = 0;
        if (polls[i].fd != INVALID_SOCKET && polls[i].events == POLLWRNORM) {
            polls[i].revents = POLLHUP;
            ready++;
        }
    }
    if (serving && InterlockedIncrement(&waits) % 100 == 0)
        tell("fault: POLLHUP, 100 waits\n");
    return ready;
}

/* FD_CLOSE: the news that the client has closed come along with the first bytes,
 * while more may wait to be read, and they do not come a second time when all has
 * been read. */
static void close_early_in_events(WSANETWORKEVENTS *seen)
{
    if (seen->lNetworkEvents & FD_READ)
        seen->lNetworkEvents |= FD_CLOSE;
    else
        seen->lNetworkEvents &= ~FD_CLOSE;
}

static volatile UINT socket_message; /* of WSAAsyncSelect() */

static void close_early_in_message(MSG *message)
{
    if (message->message != socket_message)
        return;
    if (LOWORD(message->lParam) == FD_READ)
        message->lParam = MAKELPARAM(FD_CLOSE, HIWORD(message->lParam));
    else if (LOWORD(message->lParam) == FD_CLOSE)
        /* which says nothing to a server that owes nothing */
        message->lParam = MAKELPARAM(FD_WRITE, HIWORD(message->lParam));
}

/* ---- the books of the thread pool --------------------------------------------- */

/* Windows promises nothing to a server that breaks a rule here, and Wine often
 * lets it pass; so the rules are checked. What is wrong is told. A book stays
 * after its PTP_IO is closed: a callback may still look into it. */
struct book {
    long starts, cancels, callbacks; /* under books_lock, as the rest */
    long running;
};

static SRWLOCK books_lock = SRWLOCK_INIT;
static struct map books; /* PTP_IO -> struct book */
static _Thread_local PTP_IO in_callback_of;

static void complain(const char *what)
{
    tell("thread pool: %s\n", what);
}

static void book_open(ULONG_PTR io)
{
    struct book *book = io != 0 ? calloc(1, sizeof *book) : NULL;
    if (book == NULL)
        return;
    AcquireSRWLockExclusive(&books_lock);
    map_remove(&books, io);
    (void)map_put(&books, io, book);
    ReleaseSRWLockExclusive(&books_lock);
}

static void book_close(struct book *book, ULONG_PTR io)
{
    map_remove(&books, io);
    if (book->starts != book->cancels + book->callbacks)
        complain("closed, but a start has no callback and no cancel");
    if (book->running > 0)
        complain("closed while a callback runs");
}

static void book_enter(enum trace_id id, ULONG_PTR io)
{
    AcquireSRWLockExclusive(&books_lock);
    struct book *book = map_get(&books, io);
    if (book == NULL)
        complain(id == TRACE_CloseThreadpoolIo ? "closed twice"
                                               : "used after it was closed");
    else if (id == TRACE_StartThreadpoolIo)
        book->starts++;
    else if (id == TRACE_CancelThreadpoolIo)
        book->cancels++;
    else
        book_close(book, io);
    ReleaseSRWLockExclusive(&books_lock);
}

void faults_callback(PTP_IO io, bool begins)
{
    AcquireSRWLockExclusive(&books_lock);
    struct book *book = map_get(&books, (ULONG_PTR)io);
    if (book != NULL && begins) {
        book->callbacks++;
        book->running++;
        if (book->callbacks + book->cancels > book->starts)
            complain("a callback without StartThreadpoolIo()");
    } else if (book != NULL) {
        book->running--;
    }
    ReleaseSRWLockExclusive(&books_lock);
    in_callback_of = begins ? io : NULL;
}

static void newcomer_leaves(SOCKET sock)
{
    DWORD error = GetLastError();
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)REAL(setsockopt)(sock, SOL_SOCKET, SO_LINGER, (const char *)&at_once,
                           sizeof at_once);
    REAL(closesocket)(sock);
    SetLastError(error);
}

/* ---- what is done at once ---------------------------------------------------- */

/* PENDING: nothing is, a packet comes for all. MIXED: every other operation, of
 * those that Wine does at once. AT_ONCE: a receive waits a little for its bytes,
 * so nearly all are. */
struct tie {
    HANDLE port; /* under ties_lock, as the rest */
    ULONG_PTR key;
    bool skips;
};

static SRWLOCK ties_lock = SRWLOCK_INIT;
static struct map ties; /* SOCKET -> struct tie; they stay */

/* A socket has a port, or does not want packets for what is done at once. */
static void tie_put(const struct trace_call *call)
{
    const ULONG_PTR *args = call->args;
    AcquireSRWLockExclusive(&ties_lock);
    struct tie *tie = map_get(&ties, args[0]);
    if (tie == NULL && (tie = calloc(1, sizeof *tie)) != NULL)
        (void)map_put(&ties, args[0], tie);
    if (tie != NULL && call->id == TRACE_CreateIoCompletionPort)
        *tie = (struct tie){(HANDLE)args[1], args[2], false};
    else if (tie != NULL)
        tie->skips = args[1] & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;
    ReleaseSRWLockExclusive(&ties_lock);
}

/* It was done at once, so no packet comes: post one and say "pending". */
static LONG_PTR late(const struct trace_call *call, LONG_PTR result,
                     DWORD *error)
{
    static volatile LONG done;
    OVERLAPPED *ov = (OVERLAPPED *)call->args[5];
    if (result != 0 || ov == NULL || (!pending && !mixed) ||
        (mixed && InterlockedIncrement(&done) % 2 == 0))
        return result;
    AcquireSRWLockExclusive(&ties_lock);
    const struct tie *found = map_get(&ties, call->args[0]);
    struct tie tie = found != NULL ? *found : (struct tie){0};
    ReleaseSRWLockExclusive(&ties_lock);
    if (tie.skips && !REAL(PostQueuedCompletionStatus)(
                         tie.port, (DWORD)ov->InternalHigh, tie.key, ov))
        return result;
    *error = WSA_IO_PENDING;
    return SOCKET_ERROR;
}

static void wait_for_bytes(SOCKET sock)
{
    enum { A_LITTLE_MS = 20 };
    WSAPOLLFD poll = {.fd = sock, .events = POLLRDNORM};
    (void)REAL(WSAPoll)(&poll, 1, A_LITTLE_MS);
}

/* ---- two groups of processors -------------------------------------------------- */

/* GROUPS: there are two, of one processor each. */
static bool in_groups(struct trace_call *call)
{
    const GROUP_AFFINITY *where = (const GROUP_AFFINITY *)call->args[1];
    switch (call->id) {
    case TRACE_GetActiveProcessorGroupCount: call->instead = 2; return true;
    case TRACE_GetActiveProcessorCount:
        call->instead = (WORD)call->args[0] == ALL_PROCESSOR_GROUPS ? 2 : 1;
        return true;
    case TRACE_SetThreadGroupAffinity:
        tell("fault: a thread for group %u, mask %llu\n", where->Group,
             (unsigned long long)where->Mask);
        call->instead = TRUE;
        return true;
    default: return false;
    }
}

/* ---- around each call ----------------------------------------------------------- */

bool faults_instead(struct trace_call *call)
{
    const ULONG_PTR *args = call->args;
    if (groups && in_groups(call))
        return true;
    switch (call->id) {
    case TRACE_WSARecv:
        if (bytes_first)
            wait_for_bytes(args[0]);
        break;
    case TRACE_shutdown:
    case TRACE_closesocket:
        if (apcs)
            wait_alertably();
        break;
    case TRACE_WSAPoll:
        if (hang_up) {
            call->instead =
                answer_hang_ups((WSAPOLLFD *)args[0], (ULONG)args[1]);
            if (call->instead > 0)
                return true;
        }
        break;
    case TRACE_WSAAsyncSelect: socket_message = (UINT)args[2]; break;
    case TRACE_StartThreadpoolIo:
    case TRACE_CancelThreadpoolIo:
    case TRACE_CloseThreadpoolIo: book_enter(call->id, args[0]); break;
    case TRACE_WaitForThreadpoolIoCallbacks:
        if (in_callback_of == (PTP_IO)args[0]) {
            complain("a callback waits for itself");
            return true;
        }
        break;
    default: break;
    }
    return fails(call);
}

LONG_PTR faults_changed(struct trace_call *call, LONG_PTR result)
{
    DWORD error = GetLastError();
    switch (call->id) {
    case TRACE_CreateIoCompletionPort:
    case TRACE_SetFileCompletionNotificationModes:
        if (result != 0 && (pending || mixed) &&
            (HANDLE)call->args[0] != INVALID_HANDLE_VALUE)
            tie_put(call);
        break;
    case TRACE_WSARecv:
    case TRACE_WSASend: result = late(call, result, &error); break;
    case TRACE_CreateThreadpoolIo: book_open((ULONG_PTR)result); break;
    case TRACE_WSAEnumNetworkEvents:
        if (early_close && result == 0)
            close_early_in_events((WSANETWORKEVENTS *)call->args[2]);
        break;
    case TRACE_GetMessageW:
        if (early_close && result > 0)
            close_early_in_message((MSG *)call->args[0]);
        break;
#ifdef WATCH_LIBRARY
    case TRACE_listen: /* no log_ready() tells that it serves */
        if (result == 0 && !serving)
            faults_serving();
        break;
#endif
    default: break;
    }
    SetLastError(error);
    if (fails_after(call->id) && succeeded(call->id, result) &&
        faults_strike(watched[call->id].name)) {
        if (call->id == TRACE_accept)
            newcomer_leaves((SOCKET)result);
        return failure(call->id);
    }
    return result;
}

#endif
