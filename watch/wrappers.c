/* wrappers.c -- around the functions that stand in the place of Windows' own */
#include "common/win.h"

#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/system.h"
#include "watch/layer.h"

#ifdef TRACE

#include "watch/call.h"
#include "watch/faults.h"
#include "watch/real.h"
#include "watch/strict.h"
#include "watch/wrap.h"

/* ---- functions of the program that the system calls ------------------------ */

/* They are called by functions of ours, which first say so. `w` holds the
 * arguments of the call on their way to Windows. Without memory the system gets
 * the program's own function, and is not watched there. */

/* A completion routine runs on the thread that began the operation, so each
 * thread remembers its own. */
static void CALLBACK routine(DWORD error, DWORD len, OVERLAPPED *ov,
                             DWORD flags)
{
    struct caller *mine = caller_mine();
    struct map *routines = &mine->routines;
    LPWSAOVERLAPPED_COMPLETION_ROUTINE theirs =
        (LPWSAOVERLAPPED_COMPLETION_ROUTINE)(ULONG_PTR)map_get(routines,
                                                               (ULONG_PTR)ov);
    map_remove(routines, (ULONG_PTR)ov);
    if (strict_on)
        ov = strict_delivers(ov, NULL);
    call_done(ov, len, error);
    if (strict_on)
        strict_enters(mine);
    theirs(error, len, ov, flags);
    if (strict_on)
        strict_leaves(mine);
}

static void routine_put(struct trace_call *call, ULONG_PTR *w)
{
    int at = watched_routine(call->id);
    if (at == 0 || w[at] == 0 || w[at - 1] == 0 || call->mine == NULL)
        return;
    map_remove(&call->mine->routines, w[at - 1]);
    if (map_put(&call->mine->routines, w[at - 1], (void *)w[at]))
        w[at] = (ULONG_PTR)routine;
}

/* Nothing was begun, so nothing comes. */
static void routine_refused(struct trace_call *call, const ULONG_PTR *w,
                            LONG_PTR result)
{
    int at = watched_routine(call->id);
    if (at != 0 && call->args[at] != 0 && call->args[at - 1] != 0 &&
        call->mine != NULL && result == SOCKET_ERROR &&
        WSAGetLastError() != WSA_IO_PENDING)
        map_remove(&call->mine->routines, w[at - 1]);
}

struct apc {
    PAPCFUNC theirs;
    ULONG_PTR arg;
    const char *source;
};

static void CALLBACK apc(ULONG_PTR arg)
{
    struct apc apc = *(struct apc *)arg;
    call_apc(apc.source, arg, apc.theirs);
    free((struct apc *)arg);
    struct caller *mine = caller_mine();
    if (strict_on && mine != NULL)
        strict_enters(mine);
    apc.theirs(apc.arg);
    if (strict_on && mine != NULL)
        strict_leaves(mine);
}

static void apc_put(struct trace_call *call, ULONG_PTR *w)
{
    struct apc *one = trace_on || strict_on ? malloc(sizeof *one) : NULL;
    if (one == NULL)
        return;
    *one = (struct apc){(PAPCFUNC)w[0], w[2], call->source};
    w[0] = (ULONG_PTR)apc;
    w[2] = (ULONG_PTR)one;
    call->out[0] = w[2]; /* what joins it to the APC that runs */
}

struct start {
    watch_start *theirs;
    void *arg;
    char name[TRACE_NAME_SIZE];
};

static unsigned __stdcall start(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    if (start.name[0] != '\0')
        call_thread(start.name);
    else
        call_thread_in((ULONG_PTR)start.theirs);
    return start.theirs(start.arg);
}

/* A thread that begins in worker_main() is called worker, and has a number. */
static void name_of(const char *source, char *name, size_t size)
{
    size_t len = 0;
    const char *from = trace_argument(source, 2, &len);
    const char *end = strstr(from, "_main");
    if (end != NULL && (size_t)(end - from) < len)
        len = (size_t)(end - from);
    snprintf(name, size, "%.*s #", (int)len, from);
}

static void start_put(const struct trace_call *call, ULONG_PTR *w)
{
    struct start *one = trace_on ? malloc(sizeof *one) : NULL;
    if (one == NULL)
        return;
    one->theirs = (watch_start *)w[2];
    one->arg = (void *)w[3];
    one->name[0] = '\0';
    if (call->source != NULL)
        name_of(call->source, one->name, sizeof one->name);
    w[2] = (ULONG_PTR)start;
    w[3] = (ULONG_PTR)one;
}

static trace_wake *stop_wake;

static void stop_ours(void *arg)
{
    call_thread("stop");
    stop_wake(arg);
}

trace_wake *trace_stop(trace_wake *wake)
{
    stop_wake = wake;
    return stop_ours;
}

/* ---- the thread pool ------------------------------------------------------- */

/* What belongs to a PTP_IO. It goes when the object is closed and no callback is
 * to come any more: the object itself does so, too. Source: CloseThreadpoolIo
 * function. */
struct pool_io {
    PTP_WIN32_IO_CALLBACK theirs;
    void *arg;
    volatile LONG held; /* interlocked: by the object, and by each callback */
};

static SRWLOCK pool_lock = SRWLOCK_INIT;
static struct map pool_ios; /* under pool_lock: PTP_IO -> struct pool_io */

static struct pool_io *pool_io_of(ULONG_PTR io, bool take)
{
    AcquireSRWLockExclusive(&pool_lock);
    struct pool_io *one = map_get(&pool_ios, io);
    if (take && one != NULL)
        map_remove(&pool_ios, io);
    ReleaseSRWLockExclusive(&pool_lock);
    return one;
}

static void pool_release(struct pool_io *one)
{
    if (one != NULL && InterlockedDecrement(&one->held) == 0)
        free(one);
}

static void CALLBACK pool_callback(PTP_CALLBACK_INSTANCE instance, void *arg,
                                   void *ov, ULONG error, ULONG_PTR len,
                                   PTP_IO io)
{
    struct pool_io *one = arg;
    if (strict_on)
        ov = strict_delivers(ov, NULL);
    call_pool(ov, (DWORD)len, error);
    if (faults_on)
        faults_callback(io, true);
    one->theirs(instance, one->arg, ov, error, len, io);
    if (faults_on)
        faults_callback(io, false);
    call_pool_leaves();
    pool_release(one);
}

static void pool_begins(struct trace_call *call, ULONG_PTR *w)
{
    struct pool_io *one;
    switch (call->id) {
    case TRACE_CreateThreadpoolIo:
        one = malloc(sizeof *one);
        if (one == NULL)
            return;
        *one = (struct pool_io){(PTP_WIN32_IO_CALLBACK)w[1], (void *)w[2], 1};
        w[1] = (ULONG_PTR)pool_callback;
        w[2] = (ULONG_PTR)one;
        break;
    case TRACE_StartThreadpoolIo:
        one = pool_io_of(w[0], false);
        if (one != NULL)
            InterlockedIncrement(&one->held);
        break;
    case TRACE_CancelThreadpoolIo: pool_release(pool_io_of(w[0], false)); break;
    case TRACE_CloseThreadpoolIo: pool_release(pool_io_of(w[0], true)); break;
    default: break;
    }
}

/* A pool_io that could not be kept is never released: its object may still be
 * used. */
static void pool_made(const ULONG_PTR *w, LONG_PTR result)
{
    if (w[1] != (ULONG_PTR)pool_callback)
        return;
    if (result == 0) {
        free((struct pool_io *)w[2]);
        return;
    }
    AcquireSRWLockExclusive(&pool_lock);
    (void)map_put(&pool_ios, (ULONG_PTR)result, (void *)w[2]);
    ReleaseSRWLockExclusive(&pool_lock);
}

/* BindIoCompletionCallback() has no word of the program's for its callback. So
 * each function of the program has one of ours, as far as they go. */
enum { BOUND_MOST = 4 };

static LPOVERLAPPED_COMPLETION_ROUTINE volatile bound[BOUND_MOST];

static void bound_call(int which, DWORD error, DWORD len, OVERLAPPED *ov)
{
    call_pool(ov, len, error);
    bound[which](error, len, ov);
    call_pool_leaves();
}

#define BOUND(which)                                                           \
    static void CALLBACK bound_##which(DWORD error, DWORD len, OVERLAPPED *ov) \
    {                                                                          \
        bound_call(which, error, len, ov);                                     \
    }
BOUND(0)
BOUND(1)
BOUND(2)
BOUND(3)

static void bound_put(ULONG_PTR *w)
{
    static const LPOVERLAPPED_COMPLETION_ROUTINE ours[BOUND_MOST] = {
        bound_0, bound_1, bound_2, bound_3};
    for (int i = 0; i < BOUND_MOST; i++) {
        void *before = InterlockedCompareExchangePointer(
            (void *volatile *)&bound[i], (void *)w[1], NULL);
        if (before == NULL || before == (void *)w[1]) {
            w[1] = (ULONG_PTR)ours[i];
            return;
        }
    }
}

/* ---- calls through pointers ------------------------------------------------ */

struct watch_given watch_given;

#define SWAP(where, name)                                                      \
    do {                                                                       \
        watch_given.name = (where);                                            \
        (where) = watch_##name;                                                \
    } while (0)

static const struct {
    GUID id;
    void *given; /* where to keep it */
    any_function ours;
} extensions[] = {
#define EXTENSION(id, name)                                                    \
    {                                                                          \
        id, &watch_given.name, (any_function)watch_##name                      \
    }
    EXTENSION(WSAID_ACCEPTEX, AcceptEx), EXTENSION(WSAID_CONNECTEX, ConnectEx),
    EXTENSION(WSAID_DISCONNECTEX, DisconnectEx),
    EXTENSION(WSAID_TRANSMITFILE, TransmitFile),
    EXTENSION(WSAID_WSARECVMSG, WSARecvMsg)};

static void pointers_given(const struct trace_call *call, LONG_PTR result)
{
    static const GUID rio = WSAID_MULTIPLE_RIO;
    const GUID *id = (const GUID *)call->args[2];
    if (result == SOCKET_ERROR || call->args[3] != sizeof *id)
        return;
    if (call->args[1] == (DWORD)SIO_GET_EXTENSION_FUNCTION_POINTER) {
        for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
            any_function *where = (any_function *)call->args[4];
            if (memcmp(id, &extensions[i].id, sizeof *id) != 0)
                continue;
            memcpy(extensions[i].given, where, sizeof *where);
            *where = extensions[i].ours;
        }
    } else if (call->args[1] ==
                   (DWORD)SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER &&
               memcmp(id, &rio, sizeof *id) == 0) {
        RIO_EXTENSION_FUNCTION_TABLE *table =
            (RIO_EXTENSION_FUNCTION_TABLE *)call->args[4];
        SWAP(table->RIOCreateCompletionQueue, RIOCreateCompletionQueue);
        SWAP(table->RIOResizeCompletionQueue, RIOResizeCompletionQueue);
        SWAP(table->RIOCreateRequestQueue, RIOCreateRequestQueue);
        SWAP(table->RIORegisterBuffer, RIORegisterBuffer);
        SWAP(table->RIOReceive, RIOReceive);
        SWAP(table->RIOSend, RIOSend);
        SWAP(table->RIODequeueCompletion, RIODequeueCompletion);
        SWAP(table->RIONotify, RIONotify);
    }
}

void wrap_run_apcs(void)
{
    typedef DWORD WINAPI sleep_ex(DWORD ms, BOOL alertable);
    sleep_ex *sleep = (sleep_ex *)find_function(L"kernel32.dll", "SleepEx");
    if (sleep != NULL)
        (void)sleep(0, TRUE); /* whether one ran is nobody's business here */
}

/* ---- every call ------------------------------------------------------------ */

bool wrap_begins(struct trace_call *call, enum trace_id id, ULONG_PTR *w)
{
    library_begin();
    memcpy(call->args, w, sizeof call->args);
    call_begins(call, id);
    if (strict_on && !strict_begins(call, w))
        return false;
    if (faults_on && faults_instead(call))
        return false;
    switch (id) {
    case TRACE_QueueUserAPC: apc_put(call, w); break;
    case TRACE_CreateThread:
    case TRACE__beginthreadex: start_put(call, w); break;
    case TRACE_BindIoCompletionCallback: bound_put(w); break;
    case TRACE_ExitProcess: library_end(); break;
    case TRACE_TerminateProcess:
        if (GetProcessId((HANDLE)w[0]) == GetCurrentProcessId())
            library_end();
        break;
    default:
        routine_put(call, w);
        pool_begins(call, w);
        break;
    }
    return true;
}

LONG_PTR wrap_ends(struct trace_call *call, const ULONG_PTR *w, LONG_PTR result)
{
    DWORD error = GetLastError();
    switch (call->id) {
    case TRACE_QueueUserAPC:
        if (result == 0 && w[0] == (ULONG_PTR)apc)
            free((struct apc *)w[2]);
        break;
    case TRACE_CreateThread:
    case TRACE__beginthreadex:
        if (result == 0 && w[2] == (ULONG_PTR)start)
            free((struct start *)w[3]);
        break;
    case TRACE_CreateThreadpoolIo: pool_made(w, result); break;
    case TRACE_WSAIoctl: pointers_given(call, result); break;
    default: routine_refused(call, w, result); break;
    }
    SetLastError(error);
    if (faults_on)
        result = faults_changed(call, result);
    if (strict_on)
        result = strict_ends(call, result);
    call_ends(call, result);
    return result;
}

#endif
