/* text.c -- see text.h */
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
