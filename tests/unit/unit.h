/* unit.h -- a small frame for the unit tests of common/
 *
 * A test is a function that makes checks; it fails when one of them fails, but
 * goes on. A function that ends the process or reads its standard input is
 * tested in a child: unit.exe itself, started again with the name of a child
 * function.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/win.h"

/* Each prints file:line, what was expected and what was observed. */
#define CHECK(truth) check_int(#truth, (truth) ? 1 : 0, 1, __FILE__, __LINE__)
#define CHECK_INT(observed, expected)                                          \
    check_int(#observed, (long long)(observed), (long long)(expected),         \
              __FILE__, __LINE__)
#define CHECK_TEXT(observed, expected)                                         \
    check_text(#observed, (observed), (expected), __FILE__, __LINE__)
#define CHECK_HAS(observed, part)                                              \
    check_has(#observed, (observed), (part), __FILE__, __LINE__)

bool check_int(const char *what, long long observed, long long expected,
               const char *file, int line);
bool check_text(const char *what, const char *observed, const char *expected,
                const char *file, int line);
bool check_has(const char *what, const char *observed, const char *part,
               const char *file, int line);

/* Say more about the current test; this is shown if the test fails. */
void test_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Run one test and print its line. */
#define RUN(test) run_test(#test, test)
void run_test(const char *name, void (*test)(void));

/* What a child did. */
enum { CHILD_TEXT = 16 * 1024 };
struct child {
    unsigned long code; /* its exit code; CHILD_HUNG if it had to be ended */
    char out[CHILD_TEXT];
    char err[CHILD_TEXT];
};
enum { CHILD_HUNG = 0xdead };

/* Run unit.exe as a child. `words` are the child function's name and its
 * arguments, separated by blanks; '%' in a word stands for a blank, and "%%"
 * alone for an empty word. `input` becomes its standard input; NULL: its input
 * stays open and empty until the child ends. It gets a console that nobody
 * sees, so that it can press Ctrl+C there. Returns the same static struct every
 * time. */
const struct child *run_child(const char *words, const char *input);

/* Press a key on the child's own console: CTRL_C_EVENT or CTRL_BREAK_EVENT. */
void press(DWORD key);

/* Random numbers from the seed that the run printed. */
unsigned random_below(unsigned limit);

/* The tests of one file each. */
void test_err(void);
void test_args(void);
void test_input(void);
void test_net(void);
void test_output(void);
void test_log(void);
void test_stop(void);
void test_map(void);
void test_utf8(void);
void test_places(void);
void test_child_text(void);

/* What the tests run in children. It gets 0 or more words; its result is the
 * exit code. */
int child_err(int argc, char **argv);
int child_args(int argc, char **argv);
int child_net(int argc, char **argv);
int child_output(int argc, char **argv);
int child_log(int argc, char **argv);
int child_stop(int argc, char **argv);
int child_console(int argc, char **argv);

#endif
