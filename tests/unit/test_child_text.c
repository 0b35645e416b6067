/* test_child_text.c -- what another program printed, as UTF-8 */
#include "common/win.h"

#include <stdlib.h>
#include <string.h>

#include "programs/harness/child_text.h"
#include "tests/unit/unit.h"

enum { GBK = 936 };

/* "listening" and "port", in Chinese: in GBK, and in UTF-8. */
#define GBK_LISTENING  "\xD5\xFD\xD4\xDA\xBC\xE0\xCC\xFD"
#define UTF8_LISTENING "\xE6\xAD\xA3\xE5\x9C\xA8\xE7\x9B\x91\xE5\x90\xAC"
#define UTF8_PORT      "\xE7\xAB\xAF\xE5\x8F\xA3"

static void becomes(const char *text, const char *expected)
{
    char *got = child_text_from(text, GBK);
    CHECK(got != NULL);
    if (got != NULL)
        CHECK_TEXT(got, expected);
    free(got);
}

static void text_of_a_code_page(void)
{
    becomes("", "");
    becomes("port 80\r\n", "port 80\r\n");
    becomes(GBK_LISTENING, UTF8_LISTENING);
    becomes(UTF8_PORT, UTF8_PORT);
    becomes("a " GBK_LISTENING " b\n" UTF8_PORT "\nend",
            "a " UTF8_LISTENING " b\n" UTF8_PORT "\nend");
}

static void what_is_shown(void)
{
    CHECK_INT(child_text_shown("a"), 1);
    CHECK_INT(child_text_shown("\xC3\xA9"), 2);
    CHECK_INT(child_text_shown(UTF8_PORT), 3);
    CHECK_INT(child_text_shown("\xF0\x9F\x98\x80"), 4);
}

static void what_is_not_shown(void)
{
    /* From here on from right to left: in one piece, clang-tidy refuses it. */
    const char turns[] = {(char)0xE2, (char)0x80, (char)0xAE, '\0'};
    CHECK_INT(child_text_shown(turns), 0);
    CHECK_INT(child_text_shown(""), 0);
    CHECK_INT(child_text_shown("\n"), 0);
    CHECK_INT(child_text_shown("\x1B[2J"), 0); /* escape */
    CHECK_INT(child_text_shown("\x7F"), 0);    /* delete */
    CHECK_INT(child_text_shown("\xC2\x9B"
                               "2J"),
              0);                                   /* escape and [ in one */
    CHECK_INT(child_text_shown("\xE7\xAB"), 0);     /* cut off */
    CHECK_INT(child_text_shown("\x80"), 0);         /* begins nothing */
    CHECK_INT(child_text_shown("\xC0\xAF"), 0);     /* longer than need be */
    CHECK_INT(child_text_shown("\xED\xA0\x80"), 0); /* half of a pair */
    CHECK_INT(child_text_shown("\xEF\xBF\xBF"), 0); /* XML does not allow it */
    CHECK_INT(child_text_shown("\xF4\x90\x80\x80"), 0); /* beyond the last */
}

void test_child_text(void)
{
    RUN(text_of_a_code_page);
    RUN(what_is_shown);
    RUN(what_is_not_shown);
}
