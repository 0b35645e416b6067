#!/usr/bin/env python3
"""To watch one more call is to write one row in watch/calls.h, and no more.

A copy of the layer gets a row for a call that it does not know. A small program
that makes it is then counted, is told of in all three forms of the trace, and has
the call fail to order.
"""

import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (BUILD, PATIENCE, ROOT, WINE, check, expect,  # noqa: E402
                   expect_match, fail, finish, run)

COPY = BUILD / "row"
ROW = ('CALL(gethostname, ws2_32, int, (char *, int), "-n", OK, MINUS_1, NOT, '
       '0)\n')
NEXT = "CALL(shutdown, "
PROGRAM = """\
#include "common/win.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "common/net.h"
#include "watch/watch.h"

int main(int argc, char **argv)
{
    char name[256];
    const char *how = argc > 1 ? argv[1] : "";
    bool narrate = strcmp(how, "narrate") == 0;
    faults_begin(NULL);
    trace_begin("row", narrate, narrate || argc < 2 ? NULL : how);
    net_start();
    int result = gethostname(name, 256);
    int err = WSAGetLastError();
    printf("%d %s\\n", result, result == 0 ? "" : err_name((DWORD)err));
    fflush(stdout);
    trace_summary(0);
    net_stop();
    return 0;
}
"""


def build():
    shutil.rmtree(COPY, ignore_errors=True)
    for folder in ("watch", "common"):
        shutil.copytree(ROOT / folder, COPY / folder)
    shutil.copy(ROOT / "Makefile.mingw", COPY)
    calls = COPY / "watch" / "calls.h"
    text = calls.read_text(encoding="ascii")
    if text.count(NEXT) != 1 or "gethostname" in text:
        fail("where is the row to go?")
    calls.write_text(text.replace(NEXT, ROW + NEXT), encoding="ascii")
    (COPY / "tests" / "programs").mkdir(parents=True)
    (COPY / "tests" / "programs" / "row.c").write_text(PROGRAM,
                                                       encoding="ascii")
    run(["make", "-C", COPY, "-f", "Makefile.mingw", "CFLAGS=-O0",
         "WERROR=-Werror", "build/tests/row.exe"], timeout=5 * PATIENCE)


def row(*words, faults=None):
    env = dict(os.environ)
    if faults:
        env["WATCH_FAULTS"] = faults
    return run(["sh", "-c", '"$@" 2>&1', "sh", WINE,
                COPY / "build" / "tests" / "row.exe", *words], env=env)


def main():
    with check("row: a layer with one more row can be built"):
        build()
    with check("row: the call is counted"):
        expect_match("count", row(), r"\n  gethostname +1\n")
    with check("row: the call is narrated, with its arguments and its result"):
        expect_match("--trace", row("narrate"),
                     r"  main +main:\d+ +gethostname\(256\) +ok\n")
    with check("row: the call is in .json"):
        row("build/row/row.json")
        events = json.loads((COPY / "row.json").read_text("utf-8"))
        names = [event["name"] for event in events["traceEvents"]]
        expect("events", names.count("gethostname"), 1)
    with check("row: the call is in .jsonl"):
        row("build/row/row.jsonl")
        lines = [json.loads(line) for line in
                 (COPY / "row.jsonl").read_text("utf-8").splitlines()]
        found = [line for line in lines if line.get("call") == "gethostname"]
        expect("lines", len(found), 1)
    with check("row: the call fails to order, and the trace tells it"):
        said = row("narrate", faults="call=gethostname,at=1,code=WSAENETDOWN")
        expect_match("it", said, r"(?m)^fault: gethostname$")
        expect_match("it", said, r"(?m)^-1 WSAENETDOWN$")
        expect_match("it", said, r"gethostname\(256\) +WSAENETDOWN\n")
    with check("row: it fails with the memory's code when none is asked for"):
        expect_match("it", row(faults="call=gethostname,at=1"),
                     r"(?m)^-1 WSA_NOT_ENOUGH_MEMORY$")
    finish()


if __name__ == "__main__":
    main()
