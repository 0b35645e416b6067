/* heap.h -- included first by force in a sanitizer build (tests/servers/sanitize/sanitize.py)
 *
 * The servers run on Wine's own C library there, as they do on Windows. Its
 * malloc() and memcpy() are no functions that AddressSanitizer knows, so these
 * few names lead to the sanitizer's, which check what they are given.
 */
#ifndef SANITIZE_HEAP_H
#define SANITIZE_HEAP_H

/* The headers declare these under their new names, with Windows' calling
 * convention. Macros without arguments, because some of the headers' own
 * attributes are called malloc as well. */
#define malloc  heap_malloc
#define calloc  heap_calloc
#define realloc heap_realloc
#define free    heap_free

/* Wine's winsock2.h would bring in Linux's headers and forget the FD_SETSIZE of
 * select.c, to keep its own fd_set apart from theirs. There are none here. */
#define __WINE_WINSOCKAPI_STDLIB_H
#define WS_DEFINE_SELECT
typedef unsigned char u_char;
typedef unsigned short u_short;
typedef unsigned int u_int;

#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <stdio.h>

/* These have Linux's calling convention, as the copies that the compiler adds
 * by itself do. */
void *heap_memcpy(void *to, const void *from, size_t size);
void *heap_memmove(void *to, const void *from, size_t size);
void *heap_memset(void *to, int byte, size_t size);
int heap_memcmp(const void *a, const void *b, size_t size);
int heap_atexit(void (*at_exit)(void));
int heap_vsnprintf(char *out, size_t size, const char *format,
                   __builtin_va_list args);

#define memcpy(to, from, size)  heap_memcpy((to), (from), (size))
#define memmove(to, from, size) heap_memmove((to), (from), (size))
#define memset(to, byte, size)  heap_memset((to), (byte), (size))
#define memcmp(a, b, size)      heap_memcmp((a), (b), (size))

/* A function of ours has Linux's calling convention, those of the C library
 * have Windows'. That matters where one calls the other back, and for argument
 * lists. */
#define main heap_main
#undef va_list
#undef va_start
#undef va_end
#define va_list             __builtin_va_list
#define va_start(list, arg) __builtin_va_start(list, arg)
#define va_end(list)        __builtin_va_end(list)
#define atexit(at_exit)     heap_atexit(at_exit)
#define vsnprintf(out, size, format, args)                                     \
    heap_vsnprintf((out), (size), (format), (args))

#endif
