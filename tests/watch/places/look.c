/* look.c -- image_find() as a program of its own; see places.py
 *
 *   look FILE                 reads offsets (hexadecimal), prints
 *                             FUNCTION|FILE|LINE for each
 *   look FILE ROUNDS SEED     looks into copies of the file that are cut off or
 *                             have wrong bytes; the sanitizers judge
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

/* The headers, and the second half with the tables, count more than code. */
static void damage(unsigned char *bytes, size_t size)
{
    static const unsigned char odd[] = {0, 1, 0x7f, 0x80, 0xff};
    for (uint64_t left = 1 + random_below(30); left > 0; left--) {
        size_t at = (size_t)(random_below(4) == 0 && size > 1024
                                 ? random_below(1024)
                                 : size / 2 + random_below(size - size / 2));
        bytes[at] = random_below(2) == 0 ? odd[random_below(sizeof odd)]
                                         : (unsigned char)random_below(256);
    }
}

static void look_at_damaged(const unsigned char *good, size_t size,
                            unsigned long rounds)
{
    unsigned long with_line = 0;
    unsigned long with_function = 0;
    for (unsigned long i = 0; i < rounds; i++) {
        size_t len =
            random_below(8) == 0 ? 1 + (size_t)random_below(size) : size;
        unsigned char *bytes = malloc(len); /* nothing may be read behind it */
        struct image_place place;
        if (bytes == NULL)
            abort();
        memcpy(bytes, good, len);
        damage(bytes, len);
        for (int n = 0; n < 3; n++) {
            image_find(bytes, len, 0x1000 + random_below(0x4000), &place);
            with_line += place.line != 0;
            with_function += place.function[0] != '\0';
            /* A wrong address of text is only seen when it is read. */
            if (place.file.len > 0 && place.file.text[place.file.len - 1] == 0)
                abort();
        }
        image_name((struct image_text){(char *)bytes + len / 2,
                                       (size_t)random_below(len - len / 2)},
                   place.function);
        free(bytes);
    }
    printf("%lu lines, %lu functions\n", with_line, with_function);
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
    if (argc > 3) {
        random_state = strtoull(argv[3], NULL, 10) * 2 + 1;
        look_at_damaged(bytes, size, strtoul(argv[2], NULL, 10));
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
