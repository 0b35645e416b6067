/* text.c -- see text.h */
#include "common/win.h"

#include <stdlib.h>
#include <string.h>

#include "programs/harness/child_text.h"
#include "programs/harness/text.h"

void text_add(struct text *text, const char *bytes, size_t len)
{
    if (text->failed)
        return;
    if (text->size - text->len <= len) {
        size_t size = (text->len + len + 1) * 2;
        char *grown = realloc(text->bytes, size);
        if (grown == NULL) {
            text->failed = true;
            return;
        }
        text->bytes = grown;
        text->size = size;
    }
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
}

void text_make_plain(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0';) {
        size_t len = child_text_shown(in);
        if (len > 0)
            memmove(out, in, len);
        else if (*in != '\r')
            *out++ = *in == '\n' ? ' ' : '?';
        out += len;
        in += len > 0 ? len : 1;
    }
    while (out > text && out[-1] == ' ')
        out--;
    *out = '\0';
}
