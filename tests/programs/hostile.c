/* hostile.c -- an echo server that harms those who run it, in one way at a time
 *
 *   hostile --do WAY [--with TEXT] --port N ...
 *
 * Without --do it is a plain server: a thread per connection receives and
 * sends. It takes the command line of the six and prints their ready line.
 * tests/programs/hostile.py runs the judges against it. The ways:
 *
 *   names-another    its ready line says TEXT in place of address and port
 *   names-itself     its ready line says TEXT in place of its name
 *   ends-parent      when a client comes, ends the process that started it, as
 *                    if that had ended with 0
 *   leaves-a-child   starts a child that keeps the pipes open, and ends when a
 *                    client comes
 *   starts-once      TEXT is the number of the start: the second ends when a
 *                    client comes, and later ones do not start
 *   floods           prints 32 MiB before it is ready
 *   says             prints TEXT on standard error, and ends with 9; "\e" in it
 *                    stands for the escape character, and "\t" for a blank
 *   prints-table     prints TEXT as a line of its table of calls, at its stop
 *   crashes          when it starts
 *   knows-its-port   does no harm: as a student's server often does, it refuses
 *                    every other option, and prints nothing
 */
#include "common/win.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tlhelp32.h>

enum { PIECE = 16 * 1024, FLOOD = 32 * 1024 * 1024 };

static const char *way = "";
static const char *with = "";
static unsigned short port;
static HANDLE over; /* standard input has ended */

static bool does(const char *what)
{
    return strcmp(way, what) == 0;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "hostile: %s: %lu\n", what, GetLastError());
    exit(3);
}

/* TEXT, with the escape character where it says "\e", and a blank for "\t". */
static void put_text(FILE *out)
{
    for (const char *c = with; *c != '\0'; c++) {
        bool escape = c[0] == '\\' && c[1] == 'e';
        bool blank = c[0] == '\\' && c[1] == 't';
        fputc(escape ? 27 : blank ? ' ' : *c, out);
        c += escape || blank;
    }
}

/* ---- harm ---------------------------------------------------------------- */

static void end_parent(void)
{
    PROCESSENTRY32 entry = {.dwSize = sizeof entry};
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    BOOL more = all != INVALID_HANDLE_VALUE && Process32First(all, &entry);
    while (more && entry.th32ProcessID != GetCurrentProcessId())
        more = Process32Next(all, &entry);
    HANDLE parent =
        more ? OpenProcess(PROCESS_TERMINATE, FALSE, entry.th32ParentProcessID)
             : NULL;
    if (parent == NULL || !TerminateProcess(parent, 0))
        give_up("the parent cannot be ended");
}

/* A copy of this program that has all its handles and waits for ever. */
static void leave_child(void)
{
    STARTUPINFOA info = {.cb = sizeof info};
    PROCESS_INFORMATION made = {0};
    char path[MAX_PATH], command[MAX_PATH + 16];
    DWORD len = GetModuleFileNameA(NULL, path, sizeof path);
    if (len == 0 || len >= sizeof path)
        give_up("GetModuleFileName");
    snprintf(command, sizeof command, "\"%s\" --do wait", path);
    if (!CreateProcessA(path, command, NULL, NULL, TRUE, 0, NULL, NULL, &info,
                        &made))
        give_up("CreateProcess");
}

static void flood(void)
{
    static char lines[PIECE];
    memset(lines, 'x', sizeof lines);
    for (size_t i = 79; i < sizeof lines; i += 80)
        lines[i] = '\n';
    for (size_t done = 0; done < FLOOD; done += sizeof lines)
        fwrite(lines, 1, sizeof lines, stdout);
    puts("");
}

/* What happens before it listens. */
static void begin(void)
{
    if (does("wait"))
        Sleep(INFINITE);
    if (does("floods"))
        flood();
    if (does("crashes"))
        RaiseException(EXCEPTION_ACCESS_VIOLATION, 0, 0, NULL);
    if (does("starts-once") && atoi(with) > 2) {
        fputs("hostile: I start no more\n", stderr);
        exit(9);
    }
    if (does("says")) {
        put_text(stderr);
        fputc('\n', stderr);
        exit(9);
    }
}

static void client_comes(void)
{
    if (does("ends-parent"))
        end_parent();
    if (does("starts-once"))
        ExitProcess(9);
    if (does("leaves-a-child")) {
        leave_child();
        ExitProcess(0);
    }
}

/* ---- the server ---------------------------------------------------------- */

static DWORD WINAPI serve(void *argument)
{
    SOCKET sock = (SOCKET)(ULONG_PTR)argument;
    char bytes[PIECE];
    for (int len; (len = recv(sock, bytes, sizeof bytes, 0)) > 0;)
        for (int done = 0, sent = 0; done < len; done += sent)
            if ((sent = send(sock, bytes + done, len - done, 0)) <= 0)
                break;
    shutdown(sock, SD_SEND);
    closesocket(sock);
    return 0;
}

static SOCKET listen_on(void)
{
    SOCKET sock = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    struct sockaddr_in address = {.sin_family = AF_INET};
    int len = sizeof address;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sock == INVALID_SOCKET ||
        bind(sock, (struct sockaddr *)&address, len) != 0 ||
        listen(sock, SOMAXCONN) != 0 ||
        getsockname(sock, (struct sockaddr *)&address, &len) != 0)
        give_up("cannot listen");
    port = ntohs(address.sin_port);
    return sock;
}

static void say_ready(void)
{
    if (does("knows-its-port"))
        return;
    if (does("names-itself"))
        put_text(stdout);
    else
        printf("hostile");
    printf(": listening on ");
    if (does("names-another"))
        put_text(stdout);
    else
        printf("127.0.0.1:%u", port);
    printf(", pid %lu, 1 thread (Ctrl+C stops)\n", GetCurrentProcessId());
    fflush(stdout);
}

static void start(LPTHREAD_START_ROUTINE run, void *argument)
{
    HANDLE thread = CreateThread(NULL, 0, run, argument, 0, NULL);
    if (thread == NULL)
        give_up("CreateThread");
    CloseHandle(thread);
}

static DWORD WINAPI accept_all(void *argument)
{
    SOCKET listener = (SOCKET)(ULONG_PTR)argument;
    for (SOCKET sock;
         (sock = accept(listener, NULL, NULL)) != INVALID_SOCKET;) {
        client_comes();
        start(serve, (void *)(ULONG_PTR)sock);
    }
    return 0;
}

static DWORD WINAPI hear_end(void *unused)
{
    char byte;
    DWORD len = 0;
    (void)unused;
    while (ReadFile(GetStdHandle(STD_INPUT_HANDLE), &byte, 1, &len, NULL) &&
           len > 0)
        ;
    SetEvent(over);
    return 0;
}

int main(int argc, char **argv)
{
    bool stops = false;
    for (int i = 1; i < argc; i++) {
        stops = stops || strcmp(argv[i], "--stop-on-eof") == 0;
        if (i + 1 == argc)
            continue;
        if (strcmp(argv[i], "--do") == 0)
            way = argv[++i];
        else if (strcmp(argv[i], "--with") == 0)
            with = argv[++i];
        else if (strcmp(argv[i], "--port") == 0)
            port = (unsigned short)atoi(argv[++i]);
        else if (does("knows-its-port"))
            return 2;
    }
    if (stops && does("knows-its-port"))
        return 2;
    begin();
    WSADATA data;
    over = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (over == NULL || WSAStartup(MAKEWORD(2, 2), &data) != 0)
        give_up("cannot begin");
    SOCKET listener = listen_on();
    say_ready();
    start(accept_all, (void *)(ULONG_PTR)listener);
    if (stops)
        start(hear_end, NULL);
    WaitForSingleObject(over, INFINITE);
    if (does("prints-table")) {
        printf("calls per echo:\n  ");
        put_text(stdout);
        puts("");
    }
    fflush(stdout);
    ExitProcess(0);
}
