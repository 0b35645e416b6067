/* text.c -- see text.h */
#include "common/win.h"

#include <stdlib.h>
#include <string.h>

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
    bool utf8 = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1,
                                    NULL, 0) > 0;
    for (const char *in = text; *in != '\0'; in++) {
        if ((*in >= ' ' && *in <= '~') || (utf8 && (*in & 0x80) != 0))
            *out++ = *in;
        else if (*in != '\r')
            *out++ = *in == '\n' ? ' ' : '?';
    }
    while (out > text && out[-1] == ' ')
        out--;
    *out = '\0';
}
