/* strict_ops.c -- see strict.h; operations, of which the system has a copy
 *
 * S1, S2, S3, S6, S7 and S8. An operation is known by the OVERLAPPED of the
 * program and by that of the system. It is over for the program when it has been
 * told so. Until the next one with the same OVERLAPPED it is kept without its
 * buffer, for WSAGetOverlappedResult() may be asked about it again.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/strict_state.h"

#ifdef TRACE

/* All under strict_lock. */
static struct map by_theirs;    /* the program's OVERLAPPED -> strict_op */
static struct map by_own;       /* the system's -> strict_op */
static struct strict_op *limbo; /* of sockets that have been closed */
static struct strict_op *dead;
static unsigned char next_poison;

/* ---- memory ------------------------------------------------------------------ */

/* The memory may be the program's no more: then it is not touched. */
static bool is_there(const void *at, size_t len, bool to_write)
{
    const char *from = at;
    const char *end = from + len;
    DWORD good = PAGE_READWRITE | PAGE_EXECUTE_READWRITE | PAGE_WRITECOPY |
                 (to_write ? 0 : PAGE_READONLY | PAGE_EXECUTE_READ);
    MEMORY_BASIC_INFORMATION info;
    while (from < end) {
        if (VirtualQuery(from, &info, sizeof info) == 0 ||
            info.State != MEM_COMMIT || (info.Protect & good) == 0 ||
            (info.Protect & PAGE_GUARD) != 0)
            return false;
        from = (const char *)info.BaseAddress + info.RegionSize;
    }
    return true;
}

static bool bufs_are_there(const struct strict_op *op)
{
    for (DWORD i = 0; i < op->count; i++) {
        if (!is_there(op->bufs[i].buf, op->bufs[i].len,
                      op->id != TRACE_WSASend))
            return false;
    }
    return true;
}

/* From the program's buffers into one piece, and back. */
static void gather(const struct strict_op *op, char *to)
{
    for (DWORD i = 0; i < op->count; i++) {
        memcpy(to, op->bufs[i].buf, op->bufs[i].len);
        to += op->bufs[i].len;
    }
}

static void scatter(const struct strict_op *op, const char *from)
{
    for (DWORD i = 0; i < op->count; i++) {
        memcpy(op->bufs[i].buf, from, op->bufs[i].len);
        from += op->bufs[i].len;
    }
}

static void poison(const struct strict_op *op)
{
    for (DWORD i = 0; i < op->count; i++)
        memset(op->bufs[i].buf, op->poison, op->bufs[i].len);
}

static bool all_are(const char *bytes, size_t len, unsigned char value)
{
    return len == 0 || ((unsigned char)bytes[0] == value &&
                        memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* The program's buffer is as it was left: a receive's with the poison, a send's
 * with the bytes to send. */
static bool untouched(const struct strict_op *op)
{
    const char *sent = op->own.buf;
    for (DWORD i = 0; i < op->count; i++) {
        const WSABUF *buf = &op->bufs[i];
        if (op->id == TRACE_WSASend ? memcmp(buf->buf, sent, buf->len) != 0
                                    : !all_are(buf->buf, buf->len, op->poison))
            return false;
        sent += buf->len;
    }
    return true;
}

/* ---- an operation -------------------------------------------------------------- */

/* Freed later: who has been holding it may still look at it. */
static void release(struct strict_op *op)
{
    if (--op->held > 0)
        return;
    op->next = dead;
    dead = op;
}

static void bury(void)
{
    while (dead != NULL) {
        struct strict_op *op = dead;
        dead = op->next;
        free(op->bufs);
        free(op->own.buf);
        free(op->saved);
        free(op);
    }
}

static void unlink_op(struct strict_op *op)
{
    struct strict_sock *s = strict_sock_of(op->sock);
    if (op->prev != NULL)
        op->prev->next = op->next;
    else if (s != NULL && s->ops == op)
        s->ops = op->next;
    else if (limbo == op)
        limbo = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    op->next = op->prev = NULL;
}

/* Nobody asks for it any more. */
static void forget(struct strict_op *op)
{
    unlink_op(op);
    map_remove(&by_own, (ULONG_PTR)&op->ov);
    if (map_get(&by_theirs, (ULONG_PTR)op->theirs) == op)
        map_remove(&by_theirs, (ULONG_PTR)op->theirs);
    release(op);
}

/* What the program lends to the system. The addresses that AcceptEx() writes are
 * a buffer like any other. */
static bool copy_bufs(struct strict_op *op, const ULONG_PTR *w)
{
    WSABUF addresses = {(DWORD)w[3] + (DWORD)w[4] + (DWORD)w[5], (char *)w[2]};
    const WSABUF *bufs =
        op->id == TRACE_AcceptEx ? &addresses : (const WSABUF *)w[1];
    op->count = op->id == TRACE_AcceptEx ? 1 : (DWORD)w[2];
    op->bufs = malloc(op->count * sizeof *bufs);
    if (op->bufs == NULL || op->count == 0)
        return false;
    memcpy(op->bufs, bufs, op->count * sizeof *bufs);
    size_t len = 0;
    for (DWORD i = 0; i < op->count; i++)
        len += bufs[i].len;
    if (len > MAXLONG || !bufs_are_there(op))
        return false; /* Windows says what is wrong with it */
    op->own = (WSABUF){(ULONG)len, malloc(len + 1)};
    op->saved = op->id == TRACE_WSASend ? NULL : malloc(len + 1);
    return op->own.buf != NULL &&
           (op->saved != NULL || op->id == TRACE_WSASend);
}

static struct strict_op *op_make(const struct trace_call *call,
                                 const ULONG_PTR *w, OVERLAPPED *theirs)
{
    struct strict_sock *s = strict_sock_of(w[0]);
    struct strict_op *op = calloc(1, sizeof *op);
    if (op == NULL)
        return NULL;
    op->id = call->id;
    op->held = 1;
    if (s == NULL || !is_there(theirs, sizeof *theirs, true) ||
        !copy_bufs(op, w) || !map_put(&by_own, (ULONG_PTR)&op->ov, op)) {
        release(op);
        return NULL;
    }
    op->theirs = theirs;
    op->ov = *theirs;
    op->sock = w[0];
    op->number = s->number;
    op->began = strict_spot_of(call);
    op->tid = GetCurrentThreadId();
    op->stays = s->port && ((ULONG_PTR)theirs->hEvent & 1) == 0;
    op->packet = op->stays;
    if (call->id == TRACE_AcceptEx)
        op->newcomer = w[1];
    else if (w[6] != 0)
        op->packet = true;
    op->next = s->ops;
    if (s->ops != NULL)
        s->ops->prev = op;
    s->ops = op;
    return op;
}

/* The memory passes into the system's hands. */
static void take(struct strict_op *op)
{
    if (op->id == TRACE_WSASend) {
        gather(op, op->own.buf);
    } else {
        op->poison = (unsigned char)(0xa0 + ++next_poison % 0x40);
        gather(op, op->saved);
        memcpy(op->own.buf, op->saved, op->own.len);
        poison(op);
    }
    op->theirs->Internal = (ULONG_PTR)STATUS_PENDING;
    op->theirs->InternalHigh = 0;
    op->posted = *op->theirs;
}

/* S1 and S7: what the program begins uses an OVERLAPPED that is in use. */
static void reused(struct strict_op *before, const struct strict_spot *now)
{
    bool told = before->state == OP_TOLD;
    before->spoiled = true;
    strict_broken(
        told ? 7 : 1, before->number, now, &before->began, "begun",
        told ? "an operation was handled as done when its call returned, and "
               "its "
               "OVERLAPPED is used again before its completion has come"
             : "an OVERLAPPED is used again while an operation with it is in "
               "flight",
        told ? "the completion comes nevertheless, and is taken for another one"
             : "the two overwrite each other's result");
    map_remove(&by_theirs, (ULONG_PTR)before->theirs);
}

/* Its socket has been closed and it has ended, and nobody will ask. */
static bool is_done_unasked(const struct strict_op *op)
{
    return op->sock == INVALID_SOCKET && !op->packet &&
           op->ov.Internal != (ULONG_PTR)STATUS_PENDING;
}

bool strict_op_begins(struct trace_call *call, ULONG_PTR *w)
{
    int which = watched[call->id].operation;
    OVERLAPPED *theirs = (OVERLAPPED *)w[which];
    struct strict_spot now = strict_spot_of(call);
    bury();
    if (theirs == NULL)
        return true;
    struct strict_op *before = map_get(&by_theirs, (ULONG_PTR)theirs);
    if (before != NULL && (before->state == OP_OVER || is_done_unasked(before)))
        forget(before);
    else if (before != NULL)
        reused(before, &now);
    struct strict_op *op = op_make(call, w, theirs);
    if (op == NULL)
        return true;
    if (!map_put(&by_theirs, (ULONG_PTR)theirs, op)) {
        forget(op);
        return true;
    }
    take(op);
    op->held++;
    call->op = op;
    w[which] = (ULONG_PTR)&op->ov;
    if (call->id == TRACE_AcceptEx) {
        w[2] = (ULONG_PTR)op->own.buf;
    } else {
        w[1] = (ULONG_PTR)&op->own;
        w[2] = 1;
        w[3] = (ULONG_PTR)&op->len;
    }
    return true;
}

/* ---- its end --------------------------------------------------------------------- */

/* Has the program left it all alone? */
static bool check(const struct strict_op *op, const struct strict_spot *now)
{
    if (op->spoiled)
        return false; /* is told already */
    if (!is_there(op->theirs, sizeof *op->theirs, true) ||
        memcmp(op->theirs, &op->posted, sizeof op->posted) != 0) {
        strict_broken(1, op->number, now, &op->began, "begun",
                      "an OVERLAPPED was changed or freed while its operation "
                      "was in flight",
                      "the result is lost, or written into memory of others");
        return false;
    }
    if (op->state == OP_TOLD)
        return true; /* the buffer was the program's again */
    if (!bufs_are_there(op) || !untouched(op)) {
        strict_broken(2, op->number, now, &op->began, "begun",
                      "a buffer was changed or freed while it was in flight",
                      op->id == TRACE_WSASend
                          ? "the client may get the changed bytes"
                          : "what has come is mixed with what was written");
        return op->id == TRACE_WSASend || bufs_are_there(op);
    }
    return true;
}

/* The memory is the program's again, with the result in it. */
static void give_back(struct strict_op *op, const struct strict_spot *now)
{
    if (!check(op, now))
        return;
    if (op->state != OP_TOLD && op->id != TRACE_WSASend) {
        size_t len =
            op->id == TRACE_AcceptEx ? op->own.len : op->ov.InternalHigh;
        if (len > op->own.len || op->ov.Internal != 0)
            len = 0;
        memcpy(op->saved, op->own.buf, len);
        scatter(op, op->saved);
    }
    HANDLE event = op->theirs->hEvent;
    *op->theirs = op->ov;
    op->theirs->hEvent = event;
    op->posted = *op->theirs;
}

static void over(struct strict_op *op, const struct strict_spot *now)
{
    give_back(op, now);
    op->state = OP_OVER;
    if (op->id == TRACE_AcceptEx && op->ov.Internal == 0) {
        struct strict_sock *s = strict_sock_of(op->newcomer);
        if (s != NULL) {
            s->half = true;
            s->spot = op->began;
        }
    }
    if (op->spoiled || strict_sock_of(op->sock) == NULL) {
        forget(op);
        return;
    }
    free(op->own.buf);
    free(op->saved);
    op->own.buf = op->saved = NULL;
}

OVERLAPPED *strict_delivers(OVERLAPPED *ov, const struct trace_call *call)
{
    DWORD error = GetLastError();
    struct strict_spot now = {0};
    if (call != NULL)
        now = strict_spot_of(call);
    AcquireSRWLockExclusive(&strict_lock);
    struct strict_op *op = map_get(&by_own, (ULONG_PTR)ov);
    OVERLAPPED *theirs = op != NULL ? op->theirs : ov;
    if (op != NULL && op->state != OP_OVER)
        over(op, call != NULL ? &now : NULL);
    ReleaseSRWLockExclusive(&strict_lock);
    SetLastError(error);
    return theirs;
}

/* ---- the calls that begin and end it ------------------------------------------------ */

/* Nothing was begun. */
static void undo(struct strict_op *op)
{
    if (op->saved != NULL)
        scatter(op, op->saved);
    forget(op);
}

/* The call has said that it is done. */
static void tell_done(struct strict_op *op, const struct trace_call *call,
                      bool skips)
{
    struct strict_spot now = strict_spot_of(call);
    if (call->id != TRACE_AcceptEx && call->args[3] != 0)
        *(DWORD *)call->args[3] = (DWORD)op->ov.InternalHigh;
    if (op->state == OP_OVER)
        return;
    if (!op->packet || skips) {
        over(op, &now);
        return;
    }
    give_back(op, &now);
    op->state = OP_TOLD;
}

/* S6: what is pending may be done a moment later. APCs of the system run in this
 * wait, none of the program. */
static void wait_a_moment(void)
{
    static HANDLE never;
    if (never == NULL)
        never = REAL(CreateEventW)(NULL, TRUE, FALSE, NULL);
    if (never != NULL)
        REAL(WaitForSingleObject)(never, 2);
}

static LONG_PTR begun(struct trace_call *call, struct strict_op *op,
                      LONG_PTR result)
{
    bool done = result == (call->id == TRACE_AcceptEx);
    struct strict_sock *s = strict_sock_of(op->sock);
    bool skips = s != NULL && s->skips && op->stays;
    if (!done && WSAGetLastError() != WSA_IO_PENDING) {
        DWORD error = GetLastError();
        undo(op);
        SetLastError(error);
        return result;
    }
    if (call->id == TRACE_AcceptEx || s == NULL) {
        if (done)
            tell_done(op, call, skips);
        return result;
    }
    if (done && !skips && strict_chance(6, s, 2)) {
        SetLastError(WSA_IO_PENDING);
        return SOCKET_ERROR;
    }
    if (!done && !skips && op->state == OP_FLYING && strict_chance(6, s, 8)) {
        ReleaseSRWLockExclusive(&strict_lock);
        wait_a_moment();
        AcquireSRWLockExclusive(&strict_lock);
        done = op->state == OP_FLYING && op->ov.Internal == 0;
    }
    if (done)
        tell_done(op, call, skips);
    SetLastError(done ? 0 : WSA_IO_PENDING);
    return done ? 0 : SOCKET_ERROR;
}

/* S7: a second answer to the same question is no second completion. */
static void reaped(struct trace_call *call, struct strict_op *op)
{
    struct strict_spot now = strict_spot_of(call);
    if (op->state == OP_FLYING) {
        if (!op->packet) {
            over(op, &now);
        } else {
            give_back(op, &now);
            op->state = OP_TOLD;
        }
    }
    if (op->reaped++ == 0)
        op->reaper = now;
    else
        strict_broken(7, op->number, &now, &op->reaper, "reaped before",
                      "a completion is handled twice",
                      "the same bytes are taken for new ones");
}

/* S8: the number of bytes is written when it has succeeded, and only then. */
static void answered(struct trace_call *call, struct strict_op *op,
                     LONG_PTR result)
{
    DWORD error = GetLastError();
    if (result != 0 && call->args[2] != 0)
        *(DWORD *)call->args[2] = call->len;
    if (op == NULL || (result == 0 && error == WSA_IO_INCOMPLETE))
        return;
    struct strict_sock *s = strict_sock_of(op->sock);
    if (result == 0 && error != WSA_OPERATION_ABORTED && s != NULL &&
        op->id == TRACE_WSARecv && op->reaped == 0) {
        s->recv_failed = true;
        s->spot = strict_spot_of(call);
    }
    reaped(call, op);
}

LONG_PTR strict_op_ends(struct trace_call *call, LONG_PTR result)
{
    struct strict_op *op = call->op;
    DWORD error = GetLastError();
    if (call->id == TRACE_WSAGetOverlappedResult ||
        call->id == TRACE_GetOverlappedResult) {
        answered(call, op, result);
        SetLastError(error);
    } else if (op != NULL && call->id != TRACE_CancelIoEx) {
        result = begun(call, op, result);
    }
    error = GetLastError();
    if (op != NULL)
        release(op);
    SetLastError(error);
    return result;
}

void strict_op_asked(struct trace_call *call, ULONG_PTR *w)
{
    struct strict_op *op = map_get(&by_theirs, w[1]);
    if (op != NULL) {
        op->held++;
        call->op = op;
        if (op->state == OP_FLYING || op->state == OP_TOLD)
            w[1] = (ULONG_PTR)&op->ov;
    }
    if (call->id != TRACE_CancelIoEx)
        w[2] = (ULONG_PTR)&call->len;
}

/* S7: the packet of an operation in flight comes once, from the system. */
void strict_op_posted(struct trace_call *call)
{
    const struct strict_op *op = map_get(&by_theirs, call->args[3]);
    struct strict_spot now = strict_spot_of(call);
    if (op != NULL && op->state != OP_OVER)
        strict_broken(7, op->number, &now, &op->began, "begun",
                      "a packet is posted for an operation whose own packet is "
                      "still to come",
                      "the completion is handled twice");
}

/* ---- the socket ------------------------------------------------------------------------ */

/* S3. A listener has no client, and closing it is how AcceptEx() is ended. */
bool strict_op_closes(struct strict_sock *s, const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    bool reset = false;
    for (struct strict_op *op = s->ops, *next; op != NULL; op = next) {
        next = op->next;
        if (op->state == OP_OVER) {
            forget(op);
            continue;
        }
        if (op->state == OP_FLYING && op->id != TRACE_AcceptEx && !reset &&
            op->ov.Internal == (ULONG_PTR)STATUS_PENDING) {
            reset = true;
            strict_broken(3, op->number, &now, &op->began, "begun",
                          "a socket is closed with an operation in flight",
                          "the client gets a reset, and may lose the end of "
                          "what was sent to it");
        }
        unlink_op(op);
        op->sock = INVALID_SOCKET;
        op->next = limbo;
        if (limbo != NULL)
            limbo->prev = op;
        limbo = op;
    }
    return reset && strict_has(3);
}

const struct strict_op *strict_op_at(const struct strict_sock *s,
                                     const char *bytes, size_t len)
{
    for (const struct strict_op *op = s->ops; op != NULL; op = op->next) {
        if (op->state != OP_FLYING || op->id != TRACE_WSARecv || op->spoiled)
            continue;
        for (DWORD i = 0; i < op->count; i++) {
            const WSABUF *buf = &op->bufs[i];
            if (bytes < buf->buf + buf->len && buf->buf < bytes + len)
                return op;
        }
    }
    return NULL;
}

#endif
