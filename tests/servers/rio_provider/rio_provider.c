/* rio_provider.c -- see rio_provider.h */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/registered_io.h"
#include "tests/servers/rio_provider/rio_provider.h"

/* ---- what there is ------------------------------------------------------- */

/* All handles that a program gets are pointers to one of these. They stay in
 * memory: so a handle that is out of date is found out. */
enum kind { DEAD, BUFFER = 0x10425, RESULTS, REQUESTS };
enum way { RECEIVE, SEND, WAYS };

struct RIO_BUFFERID_t {
    enum kind kind;
    char *bytes;
    DWORD len;
    struct request *requests; /* that are about a part of it */
    struct RIO_BUFFERID_t *next;
};

/* From RIOReceive() or RIOSend() until its result is taken. */
struct request {
    OVERLAPPED ov;
    RIO_RQ rq;
    RIO_BUFFERID buffer;
    ULONG offset;
    ULONG len;
    enum way way;
    void *context;
    unsigned long sum; /* of the bytes to send */
    LONG status;       /* when it is done */
    ULONG moved;
    struct request *next; /* of the same buffer */
    struct request **at;
};

struct RIO_CQ_t {
    enum kind kind;
    volatile LONG inside; /* interlocked: threads of the program */
    HANDLE port;
    ULONG_PTR key;
    OVERLAPPED *ov;
    bool armed;
    DWORD size;
    DWORD charged;
    DWORD count;
    struct request **done; /* `size` of them, `count` in use */
    struct RIO_CQ_t *next;
};

struct RIO_RQ_t {
    enum kind kind;
    volatile LONG inside;
    SOCKET sock;
    bool closed;
    RIO_CQ results[WAYS];
    ULONG most[WAYS];
    ULONG in_flight[WAYS];
    void *context;
    struct RIO_RQ_t *next;
};

/* A socket that was made with WSA_FLAG_REGISTERED_IO. */
struct registered {
    SOCKET sock;
    RIO_RQ rq; /* or NULL */
    struct registered *next;
};

static SRWLOCK lock = SRWLOCK_INIT; /* for all of it but `inside` */
static struct registered *sockets;
static struct RIO_BUFFERID_t *dead_buffers;
static struct RIO_CQ_t *dead_results;
static struct RIO_RQ_t *dead_requests;
static HANDLE pump_port;
static unsigned random_state = 1;

/* The functions whose place we have taken. */
static SOCKET(WSAAPI *real_socket)(int, int, int, LPWSAPROTOCOL_INFOW, GROUP,
                                   DWORD);
static int(WSAAPI *real_ioctl)(SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD,
                               LPDWORD, LPWSAOVERLAPPED,
                               LPWSAOVERLAPPED_COMPLETION_ROUTINE);
static int(WSAAPI *real_close)(SOCKET);

static _Noreturn void misuse(const char *what)
{
    static volatile LONG told;
    if (InterlockedExchange(&told, TRUE))
        Sleep(INFINITE); /* the thread that was first ends the process */
    fprintf(stderr, "rio_provider: misuse: %s\n", what);
    fflush(stderr);
    TerminateProcess(GetCurrentProcess(), RIO_MISUSE);
    abort();
}

static void *must(void *memory)
{
    if (memory == NULL)
        misuse("not of the program: the provider has no memory");
    return memory;
}

/* A queue is used by one thread at a time: the pause makes it likely that two
 * of them meet here, if they can. */
static void enter(volatile LONG *inside)
{
    if (InterlockedIncrement(inside) != 1)
        misuse("two threads use the same queue at the same time");
    SwitchToThread();
}

static void leave(volatile LONG *inside)
{
    InterlockedDecrement(inside);
}

static bool refuse(int error)
{
    WSASetLastError(error);
    return false;
}

/* A new thing of each kind, or one that was given up. */
#define TAKE(list)                                                             \
    ((list) != NULL ? (void *)unchain((void **)&(list), &(list)->next)         \
                    : must(malloc(sizeof *(list))))

static void *unchain(void **list, void *next)
{
    void *first = *list;
    memcpy(list, next, sizeof *list);
    return first;
}

/* ---- sockets ------------------------------------------------------------- */

static struct registered **place_of(SOCKET sock)
{
    struct registered **at = &sockets;
    while (*at != NULL && (*at)->sock != sock)
        at = &(*at)->next;
    return at;
}

static SOCKET WSAAPI our_socket(int family, int type, int protocol,
                                LPWSAPROTOCOL_INFOW info, GROUP group,
                                DWORD flags)
{
    SOCKET sock = real_socket(family, type, protocol, info, group,
                              flags & ~(DWORD)WSA_FLAG_REGISTERED_IO);
    if (sock == INVALID_SOCKET || (flags & WSA_FLAG_REGISTERED_IO) == 0)
        return sock;
    struct registered *r = must(malloc(sizeof *r));
    *r = (struct registered){.sock = sock};
    AcquireSRWLockExclusive(&lock);
    r->next = sockets;
    sockets = r;
    ReleaseSRWLockExclusive(&lock);
    return sock;
}

/* With its socket a request queue is gone. What it had charged is free again
 * when its last result was taken. */
static void requests_end(RIO_RQ rq)
{
    if (!rq->closed || rq->in_flight[RECEIVE] + rq->in_flight[SEND] > 0)
        return;
    for (int way = 0; way < WAYS; way++)
        rq->results[way]->charged -= rq->most[way];
    rq->kind = DEAD;
    rq->next = dead_requests;
    dead_requests = rq;
}

static int WSAAPI our_close(SOCKET sock)
{
    bool reset = false;
    AcquireSRWLockExclusive(&lock);
    struct registered **at = place_of(sock);
    struct registered *r = *at;
    if (r != NULL) {
        RIO_RQ rq = r->rq;
        if (rq != NULL && rq->inside != 0)
            misuse("closesocket() while another thread uses the queue");
        reset = rq != NULL && rq->in_flight[RECEIVE] > 0;
        if (rq != NULL) {
            rq->closed = true;
            requests_end(rq);
        }
        *at = r->next;
        free(r);
    }
    ReleaseSRWLockExclusive(&lock);
    if (reset) {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        setsockopt(sock, SOL_SOCKET, SO_LINGER, (const char *)&at_once,
                   sizeof at_once);
    }
    if (r != NULL)
        CancelIoEx((HANDLE)sock, NULL);
    return real_close(sock);
}

/* ---- buffers ------------------------------------------------------------- */

static bool is_writable(char *bytes, DWORD len)
{
    char *end = bytes + len;
    while (bytes < end) {
        MEMORY_BASIC_INFORMATION info;
        if (VirtualQuery(bytes, &info, sizeof info) == 0 ||
            info.State != MEM_COMMIT ||
            (info.Protect & (PAGE_READWRITE | PAGE_EXECUTE_READWRITE)) == 0)
            return false;
        bytes = (char *)info.BaseAddress + info.RegionSize;
    }
    return true;
}

static RIO_BUFFERID PASCAL register_buffer(PCHAR bytes, DWORD len)
{
    if (len == 0 || bytes == NULL || !is_writable(bytes, len)) {
        WSASetLastError(len == 0 ? WSAEINVAL : WSAEFAULT);
        return RIO_INVALID_BUFFERID;
    }
    AcquireSRWLockExclusive(&lock);
    RIO_BUFFERID b = TAKE(dead_buffers);
    *b = (struct RIO_BUFFERID_t){.kind = BUFFER, .bytes = bytes, .len = len};
    ReleaseSRWLockExclusive(&lock);
    return b;
}

static VOID PASCAL deregister_buffer(RIO_BUFFERID b)
{
    if (b == NULL || b == RIO_INVALID_BUFFERID)
        return;
    AcquireSRWLockExclusive(&lock);
    if (b->kind == BUFFER) {
        if (b->requests != NULL)
            misuse("RIODeregisterBuffer() while a request uses the buffer");
        b->kind = DEAD;
        b->next = dead_buffers;
        dead_buffers = b;
    }
    ReleaseSRWLockExclusive(&lock);
}

/* ---- completion queues --------------------------------------------------- */

static RIO_CQ PASCAL create_results(DWORD size,
                                    PRIO_NOTIFICATION_COMPLETION told)
{
    if (size < 1 || size > RIO_MAX_CQ_SIZE || told == NULL ||
        told->Type != RIO_IOCP_COMPLETION || told->Iocp.IocpHandle == NULL ||
        told->Iocp.Overlapped == NULL) {
        WSASetLastError(WSAEINVAL);
        return RIO_INVALID_CQ;
    }
    AcquireSRWLockExclusive(&lock);
    RIO_CQ cq = TAKE(dead_results);
    *cq = (struct RIO_CQ_t){
        .kind = RESULTS,
        .port = told->Iocp.IocpHandle,
        .key = (ULONG_PTR)told->Iocp.CompletionKey,
        .ov = told->Iocp.Overlapped,
        .size = size,
        .done = must(calloc(size, sizeof(struct request *))),
    };
    ReleaseSRWLockExclusive(&lock);
    return cq;
}

static bool is_results(RIO_CQ cq)
{
    return cq != RIO_INVALID_CQ && cq->kind == RESULTS;
}

static VOID PASCAL close_results(RIO_CQ cq)
{
    if (!is_results(cq))
        return;
    enter(&cq->inside);
    AcquireSRWLockExclusive(&lock);
    if (cq->charged > 0)
        misuse("RIOCloseCompletionQueue() with request queues that use it");
    free(cq->done);
    cq->kind = DEAD;
    cq->next = dead_results;
    dead_results = cq;
    ReleaseSRWLockExclusive(&lock);
    leave(&cq->inside);
}

static BOOL PASCAL resize_results(RIO_CQ cq, DWORD size)
{
    if (!is_results(cq) || size < 1 || size > RIO_MAX_CQ_SIZE)
        return refuse(WSAEINVAL);
    enter(&cq->inside);
    AcquireSRWLockExclusive(&lock);
    bool fits = size >= cq->charged;
    if (fits) {
        cq->done = must(realloc(cq->done, size * sizeof(struct request *)));
        cq->size = size;
    }
    ReleaseSRWLockExclusive(&lock);
    leave(&cq->inside);
    return fits || refuse(WSAETOOMANYREFS);
}

/* One packet for each RIONotify(), as soon as there is a result. With the
 * lock. */
static void tell(RIO_CQ cq)
{
    if (!cq->armed || cq->count == 0)
        return;
    cq->armed = false;
    if (!PostQueuedCompletionStatus(cq->port, 0, cq->key, cq->ov))
        misuse("the port of a completion queue was closed before it");
}

static INT PASCAL notify(RIO_CQ cq)
{
    if (!is_results(cq))
        return WSAEINVAL;
    enter(&cq->inside);
    AcquireSRWLockExclusive(&lock);
    bool already = cq->armed;
    cq->armed = true;
    tell(cq);
    ReleaseSRWLockExclusive(&lock);
    leave(&cq->inside);
    return already ? WSAEALREADY : ERROR_SUCCESS;
}

/* ---- requests ------------------------------------------------------------ */

static RIO_RQ no_requests(int error)
{
    WSASetLastError(error);
    return RIO_INVALID_RQ;
}

/* With the lock. */
static RIO_RQ requests_add(SOCKET sock, const ULONG *most,
                           const RIO_CQ *results, void *context)
{
    struct registered *r = *place_of(sock);
    if (r == NULL)
        return no_requests(WSAEOPNOTSUPP); /* not made for Registered I/O */
    if (r->rq != NULL)
        return no_requests(WSAEINVAL);
    DWORD more = results[RECEIVE] == results[SEND] ? most[SEND] : 0;
    if (results[RECEIVE]->charged + most[RECEIVE] + more >
            results[RECEIVE]->size ||
        results[SEND]->charged + most[SEND] > results[SEND]->size)
        return no_requests(WSAENOBUFS);
    if (CreateIoCompletionPort((HANDLE)sock, pump_port, 0, 0) == NULL)
        return no_requests(WSAEINVAL);
    RIO_RQ rq = TAKE(dead_requests);
    *rq = (struct RIO_RQ_t){.kind = REQUESTS, .sock = sock, .context = context};
    for (int way = 0; way < WAYS; way++) {
        rq->most[way] = most[way];
        rq->results[way] = results[way];
        results[way]->charged += most[way];
    }
    r->rq = rq;
    return rq;
}

static RIO_RQ PASCAL create_requests(SOCKET sock, ULONG receives,
                                     ULONG receive_parts, ULONG sends,
                                     ULONG send_parts, RIO_CQ receive_results,
                                     RIO_CQ send_results, PVOID context)
{
    const ULONG most[WAYS] = {receives, sends};
    const RIO_CQ results[WAYS] = {receive_results, send_results};
    int type = 0;
    int len = sizeof type;
    if (receive_parts != 1 || send_parts != 1 || receives + sends == 0 ||
        !is_results(receive_results) || !is_results(send_results))
        return no_requests(WSAEINVAL);
    if (getsockopt(sock, SOL_SOCKET, SO_TYPE, (char *)&type, &len) != 0)
        return no_requests(WSAENOTSOCK);
    enter(&receive_results->inside);
    if (send_results != receive_results)
        enter(&send_results->inside);
    AcquireSRWLockExclusive(&lock);
    RIO_RQ rq = requests_add(sock, most, results, context);
    ReleaseSRWLockExclusive(&lock);
    if (send_results != receive_results)
        leave(&send_results->inside);
    leave(&receive_results->inside);
    return rq;
}

/* Whoever changes bytes while they are sent changes this. */
static unsigned long sum_of(const struct request *q)
{
    unsigned long sum = 5381;
    const char *bytes = q->buffer->bytes + q->offset;
    for (ULONG i = 0; i < q->len; i++)
        sum = sum * 33 + (unsigned char)bytes[i];
    return sum;
}

/* 0, or why the request is refused. With the lock. */
static int may_begin(RIO_RQ rq, enum way way, const RIO_BUF *part)
{
    RIO_BUFFERID b = part->BufferId;
    if (rq->closed)
        return WSAENOTSOCK;
    if (b == NULL || b == RIO_INVALID_BUFFERID || b->kind != BUFFER ||
        part->Length == 0 || part->Offset > b->len ||
        part->Length > b->len - part->Offset)
        return WSAEFAULT;
    if (rq->in_flight[way] >= rq->most[way])
        return WSAENOBUFS;
    for (const struct request *q = b->requests; q != NULL; q = q->next)
        if (part->Offset < q->offset + q->len &&
            q->offset < part->Offset + part->Length)
            misuse("two requests about the same bytes");
    return 0;
}

/* With the lock: a request that the pump gets to know has to be in order. */
static int begin(RIO_RQ rq, enum way way, const RIO_BUF *part, void *context)
{
    int error = may_begin(rq, way, part);
    if (error != 0)
        return error;
    struct request *q = must(malloc(sizeof *q));
    *q = (struct request){.rq = rq,
                          .buffer = part->BufferId,
                          .offset = part->Offset,
                          .len = part->Length,
                          .way = way,
                          .context = context};
    WSABUF bytes = {.buf = q->buffer->bytes + q->offset, .len = q->len};
    DWORD flags = 0;
    if (way == SEND)
        q->sum = sum_of(q);
    int result = way == SEND
                     ? WSASend(rq->sock, &bytes, 1, NULL, 0, &q->ov, NULL)
                     : WSARecv(rq->sock, &bytes, 1, NULL, &flags, &q->ov, NULL);
    if (result == SOCKET_ERROR && WSAGetLastError() != WSA_IO_PENDING) {
        error = WSAGetLastError();
        free(q);
        return error;
    }
    rq->in_flight[way]++;
    q->next = q->buffer->requests;
    q->at = &q->buffer->requests;
    if (q->next != NULL)
        q->next->at = &q->next;
    q->buffer->requests = q;
    return 0;
}

static BOOL request(RIO_RQ rq, enum way way, PRIO_BUF part, ULONG count,
                    DWORD flags, void *context)
{
    if (rq == RIO_INVALID_RQ || rq->kind != REQUESTS || part == NULL ||
        count != 1 || flags != 0)
        return refuse(WSAEINVAL);
    enter(&rq->inside);
    AcquireSRWLockExclusive(&lock);
    int error = begin(rq, way, part, context);
    ReleaseSRWLockExclusive(&lock);
    leave(&rq->inside);
    return error == 0 || refuse(error);
}

static BOOL PASCAL receive(RIO_RQ rq, PRIO_BUF part, ULONG count, DWORD flags,
                           PVOID context)
{
    return request(rq, RECEIVE, part, count, flags, context);
}

static BOOL PASCAL send_part(RIO_RQ rq, PRIO_BUF part, ULONG count, DWORD flags,
                             PVOID context)
{
    return request(rq, SEND, part, count, flags, context);
}

/* ---- results ------------------------------------------------------------- */

/* What the system does meanwhile: put what is done into the queues. */
static DWORD WINAPI pump(LPVOID unused)
{
    (void)unused;
    for (;;) {
        DWORD len = 0;
        DWORD flags = 0;
        ULONG_PTR key = 0;
        OVERLAPPED *ov = NULL;
        BOOL ok =
            GetQueuedCompletionStatus(pump_port, &len, &key, &ov, INFINITE);
        if (ov == NULL)
            misuse("not of the program: the provider's port is broken");
        struct request *q = CONTAINING_RECORD(ov, struct request, ov);
        AcquireSRWLockExclusive(&lock);
        q->moved = len;
        if (!ok && q->rq->closed)
            q->status = WSA_OPERATION_ABORTED;
        else if (!ok &&
                 !WSAGetOverlappedResult(q->rq->sock, ov, &len, FALSE, &flags))
            q->status = WSAGetLastError();
        RIO_CQ cq = q->rq->results[q->way];
        cq->done[cq->count++] = q; /* there is room: it was charged */
        tell(cq);
        ReleaseSRWLockExclusive(&lock);
    }
}

/* Any of them, but of one socket in their order. With the lock. */
static struct request *pick(RIO_CQ cq)
{
    random_state = random_state * 1103515245 + 12345;
    RIO_RQ rq = cq->done[(random_state >> 8) % cq->count]->rq;
    DWORD at = 0;
    while (cq->done[at]->rq != rq)
        at++;
    struct request *q = cq->done[at];
    cq->count--;
    memmove(&cq->done[at], &cq->done[at + 1],
            (cq->count - at) * sizeof(struct request *));
    return q;
}

static RIORESULT end_of(struct request *q)
{
    RIO_RQ rq = q->rq;
    RIORESULT result = {.Status = q->status,
                        .BytesTransferred = q->moved,
                        .SocketContext = (ULONG_PTR)rq->context,
                        .RequestContext = (ULONG_PTR)q->context};
    if (q->way == SEND && q->sum != sum_of(q))
        misuse("the bytes of a RIOSend() were changed before its result");
    *q->at = q->next;
    if (q->next != NULL)
        q->next->at = q->at;
    rq->in_flight[q->way]--;
    requests_end(rq);
    free(q);
    return result;
}

static ULONG PASCAL dequeue(RIO_CQ cq, PRIORESULT results, ULONG room)
{
    if (!is_results(cq) || results == NULL)
        return RIO_CORRUPT_CQ;
    enter(&cq->inside);
    AcquireSRWLockExclusive(&lock);
    ULONG count = 0;
    while (count < room && cq->count > 0)
        results[count++] = end_of(pick(cq));
    ReleaseSRWLockExclusive(&lock);
    leave(&cq->inside);
    return count;
}

/* ---- the table, and how the program comes to it ---------------------------- */

static int PASCAL no_receive_ex(RIO_RQ rq, PRIO_BUF part, ULONG count,
                                PRIO_BUF local, PRIO_BUF remote,
                                PRIO_BUF control, PRIO_BUF told, DWORD flags,
                                PVOID context)
{
    (void)rq, (void)part, (void)count, (void)local, (void)remote;
    (void)control, (void)told, (void)flags, (void)context;
    return refuse(WSAEOPNOTSUPP);
}

static BOOL PASCAL no_send_ex(RIO_RQ rq, PRIO_BUF part, ULONG count,
                              PRIO_BUF local, PRIO_BUF remote, PRIO_BUF control,
                              PRIO_BUF told, DWORD flags, PVOID context)
{
    return no_receive_ex(rq, part, count, local, remote, control, told, flags,
                         context);
}

static BOOL PASCAL no_resize(RIO_RQ rq, DWORD receives, DWORD sends)
{
    (void)rq, (void)receives, (void)sends;
    return refuse(WSAEOPNOTSUPP);
}

static const RIO_EXTENSION_FUNCTION_TABLE table = {
    .cbSize = sizeof table,
    .RIOReceive = receive,
    .RIOReceiveEx = no_receive_ex,
    .RIOSend = send_part,
    .RIOSendEx = no_send_ex,
    .RIOCloseCompletionQueue = close_results,
    .RIOCreateCompletionQueue = create_results,
    .RIOCreateRequestQueue = create_requests,
    .RIODequeueCompletion = dequeue,
    .RIODeregisterBuffer = deregister_buffer,
    .RIONotify = notify,
    .RIORegisterBuffer = register_buffer,
    .RIOResizeCompletionQueue = resize_results,
    .RIOResizeRequestQueue = no_resize,
};

static void start_pump(void)
{
    if (pump_port != NULL)
        return;
    pump_port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    must(pump_port);
    HANDLE thread = must(CreateThread(NULL, 0, pump, NULL, 0, NULL));
    CloseHandle(thread);
}

static int WSAAPI our_ioctl(SOCKET sock, DWORD code, LPVOID in, DWORD in_len,
                            LPVOID out, DWORD out_len, LPDWORD len,
                            LPWSAOVERLAPPED ov,
                            LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    static const GUID id = WSAID_MULTIPLE_RIO;
    if (code != SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER)
        return real_ioctl(sock, code, in, in_len, out, out_len, len, ov,
                          routine);
    if (in_len != sizeof id || memcmp(in, &id, sizeof id) != 0 ||
        out_len < sizeof table) {
        WSASetLastError(WSAEINVAL);
        return SOCKET_ERROR;
    }
    AcquireSRWLockExclusive(&lock);
    bool known = *place_of(sock) != NULL;
    if (known)
        start_pump();
    ReleaseSRWLockExclusive(&lock);
    if (!known) {
        WSASetLastError(WSAEOPNOTSUPP);
        return SOCKET_ERROR;
    }
    memcpy(out, &table, sizeof table);
    *len = sizeof table;
    return 0;
}

/* Write `ours` where the program looks up the address of the function. Returns
 * the address that stood there. */
static ULONG_PTR replace(const char *name, ULONG_PTR ours)
{
    char *base = (char *)GetModuleHandleW(NULL);
    const IMAGE_NT_HEADERS *head =
        (void *)(base + ((IMAGE_DOS_HEADER *)(void *)base)->e_lfanew);
    const IMAGE_DATA_DIRECTORY *where =
        &head->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
    const IMAGE_IMPORT_DESCRIPTOR *dll = (void *)(base + where->VirtualAddress);
    for (; dll->Name != 0; dll++) {
        const IMAGE_THUNK_DATA *names =
            (void *)(base + dll->OriginalFirstThunk);
        IMAGE_THUNK_DATA *slots = (void *)(base + dll->FirstThunk);
        for (; names->u1.AddressOfData != 0; names++, slots++) {
            const IMAGE_IMPORT_BY_NAME *import =
                (void *)(base + names->u1.AddressOfData);
            DWORD before;
            if (IMAGE_SNAP_BY_ORDINAL(names->u1.Ordinal) ||
                strcmp((const char *)import->Name, name) != 0)
                continue;
            ULONG_PTR real = (ULONG_PTR)slots->u1.Function;
            if (!VirtualProtect(slots, sizeof *slots, PAGE_READWRITE, &before))
                misuse("not of the program: VirtualProtect() failed");
            slots->u1.Function = ours;
            VirtualProtect(slots, sizeof *slots, before, &before);
            return real;
        }
    }
    misuse("not of the program: it does not import what we replace");
}

/* Before main(). */
__attribute__((constructor)) static void begin_provider(void)
{
    ULONG_PTR real = replace("WSASocketW", (ULONG_PTR)our_socket);
    memcpy(&real_socket, &real, sizeof real);
    real = replace("WSAIoctl", (ULONG_PTR)our_ioctl);
    memcpy(&real_ioctl, &real, sizeof real);
    real = replace("closesocket", (ULONG_PTR)our_close);
    memcpy(&real_close, &real, sizeof real);
}
