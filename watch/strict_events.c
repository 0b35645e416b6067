/* strict_events.c -- see strict.h; what Windows tells of a socket
 *
 * S5: on Windows FD_CLOSE comes when the peer has closed, even if bytes are still
 * to be read, and once. Wine tells it after the last byte. So what there is to
 * read is read here beforehand; if the end is behind it, the close is told first,
 * and the program gets the bytes when it asks for them.
 */
#include "common/win.h"

#include <stdlib.h>
#include <string.h>

#include "common/system.h"
#include "watch/strict_state.h"

#ifdef TRACE

enum { AHEAD_SIZE = 65536 };

/* A program that has a window has user32.dll. No other shall import it. */
void strict_post(HWND window, UINT message, SOCKET sock)
{
    typedef BOOL WINAPI post_message(HWND, UINT, WPARAM, LPARAM);
    post_message *post =
        (post_message *)find_function(L"user32.dll", "PostMessageW");
    if (post != NULL) /* a full queue gets nothing, as on Windows */
        (void)post(window, message, sock, FD_READ);
}

/* Asked for at run time: only a server that calls recv() itself shall import
 * it. */
static int receive(SOCKET sock, char *bytes, int size, int flags)
{
    typedef int WINAPI receive_call(SOCKET, char *, int, int);
    receive_call *call = (receive_call *)find_function(L"ws2_32.dll", "recv");
    if (call != NULL)
        return call(sock, bytes, size, flags);
    WSASetLastError(WSAEOPNOTSUPP); /* cannot be: there are sockets */
    return SOCKET_ERROR;
}

static void signal_read(struct strict_sock *s)
{
    if (s->window != NULL)
        strict_post(s->window, s->message, s->sock);
    else if (s->event != NULL)
        REAL(WSASetEvent)(s->event);
}

/* Everything that is there now. True: the end is behind it. */
static bool read_ahead(struct strict_sock *s)
{
    if (s->ahead == NULL)
        s->ahead = malloc(AHEAD_SIZE);
    if (s->ahead == NULL || !strict_has(5) || (s->mask & FD_CLOSE) == 0 ||
        s->ahead_error != 0)
        return false;
    memmove(s->ahead, s->ahead + s->ahead_at, s->ahead_len);
    s->ahead_at = 0;
    while (s->ahead_len < AHEAD_SIZE) {
        int len = receive(s->sock, s->ahead + s->ahead_len,
                          (int)(AHEAD_SIZE - s->ahead_len), 0);
        if (len == 0)
            return s->ahead_len > 0;
        if (len == SOCKET_ERROR) {
            int error = WSAGetLastError();
            s->ahead_error = error == WSAEWOULDBLOCK ? 0 : error;
            break;
        }
        s->ahead_len += (size_t)len;
    }
    return false;
}

/* A receive that is served from what was read. False: it is not, for nothing is
 * there. */
bool strict_ahead(struct strict_sock *s, struct trace_call *call)
{
    size_t len = (size_t)(int)call->args[2];
    if (s->ahead_len == 0 && s->ahead_error == 0)
        return false;
    if (s->ahead_len == 0) {
        WSASetLastError(s->ahead_error);
        s->ahead_error = 0;
        call->instead = SOCKET_ERROR;
        return true;
    }
    if (len > s->ahead_len)
        len = s->ahead_len;
    memcpy((char *)call->args[1], s->ahead + s->ahead_at, len);
    if (((int)call->args[3] & MSG_PEEK) == 0) {
        s->ahead_at += len;
        s->ahead_len -= len;
    }
    if (s->ahead_len > 0)
        signal_read(s);
    call->instead = (LONG_PTR)len;
    return true;
}

static void told(WSANETWORKEVENTS *events, int bit)
{
    events->lNetworkEvents |= 1L << bit;
    events->iErrorCode[bit] = 0;
}

/* S10: what is not told has no error either; whatever stands there is old. */
static void fill_unset(WSANETWORKEVENTS *events)
{
    for (int bit = 0; bit < FD_MAX_EVENTS; bit++) {
        if (strict_has(10) && (events->lNetworkEvents >> bit & 1) == 0)
            events->iErrorCode[bit] = WSAEFAULT;
    }
}

void strict_told_events(struct strict_sock *s, struct trace_call *call)
{
    WSANETWORKEVENTS *events = (WSANETWORKEVENTS *)call->args[2];
    if (s->close_told)
        events->lNetworkEvents &= ~FD_CLOSE;
    if (s->ahead_len > 0)
        told(events, FD_READ_BIT);
    fill_unset(events);
    if ((events->lNetworkEvents & (FD_READ | FD_CLOSE)) != FD_READ ||
        s->close_told || !read_ahead(s))
        return;
    told(events, FD_CLOSE_BIT);
    s->close_told = true;
    s->spot = strict_spot_of(call);
    call->mine->close_told = s->sock;
}

void strict_told_message(struct trace_call *call)
{
    MSG *message = (MSG *)call->args[0];
    struct strict_sock *s = strict_sock_known(message->wParam);
    if (s == NULL || s->closed || s->window == NULL ||
        s->window != message->hwnd || s->message != message->message ||
        WSAGETSELECTERROR(message->lParam) != 0)
        return;
    if (WSAGETSELECTEVENT(message->lParam) == FD_CLOSE && s->close_told) {
        message->message = WM_NULL;
    } else if (WSAGETSELECTEVENT(message->lParam) == FD_READ &&
               !s->close_told && read_ahead(s)) {
        message->lParam = WSAMAKESELECTREPLY(FD_CLOSE, 0);
        signal_read(s);
        s->close_told = true;
        s->spot = strict_spot_of(call);
        call->mine->close_told = s->sock;
    }
}

/* Closed in the same turn in which it was told, and nothing was read. */
void strict_look_at_close(struct strict_sock *s, const struct trace_call *call)
{
    struct strict_spot now = strict_spot_of(call);
    if (s->sock == call->mine->close_told && s->ahead_len > 0)
        strict_broken(
            5, s->number, &now, &s->spot, "told",
            "a socket is closed because of FD_CLOSE, with bytes still "
            "to be read",
            "the last bytes of the client are lost");
}

#endif
