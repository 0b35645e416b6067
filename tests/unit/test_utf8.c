/* test_utf8.c -- from UTF-8 to UTF-16 and back, and the names of files */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/console.h"
#include "common/utf8.h"
#include "tests/unit/unit.h"

enum { LETTERS = 300 };

static void cleaned(const char *text, const char *expected)
{
    char *clean = utf8_clean(text);
    CHECK(clean != NULL);
    if (clean != NULL)
        CHECK_TEXT(clean, expected);
    free(clean);
}

static void cleaning(void)
{
    cleaned("", "");
    cleaned("caf\xc3\xa9 \xe8\xaf\xbe \xf0\x9f\x98\x80 & '",
            "caf\xc3\xa9 \xe8\xaf\xbe \xf0\x9f\x98\x80 & '");
    cleaned("caf\xe9!", "caf\xef\xbf\xbd!");
    cleaned("cut \xe8\xaf", "cut \xef\xbf\xbd");
}

/* The full path, seen as UTF-8. */
static void path_of(const char *path, const char *expected)
{
    wchar_t *wide = utf8_path(path);
    char *text = wide != NULL ? utf8_from_wide(wide) : NULL;
    CHECK(text != NULL);
    if (text != NULL)
        CHECK_TEXT(text, expected);
    free(wide);
    free(text);
}

/* A path with `letters` letters behind `begin`, and one behind `expected`. */
static void path_with(const char *begin, size_t letters, const char *expected)
{
    char path[LETTERS + 20];
    char full[LETTERS + 20];
    strcpy(path, begin);
    strcpy(full, expected);
    memset(path + strlen(begin), 'x', letters);
    memset(full + strlen(expected), 'x', letters);
    path[strlen(begin) + letters] = '\0';
    full[strlen(expected) + letters] = '\0';
    path_of(path, full);
}

static void paths(void)
{
    path_of("C:/a/./b/../\xe8\xaf\xbe & caf\xc3\xa9's.json",
            "C:\\a\\\xe8\xaf\xbe & caf\xc3\xa9's.json");
    path_of("", "");
    path_with("C:/", MAX_PATH - 4, "C:\\");
    path_with("C:/", MAX_PATH - 3, "\\\\?\\C:\\");
    path_with("\\\\server\\share/", LETTERS, "\\\\?\\UNC\\server\\share\\");
    path_with("\\\\?\\C:\\", LETTERS, "\\\\?\\C:\\");
    path_with("\\\\.\\C:\\", LETTERS, "\\\\.\\C:\\");
}

/* On a console that nobody sees: it shows UTF-8 for us, and is given back. */
int child_console(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (!SetConsoleOutputCP(1252))
        return 1;
    console_utf8();
    UINT during = GetConsoleOutputCP();
    console_restore();
    printf("%u, then %u", during, GetConsoleOutputCP());
    return 0;
}

static void console(void)
{
    const struct child *child = run_child("console", "");
    CHECK_INT(child->code, 0);
    CHECK_TEXT(child->out, "65001, then 1252");
}

void test_utf8(void)
{
    RUN(cleaning);
    RUN(paths);
    RUN(console);
}
