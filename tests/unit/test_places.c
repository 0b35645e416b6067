/* test_places.c -- places of this very program, and names of functions
 *
 * tests/watch/places has more compilers, but only on Linux. This runs with the
 * compiler and on the Windows of whoever builds it. The Makefile lets this file
 * have debug information.
 */
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "watch/image.h"
#include "watch/places.h"

static const void *return_address;
static volatile int done; /* after each call, so that it has to return */

static __attribute__((noinline)) void look(void)
{
    return_address = __builtin_return_address(0);
}

static void our_own_call(void)
{
    look(), done = __LINE__;
    const struct place *place = place_of(return_address);
    CHECK_TEXT(place->function, "our_own_call");
    CHECK_TEXT(place->base, "test_places.c");
    CHECK_HAS(place->file, "tests/unit/test_places.c");
    CHECK_INT(place->line, done);
    CHECK_HAS(place->text, "test_places.c:");
    CHECK_HAS(place->text, " our_own_call");
    CHECK(place_of(return_address) == place);
}

static void where_a_function_begins(void)
{
    const struct place *place =
        place_of((const char *)(ULONG_PTR)our_own_call + 1);
    CHECK_TEXT(place->function, "our_own_call");
    CHECK(place->line > 0 && place->line < __LINE__);
}

static void a_dll_of_windows(void)
{
    FARPROC in_dll = GetProcAddress(GetModuleHandleW(L"ws2_32.dll"), "recv");
    SetLastError(4711);
    const struct place *place = place_of((const char *)(ULONG_PTR)in_dll + 1);
    CHECK_INT(GetLastError(), 4711);
    test_note("%s", place->text);
    if (place->line == 0) {
        CHECK(place->file == NULL && place->base == NULL);
        CHECK(_strnicmp(place->text, "ws2_32.dll+0x", 13) == 0);
    } else { /* a Wine that was built with debug information */
        CHECK_TEXT(place->function, "recv");
    }
}

static void memory_without_a_module(void)
{
    char expected[32];
    snprintf(expected, sizeof expected, "0x%zx",
             (size_t)(ULONG_PTR)&expected[7]);
    const struct place *place = place_of(&expected[8]);
    CHECK_TEXT(place->text, expected);
    CHECK(place->function == NULL && place->file == NULL && place->line == 0);
    CHECK_HAS(place_of(NULL)->text, "0xffff");
    CHECK_TEXT(place_of((const void *)1)->text, "0x0");
}

/* The last test of places: it leaves no room for more. Nothing ever lies at the
 * addresses below 64 KiB. */
static void no_more_than_the_limit(void)
{
    const struct place *ours = place_of(return_address);
    const struct place *last = ours;
    for (ULONG_PTR i = 1; i <= PLACES_MOST; i++)
        last = place_of((const void *)i);
    CHECK_TEXT(last->text, "(one place too many)");
    CHECK(last->function == NULL && last->file == NULL && last->line == 0);
    CHECK(place_of(return_address) == ours);
    CHECK_TEXT(ours->function, "our_own_call");
}

static void names_of_functions(void)
{
    static const struct {
        const char *symbol;
        const char *name;
    } names[] = {
        {"main", "main"},
        {"on_read.part.0", "on_read"},
        {"on_read.constprop.0.isra.0", "on_read"},
        {".text", ".text"},
        {"", ""},
        {"_Z7on_readi", "on_read"},
        {"_ZL7on_readi.cold", "on_read"},
        {"_ZN6Server7on_readEi", "Server::on_read"},
        {"_ZNK3net6Server7on_readEv", "net::Server::on_read"},
        {"_ZN6ServerC1Ev", "Server::Server"},
        {"_ZN6ServerD2Ev", "Server::~Server"},
        {"_ZN6ServerclEPKc", "Server::operator()"},
        {"_ZN6ServereqERKS_", "Server::operator"},
        {"_ZN12_GLOBAL__N_17on_readEv", "on_read"},
        {"_ZZN6Server3runEvENKUliE_clEi", "Server::run"},
        {"_ZZ4mainENKUlvE_clEv", "main"},
        {"_ZSt4moveIRiEONSt16remove_referenceIT_E4typeEOS2_", "std::move"},
        {"_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector::push_back"},
        {"_ZN3BoxIZN6Server3runEvEUlN3net3EndEE_Lj16EE3getERKS2_", "Box::get"},
        {"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE6appendEPKc",
         "std::__cxx11::basic_string::append"},
        {"_ZN3foo3barB5cxx11Ev", "foo::bar"},
        /* What it does not understand, and what is no name. */
        {"_ZNSs6appendEPKc", "_ZNSs6appendEPKc"},
        {"_ZNK6ServercviEv", "_ZNK6ServercviEv"},
        {"_ZN3BoxILN3net4KindE2EE3getEv", "_ZN3BoxILN3net4KindE2EE3getEv"},
        {"_ZN3BoxIXadL_Z1fvEEE3getEv", "_ZN3BoxIXadL_Z1fvEEE3getEv"},
        {"_ZN6Server", "_ZN6Server"},
        {"_ZN6ServeE", "_ZN6ServeE"},
        {"_ZN99Server7on_readEi", "_ZN99Server7on_readEi"},
        {"_ZN99999999999999999999999999x", "_ZN99999999999999999999999999x"},
        {"_ZN1aIIIIIIIIII", "_ZN1aIIIIIIIIII"},
        {"_ZNE", "_ZNE"},
        {"_Z", "_Z"},
    };
    char name[IMAGE_NAME_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct image_text symbol = {names[i].symbol, strlen(names[i].symbol)};
        image_name(symbol, name);
        test_note("%s", names[i].symbol);
        CHECK_TEXT(name, names[i].name);
    }
}

/* The smallest file with a table of lines, for the opcodes that no compiler
 * writes for this processor. */
static void opcodes_that_are_rare(void)
{
    static const unsigned char program[] = {
        0,  9,    2,    0x00, 0x10, 0, 0, 0, 0, 0, 0, /* address 0x1000 */
        3,  6,    1,                                  /* line 7 at 0x1000 */
        9,  0x34, 0x02, 3,    1,    1, /* line 8 at 0x1234, fixed advance */
        8,  3,    1,    1,             /* line 9 at 0x1234 + 17 */
        12, 5,    10,   11,   6, /* an ISA, a prologue, an epilogue, ... */
        0,  3,    0x99, 1,    2, /* an extended one that nobody knows */
        13, 0x85, 1,    1,       /* a standard one that nobody knows */
        2,  4,    3,    0x7f, 1, /* line 8 again, 4 bytes on */
        2,  8,    0,    1,    1, /* 8 bytes on: the end */
    };
    static const unsigned char unit[] = {
        0,   0, 0, 0,   4,   0,   30, 0, 0, 0, 1, 1, 1, 0xfb, 14,
        14,  0, 1, 1,   1,   1,   0,  0, 0, 1, 0, 0, 1, 1, /* one more than usual */
        'd', 0, 0, 'a', '.', 'c', 0,  1, 0, 0, 0};
    static const struct {
        unsigned offset;
        unsigned line;
    } rows[] = {{0xfff, 0},  {0x1000, 7}, {0x1233, 7}, {0x1234, 8},
                {0x1244, 8}, {0x1245, 9}, {0x1248, 9}, {0x1249, 8},
                {0x1250, 8}, {0x1251, 0}};
    unsigned char file[512] = {0};
    enum { COFF = 68, SECTION = COFF + 20 + 32, NAMES = 192, LINES = 256 };
    file[0x3c] = COFF - 4;
    file[COFF + 2] = 1; /* section */
    file[COFF + 8] = NAMES;
    file[COFF + 16] = 32;
    file[COFF + 20] = 0x0b; /* 64 bits; it lies at address 0 */
    file[COFF + 21] = 0x02;
    memcpy(file + SECTION, "/4", sizeof "/4");
    file[SECTION + 16] = sizeof unit + sizeof program;
    file[SECTION + 21] = LINES >> 8;
    file[NAMES] = 16;
    memcpy(file + NAMES + 4, ".debug_line", sizeof ".debug_line");
    memcpy(file + LINES, unit, sizeof unit);
    memcpy(file + LINES + sizeof unit, program, sizeof program);
    file[LINES] = sizeof unit + sizeof program - 4;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct image_place place;
        image_find(file, sizeof file, rows[i].offset, &place);
        test_note("offset 0x%x", rows[i].offset);
        CHECK(place.has_lines);
        CHECK_INT(place.line, rows[i].line);
        CHECK_INT(place.file.len, rows[i].line != 0 ? 3 : 0);
        CHECK_INT(place.folder.len, rows[i].line != 0 ? 1 : 0);
    }
}

void test_places(void)
{
    RUN(our_own_call);
    RUN(where_a_function_begins);
    RUN(a_dll_of_windows);
    RUN(memory_without_a_module);
    RUN(names_of_functions);
    RUN(opcodes_that_are_rare);
    RUN(no_more_than_the_limit);
}
