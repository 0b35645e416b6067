/* test_err.c -- error names and texts, and the lines that carry them */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/unit.h"

static void names_of_codes(void)
{
    CHECK_TEXT(err_name(10054), "WSAECONNRESET");
    CHECK_TEXT(err_name(10048), "WSAEADDRINUSE");
    CHECK_TEXT(err_name(10013), "WSAEACCES");
    CHECK_TEXT(err_name(10035), "WSAEWOULDBLOCK");
    CHECK_TEXT(err_name(10038), "WSAENOTSOCK");
    CHECK_TEXT(err_name(10053), "WSAECONNABORTED");
    CHECK_TEXT(err_name(10055), "WSAENOBUFS");
    CHECK_TEXT(err_name(10060), "WSAETIMEDOUT");
    CHECK_TEXT(err_name(10061), "WSAECONNREFUSED");
    CHECK_TEXT(err_name(11001), "WSAHOST_NOT_FOUND");
    CHECK_TEXT(err_name(997), "WSA_IO_PENDING");
    CHECK_TEXT(err_name(995), "WSA_OPERATION_ABORTED");
    CHECK_TEXT(err_name(64), "ERROR_NETNAME_DELETED");
    CHECK_TEXT(err_name(735), "ERROR_ABANDONED_WAIT_0");
    CHECK_TEXT(err_name(1236), "ERROR_CONNECTION_ABORTED");
    CHECK_TEXT(err_name(87), "WSA_INVALID_PARAMETER");
}

static void names_of_other_codes(void)
{
    CHECK_TEXT(err_name(0), "unknown error");
    CHECK_TEXT(err_name(12345678), "unknown error");
    CHECK_TEXT(err_name(0xffffffff), "unknown error");
}

static void text_is_a_line(void)
{
    char text[256] = "x";
    err_text(WSAECONNRESET, text, sizeof text);
    size_t len = strlen(text);
    CHECK(len > 5);
    CHECK(strpbrk(text, "\r\n") == NULL);
    CHECK(len > 0 && text[len - 1] != '.' && text[len - 1] != ' ');
}

static void text_of_unknown_code_is_empty(void)
{
    char text[256] = "x";
    err_text(0x2fffffff, text, sizeof text);
    CHECK_TEXT(text, "");
}

static void text_in_a_small_buffer(void)
{
    for (size_t size = 1; size < 40; size++) {
        char text[64];
        memset(text, '#', sizeof text);
        err_text(WSAECONNRESET, text, size);
        test_note("size %zu", size);
        CHECK(memchr(text, '\0', size) != NULL);
        for (size_t i = size; i < sizeof text; i++)
            CHECK_INT(text[i], '#');
    }
}

static void description_with_and_without_text(void)
{
    char text[256];
    char what[300];
    char expected[300];
    err_text(WSAECONNRESET, text, sizeof text);
    snprintf(expected, sizeof expected, "WSAECONNRESET (10054) %s", text);
    err_describe(WSAECONNRESET, what, sizeof what);
    CHECK_TEXT(what, expected);
    err_describe(0x2fffffff, what, sizeof what);
    CHECK_TEXT(what, "unknown error (805306367)");
    memset(what, '#', sizeof what);
    err_describe(WSAECONNRESET, what, 8);
    CHECK_TEXT(what, "WSAECON");
    CHECK_INT(what[8], '#');
}

static void warning_names_call_code_and_place(void)
{
    const struct child *child = run_child("err warn", "");
    CHECK_INT(child->code, 0);
    CHECK_TEXT(child->out, "went on\n");
    CHECK_HAS(child->err, "unit: recv: WSAECONNRESET (10054)");
    CHECK_HAS(child->err, ", at ");
    CHECK_HAS(child->err, "test_err.c:");
    CHECK_INT(strcspn(child->err, "\n") + 1, strlen(child->err));
}

static void dying_ends_with_failed(void)
{
    const struct child *child = run_child("err die", "");
    CHECK_INT(child->code, EXIT_FAILED);
    CHECK_TEXT(child->out, "");
    CHECK_HAS(child->err, "unit: bind: WSAEADDRINUSE (10048)");
}

static void exit_code_is_kept_and_output_written(void)
{
    const struct child *child = run_child("err exit", "");
    CHECK_INT(child->code, EXIT_LISTEN);
    CHECK_TEXT(child->out, "last words");
    CHECK_TEXT(child->err, "");
}

static void long_message_is_cut_to_one_line(void)
{
    const struct child *child = run_child("err long", "");
    size_t len = strlen(child->err);
    CHECK_INT(child->code, 0);
    CHECK(len > 500 && len < 1100);
    CHECK_INT(strcspn(child->err, "\n") + 1, len);
    CHECK_HAS(child->err, "unit: xxxx");
}

static void program_name_can_change(void)
{
    CHECK_TEXT(run_child("err name", "")->err, "iocp: 7 of 9\n");
}

int child_err(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "warn") == 0) {
        warn_call("recv", WSAECONNRESET);
        puts("went on");
    } else if (strcmp(what, "die") == 0) {
        die_call("bind", WSAEADDRINUSE);
    } else if (strcmp(what, "exit") == 0) {
        printf("last words");
        err_exit(EXIT_LISTEN);
    } else if (strcmp(what, "long") == 0) {
        char text[5000];
        memset(text, 'x', sizeof text);
        text[sizeof text - 1] = '\0';
        err_print("%s", text);
    } else if (strcmp(what, "name") == 0) {
        err_program("iocp");
        err_print("%d of %d", 7, 9);
    } else {
        return 99;
    }
    return 0;
}

void test_err(void)
{
    RUN(names_of_codes);
    RUN(names_of_other_codes);
    RUN(text_is_a_line);
    RUN(text_of_unknown_code_is_empty);
    RUN(text_in_a_small_buffer);
    RUN(description_with_and_without_text);
    RUN(warning_names_call_code_and_place);
    RUN(dying_ends_with_failed);
    RUN(exit_code_is_kept_and_output_written);
    RUN(long_message_is_cut_to_one_line);
    RUN(program_name_can_change);
}
