/* look.c -- image_find() as a program of its own; see places.py
 *
 *   look FILE                           reads offsets (hexadecimal), prints
 *                                       FUNCTION|FILE|LINE for each
 *   look FILE ROUNDS SEED PLACE SIZE    looks into copies of the file that are
 *                                       cut off or have wrong bytes, many of
 *                                       them in that place; the sanitizers
 *                                       judge
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/image.h"

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return ((random_state * UINT64_C(0x2545F4914F6CDD1D)) >> 20) % limit;
}

/* Break some bytes, half of them in one part of the file. Numbers at the edge
 * and those that DWARF gives to kinds of values are wrong in worse ways than
 * others. */
static void damage(unsigned char *bytes, size_t size, size_t at, size_t part)
{
    static const unsigned char odd[] = {0,    1,    0x7f, 0x80, 0xff,
                                        0x05, 0x06, 0x07, 0x08, 0x09,
                                        0x0b, 0x0e, 0x0f, 0x1e, 0x1f};
    for (uint64_t left = 1 + random_below(12); left > 0; left--) {
        size_t where = random_below(2) == 0 && at + part <= size
                           ? at + (size_t)random_below(part)
                           : (size_t)random_below(size);
        bytes[where] = random_below(2) == 0 ? odd[random_below(sizeof odd)]
                                            : (unsigned char)random_below(256);
    }
}

/* A copy of exactly that size, so that the sanitizer sees a read behind it. */
static unsigned char *copy_of(const void *bytes, size_t size)
{
    unsigned char *copy = malloc(size);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    return copy;
}

static void break_name(void)
{
    static const char letters[] = "NNZIIEEELSTUDCBXA_0129Kvclt";
    char symbol[64] = "_Z";
    char name[IMAGE_NAME_SIZE];
    size_t len = 2 + (size_t)random_below(sizeof symbol - 2);
    for (size_t i = 2; i < len; i++)
        symbol[i] = letters[random_below(sizeof letters - 1)];
    char *copy = (char *)copy_of(symbol, len);
    image_name((struct image_text){copy, len}, name);
    free(copy);
}

static void break_file(const unsigned char *good, size_t size,
                       unsigned long rounds, size_t at, size_t part)
{
    unsigned long lines = 0;
    unsigned long functions = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        size_t len =
            random_below(8) == 0 ? 1 + (size_t)random_below(size) : size;
        unsigned char *copy = copy_of(good, len);
        struct image_place place;
        damage(copy, len, at, part);
        image_find(copy, len, 0x1000 + random_below(0x200), &place);
        lines += place.line != 0;
        functions += place.function[0] != '\0';
        /* Wrong text is seen only by who reads it. */
        free(copy_of(place.file.text, place.file.len));
        free(copy_of(place.folder.text, place.folder.len));
        free(copy);
        break_name();
    }
    printf("%lu lines, %lu functions\n", lines, functions);
}

int main(int argc, char **argv)
{
    static unsigned char bytes[16 * 1024 * 1024];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    uint64_t offset;
    if (file == NULL)
        return 2;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (argc > 5) {
        random_state = strtoull(argv[3], NULL, 10) * 2 + 1;
        break_file(bytes, size, strtoul(argv[2], NULL, 10),
                   strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
        return 0;
    }
    while (scanf("%" SCNx64, &offset) == 1) {
        struct image_place place;
        image_find(bytes, size, offset, &place);
        printf("%s|%.*s%s%.*s|%u\n", place.function, (int)place.folder.len,
               place.folder.text, place.folder.len > 0 ? "/" : "",
               (int)place.file.len, place.file.text, place.line);
    }
    return 0;
}
