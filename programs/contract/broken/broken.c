/* broken.c -- an echo server that keeps the contract, or breaks it on request
 *
 * Without --bug it is the plainest server possible: a thread per connection
 * receives and sends. With --bug NAME it makes one mistake that real servers
 * have made. The case of the contract suite that is named beside the bug has to
 * fail, with a hint that names this mistake. The command
 * `contract --exe broken.exe --prove` checks it. It is a test subject, not a
 * model: the thread that accepts, and a thread that its mistake holds, run until
 * the process ends.
 *
 *     broken --list-bugs       a line per bug: NAME CASES WORDS OF THE HINT|CAUSE
 *     broken --bug NAME ...    otherwise the command line of all servers
 */
/* serves-lowest-index has this one mistake, and no wall at 64 clients. */
#define FD_SETSIZE 1024

#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"
#include "common/stop.h"

static const struct bug {
    const char *name;
    const char *cases; /* that catch it */
    const char *hint;  /* words that the hint, or what was observed, holds */
    const char *cause; /* that explains many failures; NULL: none is found */
} bugs[] = {
    {"never-answers", "E1.1", "never answers it", "it never answers"},
    {"answers-twice", "E1.1", "More comes back", NULL},
    {"stops-at-zero", "E1.2", "strlen()", NULL},
    {"ends-at-ctrl-z", "E1.2", "0x1A", NULL},
    {"keeps-a-terminator", "E1.3,E1.4", "terminator", NULL},
    {"counter-overflows", "E1.5", "close", NULL},
    {"ignores-short-send", "E1.6", "short", NULL},
    {"sends-all-again", "E1.6", "Old bytes come again", NULL},
    {"waits-for-records", "E1.7", "TCP has no ", "it waits for more bytes"},
    {"swaps-buffers", "E1.8", "out of order", NULL},
    {"shares-a-buffer", "E1.9", "share a buffer", NULL},
    {"sends-to-newest", "E1.9", "that client #",
     "echoes go to the wrong client"},
    {"mixes-clients", "E1.9", "another one's bytes", NULL},
    {"overlooks-fin", "E2.1", "FIN is overlooked", NULL},
    {"drops-echo-at-fin", "E2.2,E2.4", "rest of the echo is missing", NULL},
    {"aborts-at-fin", "E2.3", "close", NULL},
    {"hurries-at-fin", "E2.5", "slow", NULL},
    {"closes-neighbour", "E2.6", "wrong connection was closed", NULL},
    {"forgets-after-stall", "E3.1", "does not go on", NULL},
    {"queues-everything", "E3.1,E3.3", "queues", NULL},
    {"one-blocks-all", "E3.2", "blocks the others", NULL},
    {"dies-of-reset", "E4.1,E4.3", "must never end the server", NULL},
    {"dies-of-failed-send", "E4.2", "must never end the server", NULL},
    {"keeps-places", "E4.4", "places are not given back", NULL},
    {"last-is-not-removed", "E4.5", "nobody new is served",
     "deaf after clients have left"},
    {"one-handover-slot", "E5.1", "through one variable", NULL},
    {"table-of-256", "E5.2", "table with fewer places", NULL},
    {"serves-until-dry", "E5.3", "starves", NULL},
    {"serves-lowest-index", "E5.4", "names the lowest ready index", NULL},
    {"polls", "E6.1", "waits for a clock", NULL},
    {"two-pieces", "E6.2", "Nagle", NULL},
    {"spins-when-empty", "E6.3", "Without clients", NULL},
    {"spins-when-left", "E6.3", "last client has left", NULL},
    {"wants-to-write", "E6.4", "when it may write", NULL},
    {"accepts-with-data", "E6.5", "AcceptEx() with a receive length", NULL},
    {"no-limit", "E7.1", "--max-clients is not kept", NULL},
    {"lets-them-wait", "E7.1", "neither served nor sent away", NULL},
    {"keeps-places", "E7.2", "not given back", NULL},
    {"refuses-silently", "E7.3", "logged", NULL},
    {"wall-of-64", "E7.4", "wall", "a wall"},
    {"wall-of-128", "E7.5", "wall", NULL},
    {"wall-of-512", "E7.6,E7.7", "wall", NULL},
    {"wall-of-1500", "E7.7", "wall", NULL},
    {"deaf-to-eof", "E8.1", "does not hear", NULL},
    {"waits-for-clients", "E8.2,E8.4", "waits for", NULL},
    {"miscounts", "E8.3", "does not count", NULL},
    {"stops-when-silent", "E8.7", "clients are silent", NULL},
    {"no-handler", "E8.4,E8.6", "not handled", NULL},
    {"hears-only-ctrl-c", "E8.6", "CTRL_BREAK_EVENT", NULL},
    {"second-key-crashes", "E8.5", "shutting down", NULL},
    {"second-key-ignored", "E8.5", "lost patience", NULL},
    {"ignores-bind", "E9.1,E9.2", "starts as if nothing", NULL},
    {"mumbles", "E9.1,E9.2", "does not help", NULL},
    {"uses-atoi", "E10.1", "as if nothing were wrong", NULL},
    {"ignores-unknown", "E10.2,E10.3", "as if nothing were wrong", NULL},
    {"help-on-stderr", "E10.4", "standard output", NULL},
    {"listens-everywhere", "E11.1", "all addresses", NULL},
    {"warns-nobody", "E11.2", "warning", NULL},
    {"ipv4-only", "E11.3", "--bind is not used", NULL},
    {"urgent-ends-it", "E12.1", "Urgent data ends", NULL},
    {"urgent-spins", "E12.1", "spins", NULL},
    {"leaks-handles", "E12.2", "Handles leak", NULL},
    {"leaks-memory", "E12.2", "Memory leaks", NULL},
    {"takes-end-for-data", "E12.3", "spins on connections", NULL},
    {"waits-for-reader", "E13.1,E13.2", "Nobody reads what", NULL},
    {"drops-summary", "E13.3", "keep room for it", NULL},
    {"drops-the-silent", "E14.1", "SO_RCVTIMEO", NULL},
};

static const char *the_bug = "";

/* Each use marks where a mistake is made. */
static bool bug(const char *name)
{
    return strcmp(the_bug, name) == 0;
}

static const struct model model = {
    .name = "broken",
    .idea = "a thread per connection, with a mistake to order",
    .most_clients = NO_LIMIT_CLIENTS,
    .why_limit = "one thread each",
    .no_threads = "there is one thread per connection"};

enum { STACK_BYTES = 64 * 1024, MOST_PLACES = 65536 };

/* At the end, for the threads to leave: between two attempts, and in total. */
enum { RETRY_MS = 10, PATIENCE_MS = 300 };

static struct args args;
static SOCKET listener;
static HANDLE stop_asked;
static volatile LONG clients;
static volatile LONG silent; /* clients that have said nothing so far */
static volatile LONG leaving;
static volatile ULONGLONG last_echo; /* by GetTickCount64() */
static SRWLOCK lock = SRWLOCK_INIT;

struct conn {
    SOCKET sock;
    struct log_conn log;
    char *buffer;
    int len;    /* bytes in it */
    char *held; /* swaps-buffers, queues-everything */
    size_t held_len, held_size;
    unsigned received; /* how many times */
};

/* Sockets by connection number, for mistakes with the wrong one. */
static SOCKET sockets[MOST_PLACES];
static volatile LONG newest;
static volatile LONG stuck; /* last-is-not-removed */

/* ---- mistakes in sending -------------------------------------------------- */

static void set_blocking(SOCKET sock, bool blocking)
{
    u_long on = !blocking;
    if (ioctlsocket(sock, (long)FIONBIO, &on) == SOCKET_ERROR)
        warn_call("ioctlsocket", WSAGetLastError());
}

static void wait_writable(SOCKET sock)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(sock, &set);
    if (select(0, NULL, &set, NULL, NULL) == SOCKET_ERROR)
        warn_call("select", WSAGetLastError());
}

/* Makes a non-blocking send, and then the mistake if the send was short. */
static bool send_short(struct conn *c)
{
    set_blocking(c->sock, false);
    int sent = send(c->sock, c->buffer, c->len, 0);
    if (sent < c->len && bug("forgets-after-stall"))
        Sleep(INFINITE); /* nothing ever wakes it */
    if (sent < c->len && bug("sends-all-again")) {
        wait_writable(c->sock);
        set_blocking(c->sock, true);
        if (sent <= 0 && send(c->sock, c->buffer, (c->len + 1) / 2, 0) <= 0)
            return false; /* Windows sends all or nothing: here send half */
        sent = send(c->sock, c->buffer, c->len, 0);
    }
    /* ignores-short-send: the rest is lost */
    set_blocking(c->sock, true);
    return true;
}

static bool hold(struct conn *c)
{
    if (c->held_size - c->held_len < (size_t)c->len) {
        size_t size = c->held_size * 2 + (size_t)c->len;
        char *grown = realloc(c->held, size);
        if (grown == NULL)
            return false;
        c->held = grown;
        c->held_size = size;
    }
    memcpy(c->held + c->held_len, c->buffer, (size_t)c->len);
    c->held_len += (size_t)c->len;
    return true;
}

/* queues-everything: receive for as long as anything comes, send if possible,
 * keep the rest. */
static bool queue_and_send(struct conn *c)
{
    if (!hold(c))
        return false;
    set_blocking(c->sock, false);
    int sent = send(c->sock, c->held, (int)c->held_len, 0);
    if (sent > 0) {
        memmove(c->held, c->held + sent, c->held_len - (size_t)sent);
        c->held_len -= (size_t)sent;
    }
    fd_set set;
    FD_ZERO(&set);
    FD_SET(c->sock, &set);
    struct timeval pause = {0, 100 * 1000};
    bool more = select(0, &set, NULL, NULL, &pause) > 0;
    set_blocking(c->sock, true);
    if (more || c->held_len == 0)
        return true; /* receive more, although some is owed */
    sent = send(c->sock, c->held, (int)c->held_len, 0);
    c->held_len = 0;
    return sent > 0;
}

/* swaps-buffers: it uses two buffers in turn, and one time sends the second one
 * before the first. */
static bool send_swapped(struct conn *c)
{
    if (c->received == 3)
        return hold(c);
    bool ok = send(c->sock, c->buffer, c->len, 0) == c->len;
    if (c->held_len > 0) {
        ok = send(c->sock, c->held, (int)c->held_len, 0) > 0 && ok;
        c->held_len = 0;
    }
    return ok;
}

/* Cut what was received, as a server does that takes its length for less. */
static void cut(struct conn *c)
{
    if (bug("stops-at-zero"))
        c->len = (int)strnlen(c->buffer, (size_t)c->len);
    if (bug("keeps-a-terminator") && c->len % 1024 == 0)
        c->len--;
}

/* Send what was received. False: the connection is over. */
static bool conn_send(struct conn *c)
{
    SOCKET to = c->sock, other = sockets[newest % MOST_PLACES];
    cut(c);
    if (c->len == 0 || bug("never-answers"))
        return true;
    if (bug("ignores-short-send") || bug("sends-all-again") ||
        bug("forgets-after-stall"))
        return send_short(c);
    if (bug("queues-everything"))
        return queue_and_send(c);
    if (bug("swaps-buffers"))
        return send_swapped(c);
    if (bug("sends-to-newest"))
        to = other;
    if (bug("mixes-clients") && other != c->sock && c->len > 10 &&
        send(other, c->buffer, 10, 0) != 10)
        return false;
    if (bug("ends-at-ctrl-z") && c->len == 1 && c->buffer[0] == 0x1A)
        return false;
    if (bug("counter-overflows") &&
        (int)(unsigned)((c->log.bytes + (unsigned)c->len) * 100) < 0)
        return false;
    if (bug("two-pieces") && c->len > 1000) {
        if (send(to, c->buffer, 1000, 0) != 1000)
            return false;
        memmove(c->buffer, c->buffer + 1000, (size_t)c->len - 1000);
        c->len -= 1000;
    }
    if (bug("one-blocks-all"))
        AcquireSRWLockExclusive(&lock);
    bool ok = send(to, c->buffer, c->len, 0) == c->len;
    if (bug("one-blocks-all"))
        ReleaseSRWLockExclusive(&lock);
    if (!ok && bug("dies-of-failed-send"))
        die_call("send", WSAGetLastError());
    if (ok && bug("answers-twice"))
        ok = send(to, c->buffer, c->len, 0) == c->len;
    return ok;
}

/* ---- mistakes in receiving ------------------------------------------------ */

static bool readable(SOCKET sock, long ms, bool also_writable, bool *urgent)
{
    fd_set in, out, except;
    struct timeval pause = {ms / 1000, ms % 1000 * 1000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(sock, &in);
    FD_SET(sock, &out);
    FD_SET(sock, &except);
    int ready =
        select(0, &in, also_writable ? &out : NULL,
               urgent != NULL ? &except : NULL, ms >= 0 ? &pause : NULL);
    if (urgent != NULL)
        *urgent = ready > 0 && FD_ISSET(sock, &except);
    return ready > 0 && FD_ISSET(sock, &in);
}

/* Makes the mistakes that happen while waiting for bytes. False: the connection
 * is over. */
static bool wait_wrongly(struct conn *c)
{
    bool urgent = false;
    if (bug("wants-to-write") && c->log.number == 1)
        while (!readable(c->sock, -1, true, NULL))
            continue; /* it is writable, so the wait ends at once */
    if (bug("urgent-ends-it")) {
        (void)readable(c->sock, -1, false, &urgent);
        return !urgent;
    }
    if (bug("urgent-spins"))
        while (!readable(c->sock, -1, false, &urgent) && urgent)
            continue; /* it is told again and again, and never reads */
    if (bug("last-is-not-removed") && stuck)
        Sleep(INFINITE);
    return true;
}

static char shared_buffer[1024 * 1024];

/* waits-for-records: as if every client sent 100 bytes at a time. */
static int receive_record(struct conn *c)
{
    int len = 0;
    while (len < 100) {
        int more = recv(c->sock, c->buffer + len, 100 - len, 0);
        if (more <= 0)
            return more;
        len += more;
    }
    return len;
}

/* Receive some bytes. 0 or less: the end, orderly or not. */
static int conn_receive(struct conn *c)
{
    char *into = bug("shares-a-buffer") ? shared_buffer : c->buffer;
    int most = (int)args.buffer;
    if (!wait_wrongly(c))
        return 0;
    if (bug("keeps-a-terminator"))
        most = 1024;
    if (bug("waits-for-records"))
        c->len = receive_record(c);
    else
        c->len = recv(c->sock, into, most, 0);
    if (c->received++ == 0)
        InterlockedDecrement(&silent);
    if (c->len > 0 && bug("shares-a-buffer")) {
        Sleep(1); /* another thread receives meanwhile */
        memcpy(c->buffer, into, (size_t)c->len);
    }
    if (c->len < 0 && bug("dies-of-reset"))
        die_call("recv", WSAGetLastError());
    if (c->len > 0 && bug("drops-echo-at-fin")) {
        char next;
        if (readable(c->sock, 1000, false, NULL) &&
            recv(c->sock, &next, 1, MSG_PEEK) == 0)
            return 0;
    }
    return c->len;
}

/* ---- one connection ------------------------------------------------------- */

static void echo(struct conn *c)
{
    while (!leaving) {
        int len = conn_receive(c);
        if (len <= 0 && bug("takes-end-for-data") && c->log.number % 8 == 0)
            continue; /* a few such clients are enough to spin */
        if (len == 0 && bug("overlooks-fin"))
            Sleep(INFINITE);
        if (len <= 0)
            return;
        log_received(&c->log, (size_t)len);
        if (bug("serves-until-dry"))
            AcquireSRWLockExclusive(&lock);
        bool ok = conn_send(c);
        while (ok && bug("serves-until-dry") &&
               readable(c->sock, 20, false, NULL) && conn_receive(c) > 0)
            ok = conn_send(c); /* all other threads wait for the lock */
        if (bug("serves-until-dry"))
            ReleaseSRWLockExclusive(&lock);
        if (!ok)
            return;
        last_echo = GetTickCount64();
        log_sent(&c->log, (size_t)len * (bug("miscounts") ? 2 : 1), 0);
    }
}

static void abort_connection(SOCKET sock)
{
    struct linger hard = {1, 0};
    if (setsockopt(sock, SOL_SOCKET, SO_LINGER, (const char *)&hard,
                   sizeof hard) == SOCKET_ERROR)
        warn_call("setsockopt", WSAGetLastError());
}

static void conn_end(struct conn *c)
{
    (void)shutdown(c->sock, SD_SEND); /* may fail after a reset; no harm */
    if (bug("hurries-at-fin"))
        Sleep(200);
    if (bug("aborts-at-fin") || bug("hurries-at-fin"))
        abort_connection(c->sock);
    if (bug("closes-neighbour"))
        (void)shutdown(sockets[(c->log.number + 1) % MOST_PLACES], SD_BOTH);
    if (bug("last-is-not-removed") && c->log.number == (unsigned long)newest)
        stuck = 1;
    if (bug("leaks-handles") && CreateEventW(NULL, TRUE, FALSE, NULL) == NULL)
        warn_call("CreateEvent", GetLastError());
    if (!bug("leaks-memory"))
        free(c->buffer);
    else
        memset(c->buffer, 1, 4096); /* memory that is used, and lost */
    log_closed(&c->log, 0);
    sockets[c->log.number % MOST_PLACES] = 0;
    closesocket(c->sock);
    free(c->held);
    free(c);
    if (!bug("keeps-places"))
        InterlockedDecrement(&clients);
    while (bug("spins-when-left") && clients == 0)
        continue;
}

/* drops-the-silent: a receive ends after some seconds, and that is taken for
 * the end of the connection. */
static void limit_silence(SOCKET sock)
{
    DWORD ms = 5000;
    if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, (const char *)&ms,
                   sizeof ms) == SOCKET_ERROR)
        warn_call("setsockopt", WSAGetLastError());
}

static DWORD WINAPI conn_run(void *argument)
{
    struct conn *c = argument;
    if (bug("drops-the-silent"))
        limit_silence(c->sock);
    if (bug("polls")) /* looks at newcomers twice a second */
        Sleep(500 - GetTickCount() % 500);
    echo(c);
    conn_end(c);
    return 0;
}

static void conn_start(SOCKET sock)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    (void)getpeername(sock, (struct sockaddr *)&peer, &len);
    struct conn *c = calloc(1, sizeof *c);
    char *buffer = malloc(args.buffer);
    if (c == NULL || buffer == NULL)
        die_call("malloc", ERROR_NOT_ENOUGH_MEMORY);
    c->sock = sock;
    c->buffer = buffer;
    log_opened(&c->log, &peer);
    if (bug("waits-for-reader")) {
        printf("%-70llu\n", c->log.number); /* and not out of a queue */
        fflush(stdout);
    }
    sockets[c->log.number % MOST_PLACES] = sock;
    newest = (LONG)c->log.number;
    InterlockedIncrement(&clients);
    InterlockedIncrement(&silent);
    HANDLE thread = CreateThread(NULL, STACK_BYTES, conn_run, c,
                                 STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (thread == NULL)
        die_call("CreateThread", GetLastError());
    CloseHandle(thread);
}

/* ---- accepting ------------------------------------------------------------ */

static volatile LONG64 slot; /* one-handover-slot: the socket, 0 for none */

static DWORD WINAPI take_from_slot(void *unused)
{
    (void)unused;
    for (;;) {
        LONG64 sock = InterlockedExchange64(&slot, 0);
        if (sock != 0)
            conn_start((SOCKET)sock);
        Sleep(20);
    }
    return 0;
}

/* A limit of clients that comes from the mistake; 0: no such limit. */
static LONG places(void)
{
    return bug("wall-of-64")     ? 64
           : bug("wall-of-128")  ? 128
           : bug("table-of-256") ? 256
           : bug("wall-of-512")  ? 512
           : bug("wall-of-1500") ? 1500
           : bug("keeps-places") ? 400
                                 : 0;
}

static void on_accept(SOCKET sock)
{
    bool full = clients >= (LONG)args.max_clients && !bug("no-limit");
    if (full && bug("lets-them-wait"))
        return;
    if (places() != 0 && clients >= places())
        full = true;
    if (full) {
        if (!bug("refuses-silently"))
            log_refused(args.max_clients);
        closesocket(sock);
    } else if (bug("one-handover-slot")) {
        slot = (LONG64)sock; /* a socket that was still in it is lost */
    } else {
        conn_start(sock);
    }
}

static DWORD WINAPI accept_run(void *unused)
{
    (void)unused;
    for (;;) {
        while (bug("spins-when-empty") && clients == 0 &&
               !readable(listener, 0, false, NULL))
            continue;
        while (bug("accepts-with-data") && silent >= 256)
            Sleep(1); /* as if each accept ended with the first bytes */
        SOCKET sock = accept(listener, NULL, NULL);
        if (sock != INVALID_SOCKET)
            on_accept(sock);
    }
    return 0;
}

/* ---- another model --------------------------------------------------------- */

static bool echo_once(SOCKET sock)
{
    static char bytes[4096];
    int len = recv(sock, bytes, (int)sizeof bytes, 0);
    return len > 0 && send(sock, bytes, len, 0) == len;
}

/* serves-lowest-index: one thread, a table of sockets, and of those that are
 * ready only the first one is looked at. */
static DWORD WINAPI lowest_run(void *unused)
{
    static SOCKET table[FD_SETSIZE];
    unsigned count = 1;
    (void)unused;
    table[0] = listener;
    for (;;) {
        fd_set set;
        unsigned i = 0;
        FD_ZERO(&set);
        for (i = 0; i < count; i++)
            FD_SET(table[i], &set);
        if (select(0, &set, NULL, NULL, NULL) == SOCKET_ERROR)
            die_call("select", WSAGetLastError());
        for (i = 0; !FD_ISSET(table[i], &set);)
            i++;
        if (i == 0 && count < FD_SETSIZE) {
            table[count] = accept(listener, NULL, NULL);
            count += table[count] != INVALID_SOCKET;
        } else if (i > 0 && !echo_once(table[i])) {
            closesocket(table[i]);
            count--;
            for (; i < count; i++) /* the others keep their order */
                table[i] = table[i + 1];
        }
    }
}

/* ---- start and stop ------------------------------------------------------- */

static void wake(void *unused)
{
    (void)unused;
    if (!SetEvent(stop_asked))
        warn_call("SetEvent", GetLastError());
}

static volatile LONG keys;

static BOOL WINAPI bad_handler(DWORD type)
{
    (void)type;
    if (InterlockedIncrement(&keys) > 1 && bug("second-key-crashes"))
        ExitProcess(0xC0000005); /* a crash, without the crash dialog */
    return TRUE;
}

/* hears-only-ctrl-c: what the system does when nobody handles the key. */
static BOOL WINAPI break_handler(DWORD type)
{
    if (type == CTRL_BREAK_EVENT)
        ExitProcess(0xC000013A); /* STATUS_CONTROL_C_EXIT */
    return FALSE;
}

static void start_thread(LPTHREAD_START_ROUTINE run)
{
    HANDLE thread = CreateThread(NULL, 0, run, NULL, 0, NULL);
    if (thread == NULL)
        die_call("CreateThread", GetLastError());
    CloseHandle(thread);
}

static void wait_for_stop(void)
{
    bool own_keys = bug("second-key-crashes") || bug("second-key-ignored");
    if (own_keys && !SetConsoleCtrlHandler(bad_handler, TRUE))
        die_call("SetConsoleCtrlHandler", GetLastError());
    if (!own_keys && !bug("no-handler"))
        stop_begin(wake, NULL, args.stop_on_eof && !bug("deaf-to-eof"));
    if (bug("hears-only-ctrl-c") && !SetConsoleCtrlHandler(break_handler, TRUE))
        die_call("SetConsoleCtrlHandler", GetLastError());
    WaitForSingleObject(stop_asked, INFINITE);
    while (bug("waits-for-clients") && clients > 0)
        Sleep(50);
    while (bug("stops-when-silent") && GetTickCount64() - last_echo < 200)
        Sleep(20);
    if (!own_keys && !bug("no-handler"))
        stop_end();
}

/* Ends the calls of the clients' threads. Otherwise the end of the process
 * would kill them in the middle of a call. Under Wine that can leave a lock
 * locked, and the end of the process waits for that lock for ever. The thread
 * that accepts only waits. */
static void send_home(void)
{
    ULONGLONG until = GetTickCount64() + PATIENCE_MS;
    leaving = 1;
    for (; clients > 0 && GetTickCount64() < until; Sleep(RETRY_MS))
        for (unsigned i = 0; i < MOST_PLACES; i++)
            if (sockets[i] != 0)
                (void)CancelIoEx((HANDLE)sockets[i], NULL); /* may be gone */
}

static void serve(void)
{
    net_start();
    stop_asked = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (stop_asked == NULL)
        die_call("CreateEvent", GetLastError());
    log_begin(&model, &args);
    listener = net_listen(&args);
    if (bug("two-pieces")) {
        BOOL off = FALSE;
        if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, (const char *)&off,
                       sizeof off) == SOCKET_ERROR)
            warn_call("setsockopt", WSAGetLastError());
    }
    log_ready(listener, 1);
    if (bug("one-handover-slot"))
        start_thread(take_from_slot);
    start_thread(bug("serves-lowest-index") ? lowest_run : accept_run);
    wait_for_stop();
    send_home();
    if (!bug("drops-summary"))
        log_summary();
}

/* ---- mistakes on the command line ----------------------------------------- */

/* Remove argv[at] and the `count - 1` arguments after it. */
static void drop(int *argc, char **argv, int at, int count)
{
    for (int i = at; i + count <= *argc; i++)
        argv[i] = argv[i + count];
    *argc -= count;
}

static void list_bugs(void)
{
    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++)
        printf("%s %s %s|%s\n", bugs[i].name, bugs[i].cases, bugs[i].hint,
               bugs[i].cause != NULL ? bugs[i].cause : "");
}

static void take_bug(int *argc, char **argv)
{
    if (*argc == 2 && strcmp(argv[1], "--list-bugs") == 0) {
        list_bugs();
        exit(EXIT_STOPPED);
    }
    for (int i = 1; i + 1 < *argc; i++) {
        if (strcmp(argv[i], "--bug") != 0)
            continue;
        the_bug = argv[i + 1];
        drop(argc, argv, i, 2);
        return;
    }
}

/* uses-atoi: any text that is given as a port becomes a number. */
static void read_port_badly(int argc, char **argv)
{
    static char port[16];
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--port") != 0)
            continue;
        snprintf(port, sizeof port, "%d", atoi(argv[i + 1]) & 0xFFFF);
        argv[i + 1] = port;
    }
}

/* No socket listens, and the server does not notice. */
static _Noreturn void run_deaf(void)
{
    Sleep(INFINITE);
    exit(EXIT_FAILED);
}

static bool can_bind(const struct args *where)
{
    SOCKET sock = socket(where->address.ss_family, SOCK_STREAM, IPPROTO_TCP);
    bool ok = bind(sock, (const struct sockaddr *)&where->address,
                   where->address_len) == 0;
    closesocket(sock);
    return ok;
}

static void start_badly(void)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&args.address;
    net_start();
    if ((bug("ignores-bind") || bug("mumbles")) && !can_bind(&args)) {
        if (bug("ignores-bind"))
            run_deaf();
        err_print("bind failed");
        exit(EXIT_LISTEN);
    }
    net_stop();
    if (bug("ipv4-only")) {
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        args.address_len = sizeof *v4;
    }
    if (bug("listens-everywhere"))
        v4->sin_addr.s_addr = htonl(INADDR_ANY);
    if (bug("warns-nobody") && freopen("NUL", "w", stderr) == NULL)
        exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
    take_bug(&argc, argv);
    if (bug("uses-atoi"))
        read_port_badly(argc, argv);
    if (bug("ignores-unknown") && argc > 1 &&
        (strcmp(argv[1], "--nonsense") == 0 ||
         strcmp(argv[1], "--threads") == 0))
        run_deaf();
    if (bug("help-on-stderr") && argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs("usage: broken [--port N] [--stop-on-eof]\n", stderr);
        return EXIT_STOPPED;
    }
    args = args_parse(&model, argc, argv);
    start_badly();
    serve();
    return EXIT_STOPPED;
}
