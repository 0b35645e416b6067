/* cases.c -- all cases, clause by clause, and which of them are wanted */
#include "common/win.h"

#include <string.h>

#include "programs/contract/suite.h"

const struct contract_case *const all_cases[CLAUSES] = {
    e01_echo,   e02_half_close, e03_push_back, e04_trouble, e05_fair,
    e06_prompt, e07_capacity,   e08_stop,      e09_start,   e10_usage,
    e11_bind,   e12_odd,        e13_output,    e14_patience};

/* True for E2.3 when the list holds E2.3 or E2. */
bool case_wanted(const struct suite *suite, const struct contract_case *what)
{
    const char *list = suite->only, *id = what->id;
    if (list == NULL)
        return true;
    for (const char *item = list; *item != '\0';) {
        size_t len = strcspn(item, ",");
        if (len > 0 && strncmp(id, item, len) == 0 &&
            (id[len] == '\0' || id[len] == '.'))
            return true;
        item += len + (item[len] == ',');
    }
    return false;
}
