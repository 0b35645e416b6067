/* pattern.c -- see pattern.h */
#include <string.h>

#include "programs/contract/pattern.h"

enum { FIND_MOST = 16, WINDOW = 64 * 1024 };

/* The finalizer of the SplitMix64 generator (public domain, S. Vigna): each
 * bit of the input changes about half of the output. */
uint64_t pattern_mix(uint64_t value)
{
    value += 0x9E3779B97F4A7C15u;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

void pattern_fill(uint64_t stream, uint64_t from, char *out, size_t len)
{
    uint64_t key = pattern_mix(stream);
    if (stream == PATTERN_COUNT) {
        for (size_t i = 0; i < len; i++)
            out[i] = (char)((from + i) % 256);
        return;
    }
    if (stream == PATTERN_LETTERS) {
        for (size_t i = 0; i < len; i++)
            out[i] = (char)('a' + (from + i) % 26);
        return;
    }
    while (len > 0) {
        uint64_t word = pattern_mix(key ^ (from / 8));
        size_t skip = (size_t)(from % 8);
        size_t part = 8 - skip < len ? 8 - skip : len;
        memcpy(out, (const char *)&word + skip, part);
        out += part;
        from += part;
        len -= part;
    }
}

static size_t find_bytes(const char *in, size_t in_len, const char *bytes,
                         size_t len)
{
    for (size_t i = 0; i + len <= in_len; i++)
        if (in[i] == bytes[0] && memcmp(in + i, bytes, len) == 0)
            return i;
    return in_len;
}

uint64_t pattern_find(uint64_t stream, uint64_t low, uint64_t high,
                      const char *bytes, size_t len)
{
    static char window[WINDOW + FIND_MOST];
    if (len < PATTERN_LEAST)
        return PATTERN_NOT;
    if (len > FIND_MOST)
        len = FIND_MOST;
    for (uint64_t at = low; at + len <= high; at += WINDOW) {
        uint64_t rest = high - at;
        size_t part = rest < sizeof window ? (size_t)rest : sizeof window;
        pattern_fill(stream, at, window, part);
        size_t found = find_bytes(window, part, bytes, len);
        if (found < part)
            return at + found;
    }
    return PATTERN_NOT;
}
