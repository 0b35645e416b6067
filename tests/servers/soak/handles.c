/* handles.c -- how many handles and threads another process has
 *
 *     handles.exe PID     prints both for each line that it reads
 *
 * tools/soak.py asks it, because Linux cannot tell: most handles of a program
 * under Wine are known to Wine's server only.
 */
#include "common/win.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/err.h"
#include "programs/harness/measure.h"

int main(int argc, char **argv)
{
    char line[16];
    if (argc != 2) {
        fputs("usage: handles PID\n", stderr);
        return 2;
    }
    unsigned long pid = strtoul(argv[1], NULL, 10);
    HANDLE process =
        OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, FALSE, pid);
    if (process == NULL)
        die_call("OpenProcess", GetLastError());
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct server_usage usage = {0};
        if (!measure_process(process, pid, 0, &usage))
            die_call("measure_process", GetLastError());
        printf("%lu %lu\n", usage.handles, usage.threads);
        fflush(stdout);
    }
    CloseHandle(process);
    return 0;
}
