/* row.c -- a row of calls.h becomes a function
 *
 * The Makefile compiles this file once for each row, with -DROW_recv=0,1 for the
 * row of recv(). So a program takes out of our library, and imports from Windows,
 * no other calls than it makes: the contract suite can tell a model by them.
 * Without such a definition all rows are here at once.
 */
#include "common/win.h"

#include <process.h>

#include "watch/layer.h"

#ifdef TRACE

#include "watch/wrap.h"

#ifdef ONE_ROW
/* 1 if ROW_name is defined as 0,1; otherwise 0. */
#define CHOSEN(name)       SECOND(ROW_##name, 0, 0)
#define SECOND(...)        SECOND_(__VA_ARGS__)
#define SECOND_(a, b, ...) b
#else
#define CHOSEN(name) 1
#endif
#define IF(chosen, ...) WATCH_PASTE(IF_, chosen)(__VA_ARGS__)
#define IF_1(...)       __VA_ARGS__
#define IF_0(...)

#define FROM_ws2_32(name)   REAL(name)
#define FROM_kernel32(name) REAL(name)
#define FROM_user32(name)   REAL(name)
#define FROM_crt(name)      name
#define CALL(name, dll, result, types, ...)                                    \
    IF(CHOSEN(name), FUNCTION(FROM_##dll(name), name, result, types))
#define CALL_POINTER(name, pointer, result, types, ...)                        \
    IF(CHOSEN(name), FUNCTION(watch_given.name, name, result, types))
#define CALL_VOID(name, dll, types, ...)                                       \
    IF(CHOSEN(name), FUNCTION_VOID(name, types))
#define CALL_NONE(name, dll, result, ...)                                      \
    IF(CHOSEN(name), FUNCTION_NONE(name, result))
#include "watch/calls.h"

#endif
