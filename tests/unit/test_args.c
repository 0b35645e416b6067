/* test_args.c -- the command line: every option, every mistake
 *
 * Children parse and print what they understood, because a bad command line
 * and --help end the process.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/err.h"
#include "common/net.h"
#include "common/utf8.h"
#include "programs/harness/command_line.h"
#include "tests/unit/unit.h"

/* One model without and one with everything. */
static const struct model plain = {.name = "plain",
                                   .idea = "has no options of its own",
                                   .most_clients = 4094,
                                   .why_limit = "as a test wants it",
                                   .no_threads = "it has one thread only"};
static bool window;
static unsigned long work;
static const struct option own_options[] = {
    {NULL, "--window", .out = &window},
    {NULL, "--work", &work, option_number, .max = 1000},
    {0},
};
static const struct model rich = {.name = "rich",
                                  .idea = "has them all",
                                  .most_clients = NO_LIMIT_CLIENTS,
                                  .why_limit = "what ports can tell apart",
                                  .own_options = own_options,
                                  .own_help = "--window, --work MS\n"};

int child_args(int argc, char **argv)
{
    char address[NET_NAME_SIZE];
    if (argc < 2)
        return 99;
    const struct model *model = strcmp(argv[1], "rich") == 0 ? &rich : &plain;
    struct args args = args_parse(model, argc - 1, argv + 1);
    net_name(&args.address, address, sizeof address);
    if (args.address_len != (args.address.ss_family == AF_INET6
                                 ? (int)sizeof(struct sockaddr_in6)
                                 : (int)sizeof(struct sockaddr_in)))
        return 98;
    printf("%s clients=%lu threads=%lu buffer=%lu%s%s%s%s%s%s%s%s%s", address,
           args.max_clients, args.threads, args.buffer, window ? " window" : "",
           args.quiet ? " quiet" : "", args.verbose ? " verbose" : "",
           args.stop_on_eof ? " stop_on_eof" : "", args.trace ? " trace" : "",
           args.trace_file != NULL ? " file=" : "",
           args.trace_file != NULL ? args.trace_file : "",
           args.strict != NULL ? " strict=" : "",
           args.strict != NULL ? args.strict : "");
    if (work > 0)
        printf(" work=%lu", work);
    return 0;
}

#define PLAIN_REST " clients=4094 threads=0 buffer=65536"
#define RICH_HEAD  "127.0.0.1:5566 clients=65535"
#define RICH_REST  " clients=65535 threads=0 buffer=65536"

static void understood(const char *words, const char *expected)
{
    char line[300];
    snprintf(line, sizeof line, "args %s", words);
    const struct child *child = run_child(line, "");
    test_note("%s", words);
    CHECK_INT(child->code, 0);
    CHECK_TEXT(child->out, expected);
    CHECK_TEXT(child->err, "");
}

static void defaults(void)
{
    understood("plain", "127.0.0.1:5566" PLAIN_REST);
    understood("rich", "127.0.0.1:5566" RICH_REST);
}

static void port(void)
{
    understood("plain -p 0", "127.0.0.1:0" PLAIN_REST);
    understood("plain --port 65535", "127.0.0.1:65535" PLAIN_REST);
    understood("plain --port=1", "127.0.0.1:1" PLAIN_REST);
    understood("plain -p 007", "127.0.0.1:7" PLAIN_REST);
    understood("plain -p 1 -p 2", "127.0.0.1:2" PLAIN_REST);
}

static void bind_address(void)
{
    understood("plain -b 127.0.0.2", "127.0.0.2:5566" PLAIN_REST);
    understood("plain --bind 0.0.0.0", "0.0.0.0:5566" PLAIN_REST);
    understood("plain --bind=::1 -p 80", "[::1]:80" PLAIN_REST);
    understood("plain -p 80 -b ::1", "[::1]:80" PLAIN_REST);
    understood("plain -b fe80::1:2", "[fe80::1:2]:5566" PLAIN_REST);
}

static void numbers(void)
{
    understood("plain -c 1", "127.0.0.1:5566 clients=1 threads=0 buffer=65536"
                             "");
    understood("plain --max-clients=4094", "127.0.0.1:5566" PLAIN_REST);
    understood("plain --buffer 1", "127.0.0.1:5566 clients=4094 threads=0"
                                   " buffer=1");
    understood("plain --buffer=1048576", "127.0.0.1:5566 clients=4094 threads=0"
                                         " buffer=1048576");
}

static void options_of_some_models(void)
{
    understood("rich -t 1", RICH_HEAD " threads=1 buffer=65536");
    understood("rich --threads 256", RICH_HEAD " threads=256 buffer=65536");
    understood("rich --threads=8", RICH_HEAD " threads=8 buffer=65536");
    understood("rich --window", "127.0.0.1:5566" RICH_REST " window");
    understood("rich --work 0", "127.0.0.1:5566" RICH_REST);
    understood("rich --work=1000", "127.0.0.1:5566" RICH_REST " work=1000");
}

static void flags(void)
{
    understood("plain -q", "127.0.0.1:5566" PLAIN_REST " quiet");
    understood("plain --quiet", "127.0.0.1:5566" PLAIN_REST " quiet");
    understood("plain -v", "127.0.0.1:5566" PLAIN_REST " verbose");
    understood("plain --verbose", "127.0.0.1:5566" PLAIN_REST " verbose");
    understood("plain --stop-on-eof",
               "127.0.0.1:5566" PLAIN_REST " stop_on_eof");
#ifdef TRACE
    understood("plain --trace", "127.0.0.1:5566" PLAIN_REST " trace");
    understood("plain --trace-file a.json",
               "127.0.0.1:5566" PLAIN_REST " file=a.json");
    understood("plain --trace --trace-file=c:\\x.y\\A.JSONL",
               "127.0.0.1:5566" PLAIN_REST " trace file=c:\\x.y\\A.JSONL");
    understood("plain --strict", "127.0.0.1:5566" PLAIN_REST " strict=");
    understood("plain --strict -q",
               "127.0.0.1:5566" PLAIN_REST " quiet strict=");
    understood("plain --strict=7,S3",
               "127.0.0.1:5566" PLAIN_REST " strict=7,S3");
#endif
    understood("plain -q --stop-on-eof -p 9 -b ::1",
               "[::1]:9" PLAIN_REST " quiet stop_on_eof");
}

static void help(void)
{
    static const char *const spellings[] = {"-h", "--help", "-?", "/?"};
    for (size_t i = 0; i < 4; i++) {
        char line[32];
        snprintf(line, sizeof line, "args plain %s", spellings[i]);
        const struct child *child = run_child(line, "");
        test_note("%s", spellings[i]);
        CHECK_INT(child->code, EXIT_STOPPED);
        CHECK_TEXT(child->err, "");
        CHECK_HAS(child->out, "plain: echo server, has no options of its own");
        CHECK_HAS(child->out, "--stop-on-eof");
        CHECK_HAS(child->out, "4094");
        CHECK(strstr(child->out, "--threads") == NULL);
        CHECK(strstr(child->out, "--window") == NULL);
        CHECK(strstr(child->out, "--work") == NULL);
    }
    const struct child *child = run_child("args rich --help", "");
    CHECK_HAS(child->out, "--threads");
    CHECK_HAS(child->out, "--window");
    CHECK_HAS(child->out, "--work");
}

static void version(void)
{
    const struct child *child = run_child("args rich --version", "");
    CHECK_INT(child->code, EXIT_STOPPED);
    CHECK_TEXT(child->out, "rich " SUITE_VERSION "\n");
    CHECK_TEXT(child->err, "");
}

static void refused(const char *words, const char *complaint)
{
    char line[300];
    snprintf(line, sizeof line, "args %s", words);
    const struct child *child = run_child(line, "");
    test_note("%s", words);
    CHECK_INT(child->code, EXIT_USAGE);
    CHECK_TEXT(child->out, "");
    CHECK_HAS(child->err, complaint);
    CHECK_HAS(child->err, "--help");
    CHECK_INT(strcspn(child->err, "\n") + 1, strlen(child->err));
}

static void unknown_options(void)
{
    refused("plain --bogus", "plain: unknown option '--bogus'");
    refused("plain --por 1", "unknown option '--por'");
    refused("plain --portal=1", "unknown option '--portal=1'");
    refused("plain -x", "unknown option '-x'");
    refused("plain -", "unknown option '-'");
    refused("plain --", "unknown option '--'");
    refused("plain --=1", "unknown option '--=1'");
    refused("plain -p=1", "unknown option '-p=1'");
    refused("plain -P 1", "unknown option '-P'");
    refused("plain --an-option-with-a-name-beyond-any-limit-of-ours=1",
            "unknown option '--an-option-with-a-name-beyond-any-limit");
    refused("plain 5566", "unexpected '5566'");
    refused("plain %%", "unexpected ''");
    refused("plain /help", "unexpected '/help'");
}

static void options_of_other_models(void)
{
    refused("plain --threads 2", "--threads does not apply: it has one thread");
    refused("plain -t 2", "-t does not apply: it has one thread only");
    refused("plain --window", "unknown option '--window'");
    refused("rich --work 1001", "--work takes a whole number from 0 to 1000");
}

static void missing_values(void)
{
    refused("plain -p", "-p needs a value");
    refused("plain --port", "--port needs a value");
    refused("plain --bind", "--bind needs a value");
    refused("plain -b", "-b needs a value");
    refused("plain -c", "-c needs a value");
    refused("plain --max-clients", "--max-clients needs a value");
    refused("plain --buffer", "--buffer needs a value");
    refused("rich --threads", "--threads needs a value");
}

static void superfluous_values(void)
{
    refused("plain --quiet=1", "--quiet takes no value, not '1'");
    refused("plain --verbose=", "--verbose takes no value, not ''");
    refused("plain --stop-on-eof=x", "--stop-on-eof takes no value, not 'x'");
    refused("plain --help=x", "--help takes no value");
    refused("plain --version=2", "--version takes no value");
    refused("rich --window=big", "--window takes no value");
    refused("plain --trace=x", "--trace takes no value, not 'x'");
    refused("plain --trace-file", "--trace-file needs a value");
    refused("plain --trace-file a.txt", "--trace-file takes a name that ends "
                                        "in .json or .jsonl, not 'a.txt'");
    refused("plain --trace-file x.json\\y", "in .json or .jsonl, not "
                                            "'x.json\\y'");
    refused("plain -q -v", "--quiet and --verbose exclude each other");
}

static void bad_numbers(void)
{
    static const char range[] = "from 0 to 65535, not ";
    static const char *const texts[] = {
        "65536", "-1", "+1",         "1x", "x",  "0x10", "1e3", "1.0",
        "%1",    "1%", "4294967296", "%%", "--", "\xb2", "1,0", "65535k"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char words[100];
        snprintf(words, sizeof words, "plain --port %s", texts[i]);
        refused(words, range);
    }
    refused("plain --port=", "from 0 to 65535, not ''");
    refused("plain --port=99999999999999999999999", range);
    refused("plain -c 0", "-c takes a whole number from 1 to 4094, not '0'");
    refused("plain -c 4095", "from 1 to 4094, not '4095'");
    refused("rich --max-clients 65536", "from 1 to 65535, not '65536'");
    refused("plain --buffer 0", "from 1 to 1048576, not '0'");
    refused("plain --buffer 1048577", "from 1 to 1048576, not '1048577'");
    refused("rich --threads 0", "from 1 to 256, not '0'");
    refused("rich -t 257", "from 1 to 256, not '257'");
}

static void bad_addresses(void)
{
    static const char *const texts[] = {
        "localhost", "127.0.0", "127.0.0.256", "127.0.0.1:80", "[::1]",
        "::1::",     "%%",      "1",           "%127.0.0.1",   "12345::"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char words[100];
        snprintf(words, sizeof words, "plain --bind %s", texts[i]);
        refused(words, "--bind takes an IPv4 or IPv6 address in figures, not ");
    }
}

static void number_parser(void)
{
    unsigned long out = 77;
    CHECK(args_number("0", 0, 0, &out));
    CHECK_INT(out, 0);
    CHECK(args_number("4294967295", 0, 0xffffffff, &out));
    CHECK_INT(out, 0xffffffff);
    CHECK(args_number("0000000000000000000000000012", 12, 12, &out));
    CHECK_INT(out, 12);
    out = 77;
    CHECK(!args_number("", 0, 9, &out));
    CHECK(!args_number("10", 0, 9, &out));
    CHECK(!args_number("3", 4, 9, &out));
    CHECK(!args_number("4294967296", 0, 0xffffffff, &out));
    CHECK(!args_number("18446744073709551617", 0, 0xffffffff, &out));
    CHECK(!args_number("\xb9", 0, 9, &out));
    CHECK_INT(out, 77);
}

/* `line` is cut into `expected`, which has a '|' behind each word. */
static void cut_into(const char *line, const char *expected)
{
    char copy[100];
    char seen[100] = "";
    size_t len = 0;
    int count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    char **words = args_words(copy, &count);
    CHECK(words != NULL);
    for (int i = 0; words != NULL && i < count; i++)
        len += (size_t)snprintf(seen + len, sizeof seen - len, "%s|", words[i]);
    test_note("%s", line);
    CHECK_TEXT(seen, expected);
    CHECK(words != NULL && words[count] == NULL);
    free(words);
}

/* The first ones are from Parsing C command-line arguments. */
static void cutting(void)
{
    cut_into("x \"abc\" d e", "x|abc|d|e|");
    cut_into("x a\\\\b d\"e f\"g h", "x|a\\\\b|de fg|h|");
    cut_into("x a\\\\\\\"b c d", "x|a\\\"b|c|d|");
    cut_into("x a\\\\\\\\\"b c\" d e", "x|a\\\\b c|d|e|");
    cut_into("x a\"b\"\" c d", "x|ab\" c d|");
    cut_into("\"C:\\a b\\x.exe\" --a", "C:\\a b\\x.exe|--a|");
    cut_into("x  a \t b  ", "x|a|b|");
    cut_into("x \"\" \"", "x|||");
    cut_into("x", "x|");
    cut_into("", "|");
    cut_into("x \xc3\xa9\"\xe8\xaf\xbe \"' &", "x|\xc3\xa9\xe8\xaf\xbe '|&|");
}

/* Whatever the words are, a program that is started with them gets them. */
static void words_come_back(void)
{
    static const char letters[] = "ab \t\"\"\\\\\\'&%\xc3\xa9";
    for (int round = 0; round < 500; round++) {
        char texts[4][9] = {{0}};
        const char *args[4];
        int count = 0;
        for (size_t i = 0; i < 4; i++) {
            args[i] = texts[i];
            for (unsigned k = random_below(sizeof texts[i]); k-- > 0;)
                texts[i][k] = letters[random_below(sizeof letters - 3)];
        }
        wchar_t *wide = command_line("C:\\a b\\x.exe", args, 4);
        char *line = wide != NULL ? utf8_from_wide(wide) : NULL;
        char **found = line != NULL ? args_words(line, &count) : NULL;
        CHECK_INT(count, 5);
        for (size_t i = 0; count == 5 && i < 4; i++)
            CHECK_TEXT(found[i + 1], args[i]);
        free(wide);
        free(line);
        free(found);
    }
}

void test_args(void)
{
    RUN(defaults);
    RUN(port);
    RUN(bind_address);
    RUN(numbers);
    RUN(options_of_some_models);
    RUN(flags);
    RUN(help);
    RUN(version);
    RUN(unknown_options);
    RUN(options_of_other_models);
    RUN(missing_values);
    RUN(superfluous_values);
    RUN(bad_numbers);
    RUN(bad_addresses);
    RUN(number_parser);
    RUN(cutting);
    RUN(words_come_back);
}
