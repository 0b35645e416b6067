/* faults.c -- see faults.h */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/servers/faults/faults.h"

static volatile LONG serving;
static volatile LONG calls;

void fault_serving(void)
{
    InterlockedExchange(&calls, 0);
    InterlockedExchange(&serving, TRUE);
}

/* In one piece: the server's own lines must not come in between. */
static void tell(const char *format, ...)
{
    char text[200];
    DWORD done = 0;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)len, &done, NULL);
}

static long setting(const char *name)
{
    char text[32];
    DWORD len = GetEnvironmentVariableA(name, text, sizeof text);
    return len > 0 && len < sizeof text ? strtol(text, NULL, 10) : 0;
}

static bool is_wanted(const char *call)
{
    char wanted[64];
    DWORD len = GetEnvironmentVariableA("FAULT_CALL", wanted, sizeof wanted);
    return len > 0 && len < sizeof wanted && strcmp(wanted, call) == 0;
}

/* All calls fail as long as there is a file of the name FAULT_WHILE. */
static bool in_window(void)
{
    char name[512];
    DWORD len = GetEnvironmentVariableA("FAULT_WHILE", name, sizeof name);
    return len > 0 && len < sizeof name &&
           GetFileAttributesA(name) != INVALID_FILE_ATTRIBUTES;
}

bool fault_hit(const char *call, int code)
{
    DWORD before = GetLastError();
    bool wanted = is_wanted(call);
    long every = setting("FAULT_EVERY");
    long at = setting("FAULT_AT");
    LONG number = wanted ? InterlockedIncrement(&calls) : 0;
    bool hit =
        wanted && (serving ? (every > 0 && number % every == 0) || in_window()
                           : number == at);
    SetLastError(before);
    if (!hit)
        return false;
    tell("fault: %s\n", call);
    if (setting("FAULT_CODE") != 0)
        code = (int)setting("FAULT_CODE");
    SetLastError((DWORD)code);
    _doserrno = (unsigned long)code; /* what _beginthreadex() leaves */
    return true;
}

void fault_alertable(void)
{
    static _Thread_local int depth;
    static volatile LONG deepest;
    if (!is_wanted("APC"))
        return;
    depth++;
    if (depth > deepest) {
        InterlockedExchange(&deepest, depth);
        tell("fault: APC depth %d\n", depth);
    }
    SleepEx(0, TRUE);
    depth--;
}

int fault_poll(WSAPOLLFD *polls, ULONG count, int wait)
{
    static volatile LONG waits;
    int ready = 0;
    if (!is_wanted("POLLHUP"))
        return (WSAPoll)(polls, count, wait); /* the real one */
    for (ULONG i = 0; i < count; i++) {
        polls[i].revents = 0;
        if (polls[i].fd != INVALID_SOCKET && polls[i].events == POLLWRNORM) {
            polls[i].revents = POLLHUP;
            ready++;
        }
    }
    if (serving && InterlockedIncrement(&waits) % 100 == 0)
        tell("fault: POLLHUP, 100 waits\n");
    return ready > 0 ? ready : (WSAPoll)(polls, count, wait);
}

static bool early_close(void)
{
    return is_wanted("FD_CLOSE");
}

int fault_event(int event)
{
    if (early_close() && event == FD_READ)
        return FD_CLOSE;
    if (early_close() && event == FD_CLOSE)
        return FD_WRITE; /* which says nothing to a server that owes nothing */
    return event;
}

int fault_events(int result, WSANETWORKEVENTS *seen)
{
    if (early_close() && result == 0) {
        if (seen->lNetworkEvents & FD_READ)
            seen->lNetworkEvents |= FD_CLOSE;
        else
            seen->lNetworkEvents &= ~FD_CLOSE;
    }
    return result;
}

/* ---- what is done at once ------------------------------------------------ */

struct tie {
    HANDLE file, port; /* under ties_lock, as the rest */
    ULONG_PTR key;
    bool skips;
    struct tie *next;
};

static SRWLOCK ties_lock = SRWLOCK_INIT;
static struct tie *ties;

/* Handles come back: the tie of an old one is used again. */
static struct tie *tie_of(HANDLE file)
{
    struct tie *tie = ties;
    while (tie != NULL && tie->file != file)
        tie = tie->next;
    return tie;
}

HANDLE fault_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
    HANDLE result = (CreateIoCompletionPort)(file, port, key, threads);
    if (result == NULL || file == INVALID_HANDLE_VALUE)
        return result;
    AcquireSRWLockExclusive(&ties_lock);
    struct tie *tie = tie_of(file);
    struct tie *next = tie != NULL ? tie->next : ties;
    if (tie == NULL)
        ties = tie = (calloc)(1, sizeof *tie);
    if (tie == NULL)
        abort();
    *tie = (struct tie){file, port, key, false, next};
    ReleaseSRWLockExclusive(&ties_lock);
    return result;
}

BOOL fault_skip(HANDLE file, UCHAR modes)
{
    BOOL result = (SetFileCompletionNotificationModes)(file, modes);
    AcquireSRWLockExclusive(&ties_lock);
    struct tie *tie = tie_of(file);
    if (result && tie != NULL)
        tie->skips = modes & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;
    ReleaseSRWLockExclusive(&ties_lock);
    return result;
}

/* It was done at once, so no packet comes: post one and say "pending". */
static int late(int result, SOCKET sock, OVERLAPPED *ov)
{
    static volatile LONG done;
    bool all = is_wanted("PENDING");
    if (result != 0 || (!all && !is_wanted("MIXED")) ||
        (!all && InterlockedIncrement(&done) % 2 == 0))
        return result;
    AcquireSRWLockExclusive(&ties_lock);
    struct tie *found = tie_of((HANDLE)sock);
    struct tie tie = found != NULL ? *found : (struct tie){0};
    ReleaseSRWLockExclusive(&ties_lock);
    if (tie.skips &&
        !(PostQueuedCompletionStatus)(tie.port, (DWORD)ov->InternalHigh,
                                      tie.key, ov))
        return result;
    WSASetLastError(WSA_IO_PENDING);
    return SOCKET_ERROR;
}

int fault_recv(SOCKET sock, WSABUF *bufs, DWORD count, DWORD *len, DWORD *flags,
               OVERLAPPED *ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    enum { A_LITTLE_MS = 20 };
    WSAPOLLFD poll = {.fd = sock, .events = POLLRDNORM};
    if (is_wanted("AT_ONCE"))
        (WSAPoll)(&poll, 1, A_LITTLE_MS);
    return late((WSARecv)(sock, bufs, count, len, flags, ov, routine), sock,
                ov);
}

int fault_send(SOCKET sock, WSABUF *bufs, DWORD count, DWORD *len, DWORD flags,
               OVERLAPPED *ov, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    return late((WSASend)(sock, bufs, count, len, flags, ov, routine), sock,
                ov);
}

WORD fault_groups(void)
{
    return is_wanted("GROUPS") ? 2 : (GetActiveProcessorGroupCount)();
}

DWORD fault_processors(WORD group)
{
    if (!is_wanted("GROUPS"))
        return (GetActiveProcessorCount)(group);
    return group == ALL_PROCESSOR_GROUPS ? 2 : 1;
}

BOOL fault_group_affinity(HANDLE thread, const GROUP_AFFINITY *where,
                          GROUP_AFFINITY *before)
{
    if (!is_wanted("GROUPS"))
        return (SetThreadGroupAffinity)(thread, where, before);
    tell("fault: a thread for group %u, mask %llu\n", where->Group,
         (unsigned long long)where->Mask);
    return TRUE;
}

/* ---- the books of the thread pool --------------------------------------- */

struct book {
    PTP_IO io;
    PTP_WIN32_IO_CALLBACK call;
    void *arg;
    long starts, cancels, callbacks; /* under books_lock, as the rest */
    long running;
    struct book *next;
};

static SRWLOCK books_lock = SRWLOCK_INIT;
static struct book *books;
static _Thread_local PTP_IO in_callback_of;

static void complain(const char *what)
{
    tell("thread pool: %s\n", what);
}

/* Where the pointer to the book of `io` is kept. Under the lock. */
static struct book **book_of(PTP_IO io)
{
    struct book **at = &books;
    while (*at != NULL && (*at)->io != io)
        at = &(*at)->next;
    return at;
}

static void CALLBACK called(PTP_CALLBACK_INSTANCE instance, void *arg, void *ov,
                            ULONG error, ULONG_PTR len, PTP_IO io)
{
    struct book *book = arg;
    AcquireSRWLockExclusive(&books_lock);
    book->callbacks++;
    book->running++;
    if (book->callbacks + book->cancels > book->starts)
        complain("a callback without StartThreadpoolIo()");
    ReleaseSRWLockExclusive(&books_lock);
    in_callback_of = io;
    book->call(instance, book->arg, ov, error, len, io);
    in_callback_of = NULL;
    AcquireSRWLockExclusive(&books_lock);
    book->running--;
    ReleaseSRWLockExclusive(&books_lock);
}

PTP_IO fault_io_create(HANDLE file, PTP_WIN32_IO_CALLBACK call, void *arg,
                       PTP_CALLBACK_ENVIRON env)
{
    struct book *book = (calloc)(1, sizeof *book);
    PTP_IO io = NULL;
    if (book != NULL)
        io = (CreateThreadpoolIo)(file, called, book, env);
    if (io == NULL) {
        free(book);
        return NULL;
    }
    *book = (struct book){.io = io, .call = call, .arg = arg};
    AcquireSRWLockExclusive(&books_lock);
    book->next = books;
    books = book;
    ReleaseSRWLockExclusive(&books_lock);
    return io;
}

void fault_io_start(PTP_IO io)
{
    AcquireSRWLockExclusive(&books_lock);
    (*book_of(io))->starts++;
    ReleaseSRWLockExclusive(&books_lock);
    (StartThreadpoolIo)(io);
}

void fault_io_cancel(PTP_IO io)
{
    AcquireSRWLockExclusive(&books_lock);
    (*book_of(io))->cancels++;
    ReleaseSRWLockExclusive(&books_lock);
    (CancelThreadpoolIo)(io);
}

void fault_io_wait(PTP_IO io, BOOL cancel)
{
    if (in_callback_of == io)
        complain("a callback waits for itself");
    else
        (WaitForThreadpoolIoCallbacks)(io, cancel);
}

/* Windows would free it later if a callback still ran; but the servers here wait
 * for the last callback before. */
void fault_io_close(PTP_IO io)
{
    AcquireSRWLockExclusive(&books_lock);
    struct book **at = book_of(io);
    struct book *book = *at;
    long running = 0;
    if (book == NULL) {
        complain("closed twice");
    } else {
        *at = book->next;
        running = book->running;
        if (book->starts != book->cancels + book->callbacks)
            complain("closed, but a start has no callback and no cancel");
    }
    if (running > 0)
        complain("closed while a callback runs");
    else
        free(book);
    ReleaseSRWLockExclusive(&books_lock);
    (CloseThreadpoolIo)(io);
}
