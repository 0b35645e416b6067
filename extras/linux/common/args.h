/* args.h -- the command line of the twins: as common/args.h, less what only
 * Windows has
 */
#ifndef LINUX_COMMON_ARGS_H
#define LINUX_COMMON_ARGS_H

#include <stdbool.h>
#include <sys/socket.h>

/* What a server says about itself. */
struct model {
    const char *name;           /* "epoll": the first word of every message */
    const char *idea;           /* one line for --help */
    unsigned long most_clients; /* the model's own limit */
    const char *why_limit;      /* and where that limit comes from */
    bool has_edge;              /* --edge */
};

/* The limit of a model that has none of its own: about as many connections as
 * TCP can tell apart by port when all of them come from one address. */
enum { NO_LIMIT_CLIENTS = 65535 };

struct args {
    struct sockaddr_storage address; /* where to listen, port included */
    socklen_t address_len;
    unsigned long max_clients;
    unsigned long threads; /* 0: not given, the model chooses */
    unsigned long buffer;  /* bytes per connection */
    bool edge;             /* be told once, and not as long as it holds */
    bool quiet;
    bool verbose;
    bool stop_on_eof;
};

/* Read the command line of a server. --help and --version print and end the
 * process with EXIT_STOPPED, anything wrong ends it with EXIT_USAGE. */
struct args args_parse(const struct model *model, int argc, char **argv);

#endif
