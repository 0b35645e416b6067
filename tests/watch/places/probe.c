/* probe.c -- asks for the places of calls; see places.py
 *
 *   probe.exe               those of calls.c and calls.cpp in itself
 *   probe.exe DLL...        those of calls.c in DLLs
 *   probe.exe DLL=OTHER     the same, when another file has taken its place
 *
 * Prints EXPECTED|FUNCTION|FILE|LINE|TEXT for each, and "bad" when the second
 * question has another answer or changes the last error.
 */
#include "common/win.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "watch/places.h"
#include "tests/watch/places/calls.h"

typedef void (*begin_function)(here_function look, here_function leave);

static jmp_buf left;

static void show(const char *expected, const void *address)
{
    SetLastError(4711);
    const struct place *place = place_of(address);
    printf("%s|%s|%s|%d|%s|%s\n", expected,
           place->function != NULL ? place->function : "",
           place->file != NULL ? place->file : "", place->line, place->text,
           place == place_of(address) && GetLastError() == 4711 ? "" : "bad");
}

static __attribute__((noinline)) void look(const char *expected)
{
    show(expected, __builtin_return_address(0));
}

static __attribute__((noinline)) void look_and_leave(const char *expected)
{
    show(expected, __builtin_return_address(0));
    longjmp(left, 1);
}

static void run(begin_function begin)
{
    if (setjmp(left) == 0)
        begin(look, look_and_leave);
}

/* A DLL that is loaded can get another name, but not be overwritten. */
static bool replace(const char *dll, const char *other)
{
    char moved[MAX_PATH];
    int len = snprintf(moved, sizeof moved, "%s.moved", dll);
    return len > 0 && (size_t)len < sizeof moved && MoveFileA(dll, moved) &&
           CopyFileA(other, dll, TRUE);
}

int main(int argc, char **argv)
{
#ifdef WITH_CALLS
    if (argc == 1)
        run(calls_begin);
#endif
    for (int i = 1; i < argc; i++) {
        char *other = strchr(argv[i], '=');
        if (other != NULL)
            *other++ = '\0';
        HMODULE dll = LoadLibraryA(argv[i]);
        FARPROC begin = dll != NULL ? GetProcAddress(dll, "calls_begin") : NULL;
        if (begin == NULL) {
            printf("%s: error %lu\n", argv[i], (unsigned long)GetLastError());
            return 1;
        }
        if (other != NULL && !replace(argv[i], other)) {
            printf("%s: error %lu\n", other, (unsigned long)GetLastError());
            return 1;
        }
        printf("%s is at %p\n", argv[i], (void *)dll);
        run((begin_function)(void (*)(void))begin);
    }
    return 0;
}
