/* test.c -- what a case says: its steps, its verdict, its hints */
#include "common/win.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs/contract/pattern.h"
#include "programs/contract/suite.h"
#include "programs/harness/child_text.h"
#include "programs/harness/text.h"

/* ---- memory and text ------------------------------------------------------ */

_Noreturn void suite_broken(const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    text_make_plain(text);
    fflush(stdout);
    fprintf(stderr, "contract: could not run: %s\n", text);
    junit_broken(text);
    exit(SUITE_BROKEN);
}

void *xrealloc(void *old, size_t size)
{
    void *block = realloc(old, size > 0 ? size : 1);
    if (block == NULL)
        suite_broken("out of memory");
    return block;
}

static char *format_list(const char *format, va_list list)
{
    va_list again;
    va_copy(again, list);
    int len = vsnprintf(NULL, 0, format, list);
    if (len < 0)
        suite_broken("vsnprintf refuses '%s'", format);
    char *text = xrealloc(NULL, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

char *format_text(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *text = format_list(format, list);
    va_end(list);
    return text;
}

/* Our own one, GetACP(), is UTF-8 by our manifest. 0, which stands for that one
 * too, where the language of the system has none. */
static unsigned system_code_page(void)
{
    DWORD page = 0;
    if (GetLocaleInfoW(LOCALE_SYSTEM_DEFAULT,
                       LOCALE_IDEFAULTANSICODEPAGE | LOCALE_RETURN_NUMBER,
                       (wchar_t *)&page, sizeof page / sizeof(wchar_t)) == 0)
        return CP_ACP;
    return page;
}

char *server_said(struct server_process *process, enum server_stream stream)
{
    char *bytes = server_output(process, stream);
    char *text =
        bytes != NULL ? child_text_from(bytes, system_code_page()) : NULL;
    free(bytes);
    if (text == NULL)
        suite_broken("out of memory");
    return text;
}

const char *text_tail(const char *text, size_t most)
{
    size_t len = strlen(text);
    const char *tail = len > most ? text + len - most : text;
    while ((*tail & 0xC0) == 0x80) /* the middle of a character */
        tail++;
    return tail;
}

/* ---- steps and verdicts --------------------------------------------------- */

void step(struct test *t, const char *action, const char *expect, ...)
{
    t->steps = xrealloc(t->steps, (t->step_count + 1) * sizeof *t->steps);
    struct step *made = &t->steps[t->step_count++];
    /* One list of values serves both formats; the values of the action come
     * first. */
    char *both = format_text("%s\n%s", action, expect);
    va_list list;
    va_start(list, expect);
    char *filled = format_list(both, list);
    va_end(list);
    free(both);
    char *line_end = strchr(filled, '\n');
    *line_end = '\0';
    made->action = filled;
    made->expect = line_end + 1; /* freed with the action */
}

/* How the server's process explains a failure: that the server has ended says
 * more than what the client saw. NULL while it runs. */
static char *server_gone(struct test *t)
{
    unsigned long code = 0;
    char ending[80];
    if (t->target == NULL || t->target->process == NULL || t->may_end)
        return NULL;
    /* A crashing process takes a moment to end. */
    if (server_wait_exit(t->target->process, 300, &code) != SERVER_WAIT_OK)
        return NULL;
    char *said = server_said(t->target->process, SERVER_STDERR);
    size_t len = strlen(said);
    const char *tail = text_tail(said, 300);
    char *text =
        format_text("the server has ended, exit code %s%s%s",
                    server_exit_text(code, ending, sizeof ending),
                    len > 0 ? "; its last words: " : "", len > 0 ? tail : "");
    free(said);
    return text;
}

static const char usual_gone[] =
    "One client must never end the server. Usual causes: exit() or a die-style "
    "macro for an error of one connection, leaving the main loop, or a crash "
    "(an index or pointer of a closed client).";

_Noreturn void fail(struct test *t, const char *hint, const char *observed, ...)
{
    va_list list;
    va_start(list, observed);
    char *text = format_list(observed, list);
    va_end(list);
    free(t->observed);
    t->observed = text;
    char *gone = server_gone(t);
    if (gone != NULL) {
        char *both = format_text("%s; %s", t->observed, gone);
        free(t->observed);
        free(gone);
        t->observed = both;
        t->gone = true;
        hint = t->hint_gone != NULL ? t->hint_gone : usual_gone;
    }
    text_make_plain(t->observed);
    t->hint = format_text("%s", hint);
    t->verdict = FAILED;
    longjmp(t->back, 1);
}

_Noreturn void skip(struct test *t, const char *reason, ...)
{
    va_list list;
    va_start(list, reason);
    char *text = format_list(reason, list); /* it may hold the old one */
    va_end(list);
    free(t->observed);
    t->observed = text;
    text_make_plain(t->observed);
    t->verdict = SKIPPED;
    longjmp(t->back, 1);
}

void hint_for(struct test *t, enum trouble trouble, const char *hint)
{
    t->hints[trouble] = hint;
}

unsigned long limit(const struct test *t, unsigned long ms)
{
    return (unsigned long)((double)ms * t->suite->scale);
}

unsigned long stillness(const struct test *t, unsigned long ms)
{
    return t->suite->scale < 1.0 ? limit(t, ms) : ms;
}

uint64_t test_random(struct test *t, uint64_t below)
{
    t->random = pattern_mix(t->random);
    return t->random % below;
}

void test_free(struct test *t)
{
    for (size_t i = 0; i < t->step_count; i++)
        free(t->steps[i].action);
    free(t->steps);
    free(t->observed);
    free(t->seen);
    free(t->hint);
}
