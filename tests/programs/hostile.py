#!/usr/bin/env python3
"""The judges run programs that are not to be trusted: contract.exe and
compare.exe against a server that harms them, in one way at a time (hostile.c).

    tests/programs/hostile.py [WORD...]    only cases with one of the words
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import suite  # noqa: E402
from small_servers import Server, echo  # noqa: E402
from suite import (BUILD, PATIENCE, ROOT, WINE, expect, expect_match,  # noqa: E402
                   fail)

CONTRACT = BUILD / "bin" / "contract.exe"
HOSTILE = BUILD / "tests" / "hostile.exe"
FILES = Path(tempfile.mkdtemp(prefix="hostile_test"))
atexit.register(shutil.rmtree, FILES)
COULD_NOT_RUN = 4


class Graded:
    """One run of contract.exe to its end, and what it cost."""

    def __init__(self, *way, exe=HOSTILE, only="E1.1,E1.2", options=()):
        words = [word for one in way for word in ("--arg", one)]
        began = time.monotonic()
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                [str(WINE), str(CONTRACT), "--exe", str(exe), "--only", only,
                 *options, *words], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, cwd=ROOT)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            self.bytes = out.read()
        self.code = process.returncode
        self.seconds = time.monotonic() - began
        self.peak_mib = used.ru_maxrss / 1024
        self.text = self.bytes.decode(errors="replace")

    def expect(self, code, pattern):
        expect(f"exit code of this run:\n{self.text}", self.code, code)
        expect_match("its output", self.text, pattern)


def nobody_left():
    """No hostile server of our own Wine runs any more. An ended process takes a
    moment to disappear."""
    wine = os.environ.get("MODELS_WINEPREFIX", str(BUILD / "wine"))
    ours = f"WINEPREFIX={wine}".encode()
    deadline = time.monotonic() + PATIENCE
    left = True
    while left:
        left = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes()
                if b"hostile.exe" in words and b"contract.exe" not in words \
                        and b"compare.exe" not in words and ours in \
                        (folder / "environ").read_bytes().split(b"\0"):
                    left.append((folder.name, words))
            except OSError:
                pass  # it has ended
        if left and time.monotonic() > deadline:
            fail(f"still running: {left}")
        time.sleep(0.05 if left else 0)


# ---- what it prints ----------------------------------------------------------

def case_a_plain_server_passes():
    """Otherwise the other cases would show nothing."""
    Graded().expect(0, r"\(hostile\)[\s\S]*\n2 passed, 0 failed")
    nobody_left()


def case_a_child_that_keeps_the_pipes():
    """Nobody waits for the end of what only the child could still print. The
    case needs 5 s by itself: the time limit of an answer."""
    graded = Graded("--do", "leaves-a-child", only="E1.1")
    graded.expect(1, "the server has ended, exit code 0")
    took = int(re.search(r"(?m)^FAIL .* (\d+) ms", graded.text)[1])
    if took > 15000:
        fail(f"the case took {took} ms")
    nobody_left()


def case_output_without_end():
    """Of 32 MiB a few are kept; and the ready line behind them is found."""
    graded = Graded("--do", "floods", options=["--scale", "10"])
    graded.expect(0, r"\(hostile\)[\s\S]*\n2 passed, 0 failed")
    if graded.peak_mib > 32:
        fail(f"contract.exe used {graded.peak_mib:.0f} MiB")
    nobody_left()


# ---- what it says of itself --------------------------------------------------

def case_a_ready_line_that_names_somebody_else():
    """Nobody connects there, and nobody is graded for it."""
    with Server(echo) as other:
        for place in (f"127.0.0.1:{other.port}", "203.0.113.1:80",
                      f"[::ffff:127.0.0.1]:{other.port}"):
            Graded("--do", "names-another", "--with", place).expect(
                COULD_NOT_RUN, r"its ready line names \S+ port \d+, but it was "
                               r"told --port \d+: nobody connects")
        expect("connections to somebody else", other.connections, 0)
    nobody_left()


def main():
    suite.run([WINE, "--prepare"], timeout=PATIENCE)
    suite.run_cases("hostile", globals(), sys.argv[1:])
    suite.finish()


if __name__ == "__main__":
    main()
