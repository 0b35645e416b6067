/* image.h -- what the file of a program says about its own code
 *
 * From the bytes of an .exe or .dll to the function, the source file and the
 * line of one instruction. Everything is found in the file itself: gcc and
 * clang write a table of lines (DWARF, with -g) and a table of symbols there.
 * This knows nothing of Windows' calls, so it can be tested anywhere, and with
 * bytes that are wrong: it believes no number before it has compared it with
 * the size of the file.
 */
#ifndef WATCH_IMAGE_H
#define WATCH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_NAME_SIZE = 256 };

/* Text inside the file, without a zero at its end. */
struct image_text {
    const char *text;
    size_t len;
};

struct image_place {
    bool has_lines; /* the file has a table of lines, for whatever code */
    /* The rest is 0 or empty where the file does not say. */
    char function[IMAGE_NAME_SIZE]; /* a longer name is cut off there */
    struct image_text folder;       /* empty too when the name says it all */
    struct image_text file;
    unsigned line; /* 0 also for what the compiler has added by itself */
};

/* Look up the instruction at that distance from where the image begins in
 * memory. The result has pointers into the file's bytes. */
void image_find(const void *file, size_t size, uint64_t offset,
                struct image_place *place);

/* A compiler's name for a function as a programmer would write it, without
 * parameters: "_ZN6Server7on_readEi" is "Server::on_read". What this does not
 * understand it leaves as it is. */
void image_name(struct image_text symbol, char *name);

#endif
