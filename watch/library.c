/* library.c -- libwatch.a: any program joins by linking it
 *
 * A call of recv() in a program is a jump through the pointer __imp_recv, which
 * the import library of ws2_32 defines and the loader fills. Here all these
 * pointers are defined once more, and point to the layer: the linker takes what
 * comes first, so libwatch.a stands before -lws2_32.
 *
 *   g++ -g server.cpp libwatch.a -lws2_32
 *   set WATCH=trace
 *
 * What to do is in the environment: docs/watch.md.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/utf8.h"
#include "common/version.h"
#include "watch/faults.h"
#include "watch/real.h"
#include "watch/record.h"

#if defined(TRACE) && defined(WATCH_LIBRARY)

/* ---- what the program calls ------------------------------------------------ */

/* On 32 bit processors a name has the bytes of the arguments at its end: each
 * takes four. */
#ifdef _WIN64
#define NAME(name, count) #name
#define IMP(name, count)  "__imp_" #name
#define RIP               "(%rip)"
#else
#define RIP                ""
#define NAME(name, count)  NAME_(name, count)
#define NAME_(name, count) "_" #name "@" BYTES_##count
#define IMP(name, count)   IMP_(name, count)
#define IMP_(name, count)  "__imp__" #name "@" BYTES_##count
#define BYTES_0            "0"
#define BYTES_1            "4"
#define BYTES_2            "8"
#define BYTES_3            "12"
#define BYTES_4            "16"
#define BYTES_5            "20"
#define BYTES_6            "24"
#define BYTES_7            "28"
#define BYTES_8            "32"
#define BYTES_9            "36"
#define BYTES_10           "40"
#define BYTES_11           "44"
#define BYTES_12           "48"
#endif

/* The pointer; and the function, for whoever calls that by its name. */
#define STAND_IN_FOR(name, count)                                              \
    extern void (*const imp_##name)(void) __asm__(IMP(name, count));           \
    void (*const imp_##name)(void) = (void (*)(void))watch_##name;             \
    __asm__(".text\n.globl " NAME(name, count) "\n" NAME(                      \
        name, count) ":\n\tjmp *" IMP(name, count) RIP "\n");

#define FROM_ws2_32(name, count)   STAND_IN_FOR(name, count)
#define FROM_kernel32(name, count) STAND_IN_FOR(name, count)
#define FROM_user32(name, count)   STAND_IN_FOR(name, count)
#define FROM_crt(name, count)      /* is in the program itself, or may be */
#define FROM_POINTER(name, count)  /* comes from WSAIoctl() */

#define CALL(name, dll, result, types, ...) FROM_##dll(name, WATCH_COUNT types)
#define CALL_VOID(name, dll, types, ...)    FROM_##dll(name, WATCH_COUNT types)
#define CALL_NONE(name, dll, ...)           FROM_##dll(name, 0)
#include "watch/calls.h"

/* ---- Windows' own --------------------------------------------------------- */

struct watch_real watch_real;

static FARPROC find(const char *dll, const char *name)
{
    HMODULE library = LoadLibraryA(dll);
    FARPROC found = library != NULL ? GetProcAddress(library, name) : NULL;
    if (found == NULL) {
        err_print("%s is not in %s", name, dll);
        err_exit(EXIT_FAILED);
    }
    return found;
}

#define FIND(name, dll)                                                        \
    {                                                                          \
        FARPROC found = find(#dll ".dll", #name);                              \
        memcpy(&watch_real.name, &found, sizeof found);                        \
    }
#define FIND_ws2_32(name)   FIND(name, ws2_32)
#define FIND_kernel32(name) FIND(name, kernel32)
#define FIND_user32(name)   FIND(name, user32)
#define FIND_crt(name)
#define FIND_POINTER(name)

static void find_all(void)
{
#define CALL(name, dll, ...)      FIND_##dll(name)
#define CALL_VOID(name, dll, ...) FIND_##dll(name)
#define CALL_NONE(name, dll, ...) FIND_##dll(name)
#include "watch/calls.h"
}

/* ---- begin and end --------------------------------------------------------- */

/* Who wants to know whether a program was linked with this library looks for it
 * in the file. */
static const char mark[] __attribute__((used)) =
    "linked with libwatch.a " SUITE_VERSION;

static bool counts;

void library_end(void)
{
    static volatile LONG ended;
    trace_writer_end();
    if (counts && InterlockedExchange(&ended, TRUE) == FALSE)
        trace_summary(0);
}

static _Noreturn void refuse(const char *value)
{
    err_print("WATCH=%s: this is not understood; it is off, count, trace, "
              "trace:FILE with a FILE that ends in .json or .jsonl, "
              "faults:WHICH, strict, or strict:OPTIONS as in strict:seed=7,S3",
              value);
    err_exit(EXIT_USAGE);
}

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name);
    return len > strlen(end) && _stricmp(name + len - strlen(end), end) == 0;
}

/* It lasts as long as the process. */
static const char *program_name(void)
{
    static char name[MAX_PATH];
    char path[MAX_PATH];
    DWORD len = GetModuleFileNameA(NULL, path, sizeof path);
    const char *base = strrchr(len < sizeof path ? path : "", '\\');
    snprintf(name, sizeof name, "%.*s",
             (int)strcspn(base != NULL ? base + 1 : "program", "."),
             base != NULL ? base + 1 : "program");
    return name;
}

static BOOL CALLBACK begin(INIT_ONCE *once, void *arg, void **context)
{
    static wchar_t given[1024];
    const char *value = "off";
    (void)once, (void)arg, (void)context;
    find_all();
    err_program(program_name());
    DWORD len = GetEnvironmentVariableW(L"WATCH", given,
                                        sizeof given / sizeof given[0]);
    if (len >= sizeof given / sizeof given[0])
        value = "(too long)";
    else if (len > 0)
        value = utf8_from_wide(given); /* it stays */
    if (value == NULL)
        die_call("malloc", ERROR_NOT_ENOUGH_MEMORY);
    const char *file = NULL;
    const char *strict = NULL;
    if (strncmp(value, "trace:", 6) == 0)
        file = value + 6;
    bool faults = strncmp(value, "faults:", 7) == 0;
    if (strncmp(value, "strict", 6) == 0)
        strict = value[6] == ':' ? value + 7 : value + 6;
    bool known =
        faults || strcmp(value, "off") == 0 || strcmp(value, "count") == 0 ||
        strcmp(value, "trace") == 0 ||
        (strict != NULL && (*strict == '\0' || value[6] == ':')) ||
        (file != NULL && (ends_in(file, ".json") || ends_in(file, ".jsonl")));
    if (!known)
        refuse(value);
    faults_begin(faults ? value + 7 : NULL);
    if (strcmp(value, "off") != 0 && atexit(library_end) != 0)
        die_call("atexit", ERROR_NOT_ENOUGH_MEMORY);
    trace_begin(program_name(), strcmp(value, "trace") == 0, file);
    strict_begin(strict);
    counts = strict == NULL && strcmp(value, "off") != 0;
    return TRUE;
}

void library_begin(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    if (!InitOnceExecuteOnce(&once, begin, NULL, NULL))
        die_call("InitOnceExecuteOnce", GetLastError());
}

/* Before the constructors of the program, so that what their objects do at the
 * end is seen, too. */
static void __attribute__((constructor(101))) before_main(void)
{
    library_begin();
}

#endif
