/* pattern.c -- see pattern.h */
#include "common/win.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "programs/echo_load/pattern.h"

enum {
    PERIOD = 1048573, /* the largest prime below 2^20 */
    LIKE_LEAST = 6,   /* fewer equal bytes may be chance */
    LIKE_MOST = 32
};

static unsigned char *table; /* read only, once it is made */
static uint64_t key;

/* The finalizer of the SplitMix64 generator (public domain, S. Vigna): each
 * bit of the input changes about half of the output. */
static uint64_t mix(uint64_t value)
{
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

void pattern_make(uint64_t seed)
{
    table = malloc(PERIOD + PATTERN_SPAN);
    if (table == NULL)
        die_call("malloc", WSA_NOT_ENOUGH_MEMORY);
    key = mix(seed);
    for (size_t i = 0; i < PERIOD; i++)
        table[i] = (unsigned char)mix(key + i);
    memcpy(table + PERIOD, table, PATTERN_SPAN);
}

const unsigned char *pattern_at(uint64_t serial, uint64_t offset)
{
    return table + (mix(key ^ serial) % PERIOD + offset) % PERIOD;
}

/* Do the pieces begin alike? Not if one is too short to tell. */
static bool alike(const unsigned char *a, size_t a_len, const unsigned char *b,
                  size_t b_len)
{
    size_t len = a_len < b_len ? a_len : b_len;
    if (len < LIKE_LEAST)
        return false;
    return memcmp(a, b, len < LIKE_MOST ? len : LIKE_MOST) == 0;
}

struct pattern_report pattern_compare(const unsigned char *sent,
                                      size_t sent_len, const unsigned char *got,
                                      size_t got_len)
{
    struct pattern_report report = {.what = PATTERN_ALTERED};
    size_t len = sent_len < got_len ? sent_len : got_len;
    while (report.at < len && sent[report.at] == got[report.at])
        report.at++;
    sent += report.at;
    sent_len -= report.at;
    got += report.at;
    got_len -= report.at;

    /* Do the next bytes fit again when some bytes are left out? */
    for (size_t n = 1; n < sent_len || n < got_len; n++) {
        report.count = n;
        if (n < sent_len && alike(sent + n, sent_len - n, got, got_len)) {
            report.what = PATTERN_MISSING;
            return report;
        }
        if (n < got_len && alike(sent, sent_len, got + n, got_len - n)) {
            report.what = PATTERN_SURPLUS;
            return report;
        }
    }
    if (sent_len == 0) {
        report.what = PATTERN_SURPLUS;
        report.count = got_len;
        return report;
    }
    report.count = 0;
    for (size_t i = 0; i < sent_len && i < got_len; i++)
        report.count += sent[i] != got[i];
    return report;
}
