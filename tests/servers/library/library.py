#!/usr/bin/env python3
"""libwatch.a: programs that know nothing of it are linked with it, and tell what
they call.

    library.py            check everything
    library.py --update   write what was seen into docs/watch.md

The programs beside this file are written as others write theirs. Each watched call
that stands in a source is to be told with its function and its line, and nothing
else is. A call that one run does not make has `not made` behind it.
"""

import collections
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "trace"))
from suite import (BUILD, PATIENCE, ROOT, WINE, Lines, check,  # noqa: E402
                   expect, expect_match, fail, finish, run, skip, small_disk)
from trace import counts_of, events_agree  # noqa: E402
from viewer import view  # noqa: E402

HERE = Path(__file__).resolve().parent.relative_to(ROOT)
OUT = BUILD / "library"
LIBRARY = BUILD / "libwatch.a"
LIBRARY_32 = BUILD / "i686" / "libwatch.a"
PAGE = ROOT / "docs" / "watch.md"
X64, X86 = "x86_64-w64-mingw32", "i686-w64-mingw32"
CLIENTS = [b"hello", b"and good bye"]
UPDATE = "--update" in sys.argv[1:]
STRICT_C = ["-Wall", "-Wextra", "-Werror"]


# ---- building and running -------------------------------------------------------

def rows():
    """{name of a call: (its dll, how many arguments)}."""
    found = {}
    text = (ROOT / "watch" / "calls.h").read_text(encoding="ascii")
    for kind, name, rest in re.findall(r"^CALL(\w*)\((\w+), (.*)$", text,
                                       re.MULTILINE):
        dll = "" if kind == "_POINTER" else rest.split(",")[0]
        types = re.search(r"\(([^()]*)\)", rest.split('"')[0])
        found[name] = dll, types[1].count(",") + 1 if types else 0
    return found


def build(source, *link, name=None, compiler=None, linker=None):
    """The program, linked as its user would."""
    name = name or Path(source).stem
    cpp = source.endswith(".cpp")
    compiler = compiler or [f"{X64}-{'g++' if cpp else 'gcc'}"]
    for tool in compiler[0], *(linker or []):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    made, exe = OUT / f"{name}.o", OUT / f"{name}.exe"
    run([*compiler, "-g", *STRICT_C, *([] if cpp else ["-std=c11"]), "-c",
         HERE / source, "-o", made])
    run([*(linker or compiler), "-static", made,
         *(link or [LIBRARY, "-lws2_32"]), "-o", exe])
    return exe


def watching(value):
    env = {key: text for key, text in os.environ.items() if key != "WATCH"}
    return env if value is None else dict(env, WATCH=str(value))


def start(exe, *words, watch=None, **options):
    return subprocess.Popen([str(WINE), str(exe), *words], cwd=ROOT,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            env=watching(watch), **options)


def ended(exe, *words, watch=None):
    """Run it; status, standard output and standard error."""
    with start(exe, *words, watch=watch, stderr=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, *(text.decode().replace("\r\n", "\n")
                                 for text in (out, err))


def serve(exe, watch=None):
    """Its clients come, one after the other. What it printed, with its exit
    status; and its standard error."""
    with (OUT / "errors.txt").open("w+b") as errors, \
            start(exe, watch=watch, stderr=errors) as process:
        try:
            output = Lines(process.stdout)
            line = output.read()
            if not (match := re.fullmatch(r"port (\d+)", line or "")):
                errors.seek(0)
                fail(f"{exe.name} begins with {line!r}\n"
                     f"{errors.read().decode()}")
            for text in CLIENTS:
                with socket.create_connection(("127.0.0.1", int(match[1])),
                                              PATIENCE) as client:
                    client.sendall(text)
                    seen = b""
                    while len(seen) < len(text) and \
                            (piece := client.recv(100)):
                        seen += piece
                    expect("the echo", seen, text)
                    client.shutdown(socket.SHUT_WR)
                    expect("the end", client.recv(1), b"")
            rest = [*output.rest(), f"exit {process.wait(PATIENCE)}"]
        finally:
            process.kill()
        errors.seek(0)
        return rest, errors.read().decode().replace("\r\n", "\n")


def fresh(name):
    path = OUT / name
    path.unlink(missing_ok=True)
    return path


def records_of(path):
    """All records; the first and the last line are as they should be."""
    begin, *records, end = [json.loads(line) for line in path.read_text(
        encoding="ascii").splitlines()]
    expect("begin", (begin["kind"], begin["format"]), ("begin", 2))
    expect("end", end, {"kind": "end", "records": len(records), "dropped": 0})
    return records


# ---- what has to be told --------------------------------------------------------

def calls_in(source):
    """Each watched call of the source: {(name, line): function}. Those that are
    not made have no function."""
    found, function = {}, ""
    lines = (ROOT / HERE / source).read_text(encoding="ascii").splitlines()
    name = re.compile(r"(?<![\w.])(?<!int )(" + "|".join(rows()) + r")\(")
    for at, line in enumerate(lines, 1):
        if match := re.match(r"(?:\w.*?[ *])?([\w:~]+)\(", line):
            function = match[1]
            continue
        if line.lstrip().startswith(("*", "/*", "//")):
            continue
        for call in name.findall(line):
            if call != function.split("::")[-1] or "::" + call in line:
                found[call, at] = None if "not made" in line else function
    return found


def places_are_right(source, records):
    """Every call is told where it stands, and no other."""
    wanted = {key: function for key, function in calls_in(source).items()
              if function}
    told = {}
    for record in records:
        if record["kind"] in ("call", "woke", "wait"):
            file, _, line = record.get("at", ":0").rpartition(":")
            if file != Path(source).name:
                fail(f"told at {record.get('at')}: {record}")
            told[record["call"], int(line)] = record["function"]
    if told != wanted:
        fail(f"not told: {sorted(wanted.items() - told.items())}\n"
             f"not there: {sorted(told.items() - wanted.items())}")


def connections_are_numbered(records):
    """In their order, with the bytes of each."""
    last = {}
    for record in records:
        for one in record["state"]["connections"]:
            last[one["id"]] = one["received"], one["sent"]
    expect("bytes of the connections", last,
           {number: (len(text), len(text))
            for number, text in enumerate(CLIENTS, 1)})


POSTS = {"WSARecv", "WSASend", "WSARecvFrom", "ConnectEx"}


def operations(records):
    """{its number: whose it is}. Each has one end."""
    begun, over = {}, []
    for record in records:
        if record.get("call") in POSTS and "op" in record:
            begun[record["op"]] = record["of"]
        over += record.get("ended", [])
    if sorted(over) != sorted(begun):
        fail(f"begun {begun}, ended {over}")
    return begun


def operations_are_joined(records, posts):
    """Each belongs to a connection."""
    begun = operations(records)
    if not set(begun.values()) <= {"#1", "#2"} or bool(begun) != posts:
        fail(f"operations of {begun}")


def check_server(name, exe, source, posts=False):
    with check(f"library: {name}: every call is told where it stands"):
        exe = exe()
        path = fresh(f"{exe.stem}.jsonl")
        told, errors = serve(exe, f"trace:{path}")
        records = records_of(path)
        places_are_right(source, records)
        expect("the table", sum(counts_of(errors.splitlines()).values()),
               sum(record["kind"] in ("call", "woke") for record in records))
    with check(f"library: {name}: connections and operations are joined"):
        connections_are_numbered(records)
        operations_are_joined(records, posts)
    with check(f"library: {name}: a viewer shows it"):
        path = fresh(f"{exe.stem}.json")
        _, errors = serve(exe, f"trace:{path}")
        [seen] = view([path])
        events_agree(path, seen, counts_of(errors.splitlines()))
    with check(f"library: {name}: it behaves as without the library"):
        without = build(source, "-lws2_32", name=f"{exe.stem}-alone")
        expected = serve(without)
        expect("not watched", serve(exe), expected)
        expect("off", serve(exe, "off"), expected)
        for how in "count", "trace":
            expect(how, serve(exe, how)[0], expected[0])
        expect("to a file", told, expected[0])


def by_clang(source):
    return build(source, name="by-clang",
                 compiler=["clang++", f"--target={X64}", "-fno-exceptions",
                           "-fno-rtti"], linker=[f"{X64}-g++"])


def check_servers():
    check_server("a class with methods send() and recv()",
                 lambda: build("methods.cpp"), "methods.cpp")
    check_server("the same, by clang", lambda: by_clang("methods.cpp"),
                 "methods.cpp")
    for name, source, posts in (
            ("PER_HANDLE_DATA", "per_handle_data.c", True),
            ("completion routines", "routines.c", True),
            ("WSAAsyncSelect()", "messages.c", False)):
        check_server(name, lambda source=source: build(source), source, posts)


def check_rows():
    with check("library: calls that no server of ours makes are told"):
        path = fresh("rows.jsonl")
        status, out, err = ended(build("rows.c"), watch=f"trace:{path}")
        expect("it ends", (status, out), (0, "all\n"))
        records = records_of(path)
        places_are_right("rows.c", records)
        expect("operations", len(operations(records)), 4)
        lines = (ROOT / HERE / "rows.c").read_text().splitlines()
        for at, line in enumerate(lines, 1):
            if not (match := re.search(r"; /\* (.*) \*/$", line)):
                continue
            seen = [record["result"] for record in records if
                    record["kind"] in ("call", "woke") and
                    record.get("at") == f"rows.c:{at}"]
            if not seen or not all(match[1] in text for text in seen):
                fail(f"{line.strip()}: {seen}")


# ---- the library itself ---------------------------------------------------------

def symbols(tool, *words):
    return [line.split()[-2:] for line in run([tool, *words]).splitlines()
            if len(line.split()) >= 2]


def check_symbols():
    linked = {name: count for name, (dll, count) in rows().items()
              if dll not in ("", "crt")}
    with check("library: it defines what it stands in for, and no other name"):
        seen = {name for kind, name in symbols(f"{X64}-nm", "-g",
                                              "--defined-only", LIBRARY)}
        expect("names", sorted(seen), sorted(
            {*linked, *(f"__imp_{name}" for name in linked)}))
    with check("library: for 32 bits the names have their bytes"):
        make_32()
        seen = {name for kind, name in symbols(f"{X86}-nm", "-g",
                                              "--defined-only", LIBRARY_32)}
        expect("names", sorted(seen), sorted(
            {*(f"_{name}@{4 * count}" for name, count in linked.items()),
             *(f"__imp__{name}@{4 * count}"
               for name, count in linked.items())}))
    with check("library: a program of 32 bits is linked with it"):
        make_32()
        exe = OUT / "rows-32.exe"
        run([f"{X86}-gcc", "-std=c11", "-g", *STRICT_C, HERE / "rows.c",
             LIBRARY_32, "-lws2_32", "-o", exe])
        imported = re.findall(r"\t[0-9a-f]+\t +\d+  (\w+)",
                              run([f"{X86}-objdump", "-p", exe]))
        if "WSAStartup" not in imported or set(imported) & set(linked):
            fail(f"it still imports {set(imported) & set(linked)}")
    with check("library: the layer itself does not go through the layer"):
        for made in (BUILD / "obj" / "library").rglob("*.o"):
            if made.name in ("library.o", "watch.o"):
                continue
            used = {name.removeprefix("__imp_") for kind, name in
                    symbols(f"{X64}-nm", "-u", made)} & set(linked)
            if used - NOT_USED.get(made.name, set()):
                fail(f"{made.name} calls {sorted(used)}")


# What the library never calls: the servers' listener, and their output by a thread
# of its own.
NOT_USED = {"output.o": {"SleepConditionVariableSRW"},
            "net.o": {"WSASocketW", "bind", "closesocket", "getsockname",
                      "listen", "setsockopt"}}


def make_32():
    if not shutil.which(f"{X86}-gcc"):
        skip(f"{X86}-gcc is not installed")
    run(["make", "-f", "Makefile.mingw", "-s", f"CROSS={X86}-",
         "TREE=build/i686", LIBRARY_32.relative_to(ROOT)], timeout=600)


def check_order():
    with check("library: after -lws2_32 it is not linked, and that can be seen"):
        late = build("methods.cpp", "-lws2_32", LIBRARY, name="late")
        if b"libwatch" in late.read_bytes():
            fail("it is in there")
        expect("standard error", serve(late, "trace")[1], "")
        if b"libwatch" not in (OUT / "methods.exe").read_bytes():
            fail("the right one does not say so either")
    with check("library: named as undefined first, a wrong order is an error"):
        done = subprocess.run(
            [f"{X64}-g++", "-static", OUT / "late.o",
             "-Wl,-u,CancelThreadpoolIo", "-lws2_32", LIBRARY, "-o",
             OUT / "late.exe"], capture_output=True, text=True, cwd=ROOT,
            timeout=PATIENCE, check=False)
        if done.returncode == 0 or "multiple definition" not in done.stderr:
            fail(f"exit status {done.returncode}\n{done.stderr}")


# ---- what WATCH says, and how programs end ---------------------------------------

def check_values():
    exe = build("endings.c")
    for value in ("Trace", "trace:", "trace:file.txt", "trace:.", "count:x",
                  "x" * 2000):
        with check(f"library: WATCH={value[:20]} is not understood: exit 2"):
            status, out, err = ended(exe, "return", watch=value)
            expect("exit status", (status, out), (2, ""))
            expect_match("standard error", err, r"^endings: WATCH=.*: this is "
                         r"not understood; it is off, .*\n$")
    with check("library: a file that cannot be written: exit 3"):
        status, out, err = ended(exe, "return", watch="trace:no/such/t.json")
        expect("exit status", (status, out), (3, ""))
        expect_match("standard error", err, r"^endings: WATCH=trace: cannot "
                     r"write 'no/such/t.json': ERROR_PATH_NOT_FOUND \(3\).*\n$")
    with check("library: a file may have any name"):
        path = fresh("n\u00e4me \u03b1.jsonl")
        ended(exe, "return", watch=f"trace:{path}")
        records_of(path)
    with check("library: not asked for anything, it is silent"):
        for value in None, "off", "":
            expect(f"WATCH={value}", ended(exe, "return", watch=value),
                   (6, "return\n", ""))
    with check("library: WATCH=count prints a table, and nothing else"):
        status, out, err = ended(exe, "return", watch="count")
        expect("the rest", (status, out), (6, "return\n"))
        expect("the table", counts_of(err.splitlines()),
               {"socket": 1, "bind": 1, "closesocket": 1, "listen": 300})


def check_ends():
    for how, status, whole in (("return", 6, True), ("exit", 4, True),
                               ("terminate", 5, True), ("crash", None, True),
                               ("abort", 3, False)):
        with check(f"library: nothing is lost when it ends by {how}" if whole
                   else f"library: the file loads when it ends by {how}"):
            path = fresh(f"{how}.json")
            seen, out, _ = ended("build/library/endings.exe", how,
                                 watch=f"trace:{path}")
            if status is not None:
                expect("the rest", (seen, out), (status, f"{how}\n"))
            view([path])
            names = collections.Counter(
                event["name"] for event in json.loads(
                    path.read_text())["traceEvents"] if event["ph"] == "X")
            if whole:
                expect("calls", [names[name] for name in (
                    "socket", "bind", "closesocket", "listen")],
                    [1, 1, 1, 300])
            if how in ("exit", "terminate"):
                expect("the last call", names["ExitProcess"] +
                       names["TerminateProcess"], 1)
    with check("library: ExitProcess() has a table before it"):
        for how in "exit", "terminate":
            _, _, err = ended("build/library/endings.exe", how, watch="count")
            expect(how, sum(counts_of(err.splitlines()).values()), 304)
    with check("library: a call before WSAStartup() is told as one"):
        status, out, err = ended("build/library/endings.exe", "early",
                                 watch="trace")
        expect("the program", (status, out), (0, "10093\n"))
        expect_match("the trace", err, r"main:\d+ +socket\(SOCK_STREAM\) +"
                     r"WSANOTINITIALISED\n")
    with check("library: 200 threads, each with its calls and its name"):
        path = fresh("threads.jsonl")
        expect("the program", ended("build/library/endings.exe", "threads",
                                    watch=f"trace:{path}")[0], 6)
        names = {record["thread"] for record in records_of(path)
                 if record.get("call") == "ResetEvent"}
        expect("threads", names,
               {f"one_thread {number}" for number in range(1, 201)})
    with check("library: 2000 operations in flight, each with its end"):
        path = fresh("operations.json")
        status, _, err = ended("build/library/endings.exe", "operations",
                               watch=f"trace:{path}")
        expect("the program", status, 6)
        phases = collections.Counter(
            event["ph"] for event in
            json.loads(path.read_text())["traceEvents"])
        expect("begun and ended", (phases["b"], phases["e"]), (2000, 2000))
    with check("library: a full disk ends the trace, not the program"):
        folder = OUT / "small"
        folder.mkdir(exist_ok=True)
        with small_disk(folder, "64k"):
            status, out, err = ended("build/library/endings.exe", "flood",
                                     watch=f"trace:{folder / 't.jsonl'}")
        expect("the program", (status, out), (6, "flood\n"))
        expect_match("standard error", err,
                     r"^endings: .*ERROR_DISK_FULL .*the trace ends here\n")


# ---- the page -------------------------------------------------------------------

def check_page():
    with check("library: docs/watch.md shows what a run tells"):
        exe = build("methods.cpp")
        _, errors = serve(exe, "trace")
        lines = [re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:50123",
                        re.sub(r"\bsocket \d{2,}\b", "socket 100", line))
                 for line in errors.splitlines()]
        text = "\n".join(re.sub(r"^ *\d+\.\d{3} ", lambda m: f"{'...':>11} ",
                                re.sub(r" {2,}(?=\S)", lambda m: m[0], line))
                         .rstrip() for line in lines)
        page = PAGE.read_text(encoding="ascii")
        new = re.sub(r"(<!-- run: watched -->\n```\n).*?(```\n<!-- end -->)",
                     lambda m: m[1] + text + "\n" + m[2], page, flags=re.DOTALL)
        if "<!-- run: watched -->" not in page:
            fail("the page has no such part")
        if UPDATE:
            PAGE.write_text(new, encoding="ascii")
        elif new != page:
            fail(f"this is what a run tells now:\n{text}\nWhere that is meant: "
                 "tests/servers/library/library.py --update")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    run(["make", "-f", "Makefile.mingw", "-s", LIBRARY.relative_to(ROOT)],
        timeout=600)
    check_servers()
    check_rows()
    check_symbols()
    check_order()
    check_values()
    check_ends()
    check_page()
    finish()


if __name__ == "__main__":
    main()
