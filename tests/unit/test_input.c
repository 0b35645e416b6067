/* test_input.c -- where standard input ends */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/input.h"
#include "tests/unit/unit.h"

/* A pipe whose writes arrive one by one, those of 0 bytes too, as each pipe's
 * do on Windows; Wine does it for a pipe of messages only. */
static HANDLE open_pipe(HANDLE *reader)
{
    char name[64];
    snprintf(name, sizeof name, "\\\\.\\pipe\\unit_input_%lu",
             (unsigned long)GetCurrentProcessId());
    HANDLE writer = CreateNamedPipeA(name, PIPE_ACCESS_OUTBOUND,
                                     PIPE_TYPE_MESSAGE, 1, 4096, 4096, 0, NULL);
    if (writer == INVALID_HANDLE_VALUE)
        die_call("CreateNamedPipeA", GetLastError());
    *reader = CreateFileA(name, GENERIC_READ | FILE_WRITE_ATTRIBUTES, 0, NULL,
                          OPEN_EXISTING, 0, NULL);
    if (*reader == INVALID_HANDLE_VALUE)
        die_call("CreateFileA", GetLastError());
    DWORD mode = PIPE_READMODE_MESSAGE;
    if (!SetNamedPipeHandleState(*reader, &mode, NULL, NULL))
        die_call("SetNamedPipeHandleState", GetLastError());
    return writer;
}

static void put(HANDLE pipe, const char *text)
{
    DWORD len = 0;
    if (!WriteFile(pipe, text, (DWORD)strlen(text), &len, NULL))
        die_call("WriteFile", GetLastError());
}

static void nothing_written_is_no_end(void)
{
    HANDLE was = GetStdHandle(STD_INPUT_HANDLE);
    HANDLE reader = NULL;
    HANDLE writer = open_pipe(&reader);
    char got[16] = "";
    SetStdHandle(STD_INPUT_HANDLE, reader);
    put(writer, "one");
    put(writer, "");
    put(writer, "");
    put(writer, "two");
    CHECK_INT(input_read(got, sizeof got), 3);
    CHECK(memcmp(got, "one", 3) == 0);
    CHECK_INT(input_read(got, sizeof got), 3);
    CHECK(memcmp(got, "two", 3) == 0);
    CloseHandle(writer);
    CHECK_INT(input_read(got, sizeof got), 0);
    SetStdHandle(STD_INPUT_HANDLE, was);
    CloseHandle(reader);
}

static void no_handle_is_an_error(void)
{
    HANDLE was = GetStdHandle(STD_INPUT_HANDLE);
    char got[16];
    SetStdHandle(STD_INPUT_HANDLE, INVALID_HANDLE_VALUE);
    int len = input_read(got, sizeof got);
    DWORD error = GetLastError();
    SetStdHandle(STD_INPUT_HANDLE, was);
    CHECK_INT(len, -1);
    CHECK_INT(error, ERROR_INVALID_HANDLE);
}

void test_input(void)
{
    RUN(nothing_written_is_no_end);
    RUN(no_handle_is_an_error);
}
