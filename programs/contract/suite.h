/* suite.h -- what every contract case is written with
 *
 * A case is one function. It starts from a clear state, says what it does in
 * numbered steps, and talks to the server through peers (peer.h). It ends by
 * returning, which is a pass, or by fail() or skip(), which do not return: they
 * go back to the runner. The runner closes the sockets and servers that the
 * case has opened. Everything here runs on one thread.
 *
 *     static void one_byte(struct test *t)
 *     {
 *         struct peer *p = peer_connect(t);
 *         peer_say(p, 1);
 *         step(t, "send one byte", "the same byte back");
 *         peers_settle(t);
 *     }
 */
#ifndef CONTRACT_SUITE_H
#define CONTRACT_SUITE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/win.h"
#include "programs/harness/server_process.h"

/* How the suite itself ends; a bad command line is EXIT_USAGE. */
enum suite_exit {
    SUITE_PASSED = 0,
    SUITE_FAILED = 1,
    SUITE_BROKEN = 4 /* could not run; says nothing about the server */
};

/* What a case needs, beyond a server that echoes on --port N. */
enum need {
    NEED_PROCESS = 1, /* a server that we start, so not with --connect */
    NEED_OPTIONS = 2, /* the suite's command line and ready line as well */
    NEED_STRICT = 4   /* --strict: more than a simple server need do */
};

/* Ways in which a connection can go wrong. */
enum trouble {
    REFUSED,     /* connect() fails */
    NO_CONNECT,  /* connect() does not end */
    SILENT,      /* not one byte of the echo comes */
    STOPS,       /* the echo stops part way */
    EARLY_EOF,   /* the server closes before the whole echo */
    RESET,       /* the connection is reset */
    WRONG_BYTES, /* something else comes back */
    EXTRA_BYTES, /* more comes back than was sent */
    NO_EOF,      /* the server never closes its side */
    TROUBLES
};

/* BLOCKED: nothing can be said of this case, because of what failed before. */
enum verdict { PASSED, FAILED, SKIPPED, BLOCKED };

struct test;
struct diagnosis;

struct contract_case {
    const char *id; /* "E2.3" */
    const char *title;
    unsigned points;
    unsigned needs; /* enum need, added up */
    void (*run)(struct test *t);
};

/* One clause's cases, ended by one with a NULL id. */
extern const struct contract_case e01_echo[], e02_half_close[], e03_push_back[],
    e04_trouble[], e05_fair[], e06_prompt[], e07_capacity[], e08_stop[],
    e09_start[], e10_usage[], e11_bind[], e12_odd[], e13_output[],
    e14_patience[];
enum { CLAUSES = 14 };
extern const struct contract_case *const all_cases[CLAUSES];

/* The file that is graded. */
struct graded {
    char *path;      /* in full */
    char sha256[65]; /* in hex digits; empty with --connect */
    HANDLE file;     /* open until the end, so that nobody can change it */
};

/* What the command line says, and what was found out about the server. */
struct suite {
    const char *exe;   /* NULL with --connect */
    const char **args; /* extra arguments for every server */
    size_t arg_count;
    const char *only; /* NULL: everything */
    const char *junit;
    const char *model;                  /* that it has to use; NULL: any */
    const char *selfcheck;              /* NULL, or the file for it */
    struct sockaddr_storage connect_to; /* with --connect */
    bool connect_given, list, prove, strict;
    uint64_t seed;
    double scale;
    bool all;            /* every stage, also after one that did not pass */
    unsigned long stage; /* this one alone; 0: one after the other */
    bool control;        /* the case runs as its own control: see judge.c */
    struct diagnosis *diagnosis; /* what was found out by probes */

    bool full;       /* it understands the suite's options */
    bool ready_line; /* it prints one, though not a right one */
    char name[32];   /* from its ready line; "" without one */
    char *gone;      /* why it does not start any more, or NULL */
    struct graded graded;
};

/* A server under test; its address is where peers of the case connect. */
struct target {
    struct server_process *process; /* NULL with --connect */
    struct sockaddr_storage address;
    struct server_ready ready;
    uint64_t stderr_seen; /* searched for sanitizer reports up to here */
    uintptr_t waiting;    /* the connection of the readiness probe, or 0 */
    unsigned cases; /* that have shared it, and the first and last of them */
    const char *first_case, *last_case;
};

struct step {
    char *action, *expect;
};

struct test {
    const struct contract_case *what;
    struct suite *suite;
    struct target *target; /* the shared server, or the case's own */
    struct target *own;    /* NULL while the case uses the shared one */
    bool may_end;          /* the case ends the server itself */
    bool gone;             /* the server ended while the case ran */
    bool fresh;            /* no case before has used the server */
    struct peer *peers;    /* a list, newest first */
    unsigned peer_count;
    uint64_t random; /* state of test_random() */
    const char *hints[TROUBLES];
    const char *hint_gone; /* for a server that ended; NULL: the usual one */

    enum verdict verdict;
    struct step *steps;
    size_t step_count;
    char *observed; /* or why it was skipped */
    char *seen;     /* to be told although it passed; or NULL */
    char *hint;
    double took_ms;
    jmp_buf back; /* to the runner */
};

/* ---- for cases (test.c) --------------------------------------------------- */

/* Begin a numbered step: what is done, and what has to result. If the case
 * fails, its last step is the one that failed. Both texts are formats for the
 * values that follow them. */
void step(struct test *t, const char *action, const char *expect, ...);

/* End the case. `hint` names the likely mistake, or says that there are several
 * that fit; the format says what was observed. */
_Noreturn void fail(struct test *t, const char *hint, const char *observed, ...)
    PRINTF_LIKE(3, 4);
_Noreturn void skip(struct test *t, const char *reason, ...) PRINTF_LIKE(2, 3);

/* Set the hint that fits this case best when a peer meets that trouble. */
void hint_for(struct test *t, enum trouble trouble, const char *hint);

/* Call this first in a case whose hints presume a server that answers. It
 * connects a client, echoes a few bytes, and keeps the client. */
struct peer *serves(struct test *t);

/* A time limit in milliseconds, stretched by --scale. */
unsigned long limit(const struct test *t, unsigned long ms);

/* How many milliseconds have to pass without an event before a case believes
 * that nothing will happen. It is shorter with a --scale below 1, but never
 * longer: on a slow machine too few bytes may have moved by then, but no server
 * is blamed for that. */
unsigned long stillness(const struct test *t, unsigned long ms);

/* The usual limit for any single answer. */
enum { ANSWER_MS = 5000 };

/* A number from 0 to below `below`, repeatable by --seed. */
uint64_t test_random(struct test *t, uint64_t below);

/* ---- servers (target.c) --------------------------------------------------- */

/* How to start a server; may be added up. */
enum target_flag {
    TARGET_PLAIN = 0,
    TARGET_CONSOLE = 1, /* on a console of its own */
    TARGET_LOGS = 2,    /* without --quiet */
    TARGET_ALONE = 4    /* nobody is connected to it */
};

/* Start a server for this case alone, with more arguments (NULL terminated, or
 * NULL), and let the case's peers connect to it. */
void own_server(struct test *t, unsigned flags, const char *const *args);

/* Run the server with --arg and these arguments, but none of the usual ones,
 * until it ends. This is for command lines that it must refuse, or answer. */
struct run_result {
    unsigned long exit_code;
    char *out, *err; /* freed with the test */
};
void run_server(struct test *t, const char *const *args,
                struct run_result *result);
void run_result_free(struct run_result *result);

/* Fail, and free the result, unless the run ended with this exit code. */
void expect_code(struct test *t, struct run_result *result, unsigned long code,
                 const char *hint);

/* Wait for the case's own server to end. Fails the case unless it ends in time
 * with this exit code. */
void expect_exit(struct test *t, unsigned long code, unsigned long ms,
                 const char *hint_time, const char *hint_code);

/* Measure the case's server, or fail. */
struct server_usage measure(struct test *t);

/* Fail unless the case's server does nothing for a second while nothing is
 * asked of it: it may use IDLE_PERCENT of one processor. A server that waits
 * uses nothing. A server that spins uses all that it gets, which is little when
 * other programs want the processor too. So the limit is low. But a server may
 * still be busy with what came before, and Windows counts in steps of 1.6 per
 * cent. So only a server that is over the limit three times in a row is
 * blamed. */
enum { IDLE_PERCENT = 1 };
void expect_idle(struct test *t, const char *hint);

/* Whether an --arg says with %p where the port goes: then the server gets no
 * --port, and has a command line of its own. */
bool names_port(const struct suite *suite);

/* The port of a target, in host order; and a port that nobody uses just now. */
unsigned short target_port(const struct target *target);
unsigned short free_port(void);

/* ---- the runner ----------------------------------------------------------- */

/* Find the exe, read it and keep it open. False, with the reason, when it cannot
 * be graded (graded.c). */
bool graded_open(struct graded *graded, const char *exe, char *why,
                 size_t size);
void graded_close(struct graded *graded);

/* Find out what the server understands. False when it cannot be tested at all,
 * with the reason. */
bool suite_probe(struct suite *suite, char *why, size_t size);

/* Run one case from a clear state. `shared` holds the server that cases may
 * share; it is started again when a case has spoilt it. The result is in *t
 * until test_free(). */
void test_run(struct test *t, const struct contract_case *what,
              struct suite *suite, struct target **shared);
void test_free(struct test *t);

/* A test that does not run, and why. */
void test_make(struct test *t, const struct contract_case *what,
               struct suite *suite);
void test_not_run(struct test *t, enum verdict verdict, const char *reason);

/* What is missing, so that the case cannot run here; NULL: nothing. */
const char *case_misses(const struct suite *suite,
                        const struct contract_case *what);

/* Start the server that cases share; NULL and a reason when that fails. */
struct target *target_start(struct suite *suite, unsigned flags,
                            const char *const *args, char *why, size_t size);
void target_free(struct target *target);

/* True if the server lives and echoes to a newcomer within `ms`; otherwise says
 * what is wrong. */
bool target_check(struct test *t, struct target *target, unsigned long ms,
                  char *why, size_t size);

/* A socket for a new client, or the connection that showed that the server
 * accepts: a server may call accept() only once. That one is connected already.
 * INVALID_SOCKET with WSAGetLastError() when there is none. */
SOCKET target_connection(struct target *target);

/* Run a case and find out what its failure means (judge.c). */
void judge(struct test *t, const struct contract_case *what,
           struct suite *suite, struct target **shared);

/* Print that the suite itself cannot go on, and exit. */
_Noreturn void suite_broken(const char *format, ...) PRINTF_LIKE(1, 2);

/* malloc() and realloc() that end the suite instead of failing. */
void *xrealloc(void *old, size_t size);
char *format_text(const char *format, ...) PRINTF_LIKE(1, 2);

/* What a server printed so far, as UTF-8; the caller frees it. And the end of a
 * text, at most so many bytes. */
char *server_said(struct server_process *process, enum server_stream stream);
const char *text_tail(const char *text, size_t most);

/* Let the client of E14.1 connect now, so that it is silent while other cases
 * run; and let it go, if it is still there. */
void idle_begin(struct suite *suite);
void idle_end(void);

/* Whether --only asks for this case. */
bool case_wanted(const struct suite *suite, const struct contract_case *what);

/* Run all cases that are wanted and report them. Returns the exit code. */
int run_all(struct suite *suite);

/* Test the six servers beside this program, for suite->selfcheck. Returns the
 * exit code. */
int selfcheck(struct suite *suite);

/* run_all() has these results of one server. */
void selfcheck_tell(const struct test *tests, size_t count);
/* --model: the names that it knows, and the case that comes before all others
 * (model.c). */
bool model_known(const char *name);
extern const struct contract_case model_case;

/* --each FOLDER: grade every program in it, with a contract.exe of its own that
 * gets the rest of our command line (each.c). */
struct each {
    const char *folder; /* NULL: without --each */
    const char *csv, *html;
    const char **args;
    size_t arg_count;
};
int each_run(const struct suite *suite, struct each *each, int argc,
             char **argv);

/* Run every bug of the broken server against the cases that must catch it. */
int prove(struct suite *suite);

/* ---- reports (report.c) --------------------------------------------------- */

void report_case(const struct test *t);

/* Write a text as XML or HTML has it: escaped, whatever it holds. */
void put_xml(FILE *out, const char *text);

/* What a failed case did and saw. */
void report_steps(FILE *out, const struct test *t);

/* The JUnit file, if one is wanted, has at any time what is known: the results
 * so far with an error that says "unfinished", until the run is whole. A run
 * that is ended in the middle leaves no old file that could be taken for its
 * own. False, with the reason on standard error, when it cannot be written. */
bool junit_so_far(const struct suite *suite, const struct test *tests,
                  size_t count);
bool junit_whole(const struct suite *suite, const struct test *tests,
                 size_t count);

/* The run cannot go on; this is why. */
void junit_broken(const char *reason);

/* Points per clause, the stage, then `N passed, N failed`. `stage` is the first
 * one that did not pass; 0: there is none, or the stages did not matter. Returns
 * the exit code. */
int report_end(const struct suite *suite, unsigned stage,
               const struct test *tests, size_t count);

#endif
