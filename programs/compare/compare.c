/* compare.c -- the six servers side by side, and a page that shows it
 *
 *   compare.exe --starts, cold--> select.exe <==== echo_load.exe: every byte of
 *               --then----------> iocp.exe          every echo is compared
 *               --and so on, round after round-->   report.html
 *
 * A machine gets warm, and other programs come and go. So no server has all of
 * its rounds in a row. Every round goes through all loads and all servers, and
 * each time another server is the first. The report shows the median of the
 * rounds, and how far they lie apart.
 *
 * A time is too short if not every client has had its turn in it. Then that
 * measurement is made again, four times as long, and from then on this load is
 * always measured that long.
 *
 * A server that fails loses only its own row, which says how it failed. A wrong
 * byte makes a result invalid: the result is listed, and not charted.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/clock.h"
#include "common/console.h"
#include "common/err.h"
#include "common/net.h"
#include "common/stop.h"
#include "programs/compare/measurement.h"
#include "programs/compare/counts.h"
#include "programs/compare/report.h"
#include "programs/harness/output_file.h"
#include "programs/harness/source.h"

enum { ROOM_MS = 130 * 1000 }; /* Windows keeps a port for two minutes */

static volatile LONG stopping; /* Ctrl+C */
static HANDLE stop_event;      /* is set then, for who waits meanwhile */
static bool is_console;        /* standard output */

/* Runs on another thread. Children on our console got the key as well. */
static void ask_to_stop(void *unused)
{
    (void)unused;
    InterlockedExchange(&stopping, 1);
    SetEvent(stop_event);
}

/* ---- what the class sees meanwhile ------------------------------------- */

/* Prints one line that changes, on a terminal; elsewhere a line for each
 * round. */
static void show_progress(const char *what, const char *server, double began,
                          double share)
{
    double spent = clock_ms() - began;
    char left[40] = "";
    if (!is_console)
        return;
    if (share > 0.05)
        snprintf(left, sizeof left, ", %.0f s left",
                 spent / share * (1 - share) / 1000);
    char line[100];
    snprintf(line, sizeof line, "%s: %s%s", what, server, left);
    printf("\r%-78.78s", line);
    fflush(stdout);
}

static void end_progress(void)
{
    if (is_console)
        printf("\r%78s\r", "");
    fflush(stdout);
}

/* ---- the run ----------------------------------------------------------- */

static void take_counts(struct comparison *c)
{
    double began = clock_ms();
    for (size_t i = 0; i < c->subject_count && !stopping; i++) {
        show_progress("counting calls and handles", c->subjects[i].name, began,
                      (double)i / (double)c->subject_count);
        counts_take(&c->subjects[i]);
    }
}

/* Other loads have used up the ports that clients connect from. */
static void leave_room(void)
{
    err_print("%s; going on in %d s", source_used_up_hint, ROOM_MS / 1000);
    if (WaitForSingleObject(stop_event, ROOM_MS) == WAIT_FAILED)
        die_call("WaitForSingleObject", GetLastError());
}

/* Measure, and measure again where the first time proves nothing. A time that
 * was too short is longer from now on. A client that was unserved may have met
 * a hiccup of the machine; who is unserved in four times as long too, is
 * unserved by the server. */
static enum measurement_end
measure_well(struct subject *s, struct scenario *load, struct figures *figures,
             struct histogram *latency, double *start_ms, char *why,
             size_t size)
{
    enum measurement_end end = MEASUREMENT_WRONG;
    struct scenario longer;
    struct scenario *use = load;
    bool had_room = false;
    for (bool again = true; again && !stopping;) {
        end = measurement_run(s, use, figures, latency, start_ms, why, size);
        again = false;
        if (end == MEASUREMENT_TOO_SHORT) {
            again = scenario_lengthen(use);
        } else if (end == MEASUREMENT_UNSERVED && use == load) {
            longer = *load;
            use = &longer;
            again = scenario_lengthen(use);
        } else if (end == MEASUREMENT_NO_PORTS && !had_room && !stopping) {
            leave_room();
            again = had_room = true;
        }
    }
    return end;
}

static void measure_once(struct comparison *c, size_t scenario, size_t subject,
                         unsigned round)
{
    struct result *r = result_of(c, scenario, subject);
    struct subject *s = &c->subjects[subject];
    struct figures figures;
    char why[WHY_SIZE];
    double start_ms = 0;
    if (r->why[0] != '\0')
        return; /* one wrong byte is enough */
    if (s->unusable[0] != '\0') {
        snprintf(r->why, sizeof r->why, "%s", s->unusable);
        return;
    }
    enum measurement_end end =
        measure_well(s, &c->scenarios[scenario], &figures, r->latency,
                     &start_ms, why, sizeof why);
    if (stopping)
        return; /* the key that stops us may have ended it */
    r->unserved = figures.unserved;
    if (end != MEASUREMENT_RIGHT) {
        snprintf(r->why, sizeof r->why, "round %u: %.*s", round + 1,
                 (int)sizeof r->why - 20, why);
        return;
    }
    result_add(r, &figures);
    if (s->start_count == round)
        s->start_ms[s->start_count++] = start_ms;
}

static void run_round(struct comparison *c, unsigned round, double began)
{
    size_t measurements = c->scenario_count * c->subject_count;
    for (size_t i = 0; i < measurements && !stopping; i++) {
        size_t scenario = i / c->subject_count;
        size_t subject = (i + scenario + round) % c->subject_count;
        char what[80];
        snprintf(what, sizeof what, "round %u of %lu, %s", round + 1,
                 c->options->rounds, c->scenarios[scenario].name);
        show_progress(what, c->subjects[subject].name, began,
                      (double)(round * measurements + i) /
                          (double)(c->options->rounds * measurements));
        measure_once(c, scenario, subject, round);
    }
}

static void run(struct comparison *c)
{
    double began = clock_ms();
    for (unsigned round = 0; round < c->options->rounds && !stopping; round++) {
        if (!is_console) {
            printf("round %u of %lu\n", round + 1, c->options->rounds);
            fflush(stdout);
        }
        double this_one = clock_ms(); /* earlier ones may have been shorter */
        run_round(c, round, began);
        c->rounds += !stopping;
        double spent = (clock_ms() - c->began_ms) / 1000;
        double a_round = (clock_ms() - this_one) / 1000;
        if (c->options->budget > 0 && spent + a_round > c->options->budget)
            break;
    }
    end_progress();
}

/* ---- main -------------------------------------------------------------- */

static void print_head(const struct comparison *c)
{
    const struct options *o = c->options;
    printf("%zu servers, %zu loads, %s%lu rounds of %g s; every byte of every "
           "echo is compared.\n%s, %s, %lu processors%s.\n",
           c->subject_count, c->scenario_count, o->budget > 0 ? "up to " : "",
           o->rounds, o->seconds, c->environment.system, c->environment.cpu,
           c->environment.processors,
           o->pin ? ": servers on the first, the load on the others" : "");
    fflush(stdout);
}

static void print_foot(const struct comparison *c)
{
    puts("\nMedians of the rounds. Beside echoes/s: the share of the "
         "baseline's, which is\n\"blocking\", a thread for each client. Calls "
         "and handles are exact counts;\nonly a range of calls depends on "
         "timing.");
    if (c->environment.wine[0] != '\0')
        puts("Wine does these calls in its own way: expect other speeds, and "
             "another order,\non Windows. The calls per echo carry over.");
}

/* True: there is something to show, and all of it is right. */
static bool all_right(const struct comparison *c, bool *any)
{
    bool all = true;
    *any = false;
    for (size_t i = 0; i < c->scenario_count * c->subject_count; i++) {
        *any = *any || result_counts(&c->results[i]);
        all = all && c->results[i].why[0] == '\0';
    }
    return all && *any;
}

static bool write_reports(const struct comparison *c,
                          struct output_file *outputs)
{
    report_page(c, outputs[0].file);
    if (outputs[1].file != NULL)
        report_json(c, outputs[1].file);
    if (outputs[2].file != NULL)
        report_csv(c, outputs[2].file);
    bool kept = true;
    for (size_t i = 0; i < 3; i++)
        kept = output_keep(&outputs[i]) && kept;
    return kept;
}

static bool open_outputs(const struct options *o, struct output_file *outputs)
{
    const char *names[] = {o->report, o->json, o->csv};
    if (output_same(names[0], names[1]) || output_same(names[0], names[2]) ||
        output_same(names[1], names[2])) {
        err_print("--report, --json and --csv need a file each");
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (output_open(&outputs[i], names[i]))
            continue;
        while (i-- > 0)
            output_drop(&outputs[i]);
        return false;
    }
    return true;
}

static int finish(const struct comparison *c, struct output_file *outputs)
{
    bool any = false;
    bool right = all_right(c, &any);
    if (!any && stopping) {
        for (size_t i = 0; i < 3; i++)
            output_drop(&outputs[i]);
        err_print("ended before anything was measured; no report");
        return EXIT_FAILED;
    }
    report_print(c);
    print_foot(c);
    if (!write_reports(c, outputs))
        return EXIT_FAILED;
    if (stopping)
        printf("\nEnded early, after %u of %lu rounds.\n", c->rounds,
               c->options->rounds);
    else if (c->rounds < c->options->rounds)
        printf("\nOne more round would have taken longer than %g s: so these "
               "are %u of %lu rounds.\n",
               c->options->budget, c->rounds, c->options->rounds);
    printf("\nReport: %s (open it in a browser)\n", c->options->report);
    return right && !stopping ? EXIT_STOPPED : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct output_file outputs[3];
    struct comparison comparison;
    DWORD mode = 0;
    args_begin(&argc, &argv);
    struct options options = options_parse(argc, argv);
    if (!open_outputs(&options, outputs))
        err_exit(EXIT_USAGE);
    console_begin();
    clock_leave_out_sleep();
    net_start();
    is_console = GetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), &mode) != 0;
    (void)setvbuf(stdout, NULL, _IOFBF, 4096); /* each flush is one write */
    stop_event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (stop_event == NULL)
        die_call("CreateEventW", GetLastError());
    stop_begin(ask_to_stop, NULL, false);

    comparison_make(&comparison, &options);
    print_head(&comparison);
    take_counts(&comparison);
    run(&comparison);
    int code = finish(&comparison, outputs);
    fflush(stdout);

    stop_end();
    CloseHandle(stop_event);
    comparison_free(&comparison);
    options_free(&options);
    net_stop();
    if (!server_on_wine())
        console_hold();
    return code;
}
