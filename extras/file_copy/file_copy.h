/* file_copy.h -- the parts of file_copy
 *
 * file_copy.c has the port, files.c what is done to names and whole files,
 * verify.c and speed.c what two of the options ask for. Every function that
 * returns false has said why. Main thread, but for what says otherwise.
 */
#ifndef FILE_COPY_H
#define FILE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/win.h"

/* What the user wants. */
struct options {
    const char *source;
    const char *target;
    unsigned long block_kib;
    unsigned long in_flight;
    bool unbuffered;
    bool verify;
    bool measure;
    bool quiet;
};

/* Two names, opened. */
struct files {
    wchar_t *source_path;
    wchar_t *target_path;
    wchar_t *part_path; /* beside the target */
    HANDLE source;
    HANDLE target; /* of the part */
    uint64_t size;
    DWORD sector;
};

/* Print what failed, with the name of the error. */
void say_failed(const char *call, const char *path, DWORD error);

/* Up to the next multiple, which is less than 4 GiB. */
DWORD round_up(uint64_t len, DWORD to);

/* Open the source, and create a file beside the target. */
bool files_open(struct files *f, const struct options *o);

/* Close what is open, and leave nothing behind but what was moved to its
 * place. */
void files_close(struct files *f);

/* False: GetLastError(). */
bool set_size(HANDLE file, uint64_t size);

/* Copy all bytes from f->source to f->target, and no more than that. */
bool copy_through_port(const struct files *f, const struct options *o);

/* Compare the source with the part, which has to be closed. Ends early, with
 * false, when *stop is not 0. */
bool verify(const struct files *f, const struct options *o,
            const volatile LONG *stop);

/* Print how fast three ways are. */
bool measure(const struct options *o);

#endif
