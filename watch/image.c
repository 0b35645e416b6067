/* image.c -- see image.h
 *
 * The parts of the file, and where they are described:
 *
 *   headers, sections, symbols    "PE Format" on learn.microsoft.com
 *   .debug_line                   the DWARF standard, versions 2 to 5, chapter
 *                                 "Line Number Information" (dwarfstd.org)
 *   _Z...                         "Itanium C++ ABI", chapter "Mangling"
 *
 * The table of lines would be larger than the program if it were written as a
 * table. So it is a program itself, which a small machine runs: each step adds
 * something to the address or to the line, and some steps say "this is a row".
 * An instruction belongs to the last row that is not behind it.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "watch/image.h"

/* ---- 1. reading ---------------------------------------------------------- */

/* Bytes that are still to be read. Who reads more than there is gets zeros,
 * and a reader that is bad and at its end from then on: so a loop that goes on
 * as long as there is something to read ends. */
struct reader {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static void fail(struct reader *r)
{
    r->at = r->end;
    r->bad = true;
}

static void skip(struct reader *r, uint64_t size)
{
    if (size > left(r))
        fail(r);
    else
        r->at += size;
}

/* A reader of some of these bytes; a bad one if they are not all there. */
static struct reader part(const struct reader *whole, uint64_t offset,
                          uint64_t size)
{
    struct reader r = *whole;
    skip(&r, offset);
    if (size > left(&r))
        fail(&r);
    else
        r.end = r.at + size;
    return r;
}

/* A number of 1 to 8 bytes, the lowest byte first. */
static uint64_t number(struct reader *r, uint64_t size)
{
    uint64_t value = 0;
    if (size > sizeof value || size > left(r)) {
        fail(r);
        return 0;
    }
    for (uint64_t i = 0; i < size; i++)
        value |= (uint64_t)*r->at++ << (8 * i);
    return value;
}

/* DWARF's LEB128: seven bits in a byte, and one that says "go on". A negative
 * number has the bit below that one set in its last byte. */
static uint64_t packed(struct reader *r, bool is_signed)
{
    uint64_t value = 0;
    unsigned shift = 0;
    uint64_t byte;
    do {
        byte = number(r, 1);
        if (shift < 64)
            value |= (byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    if (is_signed && (byte & 0x40) && shift < 64)
        value |= ~UINT64_C(0) << shift;
    return value;
}

/* Text up to its zero byte. */
static struct image_text text(struct reader *r)
{
    const unsigned char *zero = left(r) ? memchr(r->at, 0, left(r)) : NULL;
    if (zero == NULL) {
        fail(r);
        return (struct image_text){"", 0};
    }
    struct image_text found = {(const char *)r->at, (size_t)(zero - r->at)};
    r->at = zero + 1;
    return found;
}

static struct image_text text_at(const struct reader *whole, uint64_t offset)
{
    struct reader r = *whole;
    skip(&r, offset);
    return text(&r);
}

static bool same(struct image_text a, const char *b)
{
    return a.len == strlen(b) && memcmp(a.text, b, a.len) == 0;
}

/* ---- 2. sections and symbols --------------------------------------------- */

struct image {
    struct reader file;
    uint64_t base; /* where the linker wanted the image to lie */
    bool is_i386;
    struct reader symbols;
    struct reader strings;  /* the long names of symbols and sections */
    struct reader line;     /* .debug_line */
    struct reader line_str; /* .debug_line_str, version 5 only */
    struct reader str;      /* .debug_str */
    uint64_t section;       /* the number of the instruction's section, or 0 */
    uint64_t in_section;    /* and how far inside it is */
};

enum { MACHINE_I386 = 0x14c, OPTIONAL_64 = 0x20b };
enum { COFF_SIZE = 20, SECTION_SIZE = 40, SYMBOL_SIZE = 18, SHORT_NAME = 8 };

/* Eight bytes are the name; or they say where in `strings` it is, in digits
 * after a slash (a section) or as a number after four zeros (a symbol). */
static struct image_text short_or_long(const struct image *image,
                                       struct reader field)
{
    struct reader number_field = part(&field, 4, 4);
    const char *bytes = (const char *)field.at;
    uint64_t offset = 0;
    size_t len = 0;
    if (left(&field) < SHORT_NAME)
        return (struct image_text){"", 0};
    while (len < SHORT_NAME && bytes[len] != '\0')
        len++;
    if (len == 0)
        return text_at(&image->strings, number(&number_field, 4));
    if (bytes[0] != '/')
        return (struct image_text){bytes, len};
    for (size_t i = 1; i < len && bytes[i] >= '0' && bytes[i] <= '9'; i++)
        offset = offset * 10 + (uint64_t)(bytes[i] - '0');
    return text_at(&image->strings, offset);
}

static void section_read(struct image *image, struct reader header,
                         uint64_t section, uint64_t offset)
{
    struct image_text name = short_or_long(image, part(&header, 0, SHORT_NAME));
    skip(&header, SHORT_NAME);
    uint64_t in_memory = number(&header, 4);
    uint64_t address = number(&header, 4);
    uint64_t in_file = number(&header, 4);
    uint64_t begins = number(&header, 4);
    /* In the file it ends with filling. */
    struct reader content =
        part(&image->file, begins,
             in_memory != 0 && in_memory < in_file ? in_memory : in_file);
    if (offset >= address && offset - address < in_memory) {
        image->section = section;
        image->in_section = offset - address;
    }
    if (same(name, ".debug_line"))
        image->line = content;
    else if (same(name, ".debug_line_str"))
        image->line_str = content;
    else if (same(name, ".debug_str"))
        image->str = content;
}

static void image_open(struct image *image, uint64_t offset)
{
    struct reader pe = part(&image->file, 0x3c, 4);
    uint64_t coff = number(&pe, 4) + 4; /* after the letters "PE" */
    struct reader r = part(&image->file, coff, COFF_SIZE);
    image->is_i386 = number(&r, 2) == MACHINE_I386;
    uint64_t sections = number(&r, 2);
    skip(&r, 4);
    uint64_t symbols = number(&r, 4);
    uint64_t symbols_size = number(&r, 4) * SYMBOL_SIZE;
    uint64_t optional_size = number(&r, 2);
    r = part(&image->file, coff + COFF_SIZE, optional_size);
    bool is_64 = number(&r, 2) == OPTIONAL_64;
    skip(&r, is_64 ? 22 : 26);
    image->base = number(&r, is_64 ? 8 : 4);
    if (symbols != 0) {
        uint64_t strings = symbols + symbols_size;
        struct reader size = part(&image->file, strings, 4);
        image->symbols = part(&image->file, symbols, symbols_size);
        image->strings = part(&image->file, strings, number(&size, 4));
    }
    for (uint64_t i = 0; i < sections; i++)
        section_read(image,
                     part(&image->file,
                          coff + COFF_SIZE + optional_size + i * SECTION_SIZE,
                          SECTION_SIZE),
                     i + 1, offset);
}

/* A function's symbol is where it begins; where it ends is nowhere. So every
 * symbol counts that is nearest below, but only a function gives its name: the
 * code behind another symbol, or before the first one, gets none. And all get
 * none if there is not one static symbol (strip -x): then the static functions
 * have lost theirs, and would get the name of another. */
static struct image_text function_symbol(const struct image *image)
{
    enum { EXTERNAL = 2, STATIC = 3, FUNCTION = 2 };
    struct image_text best = {"", 0};
    uint64_t nearest = 0;
    bool statics = false;
    struct reader r = image->symbols;
    while (left(&r) > 0) {
        struct reader name = part(&r, 0, SHORT_NAME);
        skip(&r, SHORT_NAME);
        uint64_t value = number(&r, 4);
        uint64_t section = number(&r, 2);
        bool function = number(&r, 2) >> 4 == FUNCTION;
        uint64_t class = number(&r, 1);
        skip(&r, number(&r, 1) * SYMBOL_SIZE); /* more about the same symbol */
        statics = statics || (section != 0 && class == STATIC);
        /* Where a function begins there may be its section's symbol as well. */
        if (section == 0 || section != image->section ||
            value > image->in_section ||
            (class != EXTERNAL && class != STATIC) || value < nearest ||
            (value == nearest && !function))
            continue;
        nearest = value;
        best =
            function ? short_or_long(image, name) : (struct image_text){"", 0};
    }
    if (!statics)
        best.len = 0;
    /* 32 bit: every name of C gets an underscore in front, and a function that
     * cleans up the stack itself (__stdcall) the size of its arguments. */
    if (image->is_i386 && best.len > 1 && best.text[0] == '_') {
        const char *at = memchr(best.text, '@', best.len);
        best.len = at != NULL ? (size_t)(at - best.text) : best.len;
        best.text++;
        best.len--;
    }
    return best;
}

/* ---- 3. lines ------------------------------------------------------------ */

/* The lines of one source file, with those of the headers in it. */
struct unit {
    const struct image *image;
    uint64_t version;
    uint64_t least; /* size of an instruction */
    int64_t line_base;
    uint64_t line_range;
    uint64_t opcode_base;
    struct reader lengths; /* for each opcode how many numbers follow it */
    struct reader tables;  /* folders, then files */
    struct reader program;
};

/* Takes the next unit off the section. */
static struct unit unit_open(const struct image *image, struct reader *section)
{
    struct unit u = {.image = image};
    /* A length of more than this would mean 64 bit DWARF. No compiler for
     * Windows writes it, and a file has not so many bytes. */
    uint64_t size = number(section, 4);
    struct reader r = part(section, 0, size);
    skip(section, size);
    u.version = number(&r, 2);
    skip(&r, u.version >= 5 ? 2 : 0); /* sizes of an address and of a segment */
    uint64_t header_size = number(&r, 4);
    u.program = r;
    skip(&u.program, header_size);
    u.least = number(&r, 1);
    /* Instructions in a bundle, of which there is one; "is a statement". */
    skip(&r, u.version >= 4 ? 2 : 1);
    u.line_base = (int64_t)(number(&r, 1) ^ 0x80) - 0x80;
    u.line_range = number(&r, 1);
    u.opcode_base = number(&r, 1);
    u.lengths = part(&r, 0, u.opcode_base - 1);
    skip(&r, u.opcode_base - 1);
    u.tables = r;
    if (r.bad || u.version < 2 || u.version > 5 || u.line_range == 0)
        fail(&u.program);
    return u;
}

struct row {
    uint64_t address;
    uint64_t file;
    uint64_t line;
};

/* One step of the machine. Tells whether it makes a row, and whether that ends
 * a piece of code. */
static bool step(const struct unit *u, struct reader *r, struct row *row,
                 bool *ends)
{
    enum { EXTENDED, COPY, ADVANCE, LINE, SET_FILE, ADD = 8, ADD_FIXED = 9 };
    enum { END_SEQUENCE = 1, SET_ADDRESS = 2 }; /* after EXTENDED */
    uint64_t opcode = number(r, 1);
    *ends = false;
    if (opcode >= u->opcode_base) { /* both at once, in one byte */
        uint64_t both = opcode - u->opcode_base;
        row->address += both / u->line_range * u->least;
        row->line += (uint64_t)u->line_base + both % u->line_range;
        return true;
    }
    switch (opcode) {
    case EXTENDED: {
        uint64_t size = packed(r, false);
        struct reader more = part(r, 0, size);
        skip(r, size);
        uint64_t extended = number(&more, 1);
        if (extended == SET_ADDRESS)
            row->address = number(&more, left(&more));
        *ends = extended == END_SEQUENCE;
        return *ends;
    }
    case COPY: return true;
    case ADVANCE: row->address += packed(r, false) * u->least; return false;
    case LINE: row->line += packed(r, true); return false;
    case SET_FILE: row->file = packed(r, false); return false;
    case ADD:
        row->address += (255 - u->opcode_base) / u->line_range * u->least;
        return false;
    case ADD_FIXED: row->address += number(r, 2); return false;
    default: { /* columns, and what else is no matter to us */
        struct reader length = part(&u->lengths, opcode - 1, 1);
        for (uint64_t count = number(&length, 1); count > 0; count--)
            packed(r, false);
        return false;
    }
    }
}

static bool find_row(const struct unit *u, uint64_t address, struct row *found)
{
    const struct row first = {.address = 0, .file = 1, .line = 1};
    struct row row = first;
    bool begun = false; /* there is a row before this one */
    bool ends = false;
    struct reader r = u->program;
    while (left(&r) > 0) {
        if (!step(u, &r, &row, &ends))
            continue;
        if (begun && found->address <= address && address < row.address)
            return true;
        *found = row;
        begun = !ends;
        if (ends)
            row = first;
    }
    return false;
}

/* A line of the table of folders, or of the table of files. */
struct entry {
    struct image_text name;
    uint64_t folder;
};

/* Both read a whole table and return the entry with that number. Up to version
 * 4 a table ends with an empty name, and the numbers begin with 1. */
static struct entry table_4(struct reader *r, uint64_t wanted, bool files)
{
    struct entry found = {{"", 0}, 0};
    for (uint64_t i = 1; left(r) > 0; i++) {
        struct entry e = {text(r), 0};
        if (e.name.len == 0)
            break;
        if (files) {
            e.folder = packed(r, false);
            packed(r, false); /* when it was changed */
            packed(r, false); /* its size */
        }
        if (i == wanted)
            found = e;
    }
    return found;
}

/* From version 5 on a table first says what its entries are made of. */
static struct entry table_5(const struct image *image, struct reader *r,
                            uint64_t wanted)
{
    enum { PATH = 1, FOLDER = 2 };
    struct entry found = {{"", 0}, 0};
    uint64_t parts = number(r, 1);
    struct reader format = *r;
    for (uint64_t i = 0; i < 2 * parts; i++)
        packed(r, false);
    uint64_t count = packed(r, false);
    /* Every part takes a byte at least, so a wrong count ends with the bytes;
     * but not if there are no parts. */
    for (uint64_t i = 0; i < count && parts > 0 && left(r) > 0; i++) {
        struct reader f = format;
        struct entry e = {{"", 0}, 0};
        for (uint64_t p = 0; p < parts; p++) {
            uint64_t what = packed(&f, false);
            struct image_text words = {"", 0};
            uint64_t value = 0;
            switch (packed(&f, false)) {
            case 0x08: words = text(r); break;
            case 0x0e: words = text_at(&image->str, number(r, 4)); break;
            case 0x1f: words = text_at(&image->line_str, number(r, 4)); break;
            case 0x0b: value = number(r, 1); break;
            case 0x05: value = number(r, 2); break;
            case 0x06: value = number(r, 4); break;
            case 0x07: value = number(r, 8); break;
            case 0x0f: value = packed(r, false); break;
            case 0x1e: skip(r, 16); break;
            case 0x09: skip(r, packed(r, false)); break;
            default: fail(r); break;
            }
            if (what == PATH)
                e.name = words;
            else if (what == FOLDER)
                e.folder = value;
        }
        if (i == wanted && !r->bad)
            found = e;
    }
    return found;
}

/* Folder 0 is where the compiler was started. It was not told that one, so we
 * do not tell it either. */
static void find_file(const struct unit *u, uint64_t number_of_file,
                      struct image_place *place)
{
    const uint64_t none = ~UINT64_C(0);
    bool old = u->version < 5;
    struct reader r = u->tables;
    struct reader folders = u->tables;
    if (old)
        table_4(&r, 0, false);
    else
        table_5(u->image, &r, none);
    struct entry file = old ? table_4(&r, number_of_file, true)
                            : table_5(u->image, &r, number_of_file);
    place->file = file.name;
    bool absolute = file.name.len > 1 &&
                    (file.name.text[0] == '/' || file.name.text[0] == '\\' ||
                     file.name.text[1] == ':');
    if (file.folder != 0 && !absolute)
        place->folder = old ? table_4(&folders, file.folder, false).name
                            : table_5(u->image, &folders, file.folder).name;
}

/* ---- 4. names ------------------------------------------------------------ */

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"

static bool next_is(const struct reader *r, const char *letters)
{
    return left(r) > 0 && *r->at != '\0' && strchr(letters, *r->at) != NULL;
}

/* Skip these letters if they are next. */
static bool take(struct reader *r, const char *letters)
{
    size_t len = strlen(letters);
    if (left(r) < len || memcmp(r->at, letters, len) != 0)
        return false;
    r->at += len;
    return true;
}

/* "6Server": the length, then the name. */
static struct image_text source_name(struct reader *r)
{
    uint64_t len = 0;
    while (next_is(r, DIGITS) && len <= left(r))
        len = len * 10 + (number(r, 1) - '0');
    struct image_text name = {(const char *)r->at, (size_t)len};
    skip(r, len);
    return r->bad ? (struct image_text){"", 0} : name;
}

/* Skip template arguments, up to and with the 'E' that ends them. Other lists
 * are inside, which end in the same way; and names, with an 'E' in them. */
static void skip_arguments(struct reader *r)
{
    for (unsigned depth = 1; depth > 0 && left(r) > 0;) {
        if (next_is(r, DIGITS)) {
            source_name(r);
            continue;
        }
        switch (number(r, 1)) {
        case 'E': depth--; break;
        case 'F':
        case 'I':
        case 'J':
        case 'N':
        case 'Z': depth++; break;
        case 'U': depth += take(r, "l"); break; /* a lambda: its parameters */
        case 'C':                               /* a constructor: "C1" */
        case 'D': skip(r, 1); break;
        case 'A': /* an array: "A16_" */
        case 'S': /* a name of before: "S1_"; or a short one: "Sa" */
        case 'T': /* an argument of before: "T0_" */
            while (next_is(r, DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
                skip(r, 1);
            skip(r, next_is(r, "_abdiost"));
            break;
        case 'L': /* a value: "Lj16E" */
            if (!next_is(r, LOWER))
                fail(r); /* its type has a name */
            while (left(r) > 0 && number(r, 1) != 'E')
                ;
            break;
        case 'X': fail(r); break; /* an expression, with its operators */
        default: break;           /* a letter that is a type */
        }
    }
}

static void add(char *name, const char *before, struct image_text scope)
{
    size_t len = strlen(name);
    (void)snprintf(name + len, IMAGE_NAME_SIZE - len, "%s%s%.*s",
                   len > 0 ? "::" : "", before, (int)scope.len, scope.text);
}

/* The scopes of a C++ name: what comes before the parameters. A lambda gets the
 * name of the function that it is written in. False: there is something else. */
static bool scopes(struct reader r, char *name)
{
    const struct image_text none = {"", 0};
    struct image_text last = none;
    while (take(&r, "Z")) /* it is local to what follows */
        ;
    bool nested = take(&r, "N");
    while (nested && next_is(&r, "KVrRO")) /* const and the like */
        skip(&r, 1);
    for (bool more = true; more;) {
        more = nested;
        if (take(&r, "St")) {
            add(name, "std", none);
            more = true;
        } else if (take(&r, "L")) { /* a static one */
            more = true;
        } else if (next_is(&r, "123456789")) {
            last = source_name(&r);
            if (last.len < 10 || memcmp(last.text, "_GLOBAL__N", 10) != 0)
                add(name, "", last); /* else a namespace without a name */
        } else if (nested && take(&r, "I")) {
            skip_arguments(&r);
        } else if (take(&r, "B")) { /* a version: "B5cxx11" */
            source_name(&r);
        } else if (next_is(&r, "CD") && last.len > 0) {
            add(name, next_is(&r, "D") ? "~" : "", last);
            skip(&r, 2);
        } else if (take(&r, "cl")) {
            add(name, "operator()", none);
        } else if (next_is(&r, LOWER)) { /* "pl" is +, and so on */
            add(name, "operator", none);
            skip(&r, 2);
        } else {
            return nested && take(&r, "E") && name[0] != '\0';
        }
    }
    return !r.bad;
}

void image_name(struct image_text symbol, char *name)
{
    const unsigned char *bytes = (const unsigned char *)symbol.text;
    struct reader r = {bytes, bytes + symbol.len, false};
    name[0] = '\0';
    if (take(&r, "_Z") && scopes(r, name))
        return;
    /* gcc adds to the name of a part or a copy: "on_read.part.0". */
    const char *dot =
        symbol.len > 1 ? memchr(symbol.text + 1, '.', symbol.len - 1) : NULL;
    (void)snprintf(
        name, IMAGE_NAME_SIZE, "%.*s",
        (int)(dot != NULL ? dot - symbol.text : (ptrdiff_t)symbol.len),
        symbol.text);
}

void image_find(const void *file, size_t size, uint64_t offset,
                struct image_place *place)
{
    const struct reader whole = {file, (const unsigned char *)file + size,
                                 false};
    const struct reader nothing = {whole.at, whole.at, true};
    struct image image = {.file = whole,
                          .symbols = nothing,
                          .strings = nothing,
                          .line = nothing,
                          .line_str = nothing,
                          .str = nothing};
    *place = (struct image_place){.folder = {"", 0}, .file = {"", 0}};
    image_open(&image, offset);
    image_name(function_symbol(&image), place->function);
    place->has_lines = left(&image.line) > 0;
    while (left(&image.line) > 0) {
        struct unit u = unit_open(&image, &image.line);
        struct row row = {0};
        if (find_row(&u, image.base + offset, &row)) {
            place->line = row.line <= INT_MAX ? (unsigned)row.line : 0;
            find_file(&u, row.file, place);
            return;
        }
    }
}
