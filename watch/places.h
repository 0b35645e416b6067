/* places.h -- from an address of code to function, source file and line
 *
 * For reports such as "recv() at server.cpp:57 in Server::on_read", about any
 * program that we are linked into and while it runs. MinGW's gcc and clang put
 * what is needed into the program's own file, if they are called with -g;
 * Microsoft's compiler puts it into a .pdb file, which dbghelp.dll reads.
 * Nothing has to be installed for either.
 *
 * Where nothing is known the answer is the module and an offset,
 * "server.exe+0x1a2b". It is never a guess.
 */
#ifndef WATCH_PLACES_H
#define WATCH_PLACES_H

struct place {
    const char *text;     /* "server.cpp:57 Server::on_read", what to print */
    const char *function; /* without parameters; NULL: not known */
    const char *file;     /* the path as the compiler had it; NULL: not known */
    const char *base;     /* the part of `file` that `text` shows */
    int line;             /* 0: not known */
};

/* The place of the call that returns to that address. To look up an address
 * that a function begins with, add 1. If a function was inlined, the line is
 * its own, but the name is that of the function that its code became part of.
 *
 * Never NULL. The texts stay as long as the process: each address is looked up
 * once, which takes a while because files are read, and is remembered. After
 * PLACES_MOST addresses the answer is only "(one place too many)".
 *
 * Any thread may call it; one lock is around it all. But not inside DllMain(),
 * because it may load dbghelp.dll. It leaves GetLastError() as it was. Not
 * seen: that a DLL was unloaded, and another one lies in its place. */
const struct place *place_of(const void *return_address);
enum { PLACES_MOST = 10000 };

#endif
