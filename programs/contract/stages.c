/* stages.c -- see stages.h */
#include "common/win.h"

#include <string.h>

#include "programs/contract/stages.h"

static const char *const names[STAGES] = {
    "one client", "two clients", "end of stream", "a slow reader",
    "trouble",    "65 clients",  "many",          "start and stop"};

static const struct place places[] = {
    /* Of --model, before the first stage. */
    {"M1", 0, 0, false, NULL},

    {"E1.1", 1, 1, false, NULL},
    {"E1.2", 1, 1, false, "letters only"},
    {"E1.3", 1, 1, false, "100, 300 and 700 bytes"},
    {"E1.4", 1, 1, false, "100, 300 and 700 bytes"},
    {"E1.7", 1, 1, false, NULL},

    {"E1.9", 2, 8, false, NULL},
    {"E5.1", 2, 9, false, "clients that are served one after the other"},

    {"E2.1", 3, 1, false, NULL},
    {"E2.2", 3, 1, false, NULL},
    {"E2.6", 3, 5, false, NULL},
    {"E6.3", 3, 1, false, NULL},

    {"E1.5", 4, 1, false, NULL},
    {"E1.6", 4, 1, false, NULL},
    {"E1.8", 4, 1, false, NULL},
    {"E2.3", 4, 1, false, NULL},
    {"E2.4", 4, 1, false, NULL},
    {"E2.5", 4, 1, false, NULL},
    {"E3.1", 4, 2, false, NULL},
    {"E3.2", 4, 3, true, NULL},
    {"E3.3", 4, 9, true, NULL},

    {"E4.1", 5, 2, true, "clients that leave in the orderly way"},
    {"E4.2", 5, 2, true, "clients that read all and leave in the orderly way"},
    {"E4.3", 5, 2, true, "clients that read all and leave in the orderly way"},
    {"E4.4", 5, 2, true, NULL},
    {"E4.5", 5, 10, false, NULL},
    {"E5.3", 5, 8, true, NULL},
    {"E5.4", 5, 4, true, NULL},
    {"E12.1", 5, 2, false, "an ordinary byte instead of the urgent one"},

    {"E7.4", 6, 66, false, NULL},

    {"E5.2", 7, 301, false, NULL},
    {"E6.1", 7, 51, false, NULL},
    {"E6.2", 7, 1, false, NULL},
    {"E6.4", 7, 300, false, NULL},
    {"E6.5", 7, 1001, false, NULL},
    {"E7.1", 7, 6, false, NULL},
    {"E7.2", 7, 6, true, NULL},
    {"E7.3", 7, 6, false, NULL},
    {"E7.5", 7, 131, false, NULL},
    {"E7.6", 7, 1001, false, NULL},
    {"E7.7", 7, 4001, false, NULL},
    {"E12.2", 7, 1, true, NULL},
    {"E12.3", 7, 60, true, NULL},

    {"E8.1", 8, 0, false, NULL},
    {"E8.2", 8, 6, false, NULL},
    {"E8.3", 8, 3, false, NULL},
    {"E8.4", 8, 6, false, NULL},
    {"E8.5", 8, 6, false, NULL},
    {"E8.6", 8, 1, false, NULL},
    {"E8.7", 8, 50, false, NULL},
    {"E9.1", 8, 0, false, NULL},
    {"E9.2", 8, 0, false, NULL},
    {"E10.1", 8, 0, false, NULL},
    {"E10.2", 8, 0, false, NULL},
    {"E10.3", 8, 0, false, NULL},
    {"E10.4", 8, 0, false, NULL},
    {"E11.1", 8, 0, false, NULL},
    {"E11.2", 8, 1, false, NULL},
    {"E11.3", 8, 1, false, NULL},
    {"E13.1", 8, 2, true, NULL},
    {"E13.2", 8, 2, true, NULL},
    {"E13.3", 8, 2, true, NULL},
    {"E14.1", 8, 1, false, NULL}};

const struct place *place_of(const struct contract_case *what)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcmp(places[i].id, what->id) == 0)
            return &places[i];
    suite_broken("%s is in no stage: it needs a line in stages.c", what->id);
}

const char *stage_name(unsigned stage)
{
    return names[stage - 1];
}
