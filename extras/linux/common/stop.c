/* stop.c -- see stop.h */
#define _GNU_SOURCE /* or the headers hide what is not in C or in POSIX */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "extras/linux/common/err.h"
#include "extras/linux/common/stop.h"

static void (*wake)(void *arg);
static void *wake_arg;
static bool watch_input;
static int asked; /* an eventfd: a signal came, or stop_end() was called */
static atomic_int signals;
static atomic_bool ended; /* by stop_end() */
static pthread_t watcher;

/* On any thread, in the middle of anything. So it calls only what signal-safety
 * lists, and leaves errno as it was. */
static void on_signal(int number)
{
    (void)number;
    int err = errno;
    uint64_t one = 1;
    if (atomic_fetch_add(&signals, 1) > 0)
        _exit(EXIT_FAILED); /* not exit(): a thread may hold its locks */
    if (write(asked, &one, sizeof one) < 0)
        _exit(EXIT_FAILED);
    errno = err;
}

/* False: standard input has ended. */
static bool read_input(void)
{
    char ignored[256];
    ssize_t len = read(STDIN_FILENO, ignored, sizeof ignored);
    return len > 0 || (len < 0 && (errno == EINTR || errno == EAGAIN));
}

static void *watch(void *unused)
{
    struct pollfd fds[] = {
        {.fd = asked, .events = POLLIN},
        {.fd = watch_input ? STDIN_FILENO : -1, /* passed over */
         .events = POLLIN}};
    (void)unused;
    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            if (errno != EINTR)
                die_call("poll", errno);
            continue;
        }
        if (fds[0].revents != 0 || (fds[1].revents != 0 && !read_input()))
            break;
    }
    if (!ended)
        wake(wake_arg);
    return NULL;
}

static void hear(int number)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (sigaction(number, &action, NULL) < 0)
        die_call("sigaction", errno);
}

void stop_begin(void (*model_wake)(void *arg), void *arg, bool on_eof)
{
    wake = model_wake;
    wake_arg = arg;
    watch_input = on_eof;
    asked = eventfd(0, EFD_CLOEXEC);
    if (asked < 0)
        die_call("eventfd", errno);
    int err = pthread_create(&watcher, NULL, watch, NULL);
    if (err != 0)
        die_call("pthread_create", err);

    /* A shell without job control starts a program in the background with
     * SIGINT ignored: ours is meant to hear it. But nohup ignores SIGHUP to keep
     * a program alive, so that stays. */
    struct sigaction found;
    if (sigaction(SIGHUP, NULL, &found) < 0)
        die_call("sigaction", errno);
    hear(SIGINT);
    hear(SIGTERM);
    if (found.sa_handler != SIG_IGN)
        hear(SIGHUP);
}

void stop_end(void)
{
    uint64_t one = 1;
    ended = true;
    if (write(asked, &one, sizeof one) < 0)
        die_call("write(eventfd)", errno);
    int err = pthread_join(watcher, NULL);
    if (err != 0)
        die_call("pthread_join", err);
    /* `asked` stays open: a signal may still come, and writes to it. */
}
