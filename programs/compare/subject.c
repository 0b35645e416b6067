/* subject.c -- see subject.h */
#include "common/win.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/err.h"
#include "programs/compare/subject.h"
#include "programs/harness/measure.h"
#include "programs/harness/source.h"
#include "programs/harness/text.h"

enum { ARGS_MOST = 64, TRY_MS = 5000 };

static void say(char *why, size_t size, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void say(char *why, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why, size, format, list);
    va_end(list);
}

/* ---- the command line -------------------------------------------------- */

struct arguments {
    char text[sizeof((struct subject *)0)->args + 16]; /* cut up */
    char port[8];
    const char *items[ARGS_MOST];
    size_t count;
};

static void add(struct arguments *a, const char *item)
{
    if (a->count < ARGS_MOST)
        a->items[a->count++] = item;
}

/* Adds the server's own arguments, cut at blanks, with the port in place of the
 * first %p. True: the port is among them. */
static bool add_own(struct arguments *a, const char *own, unsigned short port)
{
    const char *mark = strstr(own, "%p");
    if (mark == NULL)
        snprintf(a->text, sizeof a->text, "%s", own);
    else
        snprintf(a->text, sizeof a->text, "%.*s%u%s", (int)(mark - own), own,
                 port, mark + 2);
    for (char *item = strtok(a->text, " "); item != NULL;
         item = strtok(NULL, " "))
        add(a, item);
    return mark != NULL;
}

static void arguments_make(struct arguments *a, const struct subject *s,
                           bool ours, unsigned short port)
{
    *a = (struct arguments){0};
    snprintf(a->port, sizeof a->port, "%u", port);
    bool has_port = add_own(a, s->args, port);
    if (!has_port) {
        add(a, "--port");
        add(a, a->port);
    }
    if (ours) {
        add(a, "--stop-on-eof");
        add(a, "--quiet");
    }
}

/* ---- start ------------------------------------------------------------- */

static bool start_once(struct running *r, bool ours, char *why, size_t size)
{
    struct subject *s = r->subject;
    struct arguments arguments;
    unsigned short told = server_free_port();
    struct server_ready ready = {.port = told};
    if (told == 0) {
        say(why, size, "there is no free port: %s",
            err_name((unsigned long)WSAGetLastError()));
        return false;
    }
    arguments_make(&arguments, s, ours, told);
    struct server_start how = {.exe = s->path,
                               .args = arguments.items,
                               .arg_count = arguments.count,
                               .processors = s->processors,
                               .mark = arguments.port};
    r->process = server_start(&how, why, size);
    if (r->process == NULL)
        return false;
    unsigned long patience =
        s->command_line == COMMAND_LINE_UNKNOWN ? TRY_MS : PATIENCE_MS;
    enum server_wait got =
        ours ? server_wait_ready(r->process, &ready, patience)
             : server_wait_accepting(r->process, told, patience);
    snprintf(r->host, sizeof r->host, "127.0.0.1");
    r->port = told;
    /* Somebody else may listen on another port, who is not to be measured. */
    if (got == SERVER_WAIT_OK && ready.port == told)
        return true;
    say(why, size,
        got == SERVER_WAIT_EXITED ? "it ended before it was ready"
        : got == SERVER_WAIT_OK ? "its ready line names another port than the "
                                  "one it was told"
        : ours                  ? "it prints no ready line"
                                : "it accepts nobody on the port it is given");
    subject_abandon(r, why, size);
    return false;
}

/* Between our look for a free port and the server's bind() somebody else may
 * take that port. Then another one is tried. */
static bool start_process(struct running *r, bool ours, char *why, size_t size)
{
    for (int tries = 1; tries <= 3; tries++) {
        why[0] = '\0';
        if (start_once(r, ours, why, size))
            return true;
        if (strstr(why, "WSAEADDRINUSE") == NULL)
            break;
    }
    return false;
}

/* With a server that we do not know yet, first try whether it takes the command
 * line of ours. */
static bool start_somehow(struct running *r, char *why, size_t size)
{
    struct subject *s = r->subject;
    bool asked_for = strstr(s->args, "%p") != NULL;
    if (s->command_line == COMMAND_LINE_UNKNOWN && s->model == NULL &&
        !s->baseline && !asked_for) {
        if (start_process(r, true, why, size)) {
            s->command_line = COMMAND_LINE_OURS;
            return true;
        }
        s->command_line = COMMAND_LINE_PORT_ONLY;
    } else if (s->command_line == COMMAND_LINE_UNKNOWN) {
        s->command_line =
            asked_for ? COMMAND_LINE_PORT_ONLY : COMMAND_LINE_OURS;
    }
    return start_process(r, s->command_line == COMMAND_LINE_OURS, why, size);
}

static bool resolve(struct running *r, char *why, size_t size)
{
    char port[8];
    struct addrinfo want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    snprintf(port, sizeof port, "%u", r->port);
    int err = getaddrinfo(r->host, port, &want, &found);
    if (err != 0) {
        say(why, size, "getaddrinfo %s: %s", r->host,
            err_name((unsigned long)err));
        return false;
    }
    memcpy(&r->address, found->ai_addr, sizeof r->address);
    freeaddrinfo(found);
    return true;
}

bool subject_start(struct subject *s, struct running *r, char *why, size_t size)
{
    double began = clock_ms();
    *r = (struct running){.subject = s, .port = s->port};
    snprintf(r->host, sizeof r->host, "%s", s->host);
    if (s->host[0] == '\0' && !start_somehow(r, why, size))
        return false;
    SOCKET sock =
        resolve(r, why, size) ? subject_dial(r, why, size) : INVALID_SOCKET;
    bool answered = sock != INVALID_SOCKET && subject_ping(sock, why, size);
    r->start_ms = clock_ms() - began;
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    if (!answered)
        subject_abandon(r, why, size);
    return answered;
}

/* ---- stop -------------------------------------------------------------- */

/* Adds the first line that it wrote on its standard error. */
static void add_last_words(struct server_process *process, char *why,
                           size_t size)
{
    char *said = server_output(process, SERVER_STDERR);
    size_t len = strlen(why);
    if (said != NULL)
        said[strcspn(said, "\r\n")] = '\0';
    if (said != NULL && said[0] != '\0') {
        text_make_plain(said);
        snprintf(why + len, size - len, "; it said: %s", said);
    }
    free(said);
}

void subject_abandon(struct running *r, char *why, size_t size)
{
    unsigned long code = 0;
    if (r->process == NULL)
        return;
    size_t len = strlen(why);
    /* A server that crashed may still be ending. */
    if (server_wait_exit(r->process, 500, &code) == SERVER_WAIT_OK)
        snprintf(why + len, size - len, "; its exit code was %lu (0x%lx)", code,
                 code);
    add_last_words(r->process, why, size);
    server_free(r->process);
    r->process = NULL;
}

bool subject_stop(struct running *r, char **output, char *why, size_t size)
{
    unsigned long code = 0;
    bool ours = r->subject->command_line == COMMAND_LINE_OURS;
    if (output != NULL)
        *output = NULL;
    if (r->process == NULL)
        return true; /* we did not start it */
    if (!server_alive(r->process)) {
        say(why, size, "it was gone before it was told to stop");
        subject_abandon(r, why, size);
        return false;
    }
    server_close_stdin(r->process);
    if (ours &&
        server_wait_exit(r->process, PATIENCE_MS, &code) != SERVER_WAIT_OK) {
        say(why, size, "it does not stop");
    } else if (ours && code != EXIT_STOPPED) {
        say(why, size, "it was asked to stop, and failed");
    } else {
        if (output != NULL)
            *output = server_output(r->process, SERVER_STDOUT);
        server_free(r->process);
        r->process = NULL;
        return true;
    }
    subject_abandon(r, why, size);
    return false;
}

/* ---- use --------------------------------------------------------------- */

const char *subject_cpu_clock(void)
{
    return server_on_wine()              ? "Linux, in steps of 10 ms"
           : measure_cycles_per_ms() > 0 ? "processor cycles"
                                         : "Windows, in steps of 15.6 ms";
}

double subject_cpu_ms(const struct running *r)
{
    struct server_usage usage;
    if (r->process == NULL || !server_measure(r->process, &usage))
        return NAN;
    return usage.cycles > 0 && measure_cycles_per_ms() > 0
               ? (double)usage.cycles / measure_cycles_per_ms()
               : usage.cpu_ms;
}

static bool set_limits(SOCKET sock)
{
    DWORD ms = TRY_MS;
    BOOL on = TRUE;
    return setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, (const char *)&ms,
                      sizeof ms) == 0 &&
           setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, (const char *)&ms,
                      sizeof ms) == 0 &&
           setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on,
                      sizeof on) == 0;
}

/* From 127.1.0.1 on: the load client uses other addresses. */
static bool bind_source(SOCKET sock, const struct sockaddr_in *to)
{
    static unsigned long serial;
    const unsigned long ports_per_address = 8000;
    return source_bind(sock, (const struct sockaddr *)to, sizeof *to,
                       0x7F010001, serial++ / ports_per_address) == 0;
}

SOCKET subject_dial(const struct running *r, char *why, size_t size)
{
    const struct sockaddr *to = (const struct sockaddr *)&r->address;
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET || !set_limits(sock) ||
        !bind_source(sock, &r->address) ||
        connect(sock, to, sizeof r->address) == SOCKET_ERROR) {
        unsigned long err = (unsigned long)WSAGetLastError();
        say(why, size, "connect: %s%s%s", err_name(err),
            source_used_up(err) ? ": " : "",
            source_used_up(err) ? source_used_up_hint : "");
        if (sock != INVALID_SOCKET)
            closesocket(sock);
        sock = INVALID_SOCKET;
    }
    return sock;
}

bool subject_ping(SOCKET sock, char *why, size_t size)
{
    static char last;
    char out = ++last;
    char in = 0;
    int len = send(sock, &out, 1, 0);
    if (len == 1)
        len = recv(sock, &in, 1, 0);
    if (len == SOCKET_ERROR)
        say(why, size, "a byte was sent and not echoed: %s",
            err_name((unsigned long)WSAGetLastError()));
    else if (len == 0)
        say(why, size, "a byte was sent, and the connection closed");
    else if (in != out)
        say(why, size, "byte 0x%02x was sent, 0x%02x came back",
            (unsigned char)out, (unsigned char)in);
    return len == 1 && in == out;
}
