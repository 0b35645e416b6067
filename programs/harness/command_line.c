/* command_line.c -- see command_line.h */
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "programs/harness/command_line.h"
#include "programs/harness/text.h"

/* Quote one argument so that CommandLineToArgvW() and every C runtime give it
 * back as it was. A backslash stands for itself, unless a quote follows its
 * run: there each backslash has to be doubled. The same is true before the
 * closing quote. */
static void add_quoted(struct text *text, const char *arg)
{
    if (*arg != '\0' && strpbrk(arg, " \t\n\v\"") == NULL) {
        text_add(text, arg, strlen(arg));
        return;
    }
    text_add(text, "\"", 1);
    for (size_t slashes = 0; *arg != '\0'; arg++) {
        slashes = *arg == '\\' ? slashes + 1 : 0;
        if (arg[1] == '"' || arg[1] == '\0')
            for (size_t i = 0; i < slashes; i++)
                text_add(text, "\\", 1);
        if (*arg == '"')
            text_add(text, "\\", 1);
        text_add(text, arg, 1);
    }
    text_add(text, "\"", 1);
}

wchar_t *command_line(const char *exe, const char *const *args, size_t count)
{
    struct text text = {0};
    add_quoted(&text, exe);
    for (size_t i = 0; i < count; i++) {
        text_add(&text, " ", 1);
        add_quoted(&text, args[i]);
    }
    wchar_t *wide = text.failed ? NULL : utf8_to_wide(text.bytes);
    free(text.bytes);
    return wide;
}
