/* each.c -- --each FOLDER: grade every program in a folder, into one table
 *
 * Each program is graded by a contract.exe of its own. So one that crashes,
 * hangs or is no program at all gets its row like the others. Whatever it
 * started ends with its contract.exe (a job object does this).
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/utf8.h"
#include "programs/contract/stages.h"
#include "programs/harness/csv.h"
#include "programs/harness/output_file.h"
#include "programs/harness/text.h"

enum { LIMIT_MS = 20 * 60 * 1000 };

/* To add a column, add its name and title here; set() fills it. */
enum column { PROGRAM, GOT, MOST, STAGE, CASES, FIRST, COLUMNS };
static const char *const titles[COLUMNS] = {"program", "points",
                                            "of",      "stage not passed",
                                            "cases",   "what is wrong first"};

struct row {
    char *file;
    char *cells[COLUMNS];
    bool good;
};

struct table {
    struct row *rows;
    size_t count;
};

/* ---- which programs -------------------------------------------------------- */

static int by_file(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return _stricmp(x->file, y->file);
}

static void set(struct row *row, enum column column, char *text)
{
    text_make_plain(text);
    free(row->cells[column]);
    row->cells[column] = text;
}

static void add_row(struct table *table, const char *file)
{
    table->rows =
        xrealloc(table->rows, (table->count + 1) * sizeof *table->rows);
    struct row *row = &table->rows[table->count++];
    *row = (struct row){.file = format_text("%s", file)};
    for (unsigned c = 0; c < COLUMNS; c++)
        set(row, c, format_text("%s", c == FIRST ? "not graded yet" : ""));
    set(row, PROGRAM, format_text("%s", file));
}

static void find_programs(struct table *table, const char *folder)
{
    WIN32_FIND_DATAW found;
    char *pattern = format_text("%s\\*.exe", folder);
    wchar_t *wide = utf8_path(pattern);
    HANDLE search =
        wide != NULL ? FindFirstFileW(wide, &found) : INVALID_HANDLE_VALUE;
    free(wide);
    free(pattern);
    if (search == INVALID_HANDLE_VALUE)
        args_error("--each: there is no folder %s, or no .exe in it", folder);
    do {
        char *file = utf8_from_wide(found.cFileName);
        if (file == NULL)
            suite_broken("out of memory");
        if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0)
            add_row(table, file);
        free(file);
    } while (FindNextFileW(search, &found));
    FindClose(search);
    qsort(table->rows, table->count, sizeof *table->rows, by_file);
}

/* ---- what its contract.exe says -------------------------------------------- */

/* A copy of the text from `from` to the end of its line. */
static char *to_line_end(const char *from)
{
    return format_text("%.*s", (int)strcspn(from, "\r\n"), from);
}

/* Where the first line goes on that begins with these words, after blanks;
 * NULL: there is none. Text of a server is never at the beginning of a line
 * (text_make_plain). */
static const char *find_line(const char *text, const char *words)
{
    while (text != NULL && *text != '\0') {
        const char *line = text + strspn(text, " ");
        if (strncmp(line, words, strlen(words)) == 0)
            return line + strlen(words);
        text = strchr(line, '\n');
        text += text != NULL;
    }
    return NULL;
}

/* A copy of the rest of that line. */
static char *line_with(const char *text, const char *words)
{
    const char *line = find_line(text, words);
    return line != NULL ? to_line_end(line) : NULL;
}

static char *last_line(const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    size_t from = len;
    while (from > 0 && text[from - 1] != '\n')
        from--;
    return format_text("%.*s", (int)(len - from), text + from);
}

/* "E1.1   title     12 ms" becomes "E1.1 title". */
static char *case_name(const char *line)
{
    size_t len = strlen(line);
    if (len > 3 && strcmp(line + len - 3, " ms") == 0)
        for (len -= 3; len > 0 && line[len - 1] >= '0' && line[len - 1] <= '9';)
            len--;
    while (len > 0 && line[len - 1] == ' ')
        len--;
    size_t id = strcspn(line, " ");
    size_t title = id + strspn(line + id, " ");
    return title < len ? format_text("%.*s %.*s", (int)id, line,
                                     (int)(len - title), line + title)
                       : format_text("%.*s", (int)len, line);
}

/* "points: E1 18/18 E2 10/12, all 28/30" */
static void read_points(struct row *row, const char *out)
{
    char *line = line_with(out, "points:");
    const char *all = line != NULL ? strstr(line, "all ") : NULL;
    const char *slash = all != NULL ? strchr(all, '/') : NULL;
    if (slash != NULL) {
        set(row, GOT, format_text("%.*s", (int)(slash - all - 4), all + 4));
        set(row, MOST, format_text("%s", slash + 1));
    }
    free(line);
}

/* "stage 2 of 8 (two clients) did not pass" */
static void read_stage(struct row *row, const char *out)
{
    char *line = line_with(out, "stage ");
    char *all = format_text("all %d stages passed", STAGES);
    const char *name = line != NULL ? strchr(line, '(') : NULL;
    const char *end = name != NULL ? strchr(name, ')') : NULL;
    if (end != NULL)
        set(row, STAGE,
            format_text("%.*s %.*s", (int)strspn(line, "0123456789"), line,
                        (int)(end + 1 - name), name));
    else if (find_line(out, all) != NULL)
        set(row, STAGE, format_text("none"));
    free(all);
    free(line);
}

/* The cause that explains many failures, if it was found before anything else
 * was blamed; otherwise the first case that failed. NULL: there is none. */
static char *first_failure(const char *out)
{
    const char *cause = find_line(out, "cause: ");
    const char *failed = find_line(out, "FAIL  ");
    char *observed = line_with(failed, "observed: ");
    char *text = NULL;
    if (cause != NULL && (failed == NULL || cause < failed)) {
        text = to_line_end(cause);
    } else if (observed != NULL) {
        char *line = to_line_end(failed);
        char *name = case_name(line);
        text = format_text("%s: %s", name, observed);
        free(name);
        free(line);
    }
    free(observed);
    return text;
}

/* A server that ends its contract.exe chooses the exit code. Only a run that has
 * come to its last line is whole. */
static void read_result(struct row *row, unsigned long code, const char *out,
                        const char *err)
{
    char *last = last_line(out);
    char *first = first_failure(out);
    char *broken = line_with(err, "contract: could not run: ");
    bool whole =
        strstr(last, " passed, ") != NULL && find_line(out, "points:") != NULL;
    row->good = whole && code == SUITE_PASSED;
    if (whole) {
        read_points(row, out);
        read_stage(row, out);
        set(row, CASES, format_text("%s", last));
    }
    if (row->good)
        set(row, FIRST, format_text("nothing"));
    else if (whole && code == SUITE_FAILED && first != NULL)
        set(row, FIRST, format_text("%s", first));
    else if (code == SUITE_BROKEN && broken != NULL)
        set(row, FIRST, format_text("could not be graded: %s", broken));
    else
        set(row, FIRST,
            format_text("contract.exe did not come to its end: exit code %lu "
                        "(0x%lx)",
                        code, code));
    free(last);
    free(first);
    free(broken);
}

static void grade(struct row *row, const struct suite *suite, const char *self,
                  const struct each *each)
{
    char why[512];
    unsigned long code = 0;
    char *exe = format_text("%s\\%s", each->folder, row->file);
    const char **args = xrealloc(NULL, (each->arg_count + 2) * sizeof *args);
    args[0] = "--exe";
    args[1] = exe;
    if (each->arg_count > 0)
        memcpy(args + 2, each->args, each->arg_count * sizeof *args);
    struct server_start start = {
        .exe = self, .args = args, .arg_count = each->arg_count + 2};
    struct server_process *process = server_start(&start, why, sizeof why);
    double most = LIMIT_MS * (suite->scale > 1 ? suite->scale : 1);
    if (process == NULL) {
        set(row, FIRST, format_text("%s", why));
    } else if (server_wait_exit(process, (unsigned long)most, &code) !=
               SERVER_WAIT_OK) {
        set(row, FIRST,
            format_text("not ready after %.0f minutes, and ended",
                        most / 60000));
    } else {
        char *out = server_said(process, SERVER_STDOUT);
        char *err = server_said(process, SERVER_STDERR);
        read_result(row, code, out, err);
        free(out);
        free(err);
    }
    server_free(process);
    free(args);
    free(exe);
}

/* ---- the table ------------------------------------------------------------- */

/* With the mark of UTF-8 at its beginning, which spreadsheets look for. */
static void put_csv(FILE *out, const struct table *table)
{
    fputs("\xEF\xBB\xBF", out);
    for (unsigned c = 0; c < COLUMNS; c++)
        fprintf(out, "%s%s", c > 0 ? "," : "", titles[c]);
    fputs("\r\n", out);
    for (size_t r = 0; r < table->count; r++) {
        for (unsigned c = 0; c < COLUMNS; c++) {
            if (c > 0)
                fputc(',', out);
            csv_put(out, table->rows[r].cells[c]);
        }
        fputs("\r\n", out);
    }
}

static void put_html(FILE *out, const struct table *table)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
          "<title>contract --each</title>\n<style>\n"
          "body { font-family: sans-serif }\n"
          "table { border-collapse: collapse }\n"
          "td, th { border: 1px solid #999; padding: 0.3em; text-align: left; "
          "vertical-align: top }\n"
          "td { overflow-wrap: anywhere }\n</style>\n<table>\n<tr>",
          out);
    for (unsigned c = 0; c < COLUMNS; c++)
        fprintf(out, "<th>%s</th>", titles[c]);
    fputs("</tr>\n", out);
    for (size_t r = 0; r < table->count; r++) {
        fputs("<tr>", out);
        for (unsigned c = 0; c < COLUMNS; c++) {
            fputs("<td>", out);
            put_xml(out, table->rows[r].cells[c]);
            fputs("</td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table>\n</html>\n", out);
}

/* The whole table, also while programs still wait for their turn: an evening's
 * work is not lost when the last one is interrupted. */
static void write_file(const char *path, const struct table *table,
                       void (*put)(FILE *out, const struct table *table))
{
    struct output_file file;
    bool ok = output_open(&file, path);
    if (ok) {
        put(file.file, table);
        ok = output_keep(&file);
    }
    if (!ok)
        suite_broken("%s cannot be written", path);
}

static void write_files(const struct each *each, const struct table *table)
{
    write_file(each->csv, table, put_csv);
    write_file(each->html, table, put_html);
}

static void free_table(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].file);
        for (unsigned c = 0; c < COLUMNS; c++)
            free(table->rows[i].cells[c]);
    }
    free(table->rows);
}

/* Whether a word of the command line is this option; `value` tells whether its
 * value is the next word. */
static bool is_option(const char *word, const char *name, bool *value)
{
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0 ||
        (word[len] != '\0' && word[len] != '='))
        return false;
    *value = word[len] == '\0';
    return true;
}

/* The words that each contract.exe gets: all but our own. */
static void keep_args(struct each *each, int argc, char **argv)
{
    each->args = xrealloc(NULL, (size_t)argc * sizeof *each->args);
    for (int i = 1; i < argc; i++) {
        bool value = false;
        if (is_option(argv[i], "--each", &value) ||
            is_option(argv[i], "--csv", &value) ||
            is_option(argv[i], "--html", &value))
            i += value;
        else
            each->args[each->arg_count++] = argv[i];
        if (strcmp(argv[i], "--arg") == 0 && i + 1 < argc)
            each->args[each->arg_count++] = argv[++i]; /* whatever it is */
    }
}

int each_run(const struct suite *suite, struct each *each, int argc,
             char **argv)
{
    char *self = program_beside_us("contract.exe");
    struct table table = {0};
    size_t good = 0;
    if (self == NULL)
        suite_broken("out of memory");
    keep_args(each, argc, argv);
    find_programs(&table, each->folder);
    write_files(each, &table);
    for (size_t i = 0; i < table.count; i++) {
        struct row *row = &table.rows[i];
        grade(row, suite, self, each);
        char *line =
            format_text("%s  %-20s %4s/%-4s %s\n", row->good ? "ok  " : "FAIL",
                        row->cells[PROGRAM], row->cells[GOT], row->cells[MOST],
                        row->cells[FIRST]);
        fputs(line, stdout);
        fflush(stdout);
        free(line);
        good += row->good;
        write_files(each, &table);
    }
    printf("%zu of %zu programs pass; see %s and %s\n", good, table.count,
           each->csv, each->html);
    int result = good == table.count ? SUITE_PASSED : SUITE_FAILED;
    free_table(&table);
    free(each->args);
    free(self);
    return result;
}
