#!/usr/bin/env python3
"""What is special about rio: Wine has no Registered I/O.

The server itself says so there, and ends with exit code 3. All other tests run
it with tests/servers/rio_provider, so here it is checked that the provider is
strict: rio_rules.exe breaks each of its rules. The contract suite runs as for
all servers: contract.py rio.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, PATIENCE, ROOT, WINE, check, count_others, expect,  # noqa: E402
                   expect_match, finish)

RULES = BUILD / "tests" / "rio_rules.exe"
MISUSE = 99  # rio_provider.h
MISUSES = {
    "deregister": "RIODeregisterBuffer() while a request uses the buffer",
    "overlap": "two requests about the same bytes",
    "change": "the bytes of a RIOSend() were changed before its result",
    "close": "RIOCloseCompletionQueue() with request queues that use it",
    "threads": "two threads use the same queue at the same time",
}


def ended(*command):
    """Exit status, standard output and standard error."""
    done = subprocess.run([str(word) for word in (WINE, *command)], cwd=ROOT,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def main():
    with check("rio: without Registered I/O it says so, and ends"):
        status, output, errors = ended(BUILD / "bin" / "rio.exe", "--port", 0)
        expect("exit status", status, 3)
        expect("standard output", output, "")
        expect("lines", errors.count("\n"), 1)
        expect_match("the line", errors, r"^rio: WSAIoctl: WSAEOPNOTSUPP "
                     r"\(10045\).*; this needs the Registered I/O of "
                     r"Windows 8 or later, which Wine does not have$")
    with check("rio: its provider refuses what it should"):
        count_others([WINE, RULES], timeout=PATIENCE)
    for word, text in MISUSES.items():
        with check(f"rio: its provider notices: {text}"):
            status, _, errors = ended(RULES, word)
            expect("exit status", status, MISUSE)
            expect("it says", errors.strip(), f"rio_provider: misuse: {text}")
    with check("rio: compare --all leaves it out here, and says why"):
        compare = subprocess.Popen(
            [WINE, BUILD / "bin" / "compare.exe", "--all", "--quick",
             "--report", BUILD / "reports" / "rio.html"], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            expect_match("the line", compare.stderr.readline(),
                         "^compare: rio is left out: Wine has no Registered "
                         "I/O$")
        finally:
            compare.send_signal(signal.SIGINT)
            compare.wait(PATIENCE)
        status, _, errors = ended(BUILD / "bin" / "compare.exe", "--only", "rio")
        expect("exit status when it alone is wanted", status, 2)
        expect_match("the line", errors, "^compare: --only: rio needs "
                     "Registered I/O, which Wine does not have")
    finish()


if __name__ == "__main__":
    os.makedirs(BUILD / "reports", exist_ok=True)
    main()
