/* child_text.c -- see child_text.h */
#include "common/win.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "programs/harness/child_text.h"
#include "programs/harness/text.h"

/* ---- one character --------------------------------------------------------- */

/* The length of the sequence that begins with this byte; 0: none does. */
static size_t length_by(unsigned char first)
{
    return first < 0x80                    ? 1
           : first >= 0xC2 && first < 0xE0 ? 2
           : first >= 0xE0 && first < 0xF0 ? 3
           : first >= 0xF0 && first < 0xF5 ? 4
                                           : 0;
}

/* Decode the character at `text`. False: it is not UTF-8. */
static bool decode(const char *text, size_t *len, unsigned long *code)
{
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *in = (const unsigned char *)text;
    *len = length_by(in[0]);
    if (*len == 0)
        return false;
    *code = *len == 1 ? in[0] : in[0] & (0x7Fu >> *len);
    for (size_t i = 1; i < *len; i++) {
        if ((in[i] & 0xC0) != 0x80) /* the end of the text is no such byte */
            return false;
        *code = *code << 6 | (in[i] & 0x3Fu);
    }
    bool surrogate = *code >= 0xD800 && *code < 0xE000;
    return *code >= least[*len] && *code <= 0x10FFFF && !surrogate;
}

/* Ranges of characters that act on the text around them, or are not to be seen.
 * A terminal obeys the first two, and XML does not allow the last. */
static bool acts(unsigned long code)
{
    static const unsigned long ranges[][2] = {
        {0x00, 0x1F},         {0x7F, 0x9F},     {0xAD, 0xAD},
        {0x061C, 0x061C},     {0x200B, 0x200F}, {0x2028, 0x202E},
        {0x2060, 0x206F},     {0xFEFF, 0xFEFF}, {0xFFFE, 0xFFFF},
        {0xE0000, 0x10FFFFUL}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1])
            return true;
    return false;
}

size_t child_text_shown(const char *text)
{
    size_t len = 0;
    unsigned long code = 0;
    return decode(text, &len, &code) && !acts(code) ? len : 0;
}

/* ---- a text ------------------------------------------------------------------ */

static bool is_utf8(const char *line, size_t size)
{
    size_t len = 0;
    unsigned long code = 0;
    for (size_t at = 0; at < size; at += len)
        if (!decode(line + at, &len, &code) || at + len > size)
            return false;
    return true;
}

/* Add a line that is not UTF-8. */
static void add_converted(struct text *out, const char *line, size_t size,
                          unsigned code_page)
{
    /* A byte becomes at most one unit of UTF-16, and that at most three bytes
     * of UTF-8. */
    wchar_t *wide = malloc(size * sizeof *wide);
    char *narrow = malloc(size * 3);
    int units = 0, len = 0;
    if (wide != NULL && narrow != NULL)
        units =
            MultiByteToWideChar(code_page, 0, line, (int)size, wide, (int)size);
    if (units > 0)
        len = WideCharToMultiByte(CP_UTF8, 0, wide, units, narrow,
                                  (int)size * 3, NULL, NULL);
    if (len > 0)
        text_add(out, narrow, (size_t)len);
    else
        text_add(out, line, size); /* its reader takes out what is wrong */
    free(wide);
    free(narrow);
}

char *child_text_from(const char *text, unsigned code_page)
{
    struct text out = {0};
    text_add(&out, "", 0);
    while (*text != '\0' && !out.failed) {
        size_t size = strcspn(text, "\n");
        size += text[size] == '\n';
        if (is_utf8(text, size))
            text_add(&out, text, size);
        else
            add_converted(&out, text, size, code_page);
        text += size;
    }
    if (!out.failed)
        return out.bytes;
    free(out.bytes);
    return NULL;
}
