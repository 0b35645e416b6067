/* server_process.c -- see server_process.h */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/utf8.h"
#include "programs/harness/command_line.h"
#include "programs/harness/exe_file.h"
#include "programs/harness/measure.h"
#include "programs/harness/pseudo_console.h"
#include "programs/harness/server_process.h"
#include "programs/harness/text.h"

enum { REAP_MS = 10 * 1000, RETRY_MS = 20, HEAR_MS = 2000, HELD_MS = 500 };

/* What is kept of a server that prints more than anybody wants: the first
 * KEPT bytes, and the last KEPT bytes or up to twice as many. */
enum { KEPT = 1024 * 1024, KEPT_IN_ALL = 3 * KEPT };

/* Before new output is searched, we go back that far: what is searched for may
 * have begun there. No ready line is longer. */
enum { OVERLAP = 4096 };

/* A server and all that it starts; enough for a build of any language, and too
 * few to fill the machine. */
enum { PROCESSES_MOST = 64 };

/* One pipe that the server prints into, with the thread that empties it. */
struct capture {
    struct server_process *server;
    HANDLE pipe; /* our end, for reading */
    HANDLE thread;

    /* under server->lock */
    struct text text;
    uint64_t left_out; /* bytes between the first KEPT and the rest */
    bool ended;
};

struct server_process {
    HANDLE process, job;
    DWORD pid;
    HANDLE stdin_pipe; /* NULL once closed */

    /* Only used on Wine: how to find it among all processes of Linux. */
    char exe_name[64];      /* its beginning is enough */
    char mark[32];          /* empty: it cannot be found */
    unsigned long host_pid; /* 0: not looked for yet, or not found */

    struct pseudo_console console; /* empty without start.console */

    SRWLOCK lock;
    CONDITION_VARIABLE changed; /* a capture has grown or ended */
    struct capture captures[2]; /* by enum server_stream */
    bool unread;                /* under the lock: leave the pipes full */
};

static void say(char *why, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why, size, format, list);
    va_end(list);
}

static void say_call(char *why, size_t size, const char *call, DWORD code)
{
    char text[160];
    err_text(code, text, sizeof text);
    say(why, size, "%s: %s (%lu) %s", call, err_name(code), code, text);
}

static void close_handle(HANDLE *handle)
{
    if (*handle != NULL)
        CloseHandle(*handle);
    *handle = NULL;
}

/* The path of this program; the caller frees it. NULL, with GetLastError(),
 * when it cannot be told. */
static char *own_path(void)
{
    enum { LONGEST = 32768 }; /* no path of Windows is longer */
    wchar_t *wide = malloc(LONGEST * sizeof *wide);
    if (wide == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return NULL;
    }
    DWORD len = GetModuleFileNameW(NULL, wide, LONGEST);
    char *path = len > 0 && len < LONGEST ? utf8_from_wide(wide) : NULL;
    DWORD error = GetLastError();
    free(wide);
    SetLastError(error);
    return path;
}

char *program_beside_us(const char *name)
{
    char *own = own_path();
    if (own == NULL)
        return NULL;
    const char *slash = strrchr(own, '\\');
    size_t folder = slash != NULL ? (size_t)(slash + 1 - own) : 0;
    char *path = malloc(folder + strlen(name) + 1);
    if (path == NULL) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    } else {
        memcpy(path, own, folder);
        memcpy(path + folder, name, strlen(name) + 1);
    }
    free(own);
    return path;
}

/* ---- start --------------------------------------------------------------- */

struct child_ends {
    HANDLE handles[3]; /* its standard input, output, error */
};

static bool pipe_open(HANDLE *ours, HANDLE *its, bool we_read)
{
    SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
    HANDLE *reader = we_read ? ours : its, *writer = we_read ? its : ours;
    return CreatePipe(reader, writer, &inherit, 0) &&
           SetHandleInformation(*ours, HANDLE_FLAG_INHERIT, 0);
}

static bool pipes_open(struct server_process *server, struct child_ends *ends)
{
    struct capture *captures = server->captures;
    return pipe_open(&server->stdin_pipe, &ends->handles[0], false) &&
           pipe_open(&captures[SERVER_STDOUT].pipe, &ends->handles[1], true) &&
           pipe_open(&captures[SERVER_STDERR].pipe, &ends->handles[2], true);
}

/* Attributes for CreateProcessW(): which handles to inherit, and which console
 * to be on. Without the first, the process would inherit every inheritable
 * handle of ours, also all sockets. Then connections that we close would stay
 * open. */
static LPPROC_THREAD_ATTRIBUTE_LIST attributes_make(HANDLE *inherit,
                                                    size_t count, void *console)
{
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(NULL, 2, 0, &size); /* fails, says size */
    LPPROC_THREAD_ATTRIBUTE_LIST list = malloc(size);
    if (list == NULL)
        return NULL;
    if (!InitializeProcThreadAttributeList(list, 2, 0, &size)) {
        free(list);
        return NULL;
    }
    if ((count == 0 || UpdateProcThreadAttribute(
                           list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, inherit,
                           count * sizeof *inherit, NULL, NULL)) &&
        (console == NULL ||
         UpdateProcThreadAttribute(list, 0, ATTRIBUTE_PSEUDO_CONSOLE, console,
                                   sizeof console, NULL, NULL)))
        return list;
    DeleteProcThreadAttributeList(list);
    free(list);
    return NULL;
}

static void attributes_free(LPPROC_THREAD_ATTRIBUTE_LIST list)
{
    if (list == NULL)
        return;
    DeleteProcThreadAttributeList(list);
    free(list);
}

/* A job that ends its processes when its last handle is closed, which the
 * system does for us if we crash. A crash of theirs opens no window that waits
 * for somebody to close it. There are no limits for the user interface: a job
 * that has them can neither be in another job, as most terminals and CI systems
 * make it, nor hold one, as some launchers do. */
static HANDLE job_make(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limit = {0};
    limit.BasicLimitInformation.LimitFlags =
        JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_ACTIVE_PROCESS |
        JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION;
    limit.BasicLimitInformation.ActiveProcessLimit = PROCESSES_MOST;
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (job != NULL &&
        !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limit,
                                 sizeof limit))
        close_handle(&job);
    return job;
}

/* Create the process suspended, so that it is in the job before it can start
 * anything of its own. */
static bool process_create(struct server_process *server,
                           const wchar_t *program, wchar_t *command,
                           uintptr_t processors, struct child_ends *ends,
                           char *why, size_t size)
{
    LPPROC_THREAD_ATTRIBUTE_LIST list =
        attributes_make(ends->handles, 3, server->console.console);
    STARTUPINFOEXW info = {0};
    PROCESS_INFORMATION made = {0};
    info.StartupInfo.cb = sizeof info;
    info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    info.StartupInfo.hStdInput = ends->handles[0];
    info.StartupInfo.hStdOutput = ends->handles[1];
    info.StartupInfo.hStdError = ends->handles[2];
    info.lpAttributeList = list;

    bool ok = list != NULL &&
              CreateProcessW(program, command, NULL, NULL, TRUE,
                             CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT,
                             NULL, NULL, &info.StartupInfo, &made);
    if (!ok)
        exe_file_refused(program, server->exe_name, GetLastError(), why, size);
    attributes_free(list);
    if (!ok)
        return false;

    server->process = made.hProcess;
    server->pid = made.dwProcessId;
    ok = AssignProcessToJobObject(server->job, made.hProcess) &&
         (processors == 0 ||
          SetProcessAffinityMask(made.hProcess, processors)) &&
         ResumeThread(made.hThread) != (DWORD)-1;
    if (!ok)
        say_call(why, size, "AssignProcessToJobObject or the like",
                 GetLastError());
    CloseHandle(made.hThread);
    return ok;
}

/* Under the lock. When there is no more room, only the last KEPT bytes behind
 * the first ones stay. */
static void capture_make_room(struct capture *capture, size_t len)
{
    struct text *text = &capture->text;
    if (text->len + len <= KEPT_IN_ALL)
        return;
    size_t less = text->len - 2 * KEPT;
    memmove(text->bytes + KEPT, text->bytes + KEPT + less, KEPT);
    text->len -= less;
    capture->left_out += less;
}

/* The place in capture->text of byte `at` of the stream, or of the first byte
 * behind it that is still there. Under the lock. */
static size_t capture_place(const struct capture *capture, uint64_t at)
{
    if (at < KEPT)
        return (size_t)at;
    return at < KEPT + capture->left_out ? KEPT
                                         : (size_t)(at - capture->left_out);
}

static bool capture_keep(struct capture *capture, char *bytes, size_t len)
{
    struct server_process *server = capture->server;
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == '\0')
            bytes[i] = '?'; /* it would hide all that follows */
    AcquireSRWLockExclusive(&server->lock);
    capture_make_room(capture, len);
    text_add(&capture->text, bytes, len);
    bool kept = !capture->text.failed;
    ReleaseSRWLockExclusive(&server->lock);
    WakeAllConditionVariable(&server->changed);
    return kept;
}

static void capture_await_reading(struct server_process *server)
{
    AcquireSRWLockExclusive(&server->lock);
    while (server->unread)
        SleepConditionVariableSRW(&server->changed, &server->lock, INFINITE, 0);
    ReleaseSRWLockExclusive(&server->lock);
}

void server_leave_unread(struct server_process *server, bool unread)
{
    AcquireSRWLockExclusive(&server->lock);
    server->unread = unread;
    ReleaseSRWLockExclusive(&server->lock);
    WakeAllConditionVariable(&server->changed);
}

/* One thread per pipe: the server must never block in printing because we are
 * busy elsewhere. Ends when the last writer has closed its end. */
static DWORD WINAPI capture_run(void *argument)
{
    struct capture *capture = argument;
    struct server_process *server = capture->server;
    char bytes[4096];
    DWORD len = 0;
    do {
        capture_await_reading(server);
        if (!ReadFile(capture->pipe, bytes, sizeof bytes, &len, NULL))
            break;
    } while (capture_keep(capture, bytes, len));
    AcquireSRWLockExclusive(&server->lock);
    capture->ended = true;
    ReleaseSRWLockExclusive(&server->lock);
    WakeAllConditionVariable(&server->changed);
    return 0;
}

static bool captures_start(struct server_process *server, char *why,
                           size_t size)
{
    for (size_t i = 0; i < 2; i++) {
        struct capture *capture = &server->captures[i];
        capture->thread = CreateThread(NULL, 0, capture_run, capture, 0, NULL);
        if (capture->thread == NULL) {
            say_call(why, size, "CreateThread", GetLastError());
            return false;
        }
    }
    return true;
}

/* Finds the file that is meant, as seen from the current directory.
 * CreateProcess() gets the full path, and so does not search. Its search would
 * begin in the folder of our own program, where another file may have that
 * name. */
static wchar_t *program_find(const char *exe, char *why, size_t why_size)
{
    wchar_t *path = utf8_path(exe);
    DWORD kind =
        path != NULL ? GetFileAttributesW(path) : INVALID_FILE_ATTRIBUTES;
    DWORD error = GetLastError();
    if (kind != INVALID_FILE_ATTRIBUTES &&
        (kind & FILE_ATTRIBUTE_DIRECTORY) == 0)
        return path;
    free(path);
    if (kind != INVALID_FILE_ATTRIBUTES || error == ERROR_FILE_NOT_FOUND ||
        error == ERROR_PATH_NOT_FOUND)
        say(why, why_size, "there is no %s", exe);
    else
        say_call(why, why_size, exe, error);
    return NULL;
}

struct server_process *server_start(const struct server_start *start, char *why,
                                    size_t why_size)
{
    wchar_t *program = program_find(start->exe, why, why_size);
    if (program == NULL ||
        !exe_file_is_program(program, start->exe, why, why_size)) {
        free(program);
        return NULL;
    }
    struct server_process *server = calloc(1, sizeof *server);
    char *path = utf8_from_wide(program);
    wchar_t *command =
        path != NULL ? command_line(path, start->args, start->arg_count) : NULL;
    struct child_ends ends = {{NULL, NULL, NULL}};
    bool ok = false;
    if (server == NULL || command == NULL) {
        say(why, why_size, "out of memory");
        goto done;
    }
    InitializeSRWLock(&server->lock);
    InitializeConditionVariable(&server->changed);
    for (size_t i = 0; i < 2; i++)
        server->captures[i].server = server;
    const char *slash = strrchr(path, '\\');
    say(server->exe_name, sizeof server->exe_name, "%s",
        slash != NULL ? slash + 1 : path);
    say(server->mark, sizeof server->mark, "%s",
        start->mark != NULL ? start->mark : "");

    /* The console comes before the pipes: its host process inherits whatever
     * can be inherited, and would hold the pipes open. */
    unsigned long error =
        start->console ? pseudo_console_open(&server->console) : 0;
    if (error != 0) {
        say(why, why_size, "CreatePseudoConsole: 0x%08lx", error);
        goto done;
    }
    server->job = job_make();
    if (server->job == NULL || !pipes_open(server, &ends)) {
        say_call(why, why_size, "CreateJobObject or CreatePipe",
                 GetLastError());
        goto done;
    }
    ok = process_create(server, program, command, start->processors, &ends, why,
                        why_size) &&
         captures_start(server, why, why_size);
done:
    /* Close our copies of its ends, or the pipes would never break. */
    for (size_t i = 0; i < 3; i++)
        close_handle(&ends.handles[i]);
    free(command);
    free(path);
    free(program);
    if (ok)
        return server;
    server_free(server);
    return NULL;
}

/* ---- hear ---------------------------------------------------------------- */

/* Wait until a capture changes. Under the lock. False: the time is up. */
static bool wait_change(struct server_process *server, double deadline)
{
    unsigned long left = clock_left(deadline);
    return left > 0 &&
           SleepConditionVariableSRW(&server->changed, &server->lock, left, 0);
}

/* Whether `found` finds something in what was printed since byte `*searched`.
 * Under the lock. */
static bool capture_search(const struct capture *capture, uint64_t *searched,
                           bool (*found)(const char *text, void *arg),
                           void *arg)
{
    const struct text *text = &capture->text;
    uint64_t from = *searched > OVERLAP ? *searched - OVERLAP : 0;
    *searched = text->len + capture->left_out;
    return text->bytes != NULL &&
           found(text->bytes + capture_place(capture, from), arg);
}

/* Wait until `found` says that what the stream has printed so far is enough. */
static enum server_wait wait_until(struct server_process *server,
                                   enum server_stream stream,
                                   bool (*found)(const char *text, void *arg),
                                   void *arg, unsigned long timeout)
{
    double deadline = clock_ms() + timeout;
    struct capture *capture = &server->captures[stream];
    enum server_wait result = SERVER_WAIT_OK;
    uint64_t searched = 0;
    AcquireSRWLockExclusive(&server->lock);
    while (!capture_search(capture, &searched, found, arg)) {
        if (capture->ended) {
            result = SERVER_WAIT_EXITED;
            break;
        }
        if (!wait_change(server, deadline)) {
            result = SERVER_WAIT_TIMEOUT;
            break;
        }
    }
    ReleaseSRWLockExclusive(&server->lock);
    return result;
}

static bool text_is_there(const char *text, void *wanted)
{
    return strstr(text, wanted) != NULL;
}

enum server_wait server_wait_text(struct server_process *server,
                                  enum server_stream stream, const char *text,
                                  unsigned long timeout)
{
    return wait_until(server, stream, text_is_there, (void *)text, timeout);
}

/* The text, for a caller that frees it; NULL when out of memory. */
static char *text_taken(struct text *text)
{
    if (!text->failed)
        return text->bytes;
    free(text->bytes);
    return NULL;
}

char *server_output(struct server_process *server, enum server_stream stream)
{
    struct capture *capture = &server->captures[stream];
    const struct text *kept = &capture->text;
    struct text copy = {0};
    char note[80] = "";
    AcquireSRWLockShared(&server->lock);
    size_t head = kept->len < KEPT ? kept->len : KEPT;
    if (capture->left_out > 0)
        snprintf(note, sizeof note, "\n... (%llu bytes left out) ...\n",
                 (unsigned long long)capture->left_out);
    text_add(&copy, kept->bytes != NULL ? kept->bytes : "", head);
    text_add(&copy, note, strlen(note));
    if (kept->len > head)
        text_add(&copy, kept->bytes + head, kept->len - head);
    ReleaseSRWLockShared(&server->lock);
    return text_taken(&copy);
}

char *server_output_since(struct server_process *server,
                          enum server_stream stream, uint64_t *since)
{
    struct capture *capture = &server->captures[stream];
    struct text copy = {0};
    AcquireSRWLockShared(&server->lock);
    size_t from = capture_place(capture, *since);
    text_add(&copy, from < capture->text.len ? capture->text.bytes + from : "",
             capture->text.len - from);
    *since = capture->text.len + capture->left_out;
    ReleaseSRWLockShared(&server->lock);
    return text_taken(&copy);
}

static const char listening[] = ": listening on ";

static void copy_part(char *out, size_t size, const char *from, const char *to)
{
    size_t len = (size_t)(to - from);
    if (len >= size)
        len = size - 1;
    memcpy(out, from, len);
    out[len] = '\0';
}

/* Take apart a line that holds `listening` at `mark`. False if it is something
 * else. */
static bool ready_parse(const char *line, const char *mark, const char *end,
                        struct server_ready *ready)
{
    const char *address = mark + sizeof listening - 1;
    const char *comma = address;
    while (comma < end && *comma != ',' && *comma != ' ')
        comma++;
    const char *colon = comma;
    while (colon > address && *colon != ':')
        colon--;
    unsigned long port = *colon == ':' ? strtoul(colon + 1, NULL, 10) : 0;
    if (port == 0 || port > 65535)
        return false;

    memset(ready, 0, sizeof *ready);
    ready->port = (unsigned short)port;
    copy_part(ready->name, sizeof ready->name, line, mark);
    text_make_plain(ready->name);
    bool bracket = *address == '[' && colon[-1] == ']';
    copy_part(ready->address, sizeof ready->address, address + bracket,
              colon - bracket);
    text_make_plain(ready->address);
    const char *pid = strstr(comma, ", pid ");
    if (pid != NULL && pid < end) {
        char *after = NULL;
        ready->pid = strtoul(pid + 6, &after, 10);
        if (after != NULL && *after == ',')
            ready->threads = strtoul(after + 1, NULL, 10);
    }
    return true;
}

/* Look for a whole ready line in what was printed, and take it apart. */
static bool ready_is_there(const char *text, void *ready)
{
    for (const char *mark = text; (mark = strstr(mark, listening)) != NULL;
         mark++) {
        const char *line = mark, *end = strchr(mark, '\n');
        while (line > text && line[-1] != '\n')
            line--;
        if (end == NULL)
            return false;
        if (ready_parse(line, mark, end, ready))
            return true;
    }
    return false;
}

enum server_wait server_wait_ready(struct server_process *server,
                                   struct server_ready *ready,
                                   unsigned long timeout)
{
    return wait_until(server, SERVER_STDOUT, ready_is_there, ready, timeout);
}

/* Bind to the port of all addresses, and to no port of another program; 0 is
 * any. Returns the port, or 0 with WSAGetLastError(). */
static unsigned short try_port(unsigned short port)
{
    SOCKET sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    struct sockaddr_in address = {.sin_family = AF_INET};
    int len = sizeof address;
    BOOL alone = TRUE;
    address.sin_port = htons(port);
    bool ok = sock != INVALID_SOCKET &&
              setsockopt(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE,
                         (const char *)&alone, sizeof alone) == 0 &&
              bind(sock, (struct sockaddr *)&address, len) == 0 &&
              getsockname(sock, (struct sockaddr *)&address, &len) == 0;
    int err = WSAGetLastError();
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    WSASetLastError(err);
    return ok ? ntohs(address.sin_port) : 0;
}

unsigned short server_free_port(void)
{
    return try_port(0);
}

bool server_port_is_free(unsigned short port)
{
    return try_port(port) != 0;
}

/* A connection to the port, or INVALID_SOCKET. */
static SOCKET connect_once(unsigned short port)
{
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    struct sockaddr_in to = {0};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sock != INVALID_SOCKET &&
        connect(sock, (struct sockaddr *)&to, sizeof to) == 0)
        return sock;
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    return INVALID_SOCKET;
}

enum server_wait server_wait_connection(struct server_process *server,
                                        unsigned short port,
                                        unsigned long timeout,
                                        uintptr_t *connection)
{
    double deadline = clock_ms() + timeout;
    SOCKET sock;
    while ((sock = connect_once(port)) == INVALID_SOCKET) {
        /* Nothing tells us when a port opens; the end of the process cuts the
         * pause between two attempts short. */
        if (WaitForSingleObject(server->process, RETRY_MS) == WAIT_OBJECT_0)
            return SERVER_WAIT_EXITED;
        if (clock_left(deadline) == 0)
            return SERVER_WAIT_TIMEOUT;
    }
    *connection = sock;
    return SERVER_WAIT_OK;
}

enum server_wait server_wait_accepting(struct server_process *server,
                                       unsigned short port,
                                       unsigned long timeout)
{
    uintptr_t connection = 0;
    enum server_wait result =
        server_wait_connection(server, port, timeout, &connection);
    if (result == SERVER_WAIT_OK)
        closesocket((SOCKET)connection);
    return result;
}

/* ---- stop ---------------------------------------------------------------- */

void server_close_stdin(struct server_process *server)
{
    close_handle(&server->stdin_pipe);
}

/* The argument that turns any program of ours into the helper. */
static const char press_option[] = "--press-console-key";

/* The helper's exit code when the key was pressed. No other end of a process
 * looks like it: Wine 10 answers Ctrl+Break by ending a thread of each process
 * on the console, and a helper that this ends may end with 0. */
enum { PRESSED = 77 };

/* Press a key on this console: start the helper there, see how it ends. */
static bool press_on(void *console, enum server_key key, char *why, size_t size)
{
    char *self = own_path();
    const char *args[] = {press_option, key == SERVER_CTRL_C ? "0" : "1"};
    wchar_t *command = self != NULL ? command_line(self, args, 2) : NULL;
    LPPROC_THREAD_ATTRIBUTE_LIST list =
        console != NULL ? attributes_make(NULL, 0, console) : NULL;
    STARTUPINFOEXW info = {0};
    PROCESS_INFORMATION made = {0};
    info.StartupInfo.cb = sizeof info;
    info.lpAttributeList = list;

    DWORD code = WAIT_TIMEOUT;
    bool ok = command != NULL && list != NULL &&
              CreateProcessW(NULL, command, NULL, NULL, FALSE,
                             EXTENDED_STARTUPINFO_PRESENT, NULL, NULL,
                             &info.StartupInfo, &made);
    if (!ok) {
        say(why, size, "its helper could not be started");
    } else {
        if (WaitForSingleObject(made.hProcess, REAP_MS) == WAIT_OBJECT_0)
            GetExitCodeProcess(made.hProcess, &code);
        else
            TerminateProcess(made.hProcess, 1);
        ok = code == PRESSED;
        if (!ok)
            say(why, size, "its helper ended with %lu", code);
        CloseHandle(made.hProcess);
        CloseHandle(made.hThread);
    }
    attributes_free(list);
    free(command);
    free(self);
    return ok;
}

/* Whether Ctrl+Break reaches a program at all. This is tried where it does no
 * harm: on a console with only the helper. Under Wine 8 the key cannot be
 * pressed. Under Wine 10 it damages each process that it reaches, and calls no
 * handler. */
static bool break_works(char *why, size_t size)
{
    struct pseudo_console console = {0};
    char reason[120];
    unsigned long error = pseudo_console_open(&console);
    bool ok = false;
    if (error != 0)
        say(why, size, "CreatePseudoConsole: 0x%08lx", error);
    else if (press_on(console.console, SERVER_CTRL_BREAK, reason,
                      sizeof reason))
        ok = true;
    else
        say(why, size,
            "Ctrl+Break, tried on another console, reaches nobody (%s)",
            reason);
    pseudo_console_shut(&console);
    return ok;
}

bool server_press(struct server_process *server, enum server_key key, char *why,
                  size_t why_size)
{
    return (key != SERVER_CTRL_BREAK || break_works(why, why_size)) &&
           press_on(server->console.console, key, why, why_size);
}

static HANDLE key_heard; /* the helper's */

static BOOL WINAPI hear_key(DWORD type)
{
    (void)type;
    SetEvent(key_heard);
    return TRUE;
}

bool server_press_helper(int argc, char **argv, int *exit_code)
{
    if (argc != 3 || strcmp(argv[1], press_option) != 0)
        return false;
    DWORD key = argv[2][0] == '0' ? CTRL_C_EVENT : CTRL_BREAK_EVENT;
    /* The key goes to all processes of this console, this one included. */
    key_heard = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (key_heard == NULL || !SetConsoleCtrlHandler(hear_key, TRUE) ||
        !GenerateConsoleCtrlEvent(key, 0))
        *exit_code = (int)GetLastError();
    else if (key == CTRL_BREAK_EVENT)
        *exit_code = WaitForSingleObject(key_heard, HEAR_MS) == WAIT_OBJECT_0
                         ? PRESSED
                         : WAIT_TIMEOUT;
    else
        *exit_code = PRESSED;
    return true;
}

/* Whether other processes of its job live, now that it has ended itself. */
static bool left_a_child(struct server_process *server)
{
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION info = {0};
    return QueryInformationJobObject(server->job,
                                     JobObjectBasicAccountingInformation, &info,
                                     sizeof info, NULL) &&
           info.ActiveProcesses > 0;
}

enum server_wait server_wait_exit(struct server_process *server,
                                  unsigned long timeout,
                                  unsigned long *exit_code)
{
    DWORD code = 0;
    if (WaitForSingleObject(server->process, timeout) != WAIT_OBJECT_0 ||
        !GetExitCodeProcess(server->process, &code))
        return SERVER_WAIT_TIMEOUT;
    /* The process has ended. The rest in its pipes is read quickly, and then
     * they break. But a child of its own may hold them open for ever. */
    HANDLE readers[] = {server->captures[0].thread, server->captures[1].thread};
    (void)WaitForMultipleObjects(2, readers, TRUE,
                                 left_a_child(server) ? HELD_MS : REAP_MS);
    *exit_code = code;
    return SERVER_WAIT_OK;
}

const char *server_exit_text(unsigned long code, char *text, size_t size)
{
    static const struct {
        unsigned long code;
        const char *words;
    } crashes[] = {
        {0xC0000005, "a crash: access violation"},
        {0xC0000094, "a crash: division by zero"},
        {0xC00000FD, "a crash: stack overflow"},
        {0xC0000374, "a crash: damaged heap"},
        {0xC0000409, "a crash: abort() or a damaged stack"},
        {0xC0000135, "a DLL that it needs is missing"},
        {0xC0000139, "a DLL that it needs is another version"},
        {0xC000013A, "ended by Ctrl+C or Ctrl+Break"},
    };
    const char *words = "a crash";
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        if (crashes[i].code == code)
            words = crashes[i].words;
    if (code >= 0xC0000000)
        say(text, size, "0x%lx (%s)", code, words);
    else
        say(text, size, "%lu", code);
    return text;
}

bool server_alive(struct server_process *server)
{
    return WaitForSingleObject(server->process, 0) == WAIT_TIMEOUT;
}

/* True when the reader has ended and its memory may be freed. The job has ended
 * all that could hold the pipe open, except a process that got out of the job.
 * That one's read is cancelled; again and again, because the thread may be on
 * its way into the call. */
static bool capture_join(struct capture *capture)
{
    double deadline = clock_ms() + REAP_MS;
    bool ended = capture->thread == NULL;
    while (!ended && clock_left(deadline) > 0) {
        ended = WaitForSingleObject(capture->thread, HELD_MS) == WAIT_OBJECT_0;
        if (!ended)
            CancelSynchronousIo(capture->thread);
    }
    return ended;
}

void server_free(struct server_process *server)
{
    if (server == NULL)
        return;
    server_leave_unread(server, false);
    server_close_stdin(server);
    if (server->process != NULL) {
        /* The job also ends processes that the server has started, when it has
         * ended itself. The call fails for a process that was not assigned
         * yet. */
        TerminateJobObject(server->job, 1);
        TerminateProcess(server->process, 1);
        (void)WaitForSingleObject(server->process, REAP_MS);
    }
    pseudo_console_shut(&server->console);
    close_handle(&server->job);
    bool joined = true;
    for (size_t i = 0; i < 2; i++)
        joined = capture_join(&server->captures[i]) && joined;
    if (!joined)
        return; /* a reader still uses all this; better a leak than a crash */
    for (size_t i = 0; i < 2; i++) {
        close_handle(&server->captures[i].pipe);
        close_handle(&server->captures[i].thread);
        free(server->captures[i].text.bytes);
    }
    close_handle(&server->process);
    free(server);
}

bool server_measure(struct server_process *server, struct server_usage *usage)
{
    if (server->host_pid == 0 && server->mark[0] != '\0' && server_on_wine())
        server->host_pid = measure_host_pid(server->exe_name, server->mark);
    return server_alive(server) && measure_process(server->process, server->pid,
                                                   server->host_pid, usage);
}
