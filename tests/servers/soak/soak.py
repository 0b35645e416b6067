#!/usr/bin/env python3
"""tools/soak.py sees what it is there to see: a leak of each kind, a wrong byte,
a wrong total. Its subject is tests/broken.exe, with small numbers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (BUILD, PATIENCE, ROOT, Lines, expect, expect_match,  # noqa: E402
                   fail, finish, own_wine, run, run_cases)

SOAK = ROOT / "tools" / "soak.py"
SMALL = ["--connects", "200", "--mib", "40", "--clients", "40"]


def soak(bug, status, said):
    server = str(BUILD / "tests" / "broken.exe") + (bug and f" --bug {bug}")
    told = run([SOAK, *SMALL, server], status=status, timeout=3 * PATIENCE)
    expect_match(bug, told, said)


def case_a_right_server_passes():
    soak("", 0, "nothing grew, no error")


def case_a_handle_for_each_client():
    soak("leaks-handles", 1, "come and go: handles grew from .* which is 1 for "
         "each of 180 clients")


def case_memory_for_each_client():
    soak("leaks-memory", 1, "come and go: kib grew from ")


def case_a_wrong_byte():
    soak("answers-twice", 1, r"client 1: more than its echo: b'1/1 ")


def case_a_wrong_total():
    soak("miscounts", 1, "its summary should tell of 288 clients")


def processes(folder):
    """That run in that Wine."""
    mark = f"WINEPREFIX={folder}\0".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes() + b"\0":
                yield int(environ.parent.name)
        except OSError:
            pass  # it has ended, or is not ours


def hears_interrupts():
    """A shell that starts the tests in the background has them ignore these, and
    their child processes too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def case_an_interrupt_leaves_nothing():
    folder = own_wine("soak-iocp")["MODELS_WINEPREFIX"]
    with subprocess.Popen([SOAK, "--connects", "4000", "iocp"], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=hears_interrupts,
                          env={**os.environ, "PYTHONUNBUFFERED": "1"}) as tool:
        try:
            Lines(tool.stdout).read()
            if not list(processes(folder)):
                fail(f"nothing runs in {folder}")
            tool.send_signal(signal.SIGINT)
            _, errors = tool.communicate(timeout=PATIENCE)
        finally:
            tool.kill()
    expect("what it says", errors, "soak: interrupted\n")
    expect("exit status", tool.returncode, 1)
    expect("processes that are left", list(processes(folder)), [])


if __name__ == "__main__":
    run_cases("soak", globals(), sys.argv[1:])
    finish()
