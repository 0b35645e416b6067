/* pattern.h -- what peers send: bytes whose place can be found
 *
 * Byte n of stream s is a function of n and s alone and looks random. So each
 * byte that comes back can be checked without remembering it, and a wrong one
 * shows its origin: another place of the same stream (bytes lost, sent again or
 * swapped) or another client's stream.
 */
#ifndef CONTRACT_PATTERN_H
#define CONTRACT_PATTERN_H

#include <stddef.h>
#include <stdint.h>

/* Two streams are not random. In the first, byte n has the value n % 256. In
 * the second it is a letter, which no server has trouble with. */
#define PATTERN_COUNT   0u
#define PATTERN_LETTERS 1u

/* Fill `out` with bytes from, from + 1, ... of the stream. */
void pattern_fill(uint64_t stream, uint64_t from, char *out, size_t len);

/* Returns where in bytes low ... high of the stream these bytes stand, or
 * PATTERN_NOT. Fewer than PATTERN_LEAST bytes are never found: they could stand
 * anywhere. */
#define PATTERN_NOT   UINT64_MAX
#define PATTERN_LEAST 6u
uint64_t pattern_find(uint64_t stream, uint64_t low, uint64_t high,
                      const char *bytes, size_t len);

/* One step of the generator behind the pattern. */
uint64_t pattern_mix(uint64_t value);

#endif
