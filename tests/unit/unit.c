/* unit.c -- the frame of the unit tests; see unit.h
 *
 *   unit.exe [SEED]                 run all tests
 *   unit.exe --child NAME ...       what run_child() starts
 */
#include "common/win.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/net.h"
#include "common/utf8.h"
#include "tests/unit/unit.h"

enum { CHILD_PATIENCE_MS = 60000 };

static int passed;
static int failed;
static bool ok;         /* of the current test */
static char notes[512]; /* of the current test */
static unsigned long long random_state;

/* ---- checks ------------------------------------------------------------ */

static void complain(const char *what, const char *file, int line)
{
    ok = false;
    printf("       %s:%d: %s\n", file, line, what);
    if (notes[0] != '\0')
        printf("         with:     %s\n", notes);
}

bool check_int(const char *what, long long observed, long long expected,
               const char *file, int line)
{
    if (observed == expected)
        return true;
    complain(what, file, line);
    printf("         expected: %lld\n         observed: %lld\n", expected,
           observed);
    return false;
}

bool check_text(const char *what, const char *observed, const char *expected,
                const char *file, int line)
{
    if (strcmp(observed, expected) == 0)
        return true;
    complain(what, file, line);
    printf("         expected: \"%s\"\n         observed: \"%s\"\n", expected,
           observed);
    return false;
}

bool check_has(const char *what, const char *observed, const char *part,
               const char *file, int line)
{
    if (strstr(observed, part) != NULL)
        return true;
    complain(what, file, line);
    printf("         expected: something with \"%s\"\n"
           "         observed: \"%s\"\n",
           part, observed);
    return false;
}

void test_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(notes, sizeof notes, format, args);
    va_end(args);
}

void run_test(const char *name, void (*test)(void))
{
    ok = true;
    notes[0] = '\0';
    test();
    printf("%s %s\n", ok ? "ok    " : "FAILED", name);
    fflush(stdout);
    passed += ok;
    failed += !ok;
}

/* xorshift64*: short, and the same on every system. */
unsigned random_below(unsigned limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)((random_state * 0x2545F4914F6CDD1DULL) >> 33) % limit;
}

/* ---- children ---------------------------------------------------------- */

/* Makes our end and the child's end of a pipe. It has so much room that the
 * child never waits for us. */
static void make_pipe(HANDLE *ours, HANDLE *its, bool we_read)
{
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit,
                                   .bInheritHandle = TRUE};
    HANDLE *reader = we_read ? ours : its;
    HANDLE *writer = we_read ? its : ours;
    if (!CreatePipe(reader, writer, &inherit, CHILD_TEXT) ||
        !SetHandleInformation(*ours, HANDLE_FLAG_INHERIT, 0))
        die_call("CreatePipe", GetLastError());
}

/* Read to the end, and leave out the carriage returns. */
static void read_text(HANDLE pipe, char *text)
{
    size_t len = 0;
    char c = 0;
    DWORD n = 0;
    while (ReadFile(pipe, &c, 1, &n, NULL) && n == 1) {
        if (c != '\r' && len < CHILD_TEXT - 1)
            text[len++] = c;
    }
    text[len] = '\0';
    CloseHandle(pipe);
}

/* Puts every word in quotes; our words hold neither quotes nor backslashes. */
static void command_line(char *out, size_t size, const char *words)
{
    size_t len = (size_t)snprintf(out, size, "unit --child");
    while (*words != '\0' && len + 8 < size) {
        size_t word = strcspn(words, " ");
        len += (size_t)snprintf(out + len, size - len, " \"");
        if (word != 2 || memcmp(words, "%%", 2) != 0) {
            for (size_t i = 0; i < word && len + 4 < size; i++)
                out[len++] = (char)(words[i] == '%' ? ' ' : words[i]);
        }
        len += (size_t)snprintf(out + len, size - len, "\"");
        words += word + strspn(words + word, " ");
    }
}

const struct child *run_child(const char *words, const char *input)
{
    static struct child child;
    static wchar_t path[32768]; /* no path of Windows is longer */
    char command[2048];
    HANDLE in = NULL;
    HANDLE out = NULL;
    HANDLE err = NULL;
    STARTUPINFOW how = {.cb = sizeof how, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION made;
    DWORD code = CHILD_HUNG;
    DWORD n = 0;

    make_pipe(&in, &how.hStdInput, false);
    make_pipe(&out, &how.hStdOutput, true);
    make_pipe(&err, &how.hStdError, true);
    GetModuleFileNameW(NULL, path, sizeof path / sizeof path[0]);
    command_line(command, sizeof command, words);
    wchar_t *wide = utf8_to_wide(command);
    if (wide == NULL ||
        !CreateProcessW(path, wide, NULL, NULL, TRUE, CREATE_NO_WINDOW, NULL,
                        NULL, &how, &made))
        die_call("CreateProcessW", GetLastError());
    free(wide);
    CloseHandle(how.hStdInput);
    CloseHandle(how.hStdOutput);
    CloseHandle(how.hStdError);
    if (input != NULL) {
        if (*input != '\0' &&
            !WriteFile(in, input, (DWORD)strlen(input), &n, NULL))
            die_call("WriteFile", GetLastError());
        CloseHandle(in);
    }
    if (WaitForSingleObject(made.hProcess, CHILD_PATIENCE_MS) == WAIT_OBJECT_0)
        GetExitCodeProcess(made.hProcess, &code);
    else
        TerminateProcess(made.hProcess, CHILD_HUNG);
    if (input == NULL)
        CloseHandle(in);
    read_text(out, child.out);
    read_text(err, child.err);
    CloseHandle(made.hThread);
    CloseHandle(made.hProcess);
    child.code = code;
    return &child;
}

void press(DWORD key)
{
    if (!GenerateConsoleCtrlEvent(key, 0))
        die_call("GenerateConsoleCtrlEvent", GetLastError());
}

static int run_as_child(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } children[] = {{"err", child_err},        {"args", child_args},
                    {"net", child_net},        {"log", child_log},
                    {"output", child_output},  {"stop", child_stop},
                    {"console", child_console}};
    for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
        if (strcmp(argv[0], children[i].name) == 0)
            return children[i].run(argc, argv);
    }
    fprintf(stderr, "unit: no such child: %s\n", argv[0]);
    return 99;
}

int main(int argc, char **argv)
{
    unsigned long seed = GetTickCount();
    err_program("unit");
    if (argc > 2 && strcmp(argv[1], "--child") == 0)
        return run_as_child(argc - 2, argv + 2);
    if (argc > 2 || (argc == 2 && !args_number(argv[1], 0, ULONG_MAX, &seed))) {
        fprintf(stderr, "usage: unit [SEED]\n");
        return 2;
    }
    printf("random seed %lu: `unit.exe %lu` does the same again\n", seed, seed);
    random_state = seed * 2 + 0x9E3779B97F4A7C15ULL;

    net_start();
    test_err();
    test_args();
    test_input();
    test_net();
    test_output();
    test_log();
    test_stop();
    test_map();
    test_utf8();
    test_places();
    test_child_text();
    net_stop();
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
