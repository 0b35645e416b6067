/* win.h -- the Windows headers, in the one order that works
 *
 * winsock2.h has to come before windows.h, which otherwise brings in the
 * Winsock of 1993 and the two collide. Every file includes this one first.
 */
#ifndef COMMON_WIN_H
#define COMMON_WIN_H

/* MinGW only: a printf() that knows C99's %zu and %llu. */
#ifndef __USE_MINGW_ANSI_STDIO
#define __USE_MINGW_ANSI_STDIO 1
#endif

#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00 /* Windows 10 */
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif

#include <winsock2.h>

#include <ws2tcpip.h>

#include <mswsock.h>

#include <windows.h>

/* Stands after the declaration of a function with a format: the compiler
 * compares that format, parameter number `format`, with the arguments from
 * number `first` on. To gcc there are two kinds of printf() on Windows, and
 * ours is not Microsoft's. MSVC has no such check for our functions. */
#if defined(__clang__)
#define PRINTF_LIKE(format, first)                                             \
    __attribute__((__format__(__printf__, format, first)))
#elif defined(__GNUC__)
#define PRINTF_LIKE(format, first)                                             \
    __attribute__((__format__(__gnu_printf__, format, first)))
#else
#define PRINTF_LIKE(format, first)
#endif

#endif
