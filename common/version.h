/* version.h -- the version of the suite, twice: as text, and as Windows wants it
 * in the properties of a program. program.rc reads this file too, so it has
 * nothing else of C in it. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define SUITE_VERSION         "1.0.0"
#define SUITE_VERSION_NUMBERS 1, 0, 0, 0

#endif
