#!/usr/bin/env python3
"""The six servers under AddressSanitizer and UndefinedBehaviorSanitizer.

    sanitize.py --build      build them, and show that a mistake is reported
    sanitize.py MODEL...     run the suite against these
    tools/test.py sanitize   all of that, some at the same time

MinGW's gcc has no sanitizers. Linux's gcc has them, and Wine's winegcc makes a
program of the same sources, which Wine runs as its own. So the contract suite,
which stays as it is, talks to six servers that report a use of freed memory,
also when the completion of an operation touches it. Any report is a failure.

There is a proof that such a use would be seen: a server that takes "still
pending" for a failure, and so frees a connection with an operation in flight,
must be reported.
"""

import concurrent.futures
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (BUILD, MODELS, PATIENCE, REPORTS, ROOT, WINE,  # noqa: E402
                   Server, check, count_others, fail, finish, own_wine, run)

OUT = BUILD / "sanitize"
HERE = "tests/servers/sanitize"
SANITIZE = ["-g", "-O1", "-fno-omit-frame-pointer",
            "-fsanitize=address,undefined"]
# The servers use Windows' own C library (Wine's). The sanitizer does not know
# some of its calls: heap.h leads these to the sanitizer's own. Then Wine's
# attributes on malloc mean nothing. A LONG is an int here and a long on
# Windows: formats that fit only one of them are errors.
COMPILE = ["winegcc", "-mno-cygwin", "-std=gnu11", "-fshort-wchar",
           "-Wall", "-Wextra", "-Werror", "-Wno-attributes", "-DTRACE",
           f"-I{HERE}/include", "-I.", "-Ibuild/include"]
LINK = ["winegcc", "-mno-cygwin", *SANITIZE]
LIBS = ["-lws2_32", "-lmswsock", "-luser32", "-lgdi32"]

# Everything is slower with checks around it.
SCALE = "4"
# Cases that measure memory over a long time: freed memory must not count.
MEASURED = {"E12.2"}
# Cases that run again with tracing on.
TRACED = ["E1.1", "E1.5", "E1.8", "E1.9", "E2", "E4", "E7.5", "E8.2"]
# Cases that need a program of Wine's own that does not start here.
CONSOLE = {"E8.4", "E8.5", "E8.6"}
# A run of all cases takes a minute. A run that hangs must not cost too much
# time.
LIMIT_S = 600


# ---- building ---------------------------------------------------------------

def compile_one(source, folder=OUT / "obj"):
    target = folder / Path(source).with_suffix(".o")
    target.parent.mkdir(parents=True, exist_ok=True)
    ours = Path(source).name == "heap.c"
    options = ["-g", "-O1"] if ours else \
        [*SANITIZE, "-include", f"{HERE}/heap.h"]
    run([*COMPILE, *options, "-c", source, "-o", target], timeout=300)
    return target


def compile_all(sources):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def sources_in(folder):
    return sorted(str(path.relative_to(ROOT))
                  for path in (ROOT / folder).glob("*.c"))


def link(name, objects):
    """Make a NAME.exe.so, and the NAME.exe by which Windows programs start
    it."""
    exe = OUT / f"{name}.exe"
    run([*LINK, "-o", exe, *objects, *LIBS,
         f"-L{library('libasan.so').parent}", "-lasan", "-lubsan"],
        timeout=300)
    # winegcc leaves a script by that name, which CreateProcess() cannot run.
    # With this NAME.exe Wine looks for the .so, in WINEDLLPATH.
    exe.unlink()
    run(["winebuild", "-m64", "--exe", "--fake-module", "-F", exe.name,
         "-o", exe])


def library(name):
    return Path(run(["gcc", f"-print-file-name={name}"]).strip()).resolve()


def build():
    shared = compile_all([*sources_in("common"), *sources_in("watch"),
                          f"{HERE}/heap.c"])
    for model in MODELS:
        link(model, [*compile_all(sources_in(model)), *shared])
    return shared


# ---- running ----------------------------------------------------------------

def environment(logs, freed_mb=64):
    """The environment in which Wine runs with the sanitizers. They write to
    files: a server's standard error may be a pipe of Windows, which they
    cannot write to. They keep the last `freed_mb` MiB of freed memory, to see
    who still uses it."""
    return {**os.environ,
            "WINE_PRELOAD": str(library("libasan.so")),
            "WINEDLLPATH": str(OUT),
            "ASAN_OPTIONS": "detect_leaks=0:use_sigaltstack=0:"
                            f"quarantine_size_mb={freed_mb}:log_path={logs}",
            "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={logs}"}


def reports(logs):
    """What the sanitizers wrote. They also remark that Wine's threads have
    stacks of an unusual kind. That is true, and is no report."""
    texts = [path.read_text(errors="replace")
             for path in sorted(logs.parent.glob(logs.name + ".*"))]
    return [text for text in texts
            if "ERROR: AddressSanitizer" in text or "runtime error:" in text]


def fresh_logs(name):
    logs = OUT / "logs" / name
    logs.parent.mkdir(exist_ok=True)
    for path in logs.parent.glob(logs.name + ".*"):
        path.unlink()
    return logs


@contextlib.contextmanager
def wine_without_sanitizers():
    """Wine's own helper programs do not start with a sanitizer around them: so
    start them before the servers, and keep them as long as the servers run."""
    run([WINE, "--end"], status=None)
    holder = subprocess.Popen([str(WINE), "cmd"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, cwd=ROOT)
    try:
        holder.stdout.read(1)  # its prompt: everything is up
        yield
    finally:
        holder.stdin.close()
        holder.wait()
        run([WINE, "--end"], status=None)


def contract(model):
    """The suite against one server, shown as it goes."""
    logs = fresh_logs(model)
    listed = run([WINE, OUT / "contract.exe", "--list"])
    cases = re.findall(r"\bE\d+\.\d+\b", listed)
    counted = [case for case in cases if case in MEASURED]
    others = [case for case in cases if case not in MEASURED | CONSOLE]
    if len(counted) != len(MEASURED) or not others:
        fail(f"contract.exe lists other cases than these know:\n{listed}")
    print(f"-- {model} (not here: {' '.join(sorted(CONSOLE))}, the keys of a "
          "console, which does not start with the sanitizer)")
    with check(f"sanitize: {model}: no report"):
        traces = OUT / "trace" / model
        shutil.rmtree(traces, ignore_errors=True)
        traces.mkdir(parents=True)
        for chosen, freed_mb, arguments in (
                (others, 64, []), (counted, 1, []),
                (TRACED, 64, ["--trace", f"--trace-file={traces}/%n.jsonl"]),
                (TRACED, 64, [f"--trace-file={traces}/%n.json"])):
            count_others([WINE, OUT / "contract.exe", "--exe",
                          OUT / f"{model}.exe", "--scale", SCALE, "--only",
                          ",".join(chosen),
                          *(word for argument in arguments
                            for word in ("--arg", argument))],
                         env=environment(logs, freed_mb), timeout=LIMIT_S,
                         hide="wine: failed to start")
        if not any(traces.iterdir()):
            fail("the servers left no trace")
        if found := reports(logs):
            fail("\n".join(found))


def planted(shared):
    """A server that frees a connection while its receive is in flight."""
    source = (ROOT / "iocp" / "iocp.c").read_text(encoding="ascii")
    # In the function that asks for bytes, from its head to the next one's.
    wrong, count = re.subn(r"(?s)(static void conn_post_recv\([^;]*?\)\n\{.*?"
                           r"SOCKET_ERROR) &&\s+WSAGetLastError\(\) != "
                           r"WSA_IO_PENDING", r"\1", source, count=1)
    if count == 0:
        fail("iocp.c no longer has the line that this breaks")
    path = OUT / "planted.c"
    path.write_text(wrong, encoding="ascii")
    link("planted", [compile_one(path.relative_to(ROOT)), *shared])
    logs = fresh_logs("planted")
    # One worker, and clients that say nothing: it frees the connection, closes
    # the socket, and then gets the packet of the receive that this ended.
    with Server("iocp", "--threads", "1", exe=OUT / "planted.exe",
                env=environment(logs)) as server:
        deadline = time.monotonic() + PATIENCE
        while not any("SUMMARY" in text for text in reports(logs)):
            if time.monotonic() > deadline:
                fail("nothing was reported")
            with contextlib.suppress(OSError), socket.create_connection(
                    ("127.0.0.1", server.port), 1) as client:
                client.settimeout(1)
                client.recv(1)
    text = "\n".join(reports(logs))
    (REPORTS / "planted.txt").write_text(text)
    if "heap-use-after-free" not in text or "planted.c" not in text:
        fail("the report is of something else:\n" + text)


def build_and_prove():
    with check("sanitize: the servers build with winegcc"):
        (OUT / "obj").mkdir(parents=True, exist_ok=True)
        shared = build()
        with wine_without_sanitizers(), \
                check("sanitize: a freed operation in flight is reported"):
            planted(shared)


def main():
    # This Wine is ended now and then, and no other test's programs may run
    # with a sanitizer.
    os.environ.update(own_wine("sanitize"))
    if sys.argv[1:] == ["--build"]:
        build_and_prove()
    else:
        with wine_without_sanitizers():
            for model in sys.argv[1:]:
                with check(f"sanitize: {model}: the suite ran"):
                    contract(model)
    finish()


if __name__ == "__main__":
    main()
