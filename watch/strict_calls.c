/* strict_calls.c -- see strict.h; what is looked at before and after a call
 *
 * S4, S9, S10, S12, S14, S16, S17, S18 and S19, and what strict_ops.c needs to
 * know of sockets.
 */
#include "common/win.h"

#include <string.h>

#include "watch/strict_state.h"
#include "watch/wrap.h"

#ifdef TRACE

/* Refuse a call as Windows would. Always false: it is not made. */
static bool refuse(struct trace_call *call, LONG_PTR result, int error)
{
    call->instead = result;
    WSASetLastError(error);
    return false;
}

/* ---- S4, S8, S14: sockets in the wrong state -------------------------------------- */

static bool is_of_socket(enum trace_id id)
{
    return watched[id].args[0] == 's' && id != TRACE_CancelIoEx &&
           id != TRACE_CreateIoCompletionPort &&
           id != TRACE_CreateThreadpoolIo &&
           id != TRACE_SetFileCompletionNotificationModes;
}

/* A value that has come back from a call that is not watched is a new socket. */
static void look_if_closed(struct strict_sock *s, const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    int type = 0;
    int len = sizeof type;
    if (!s->closed || !is_of_socket(call->id))
        return;
    if (REAL(getsockopt)(s->sock, SOL_SOCKET, SO_TYPE, (char *)&type, &len) ==
        0)
        strict_sock_new(s->sock);
    else
        strict_broken(14, s->number, &now, &s->spot, "closed",
                      "a call is made with a socket that has been closed",
                      "the number may belong to another connection by now");
}

static bool half_refuses(const struct trace_call *call)
{
    switch (call->id) {
    case TRACE_shutdown:
    case TRACE_getpeername:
    case TRACE_getsockname: return true;
    case TRACE_setsockopt:
        return (int)call->args[2] != SO_UPDATE_ACCEPT_CONTEXT;
    case TRACE_getsockopt: return (int)call->args[2] != SO_CONNECT_TIME;
    default: return false;
    }
}

static bool look_if_half(const struct strict_sock *s, struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    if (!s->half || !strict_has(4) || !half_refuses(call))
        return true;
    strict_broken(4, s->number, &now, &s->spot, "accepted",
                  "a socket from AcceptEx() is used before "
                  "SO_UPDATE_ACCEPT_CONTEXT is set",
                  "the call fails with WSAENOTCONN");
    return refuse(call, SOCKET_ERROR, WSAENOTCONN);
}

static void look_if_failed(struct strict_sock *s, const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    if (!s->recv_failed ||
        (call->id != TRACE_send && call->id != TRACE_WSASend))
        return;
    s->recv_failed = false;
    strict_broken(8, s->number, &now, &s->spot, "asked",
                  "bytes are sent although the receive has failed",
                  "a failed WSAGetOverlappedResult() does not write the number "
                  "of bytes: it is an old one");
}

/* ---- S2: a buffer is read in flight ------------------------------------------------- */

static void look_at_sent(const struct strict_sock *s, struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    WSABUF one = {(ULONG)call->args[2], (char *)call->args[1]};
    bool many = call->id == TRACE_WSASend;
    const WSABUF *bufs = many ? (const WSABUF *)call->args[1] : &one;
    DWORD count = many ? (DWORD)call->args[2] : 1;
    if (!many && call->id != TRACE_send)
        return;
    for (DWORD i = 0; i < count; i++) {
        const struct strict_op *op = strict_op_at(s, bufs[i].buf, bufs[i].len);
        if (op == NULL)
            continue;
        strict_broken(2, op->number, &now, &op->began, "begun",
                      "a buffer is sent while a receive into it is in flight",
                      "the client gets whatever is in it at that moment");
        return;
    }
}

/* ---- S9, S10: sockets that do not block -------------------------------------------- */

static void look_at_rest(struct strict_sock *s, const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    size_t len = (size_t)(int)call->args[2];
    if (len > s->owed_len)
        len = s->owed_len;
    if (len > 0 && memcmp(s->owed, (const char *)call->args[1], len) != 0)
        strict_broken(9, s->number, &now, &s->spot, "cut short",
                      "what a short send has left over is not sent next",
                      "the client misses these bytes");
    s->owed_len = 0;
}

static bool look_at_send(struct strict_sock *s, struct trace_call *call,
                         ULONG_PTR *w)
{
    int len = (int)w[2];
    look_at_rest(s, call);
    if (!s->non_blocking)
        return true;
    /* Whoever waits for FD_WRITE would wait for ever: the system knows nothing
     * of this refusal. */
    if (!s->registered && !s->refused[1] && strict_chance(10, s, 8)) {
        s->refused[1] = true;
        call->mine->refused = s->sock;
        return refuse(call, SOCKET_ERROR, WSAEWOULDBLOCK);
    }
    s->refused[1] = false;
    if (len > 1 && strict_chance(9, s, 4))
        w[2] = 1 + strict_number(s, (unsigned)len - 1);
    return true;
}

static void sent(struct strict_sock *s, const struct trace_call *call,
                 LONG_PTR result)
{
    size_t rest = (size_t)((int)call->args[2] - (int)result);
    if (result <= 0 || (int)call->args[2] <= (int)result)
        return;
    s->owed_len = rest < sizeof s->owed ? rest : sizeof s->owed;
    memcpy(s->owed, (const char *)call->args[1] + result, s->owed_len);
    s->spot = strict_spot_of(call);
}

/* A look at the first byte makes Windows signal FD_READ once more. So the program
 * will hear of what it is told to wait for. */
static bool look_at_recv(struct strict_sock *s, struct trace_call *call,
                         ULONG_PTR *w)
{
    call->mine->close_told = 0;
    if (strict_ahead(s, call))
        return false;
    call->refuses = s->non_blocking && !s->refused[0] && (int)w[2] > 0 &&
                    (int)w[3] == 0 && strict_chance(10, s, 8);
    s->refused[0] = call->refuses;
    if (!call->refuses)
        return true;
    w[1] = (ULONG_PTR)call->text;
    w[2] = 1;
    w[3] = MSG_PEEK;
    return true;
}

/* S11: after a reset that came while nobody received, Wine tells a plain end. */
static LONG_PTR received(const struct strict_sock *s, struct trace_call *call,
                         LONG_PTR result)
{
    if (result == 0 && (int)call->args[2] > 0 && s != NULL && !s->shut &&
        strict_has(11) && REAL(send)(s->sock, "", 0, 0) == SOCKET_ERROR &&
        WSAGetLastError() != WSAEWOULDBLOCK) {
        WSASetLastError(WSAECONNRESET);
        return SOCKET_ERROR;
    }
    if (!call->refuses || result <= 0)
        return result;
    call->mine->refused = call->args[0];
    WSASetLastError(WSAEWOULDBLOCK);
    return SOCKET_ERROR;
}

static bool look_at_accept(struct strict_sock *s, struct trace_call *call)
{
    if (!s->non_blocking || s->registered || s->refused[0] ||
        !strict_chance(10, s, 8)) {
        s->refused[0] = false;
        return true;
    }
    s->refused[0] = true;
    return refuse(call, (LONG_PTR)INVALID_SOCKET, WSAEWOULDBLOCK);
}

/* Closed at once, with nothing in between: as if it were an error. */
static void look_if_refused(struct strict_sock *s,
                            const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    struct caller *mine = call->mine;
    bool same = s != NULL && s->sock == mine->refused;
    if (same && call->id == TRACE_closesocket)
        strict_broken(10, s->number, &now, NULL, "",
                      "a socket is closed because of WSAEWOULDBLOCK",
                      "that is no error: what was asked for is not there yet");
    if (!same || (call->id != TRACE_setsockopt && call->id != TRACE_shutdown))
        mine->refused = 0;
}

/* ---- S12: what runs inside a call ---------------------------------------------------- */

enum { NESTED_MOST = 3 };

static bool may_wait(enum trace_id id, const struct strict_sock *s)
{
    switch (id) {
    case TRACE_select: return true;
    case TRACE_recv:
    case TRACE_send:
    case TRACE_accept:
    case TRACE_connect: return s != NULL && !s->non_blocking;
    default: return false;
    }
}

static bool is_alertable_inside(enum trace_id id)
{
    return id == TRACE_shutdown || id == TRACE_closesocket ||
           id == TRACE_setsockopt || id == TRACE_accept || id == TRACE_select;
}

static void look_at_apc(const struct trace_call *call,
                        const struct strict_sock *s)
{
    struct strict_spot now = strict_spot_of(call);
    if (call->mine->interrupted && may_wait(call->id, s))
        strict_broken(12, s != NULL ? s->number : 0, &now, NULL, "",
                      "a call that may wait is made by a function that "
                      "interrupted another call",
                      "what it does is not defined");
}

/* Without the lock. */
static void let_apcs_in(struct caller *mine, enum trace_id id)
{
    if (!strict_has(12) || !is_alertable_inside(id) ||
        mine->nested >= NESTED_MOST)
        return;
    bool before = mine->in_call;
    mine->in_call = true;
    mine->nested++;
    wrap_run_apcs();
    mine->nested--;
    mine->in_call = before;
}

void strict_enters(struct caller *mine)
{
    if (mine->in_call)
        mine->interrupted++;
}

void strict_leaves(struct caller *mine)
{
    if (mine->in_call && mine->interrupted > 0)
        mine->interrupted--;
}

/* ---- S16: no order is promised --------------------------------------------------------- */

static void shuffle_set(fd_set *set)
{
    for (u_int i = set != NULL ? set->fd_count : 0; i > 1; i--) {
        unsigned other = strict_number(NULL, i);
        SOCKET swap = set->fd_array[other];
        set->fd_array[other] = set->fd_array[i - 1];
        set->fd_array[i - 1] = swap;
    }
}

static void shuffle_packets(OVERLAPPED_ENTRY *entries, ULONG count)
{
    for (ULONG i = count; i > 1; i--) {
        unsigned other = strict_number(NULL, i);
        OVERLAPPED_ENTRY swap = entries[other];
        entries[other] = entries[i - 1];
        entries[i - 1] = swap;
    }
}

/* ---- S17, S18, S19: arguments that Windows does not take --------------------------------- */

static bool is_empty(ULONG_PTR set)
{
    return set == 0 || ((const fd_set *)set)->fd_count == 0;
}

static bool look_at_wait(struct trace_call *call)
{
    const ULONG_PTR *args = call->args;
    struct strict_spot now = strict_spot_of(call);
    if (!strict_has(17))
        return true;
    if (call->id == TRACE_select && is_empty(args[1]) && is_empty(args[2]) &&
        is_empty(args[3])) {
        strict_broken(17, 0, &now, NULL, "", "select() with three empty sets",
                      "the call fails with WSAEINVAL");
        return refuse(call, SOCKET_ERROR, WSAEINVAL);
    }
    if (call->id == TRACE_WSAWaitForMultipleEvents &&
        ((DWORD)args[0] == 0 || (DWORD)args[0] > WSA_MAXIMUM_WAIT_EVENTS)) {
        strict_broken(17, 0, &now, NULL, "",
                      "a wait for no event, or for more than 64",
                      "the call fails with WSA_INVALID_PARAMETER");
        return refuse(call, (LONG_PTR)WSA_WAIT_FAILED, WSA_INVALID_PARAMETER);
    }
    return true;
}

static bool look_at_option(struct strict_sock *s, struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    int option = (int)call->args[2];
    if ((int)call->args[1] != SOL_SOCKET || !strict_has(19) ||
        (option != SO_REUSEADDR && option != (int)SO_EXCLUSIVEADDRUSE))
        return true;
    if (s->bound) {
        strict_broken(19, s->number, &now, NULL, "",
                      "who else may have the address is said after bind()",
                      "the call fails with WSAEINVAL");
        return refuse(call, SOCKET_ERROR, WSAEINVAL);
    }
    if (option == SO_REUSEADDR && *(const char *)call->args[3] != 0) {
        s->reuse = true;
        s->spot = now;
    }
    return true;
}

/* Bits that mean nothing come from memory that was never set. */
enum { KNOWN_FLAGS = MSG_OOB | MSG_PEEK | MSG_WAITALL | MSG_PARTIAL | 0x20 };

static void look_at_arguments(const struct strict_sock *s,
                              const struct trace_call *call)
{
    const ULONG_PTR *args = call->args;
    struct strict_spot now = strict_spot_of(call);
    enum { LEAST = sizeof(struct sockaddr_in) + 16 };
    if (call->id == TRACE_listen && s->reuse)
        strict_broken(19, 0, &now, &s->spot, "set",
                      "a listener with SO_REUSEADDR",
                      "another program can take the same port at the same "
                      "time, and its clients");
    if (call->id == TRACE_AcceptEx && (args[4] < LEAST || args[5] < LEAST))
        strict_broken(19, 0, &now, NULL, "",
                      "AcceptEx() without 16 bytes more than an address needs",
                      "the call fails");
    if (call->id == TRACE_WSARecv && args[4] != 0 &&
        (*(const DWORD *)args[4] & ~(DWORD)KNOWN_FLAGS) != 0)
        strict_broken(
            19, s->number, &now, NULL, "",
            "flags of WSARecv() that do not exist: they are read, not "
            "only written",
            "the call fails with WSAEOPNOTSUPP");
}

static void look_if_inside(const struct strict_sock *s,
                           const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    if (s->inside > 0 && call->mine->interrupted == 0)
        strict_broken(18, s->number, &now, &s->in, "used",
                      "a socket is closed while another thread is in a call on "
                      "it",
                      "that call may go on with another connection");
}

static bool is_inside(enum trace_id id)
{
    return id == TRACE_recv || id == TRACE_send || id == TRACE_accept;
}

/* ---- before and after ----------------------------------------------------------------------- */

static bool looked_at(struct strict_sock *s, struct trace_call *call,
                      ULONG_PTR *w)
{
    look_if_closed(s, call);
    look_if_failed(s, call);
    look_at_sent(s, call);
    look_at_arguments(s, call);
    if (!look_if_half(s, call))
        return false;
    switch (call->id) {
    case TRACE_recv: return look_at_recv(s, call, w);
    case TRACE_send: return look_at_send(s, call, w);
    case TRACE_accept: return look_at_accept(s, call);
    case TRACE_setsockopt: return look_at_option(s, call);
    case TRACE_WSARecv:
    case TRACE_WSASend:
    case TRACE_AcceptEx: return strict_op_begins(call, w);
    case TRACE_WSAGetOverlappedResult:
    case TRACE_GetOverlappedResult:
    case TRACE_CancelIoEx: strict_op_asked(call, w); return true;
    case TRACE_closesocket:
        look_if_inside(s, call);
        strict_look_at_close(s, call);
        call->resets = strict_op_closes(s, call);
        return true;
    default: return true;
    }
}

static bool begins(struct trace_call *call, ULONG_PTR *w)
{
    bool has_socket = watched[call->id].args[0] == 's';
    struct strict_sock *s = has_socket ? strict_sock_of(w[0]) : NULL;
    look_if_refused(s, call);
    look_at_apc(call, s);
    if (call->id == TRACE_PostQueuedCompletionStatus)
        strict_op_posted(call);
    if (!look_at_wait(call))
        return false;
    if (s != NULL && !looked_at(s, call, w))
        return false;
    if (s != NULL && is_inside(call->id)) {
        s->inside++;
        s->in = strict_spot_of(call);
        call->inside = true;
    }
    return true;
}

bool strict_call_begins(struct trace_call *call, ULONG_PTR *w)
{
    static const struct linger hard = {1, 0};
    call->op = NULL;
    call->inside = call->refuses = call->resets = false;
    if (call->mine == NULL)
        return true;
    let_apcs_in(call->mine, call->id);
    AcquireSRWLockExclusive(&strict_lock);
    bool made = begins(call, w);
    DWORD error = GetLastError();
    ReleaseSRWLockExclusive(&strict_lock);
    if (call->resets)
        (void)REAL(setsockopt)(w[0], SOL_SOCKET, SO_LINGER, (const char *)&hard,
                               sizeof hard);
    call->in_call = call->mine->in_call;
    call->mine->in_call =
        watched[call->id].args[0] == 's' || call->id == TRACE_select;
    SetLastError(error);
    return made;
}

static void accepted(const struct trace_call *call, SOCKET sock)
{
    const struct strict_sock *from = strict_sock_of(call->args[0]);
    struct strict_sock *s = strict_sock_new(sock);
    if (s == NULL || from == NULL)
        return;
    s->non_blocking = from->non_blocking;
    s->registered = from->registered;
    s->window = from->window;
    s->message = from->message;
    s->event = from->event;
    s->mask = from->mask;
    strict_newcomer(s);
}

static void registered(struct strict_sock *s, const ULONG_PTR *args, bool async)
{
    s->non_blocking = true;
    s->registered = async ? args[3] != 0 : args[1] != 0 && args[2] != 0;
    s->window = async && args[3] != 0 ? (HWND)args[1] : NULL;
    s->message = (UINT)args[2];
    s->event = async ? NULL : (HANDLE)args[1];
    s->mask = (long)args[async ? 3 : 2];
}

static void closed(struct strict_sock *s, const struct trace_call *call)
{
    HWND window = s->window;
    UINT message = s->message;
    s->closed = true;
    s->half = false;
    s->ahead_len = 0;
    s->window = NULL;
    s->spot = strict_spot_of(call);
    if (window != NULL && strict_chance(14, s, 2))
        strict_post(window, message, s->sock);
}

/* Calls that have succeeded, and what is known by them. */
static void learn(struct strict_sock *s, const struct trace_call *call)
{
    const ULONG_PTR *args = call->args;
    switch (call->id) {
    case TRACE_ioctlsocket:
        if ((u_long)args[1] == (u_long)FIONBIO)
            s->non_blocking = *(const u_long *)args[2] != 0;
        break;
    case TRACE_WSAAsyncSelect: registered(s, args, true); break;
    case TRACE_WSAEventSelect: registered(s, args, false); break;
    case TRACE_bind: s->bound = true; break;
    case TRACE_closesocket: closed(s, call); break;
    case TRACE_shutdown: s->shut = s->shut || (int)args[1] != SD_RECEIVE; break;
    case TRACE_CreateThreadpoolIo: s->port = true; break;
    case TRACE_CreateIoCompletionPort:
        s->port = true;
        s->spot = strict_spot_of(call);
        break;
    case TRACE_SetFileCompletionNotificationModes:
        s->skips = (args[1] & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) != 0;
        break;
    case TRACE_setsockopt:
        if ((int)args[2] == SO_UPDATE_ACCEPT_CONTEXT) {
            s->half = false;
            strict_newcomer(s);
        }
        break;
    default: break;
    }
}

static bool failed(const struct trace_call *call, LONG_PTR result)
{
    switch (watched[call->id].fails) {
    case FAILS_MINUS_1: return (int)result == -1;
    case FAILS_ZERO: return result == 0;
    default: return false;
    }
}

static void look_at_second_port(const struct strict_sock *s,
                                const struct trace_call *call, DWORD error)
{
    struct strict_spot now = strict_spot_of(call);
    if (call->id == TRACE_CreateIoCompletionPort && s->port &&
        error == ERROR_INVALID_PARAMETER)
        strict_broken(19, s->number, &now, &s->spot, "joined",
                      "a socket is joined to a completion port twice",
                      "the call fails with ERROR_INVALID_PARAMETER");
}

static void packets(const struct trace_call *call)
{
    OVERLAPPED_ENTRY *entries = (OVERLAPPED_ENTRY *)call->args[1];
    ULONG count = *(const ULONG *)call->args[3];
    for (ULONG i = 0; i < count; i++)
        entries[i].lpOverlapped =
            strict_delivers(entries[i].lpOverlapped, call);
    AcquireSRWLockExclusive(&strict_lock);
    if (strict_has(16))
        shuffle_packets(entries, count);
    ReleaseSRWLockExclusive(&strict_lock);
}

static LONG_PTR ends(struct trace_call *call, LONG_PTR result)
{
    struct strict_sock *s =
        watched[call->id].args[0] == 's' ? strict_sock_of(call->args[0]) : NULL;
    if (s != NULL && call->inside)
        s->inside--;
    if (s != NULL && failed(call, result))
        look_at_second_port(s, call, GetLastError());
    else if (s != NULL)
        learn(s, call);
    switch (call->id) {
    case TRACE_WSASocketW:
        if ((SOCKET)result != INVALID_SOCKET)
            strict_sock_new((SOCKET)result);
        return result;
    case TRACE_accept:
        if ((SOCKET)result != INVALID_SOCKET)
            accepted(call, (SOCKET)result);
        return result;
    case TRACE_send:
        if (s != NULL)
            sent(s, call, result);
        return result;
    case TRACE_recv: return received(s, call, result);
    case TRACE_WSAEnumNetworkEvents:
        if (s != NULL && result == 0)
            strict_told_events(s, call);
        return result;
    case TRACE_GetMessageW:
        call->mine->close_told = 0;
        if (result > 0)
            strict_told_message(call);
        return result;
    case TRACE_WSAWaitForMultipleEvents:
        call->mine->close_told = 0;
        return result;
    case TRACE_select:
        for (int i = 1; i <= 3 && strict_has(16); i++)
            shuffle_set((fd_set *)call->args[i]);
        return result;
    default: return strict_op_ends(call, result);
    }
}

LONG_PTR strict_ends(struct trace_call *call, LONG_PTR result)
{
    DWORD error = GetLastError();
    OVERLAPPED **out = (OVERLAPPED **)call->args[3];
    if (call->mine == NULL)
        return result;
    call->mine->in_call = call->in_call;
    if (call->id == TRACE_GetQueuedCompletionStatus && *out != NULL)
        *out = strict_delivers(*out, call);
    else if (call->id == TRACE_GetQueuedCompletionStatusEx && result != 0)
        packets(call);
    AcquireSRWLockExclusive(&strict_lock);
    SetLastError(error);
    result = ends(call, result);
    error = GetLastError();
    ReleaseSRWLockExclusive(&strict_lock);
    SetLastError(error);
    return result;
}

#endif
