/* csv.c -- see csv.h */
#include <stdbool.h>
#include <string.h>

#include "programs/harness/csv.h"

static bool is_formula(const char *text)
{
    text += strspn(text, " ");
    return *text != '\0' && strchr("=+-@\t\r", *text) != NULL;
}

void csv_put(FILE *out, const char *text)
{
    bool begins = true; /* here a cell may begin */
    bool quoted = strpbrk(text, ",;\"\t\r\n") != NULL;
    if (quoted)
        fputc('"', out);
    for (; *text != '\0'; text++) {
        if (begins && is_formula(text))
            fputc('\'', out);
        begins = strchr(";\t\r\n", *text) != NULL;
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    if (quoted)
        fputc('"', out);
}
