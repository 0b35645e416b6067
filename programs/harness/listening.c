/* listening.c -- see listening.h */
#include "common/win.h"

#include <iphlpapi.h>
#include <stdlib.h>

#include "common/system.h"
#include "programs/harness/listening.h"

typedef DWORD(WINAPI *table_fn)(void *, DWORD *, BOOL, ULONG, TCP_TABLE_CLASS,
                                ULONG);

/* The table of one family; the caller frees it. NULL: it cannot be read. It may
 * grow between two calls. */
static void *listeners(table_fn read_table, ULONG family)
{
    DWORD size = 0, error = ERROR_INSUFFICIENT_BUFFER;
    void *table = NULL;
    while (error == ERROR_INSUFFICIENT_BUFFER) {
        error = read_table(table, &size, FALSE, family,
                           TCP_TABLE_OWNER_PID_LISTENER, 0);
        if (error != ERROR_INSUFFICIENT_BUFFER)
            break;
        free(table);
        table = malloc(size);
        if (table == NULL)
            return NULL;
    }
    if (error == NO_ERROR && table != NULL)
        return table;
    free(table);
    return NULL;
}

bool port_is_listened_on(unsigned short port)
{
    /* Not an import: it would take an iphlpapi.dll that lies beside this
     * program, whoever put it there. */
    HMODULE library =
        LoadLibraryExW(L"iphlpapi.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (library == NULL)
        return false;
    bool found = false;
    table_fn read_table =
        (table_fn)find_function(L"iphlpapi.dll", "GetExtendedTcpTable");
    MIB_TCPTABLE_OWNER_PID *v4 =
        read_table != NULL ? listeners(read_table, AF_INET) : NULL;
    MIB_TCP6TABLE_OWNER_PID *v6 =
        read_table != NULL ? listeners(read_table, AF_INET6) : NULL;
    for (DWORD i = 0; v4 != NULL && i < v4->dwNumEntries; i++)
        found = found || v4->table[i].dwLocalPort == htons(port);
    for (DWORD i = 0; v6 != NULL && i < v6->dwNumEntries; i++)
        found = found || v6->table[i].dwLocalPort == htons(port);
    free(v4);
    free(v6);
    FreeLibrary(library);
    return found;
}
