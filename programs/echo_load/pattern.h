/* pattern.h -- what echo_load sends: bytes whose place can be found
 *
 * There is one table of random bytes, made from the seed. A connection's stream
 * is this table again and again, from a place of its own. So nothing is
 * composed before a send, and one memcmp() checks an echo. Bytes of another
 * connection, or of another place of the same one, are noticed. To fit they
 * would have to be a multiple of the table's length away. That length is a
 * prime near a million, which is no size of a buffer.
 */
#ifndef ECHO_LOAD_PATTERN_H
#define ECHO_LOAD_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* This many bytes can be read behind each pointer from pattern_at(). */
enum { PATTERN_SPAN = 256 * 1024 };

/* Make the table, or die. Main thread, before all others. */
void pattern_make(uint64_t seed);

/* Byte `offset` of the stream of connection `serial`, and those after it. */
const unsigned char *pattern_at(uint64_t serial, uint64_t offset);

enum difference { PATTERN_ALTERED, PATTERN_MISSING, PATTERN_SURPLUS };

/* How two pieces of at most PATTERN_SPAN bytes differ. Bytes are called missing
 * or surplus only if at least 6 bytes after them fit again. */
struct pattern_report {
    enum difference what;
    size_t at;    /* the first byte that is wrong */
    size_t count; /* how many are altered, missing or too many */
};
struct pattern_report pattern_compare(const unsigned char *sent,
                                      size_t sent_len, const unsigned char *got,
                                      size_t got_len);

#endif
