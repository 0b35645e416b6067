#!/usr/bin/env python3
"""To watch one more call is to write one row in watch/calls.h, and no more.

A copy of the layer gets a row for a call that it does not know. A small program
that makes it is then counted, is told of in all three forms of the trace, and has
the call fail to order.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, PATIENCE, ROOT, WINE, at_best, check,  # noqa: E402
                   expect, expect_match, fail, finish, late, run)

COPY = BUILD / "row"
TOOLS = os.environ.get("CROSS", "x86_64-w64-mingw32-")
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

# It knows nothing of the layer.
OTHER = """\
#include <winsock2.h>

#include <stdio.h>

int main(void)
{
    WSADATA data;
    char name[256];
    if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 1;
    int result = gethostname(name, 256);
    printf("%d %d\\n", result, result == 0 ? 0 : WSAGetLastError());
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
         "WERROR=-Werror", "build/tests/row.exe", "build/libwatch.a"],
        timeout=5 * PATIENCE)
    (COPY / "other.c").write_text(OTHER, encoding="ascii")
    run([TOOLS + "gcc", COPY / "other.c", COPY / "build" / "libwatch.a",
         "-static", "-o", COPY / "build" / "tests" / "other.exe", "-lws2_32"])


def row(*words, program="row", status=0, **env):
    return run(["sh", "-c", '"$@" 2>&1', "sh", WINE,
                COPY / "build" / "tests" / f"{program}.exe", *words],
               env={**os.environ, **env}, status=status)


def seen(what, text, pattern):
    """A process that ends waits for the writer of its trace, but not for ever: see
    writer_end(). On a busy machine that may be too short."""
    if not re.search(pattern, text):
        late(f"{what}: expected /{pattern}/, saw {text!r}")


def kept(name):
    row(f"build/row/{name}")
    return (COPY / name).read_text("utf-8")


def main():
    with check("row: a layer with one more row can be built"):
        build()
    with check("row: the call is counted"):
        expect_match("count", row(), r"\n  gethostname +1\n")
    with check("row: the call is narrated, with its arguments and its result"):
        at_best(lambda: seen(
            "--trace", row("narrate"),
            r"  main +main:\d+ +gethostname\(256\) +ok\n"))
    with check("row: the call is in .json"):
        at_best(lambda: seen(".json", kept("row.json"), '"gethostname"'))
        events = json.loads((COPY / "row.json").read_text("utf-8"))
        names = [event["name"] for event in events["traceEvents"]]
        expect("events", names.count("gethostname"), 1)
    with check("row: the call is in .jsonl"):
        at_best(lambda: seen(".jsonl", kept("row.jsonl"), '"gethostname"'))
        lines = [json.loads(line) for line in
                 (COPY / "row.jsonl").read_text("utf-8").splitlines()]
        found = [line for line in lines if line.get("call") == "gethostname"]
        expect("lines", len(found), 1)
    with check("row: the call fails to order, and the trace tells it"):
        wish = "call=gethostname,at=1,code=WSAENETDOWN"
        said = row(WATCH_FAULTS=wish)
        expect_match("it", said, r"(?m)^fault: gethostname$")
        expect_match("it", said, r"(?m)^-1 WSAENETDOWN$")
        at_best(lambda: seen("--trace", row("narrate", WATCH_FAULTS=wish),
                             r"gethostname\(256\) +WSAENETDOWN\n"))
    with check("row: it fails with the memory's code when none is asked for"):
        expect_match("it", row(WATCH_FAULTS="call=gethostname,at=1"),
                     r"(?m)^-1 WSA_NOT_ENOUGH_MEMORY$")
    with check("row: in a program that only links libwatch.a it fails, too"):
        expect_match("without", row(program="other"), r"(?m)^0 0$")
        expect_match("with", row(
            program="other", WATCH="faults:call=gethostname,at=1,code=10050"),
            r"(?m)^-1 10050$")
    with check("row: what is not understood is refused"):
        for wish in ("call=gethostnam,at=1", "call=recv,every=0", "every=2",
                     "call=recv,code=WSAESOMETHING", "call=recv,at=1x", "recv",
                     "call=recv," + "every=1," * 200):
            said = row(WATCH_FAULTS=wish, status=2)
            expect_match(wish, said, "this is not understood")
            row(program="other", WATCH="faults:" + wish, status=2)
    finish()


if __name__ == "__main__":
    main()
