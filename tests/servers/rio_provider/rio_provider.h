/* rio_provider.h -- Registered I/O where there is none, for tests
 *
 * Linked into a program, it takes the place of three functions that the program
 * imports: WSASocketW(), which does not pass on WSA_FLAG_REGISTERED_IO, but
 * remembers the socket; WSAIoctl(), which answers with a table of our own; and
 * closesocket(). The program itself is not changed: its object files are those
 * that run on Windows. Under the table are ordinary overlapped calls.
 *
 * It is as strict as Microsoft's pages are, and in some points stricter than
 * Windows may be:
 *
 *   refused        what the pages name an error for, with that error
 *   misuse         what is undefined there: it says so, and ends the process
 *                  with RIO_MISUSE
 *   any order      results of different sockets come mixed
 *   a reset        is what the peer gets if its socket is closed with a receive
 *                  in flight
 *
 * RIOReceiveEx(), RIOSendEx(), RIOResizeRequestQueue(), events and the flags of
 * requests are not there: the server does not use them.
 */
#ifndef RIO_PROVIDER_H
#define RIO_PROVIDER_H

/* The exit code after a misuse. */
enum { RIO_MISUSE = 99 };

#endif
