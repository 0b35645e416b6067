/* faulty.h -- calls that are not watched, but fail when a test says so
 *
 * Memory is no call that is counted or told, and neither are the calls of common/:
 * they only fail, see faults.h. A file of common/ includes this last; the servers
 * have it from watch.h. Built with PLAIN=1 this file does nothing at all.
 */
#ifndef WATCH_FAULTY_H
#define WATCH_FAULTY_H

#if defined(TRACE) && !defined(WATCH_LIBRARY)

#include "watch/faults.h"

#define FAULTY(name, failure, call)                                            \
    (faults_on && faults_strike(#name) ? (failure) : (call))

#ifndef SANITIZE_HEAP_H /* there they have other names already */
#define malloc(...)       FAULTY(malloc, NULL, malloc(__VA_ARGS__))
#define realloc(...)      FAULTY(realloc, NULL, realloc(__VA_ARGS__))
#define calloc(...)       FAULTY(calloc, NULL, calloc(__VA_ARGS__))
#define HeapAlloc(...)    FAULTY(HeapAlloc, NULL, HeapAlloc(__VA_ARGS__))
#define VirtualAlloc(...) FAULTY(VirtualAlloc, NULL, VirtualAlloc(__VA_ARGS__))
#endif

#ifndef WATCH_WATCH_H /* there these are watched */
#define _beginthreadex(...)                                                    \
    FAULTY(_beginthreadex, 0, _beginthreadex(__VA_ARGS__))
#define WSASocketW(...)                                                        \
    FAULTY(WSASocketW, INVALID_SOCKET, WSASocketW(__VA_ARGS__))
#define setsockopt(...)                                                        \
    FAULTY(setsockopt, SOCKET_ERROR, setsockopt(__VA_ARGS__))
#define bind(...)   FAULTY(bind, SOCKET_ERROR, bind(__VA_ARGS__))
#define listen(...) FAULTY(listen, SOCKET_ERROR, listen(__VA_ARGS__))
#endif

#endif
#endif
