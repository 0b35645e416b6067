/* server_process.c -- see server_process.h */
#include "common/win.h"

#include <psapi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>

#include "common/err.h"
#include "harness/clock.h"
#include "harness/server_process.h"

enum { CONSOLE_PIPE_BYTES = 64 * 1024, REAP_MS = 10 * 1000, RETRY_MS = 20 };

/* One pipe that the server prints into, with the thread that empties it. */
struct capture {
    struct server_process *server;
    HANDLE pipe; /* our end, for reading */
    HANDLE thread;

    /* under server->lock */
    char *text; /* always terminated, may hold zero bytes as well */
    size_t len, size;
    bool ended;
};

struct server_process {
    HANDLE process, job;
    DWORD pid;
    HANDLE stdin_pipe; /* NULL once closed */

    void *console; /* a pseudo console, NULL without start.console */
    HANDLE console_keys, console_screen;
    LPPROC_THREAD_ATTRIBUTE_LIST on_console; /* for the helper */

    SRWLOCK lock;
    CONDITION_VARIABLE changed; /* a capture has grown or ended */
    struct capture captures[2]; /* by enum server_stream */
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

/* A function that not every system has, to be cast to its own type; NULL
 * where it is missing. Only for libraries that are loaded in any process. */
typedef void (*any_function)(void);

static any_function find_function(const wchar_t *library, const char *name)
{
    HMODULE module = GetModuleHandleW(library);
    return module != NULL ? (any_function)GetProcAddress(module, name) : NULL;
}

/* ---- the command line --------------------------------------------------- */

struct text {
    char *bytes;
    size_t len, size;
    bool failed; /* out of memory, once and for all */
};

static void text_add(struct text *text, const char *bytes, size_t len)
{
    if (text->failed)
        return;
    if (text->size - text->len <= len) {
        size_t size = (text->len + len + 1) * 2;
        char *grown = realloc(text->bytes, size);
        if (grown == NULL) {
            text->failed = true;
            return;
        }
        text->bytes = grown;
        text->size = size;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
}

/* Quote one argument so that CommandLineToArgvW() and every C runtime give it
 * back as it was. A backslash is itself, unless a quote follows its run:
 * there each has to be doubled, and so it is before the closing quote. */
static void text_add_quoted(struct text *text, const char *arg)
{
    if (*arg != '\0' && strpbrk(arg, " \t\n\v\"") == NULL) {
        text_add(text, arg, strlen(arg));
        return;
    }
    text_add(text, "\"", 1);
    for (size_t slashes = 0; *arg != '\0'; arg++) {
        slashes = *arg == '\\' ? slashes + 1 : 0;
        if (arg[1] == '"' || arg[1] == '\0')
            for (size_t i = 0; i < slashes; i++)
                text_add(text, "\\", 1);
        if (*arg == '"')
            text_add(text, "\\", 1);
        text_add(text, arg, 1);
    }
    text_add(text, "\"", 1);
}

static wchar_t *widen(const char *narrow)
{
    int len = MultiByteToWideChar(CP_ACP, 0, narrow, -1, NULL, 0);
    wchar_t *wide = len > 0 ? malloc((size_t)len * sizeof *wide) : NULL;
    if (wide != NULL)
        MultiByteToWideChar(CP_ACP, 0, narrow, -1, wide, len);
    return wide;
}

/* The whole command line, as CreateProcessW() wants it. The caller frees it;
 * NULL when out of memory. */
static wchar_t *command_line(const char *exe, const char *const *args,
                             size_t count)
{
    struct text text = {0};
    text_add_quoted(&text, exe);
    for (size_t i = 0; i < count; i++) {
        text_add(&text, " ", 1);
        text_add_quoted(&text, args[i]);
    }
    wchar_t *wide = text.failed ? NULL : widen(text.bytes);
    free(text.bytes);
    return wide;
}

/* ---- the pseudo console -------------------------------------------------- */

/* Windows 10 1809 and later, and Wine, have pseudo consoles; looked up at run
 * time so that older ones still start this program. The constant is missing
 * where the headers are set to an older Windows. */
enum { ATTRIBUTE_PSEUDO_CONSOLE = 0x00020016 };

typedef HRESULT(WINAPI *create_console_fn)(COORD, HANDLE, HANDLE, DWORD,
                                           void **);
typedef void(WINAPI *close_console_fn)(void *);

static bool console_open(struct server_process *server, char *why, size_t size)
{
    create_console_fn create = (create_console_fn)find_function(
        L"kernel32.dll", "CreatePseudoConsole");
    if (create == NULL) {
        say(why, size, "this Windows has no pseudo consoles");
        return false;
    }
    HANDLE keys = NULL, screen = NULL; /* the console's ends */
    HRESULT result = E_FAIL;
    /* Nobody reads the screen. The server prints into its own pipes, so only
     * the console's greeting ends there, and the pipe holds more than that. */
    if (CreatePipe(&keys, &server->console_keys, NULL, 0) &&
        CreatePipe(&server->console_screen, &screen, NULL, CONSOLE_PIPE_BYTES))
        result = create((COORD){80, 25}, keys, screen, 0, &server->console);
    close_handle(&keys);
    close_handle(&screen);
    if (FAILED(result))
        say(why, size, "CreatePseudoConsole: 0x%08lx", (unsigned long)result);
    return SUCCEEDED(result);
}

static void console_shut(struct server_process *server)
{
    close_console_fn shut =
        (close_console_fn)find_function(L"kernel32.dll", "ClosePseudoConsole");
    /* The screen first: until Windows 11 closing waits for it to be read. */
    close_handle(&server->console_screen);
    if (server->console != NULL && shut != NULL)
        shut(server->console);
    server->console = NULL;
    close_handle(&server->console_keys);
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
 * to be on. Without the first every inheritable handle of ours would go along,
 * all sockets among them, and the connections we close would stay open. */
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
 * system does for us if we crash. */
static HANDLE job_make(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limit = {0};
    limit.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (job != NULL &&
        !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limit,
                                 sizeof limit))
        close_handle(&job);
    return job;
}

/* Create the process suspended, so that it is in the job before it can start
 * anything of its own. */
static bool process_create(struct server_process *server, wchar_t *command,
                           struct child_ends *ends, char *why, size_t size)
{
    LPPROC_THREAD_ATTRIBUTE_LIST list =
        attributes_make(ends->handles, 3, server->console);
    STARTUPINFOEXW info = {0};
    PROCESS_INFORMATION made = {0};
    info.StartupInfo.cb = sizeof info;
    info.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    info.StartupInfo.hStdInput = ends->handles[0];
    info.StartupInfo.hStdOutput = ends->handles[1];
    info.StartupInfo.hStdError = ends->handles[2];
    info.lpAttributeList = list;

    bool ok = list != NULL &&
              CreateProcessW(NULL, command, NULL, NULL, TRUE,
                             CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT,
                             NULL, NULL, &info.StartupInfo, &made);
    if (!ok)
        say_call(why, size, "CreateProcess", GetLastError());
    attributes_free(list);
    if (!ok)
        return false;

    server->process = made.hProcess;
    server->pid = made.dwProcessId;
    ok = AssignProcessToJobObject(server->job, made.hProcess) &&
         ResumeThread(made.hThread) != (DWORD)-1;
    if (!ok)
        say_call(why, size, "AssignProcessToJobObject", GetLastError());
    CloseHandle(made.hThread);
    return ok;
}

static bool capture_keep(struct capture *capture, const char *bytes, size_t len)
{
    struct server_process *server = capture->server;
    AcquireSRWLockExclusive(&server->lock);
    struct text text = {capture->text, capture->len, capture->size, false};
    text_add(&text, bytes, len);
    capture->text = text.bytes;
    capture->len = text.len;
    capture->size = text.size;
    ReleaseSRWLockExclusive(&server->lock);
    WakeAllConditionVariable(&server->changed);
    return !text.failed;
}

/* One thread per pipe: the server must never block in printing because we are
 * busy elsewhere. Ends when the last writer has closed its end. */
static DWORD WINAPI capture_run(void *argument)
{
    struct capture *capture = argument;
    struct server_process *server = capture->server;
    char bytes[4096];
    DWORD len = 0;
    while (ReadFile(capture->pipe, bytes, sizeof bytes, &len, NULL))
        if (!capture_keep(capture, bytes, len))
            break;
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

struct server_process *server_start(const struct server_start *start, char *why,
                                    size_t why_size)
{
    struct server_process *server = calloc(1, sizeof *server);
    wchar_t *command = command_line(start->exe, start->args, start->arg_count);
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

    /* The console comes before the pipes: its host process inherits whatever
     * can be inherited, and would hold the pipes open. */
    if (start->console && !console_open(server, why, why_size))
        goto done;
    server->job = job_make();
    if (server->job == NULL || !pipes_open(server, &ends)) {
        say_call(why, why_size, "CreateJobObject or CreatePipe",
                 GetLastError());
        goto done;
    }
    ok = process_create(server, command, &ends, why, why_size) &&
         captures_start(server, why, why_size);
done:
    /* Our copies of its ends, or the pipes would never break. */
    for (size_t i = 0; i < 3; i++)
        close_handle(&ends.handles[i]);
    free(command);
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

enum server_wait server_wait_text(struct server_process *server,
                                  enum server_stream stream, const char *text,
                                  unsigned long timeout)
{
    double deadline = clock_ms() + timeout;
    struct capture *capture = &server->captures[stream];
    enum server_wait result = SERVER_WAIT_OK;
    AcquireSRWLockExclusive(&server->lock);
    while (capture->text == NULL || strstr(capture->text, text) == NULL) {
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

char *server_output(struct server_process *server, enum server_stream stream)
{
    struct capture *capture = &server->captures[stream];
    AcquireSRWLockShared(&server->lock);
    char *copy = malloc(capture->len + 1);
    if (copy != NULL && capture->len > 0)
        memcpy(copy, capture->text, capture->len);
    if (copy != NULL)
        copy[capture->len] = '\0';
    ReleaseSRWLockShared(&server->lock);
    return copy;
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

/* Take apart a line that holds `listening`. False if it is something else. */
static bool ready_parse(const char *line, const char *end,
                        struct server_ready *ready)
{
    const char *mark = strstr(line, listening);
    if (mark == NULL || mark > end)
        return false;
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
    bool bracket = *address == '[' && colon[-1] == ']';
    copy_part(ready->address, sizeof ready->address, address + bracket,
              colon - bracket);
    const char *pid = strstr(comma, ", pid ");
    if (pid != NULL && pid < end) {
        char *after = NULL;
        ready->pid = strtoul(pid + 6, &after, 10);
        if (after != NULL && *after == ',')
            ready->threads = strtoul(after + 1, NULL, 10);
    }
    return true;
}

/* Look for a whole ready line in what was printed. */
static bool ready_find(const char *text, struct server_ready *ready)
{
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        if (ready_parse(text, end, ready))
            return true;
    return false;
}

enum server_wait server_wait_ready(struct server_process *server,
                                   struct server_ready *ready,
                                   unsigned long timeout)
{
    double deadline = clock_ms() + timeout;
    struct capture *capture = &server->captures[SERVER_STDOUT];
    enum server_wait result = SERVER_WAIT_OK;
    AcquireSRWLockExclusive(&server->lock);
    while (capture->text == NULL || !ready_find(capture->text, ready)) {
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

static bool accepts(unsigned short port)
{
    SOCKET sock = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    struct sockaddr_in to = {0};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool ok = sock != INVALID_SOCKET &&
              connect(sock, (struct sockaddr *)&to, sizeof to) == 0;
    if (sock != INVALID_SOCKET)
        closesocket(sock);
    return ok;
}

enum server_wait server_wait_accepting(struct server_process *server,
                                       unsigned short port,
                                       unsigned long timeout)
{
    double deadline = clock_ms() + timeout;
    while (!accepts(port)) {
        /* Nothing tells us when a port opens; the end of the process cuts the
         * pause between two attempts short. */
        if (WaitForSingleObject(server->process, RETRY_MS) == WAIT_OBJECT_0)
            return SERVER_WAIT_EXITED;
        if (clock_left(deadline) == 0)
            return SERVER_WAIT_TIMEOUT;
    }
    return SERVER_WAIT_OK;
}

/* ---- stop ---------------------------------------------------------------- */

void server_close_stdin(struct server_process *server)
{
    close_handle(&server->stdin_pipe);
}

/* The argument that turns any program of ours into the helper. */
static const char press_option[] = "--press-console-key";

bool server_press(struct server_process *server, enum server_key key, char *why,
                  size_t why_size)
{
    char self[MAX_PATH];
    DWORD len = GetModuleFileNameA(NULL, self, sizeof self);
    const char *args[] = {press_option, key == SERVER_CTRL_C ? "0" : "1"};
    wchar_t *command =
        len > 0 && len < sizeof self ? command_line(self, args, 2) : NULL;
    LPPROC_THREAD_ATTRIBUTE_LIST list =
        server->console != NULL ? attributes_make(NULL, 0, server->console)
                                : NULL;
    STARTUPINFOEXW info = {0};
    PROCESS_INFORMATION made = {0};
    info.StartupInfo.cb = sizeof info;
    info.lpAttributeList = list;

    DWORD code = 1;
    bool ok = command != NULL && list != NULL &&
              CreateProcessW(NULL, command, NULL, NULL, FALSE,
                             EXTENDED_STARTUPINFO_PRESENT, NULL, NULL,
                             &info.StartupInfo, &made);
    if (!ok) {
        say(why, why_size, "the console's helper could not be started");
    } else {
        ok = WaitForSingleObject(made.hProcess, REAP_MS) == WAIT_OBJECT_0 &&
             GetExitCodeProcess(made.hProcess, &code) && code == 0;
        if (!ok)
            say(why, why_size, "GenerateConsoleCtrlEvent: %s (%lu)",
                err_name(code), code);
        CloseHandle(made.hProcess);
        CloseHandle(made.hThread);
    }
    attributes_free(list);
    free(command);
    return ok;
}

static BOOL WINAPI ignore_keys(DWORD type)
{
    (void)type;
    return TRUE;
}

bool server_press_helper(int argc, char **argv, int *exit_code)
{
    if (argc != 3 || strcmp(argv[1], press_option) != 0)
        return false;
    DWORD key = argv[2][0] == '0' ? CTRL_C_EVENT : CTRL_BREAK_EVENT;
    /* The key goes to all processes of this console, this one included. */
    *exit_code = SetConsoleCtrlHandler(ignore_keys, TRUE) &&
                         GenerateConsoleCtrlEvent(key, 0)
                     ? 0
                     : (int)GetLastError();
    return true;
}

enum server_wait server_wait_exit(struct server_process *server,
                                  unsigned long timeout,
                                  unsigned long *exit_code)
{
    DWORD code = 0;
    if (WaitForSingleObject(server->process, timeout) != WAIT_OBJECT_0 ||
        !GetExitCodeProcess(server->process, &code))
        return SERVER_WAIT_TIMEOUT;
    /* The process is gone; what is still in its pipes is read in no time,
     * unless a child of its own holds them open. */
    for (size_t i = 0; i < 2; i++)
        (void)WaitForSingleObject(server->captures[i].thread, REAP_MS);
    *exit_code = code;
    return SERVER_WAIT_OK;
}

bool server_alive(struct server_process *server)
{
    return WaitForSingleObject(server->process, 0) == WAIT_TIMEOUT;
}

unsigned long server_pid(struct server_process *server)
{
    return server->pid;
}

/* True when the reader has ended and its memory may go. */
static bool capture_join(struct capture *capture)
{
    return capture->thread == NULL ||
           WaitForSingleObject(capture->thread, REAP_MS) == WAIT_OBJECT_0;
}

void server_free(struct server_process *server)
{
    if (server == NULL)
        return;
    server_close_stdin(server);
    if (server->process != NULL && server_alive(server)) {
        /* The job takes along what the server may have started itself. It
         * fails for a process that was not assigned yet. */
        TerminateJobObject(server->job, 1);
        TerminateProcess(server->process, 1);
        (void)WaitForSingleObject(server->process, REAP_MS);
    }
    console_shut(server);
    close_handle(&server->job);
    bool joined = true;
    for (size_t i = 0; i < 2; i++)
        joined = capture_join(&server->captures[i]) && joined;
    if (!joined)
        return; /* a reader still uses all this; better a leak than a crash */
    for (size_t i = 0; i < 2; i++) {
        close_handle(&server->captures[i].pipe);
        close_handle(&server->captures[i].thread);
        free(server->captures[i].text);
    }
    close_handle(&server->process);
    free(server);
}

/* ---- measure ------------------------------------------------------------- */

bool server_on_wine(void)
{
    return find_function(L"ntdll.dll", "wine_get_version") != NULL;
}

static unsigned long count_threads(DWORD pid)
{
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    if (snapshot == INVALID_HANDLE_VALUE)
        return 0;
    unsigned long count = 0;
    THREADENTRY32 entry = {0};
    entry.dwSize = sizeof entry;
    for (BOOL more = Thread32First(snapshot, &entry); more;
         more = Thread32Next(snapshot, &entry))
        if (entry.th32OwnerProcessID == pid)
            count++;
    CloseHandle(snapshot);
    return count;
}

/* The table of all handles of the system, as NtQuerySystemInformation() class
 * 16 gives it. Not in the mingw headers. Only used on Wine. */
struct handle_table {
    ULONG count;
    struct {
        USHORT pid, trace;
        UCHAR type, flags;
        USHORT handle;
        void *object;
        ULONG access;
    } entries[1];
};

typedef LONG(WINAPI *query_system_fn)(ULONG, void *, ULONG, ULONG *);

enum { SYSTEM_HANDLE_INFORMATION = 16 };

static unsigned long count_in_table(const struct handle_table *table, DWORD pid)
{
    unsigned long count = 0;
    for (ULONG i = 0; i < table->count; i++)
        if (table->entries[i].pid == pid)
            count++;
    return count;
}

/* Wine's GetProcessHandleCount() says 0 for every process. */
static unsigned long count_handles_on_wine(DWORD pid)
{
    const LONG too_small = (LONG)0xC0000004; /* STATUS_INFO_LENGTH_MISMATCH */
    query_system_fn query = (query_system_fn)find_function(
        L"ntdll.dll", "NtQuerySystemInformation");
    unsigned long count = 0;
    LONG status = query == NULL ? 0 : too_small;
    for (ULONG size = 1 << 18; status == too_small; size *= 2) {
        struct handle_table *table = malloc(size);
        if (table == NULL)
            return 0;
        status = query(SYSTEM_HANDLE_INFORMATION, table, size, NULL);
        if (status >= 0)
            count = count_in_table(table, pid);
        free(table);
    }
    return count;
}

static unsigned long count_handles(HANDLE process, DWORD pid)
{
    DWORD count = 0;
    if (!GetProcessHandleCount(process, &count))
        return 0;
    return count == 0 && server_on_wine() ? count_handles_on_wine(pid) : count;
}

static double filetime_ms(const FILETIME *time)
{
    ULARGE_INTEGER ticks; /* of 100 ns */
    ticks.LowPart = time->dwLowDateTime;
    ticks.HighPart = time->dwHighDateTime;
    return (double)ticks.QuadPart / 10000.0;
}

bool server_measure(struct server_process *server, struct server_usage *usage)
{
    PROCESS_MEMORY_COUNTERS_EX memory = {0};
    FILETIME created, ended, kernel, user;
    memory.cb = sizeof memory;
    if (!server_alive(server) ||
        !K32GetProcessMemoryInfo(server->process,
                                 (PROCESS_MEMORY_COUNTERS *)&memory,
                                 sizeof memory) ||
        !GetProcessTimes(server->process, &created, &ended, &kernel, &user))
        return false;
    usage->working_set = memory.WorkingSetSize;
    usage->private_bytes = memory.PrivateUsage;
    usage->cpu_ms = filetime_ms(&kernel) + filetime_ms(&user);
    usage->threads = count_threads(server->pid);
    usage->handles = count_handles(server->process, server->pid);
    return true;
}
