/* server_process.h -- a server program as a child: start, hear, stop, measure
 *
 * For programs that drive a server exe from outside: the contract suite and
 * compare.exe. The server runs in a job object that ends with its last handle.
 * So no process is left behind, even when the driver crashes. Its standard
 * input is a pipe that we hold (closing it stops a server started with
 * --stop-on-eof); two threads collect what it prints, and it can be read at any
 * time. Of a server that prints without end the first and the last MiB are
 * kept. A zero byte arrives as a question mark.
 *
 * One thread owns a server_process and makes all calls on it. Times are in
 * milliseconds. Nothing here prints or ends the process: a failure is put into
 * words in the caller's buffer.
 */
#ifndef HARNESS_SERVER_PROCESS_H
#define HARNESS_SERVER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server_process;

enum server_stream { SERVER_STDOUT, SERVER_STDERR };

/* How a wait may end. */
enum server_wait { SERVER_WAIT_OK, SERVER_WAIT_TIMEOUT, SERVER_WAIT_EXITED };

/* What server_press() can press. */
enum server_key { SERVER_CTRL_C, SERVER_CTRL_BREAK };

struct server_start {
    const char *exe;         /* path of the program; it is not searched for;
                              * all text is UTF-8 */
    const char *const *args; /* its arguments, without the program's name */
    size_t arg_count;
    bool console;         /* give it a console of its own, for server_press() */
    uintptr_t processors; /* a bit for each that it may use; 0: all */
    const char *mark; /* part of args that only this process has, such as its
                       * port: then usage.cpu_ms is exact under Wine too; or
                       * NULL */
};

/* The ready line in parts:
 * iocp: listening on 127.0.0.1:5566, pid 1234, 4 threads (Ctrl+C stops) */
struct server_ready {
    char name[32];    /* "iocp", cut if longer; plain characters only */
    char address[64]; /* "127.0.0.1" or "::1", without brackets */
    unsigned short port;
    unsigned long pid;     /* 0: the line does not say */
    unsigned long threads; /* 0: the line does not say */
};

struct server_usage {
    uint64_t working_set;   /* bytes */
    uint64_t private_bytes; /* bytes that are the process's alone; Wine: 0 */
    double cpu_ms;          /* user and kernel time; Wine, without a mark: of
                           * the threads that live, in steps of 10 ms each */
    uint64_t cycles;       /* of the processor; 0: not known. Windows counts its
                      * times in ticks of 15.6 ms, and cycles exactly */
    unsigned long threads; /* Windows: also those of the system's pool */
    unsigned long handles; /* 0: could not be counted */
};

/* The path of a program in the folder of this one; the caller frees it. NULL,
 * with GetLastError(), when that folder cannot be told. */
char *program_beside_us(const char *name);

/* Start a server. NULL when it cannot be started; `why` then tells the reason.
 * server_free() has to follow. */
struct server_process *server_start(const struct server_start *start, char *why,
                                    size_t why_size);

/* Wait for the ready line and take it apart. EXITED means that the process
 * ended, or closed its standard output, without a ready line. */
enum server_wait server_wait_ready(struct server_process *server,
                                   struct server_ready *ready,
                                   unsigned long timeout);

/* A port that nobody uses just now, on any address. A server that is told this
 * port and listens there is no program that was there before. 0, with
 * WSAGetLastError(), when there is none. */
unsigned short server_free_port(void);

/* Whether it is still so: another program may take the port before the server
 * does. */
bool server_port_is_free(unsigned short port);

/* For a server that prints no ready line: try to connect to 127.0.0.1:port
 * until that is accepted. A server may accept only once, so there is a function
 * that gives the connection, a socket, to its caller. */
enum server_wait server_wait_accepting(struct server_process *server,
                                       unsigned short port,
                                       unsigned long timeout);
enum server_wait server_wait_connection(struct server_process *server,
                                        unsigned short port,
                                        unsigned long timeout,
                                        uintptr_t *connection);

/* Wait until `text` occurs in what the server printed so far. */
enum server_wait server_wait_text(struct server_process *server,
                                  enum server_stream stream, const char *text,
                                  unsigned long timeout);

/* From now on nobody reads what the server prints; or somebody does again. A
 * read that has begun still ends. */
void server_leave_unread(struct server_process *server, bool unread);

/* A copy of all that was printed so far; the caller frees it. NULL only when
 * out of memory. */
char *server_output(struct server_process *server, enum server_stream stream);

/* The same, of what was printed since byte `*since` of that stream and is still
 * kept; *since is moved to its end. */
char *server_output_since(struct server_process *server,
                          enum server_stream stream, uint64_t *since);

/* Close its standard input. Harmless the second time. */
void server_close_stdin(struct server_process *server);

/* Press Ctrl+C or Ctrl+Break on the server's console (start.console). False,
 * with the reason, when that cannot be done; then the server has noticed
 * nothing. Wine has no Ctrl+Break, or only half of it. The program that calls
 * this has to call server_press_helper() first in main(). */
bool server_press(struct server_process *server, enum server_key key, char *why,
                  size_t why_size);

/* A key press reaches all processes on a console, and only a process on that
 * console can send it. So server_press() starts its own program again there.
 * Call this first in main(): when it returns true, return *exit_code at
 * once. */
bool server_press_helper(int argc, char **argv, int *exit_code);

/* Wait for the process to end and for the last text that it printed. OK fills
 * *exit_code; otherwise TIMEOUT. What it has started may still run: only
 * server_free() ends that. */
enum server_wait server_wait_exit(struct server_process *server,
                                  unsigned long timeout,
                                  unsigned long *exit_code);

/* "0", or "0xc0000005 (a crash: access violation)". Returns `text`. */
const char *server_exit_text(unsigned long code, char *text, size_t size);

bool server_alive(struct server_process *server);

/* Measure a living server. False when it has ended. */
bool server_measure(struct server_process *server, struct server_usage *usage);

/* True under Wine, where a few measures need another way. */
bool server_on_wine(void);

/* End the process, and whatever it started, by force if it still lives, and
 * free everything. NULL is allowed. */
void server_free(struct server_process *server);

#endif
