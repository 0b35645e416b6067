#!/usr/bin/env python3
"""The judges run programs that are not to be trusted: contract.exe and
compare.exe against a server that harms them, in one way at a time (hostile.c).

    tests/programs/hostile.py [WORD...]    only cases with one of the words
"""

import atexit
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import suite  # noqa: E402
from small_servers import Server, echo  # noqa: E402
from suite import (BUILD, PATIENCE, ROOT, WINE, expect, expect_match,  # noqa: E402
                   fail)

CONTRACT = BUILD / "bin" / "contract.exe"
COMPARE = BUILD / "bin" / "compare.exe"
HOSTILE = BUILD / "tests" / "hostile.exe"
FILES = Path(tempfile.mkdtemp(prefix="hostile_test"))
atexit.register(shutil.rmtree, FILES)
JUNIT = FILES / "results.xml"
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


def case_a_ready_line_with_commands_for_a_terminal():
    graded = Graded("--do", "names-itself", "--with", r"\e]0;owned\e[2J",
                    only="E1.1")
    graded.expect(0, r"\(\?\]0;owned\?\[2J\)")
    expect("escape characters", graded.bytes.count(b"\x1b"), 0)
    graded = Graded("--do", "says", "--with", r"\e[2Jhello")
    graded.expect(COULD_NOT_RUN, r"exit code 9, .*\?\[2Jhello")
    expect("escape characters", graded.bytes.count(b"\x1b"), 0)


def case_what_is_graded_is_named():
    graded = Graded(only="E1.1", options=["--junit", f"Z:{JUNIT}"])
    digest = hashlib.sha256(HOSTILE.read_bytes()).hexdigest()
    graded.expect(0, rf"(?m)^graded: Z:\\.*\\hostile\.exe, SHA-256 {digest}\r?$")
    said = {one.get("name"): one.get("value")
            for one in xml.parse(JUNIT).getroot().iter("property")}
    expect("sha256 in JUnit", said.get("sha256"), digest)
    expect_match("exe in JUnit", said.get("exe", ""), r"^Z:\\.*\\hostile\.exe$")


# ---- the file with the results -------------------------------------------------

def results():
    """The cases of the JUnit file: name, and how it ended."""
    suites = xml.parse(JUNIT).getroot()
    cases = {case.get("name").split()[0]:
             next((kind for kind in ("failure", "error", "skipped")
                   if case.find(kind) is not None), "passed")
             for case in suites.iter("testcase")}
    for kind in ("failure", "error"):
        expect(f"{kind}s in the head", int(suites.get(f"{kind}s")),
               sum(how == kind for how in cases.values()))
    return cases


def case_a_server_that_ends_its_parent():
    """The exit code is the server's to choose. The old file is gone."""
    JUNIT.write_text("<testsuites tests='1' failures='0' errors='0'/>")
    graded = Graded("--do", "ends-parent",
                    options=["--junit", f"Z:{JUNIT}"])
    expect("exit code, chosen by the server", graded.code, 0)
    if " passed, " in graded.text:
        fail(graded.text)
    expect("results", results(), {"the": "error"})
    expect_match("the file", JUNIT.read_text(),
                 "unfinished: contract.exe has not come to its end")
    nobody_left()


def case_a_server_that_starts_only_once():
    """What comes after it is marked as failed, and the results are kept."""
    graded = Graded("--do", "starts-once", "--with", "%n",
                    only="E1.1,E1.2,E9.1", options=["--junit", f"Z:{JUNIT}"])
    graded.expect(1, r"I start no more[\s\S]*\n0 passed, 3 failed")
    expect("results", results(),
           {"E1.1": "failure", "E1.2": "failure", "E9.1": "failure"})
    nobody_left()


def case_a_server_that_does_not_start():
    graded = Graded("--do", "says", "--with", "no",
                    options=["--junit", f"Z:{JUNIT}"])
    graded.expect(COULD_NOT_RUN, "the server ended at once, exit code 9")
    expect("results", results(), {"the": "error"})
    expect_match("the file", JUNIT.read_text(), "ended at once, exit code 9")


def case_a_server_that_crashes():
    Graded("--do", "crashes", options=["--scale", "10"]).expect(
        COULD_NOT_RUN, r"ended at once, exit code 0xc0000005 \(a crash: access "
                       r"violation\)")
    nobody_left()


def case_results_that_cannot_be_written():
    """That is said before anything runs, or it is no success."""
    for name, said in (("", "ERROR_INVALID_NAME"), ("NUL", "a device"),
                       (f"Z:{FILES}", "ERROR_ACCESS_DENIED"),
                       (rf"Z:{FILES}\nowhere\x.xml", "ERROR_PATH_NOT_FOUND")):
        graded = Graded(options=["--junit", name])
        graded.expect(2, rf"cannot write '.*{said}")
        if "graded: " in graded.text:
            fail(f"it ran all the same:\n{graded.text}")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(WINE), str(CONTRACT), "--exe", str(HOSTILE),
                               "--only", "E1.1"], stdin=subprocess.DEVNULL,
                              stdout=full, stderr=subprocess.PIPE, cwd=ROOT,
                              timeout=PATIENCE, check=False, text=True)
    expect("exit code with a full disk", done.returncode, COULD_NOT_RUN)
    expect_match("its words", done.stderr, "standard output takes no more")


def case_two_runs_write_the_same_file():
    """Neither destroys what the other one writes; nor what somebody else has
    there."""
    mine = JUNIT.with_name(JUNIT.name + ".part")
    mine.write_text("mine")
    words = [str(WINE), str(CONTRACT), "--exe", str(HOSTILE), "--only",
             "E1.1,E1.2,E1.3", "--junit", f"Z:{JUNIT}"]
    both = [subprocess.Popen(words, stdin=subprocess.DEVNULL, cwd=ROOT,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for _ in range(2)]
    for one in both:
        said = one.communicate(timeout=2 * PATIENCE)[0].decode()
        expect(f"exit code of this run:\n{said}", one.returncode, 0)
    expect("results", set(results().values()), {"passed"})
    expect("another file", mine.read_text(), "mine")
    mine.unlink()
    expect("files left", list(FILES.glob("*.part")), [])


# ---- what is no server ---------------------------------------------------------

def case_files_that_are_no_programs():
    good = HOSTILE.read_bytes()
    header = struct.unpack("<I", good[60:64])[0]
    arm = good[:header + 4] + b"\x64\xaa" + good[header + 6:]
    dll = good[:header + 22] + b"\x22\x20" + good[header + 24:]
    for name, content, said in (
            ("empty.exe", b"", "no program of Windows"),
            ("text.exe", b"hello", "no program of Windows"),
            ("batch.bat", b"@echo off\r\n", "a batch file cannot be tested"),
            ("linux.exe", b"\x7fELF" + bytes(200), "no program of Windows"),
            ("short.exe", good[:64], "a damaged exe"),
            ("library.exe", dll, "is a DLL"),
            ("arm.exe", arm, "a program for 64 bit ARM, and this Windows "
                             "cannot run it"),
            ("cut.exe", good[:header + 200], "cannot run it, or it is damaged")):
        file = FILES / name
        file.write_bytes(content)
        graded = Graded(exe=f"Z:{file}", options=["--junit", f"Z:{JUNIT}"])
        graded.expect(COULD_NOT_RUN, rf"could not run: .*{name}.*{said}")
        expect(f"{name}: results", results(), {"the": "error"})


# ---- compare -------------------------------------------------------------------

def case_compare_and_what_servers_say():
    """Only numbers are numbers, and only plain text is shown."""
    page, table, sheet = (f"Z:{FILES}/compare.{kind}"
                          for kind in ("html", "json", "csv"))
    servers = {"escapes": r"--do says --with \e[2Jx;=1+1",
               "counts": "--do prints-table --with recv\\tnan"}
    listed = ",".join(rf"{name}=build\tests\hostile.exe {words}"
                      for name, words in servers.items())
    done = subprocess.run(
        [str(WINE), str(COMPARE), "--quick", "--rounds", "1", "--seconds",
         "0.1", "--servers", listed, "--only", ",".join(servers), "--report",
         page, "--json", table, "--csv", sheet], stdin=subprocess.DEVNULL,
        capture_output=True, cwd=ROOT, timeout=5 * PATIENCE, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    expect(f"exit code of this run:\n{said}", done.returncode, 1)
    expect("escape characters", said.count("\x1b"), 0)
    expect_match("its words", said, r"escapes, .* it said: \?\[2Jx;=1\+1")
    expect_match("a cell that would be a formula",
                 (FILES / "compare.csv").read_text(), r"\?\[2Jx;'=1\+1")
    # This reader takes NaN for a number, others do not.
    data = json.loads((FILES / "compare.json").read_text(),
                      parse_constant=lambda word: fail(f"{word} in the JSON"))
    calls = {one["name"]: one["calls"] for one in data["servers"]}
    expect("calls of a server that counts nonsense", calls["counts"], [])
    nobody_left()


def case_compare_and_names_of_files():
    for words, said in (
            (["--json", f"Z:{FILES}/a", "--csv", f"Z:{FILES}/./A"],
             "need a file each"),
            (["--report", ""], "cannot write ''"),
            (["--csv", "NUL"], "that is a device")):
        done = subprocess.run([str(WINE), str(COMPARE), "--quick",
                               *words], stdin=subprocess.DEVNULL, cwd=FILES,
                              text=True, capture_output=True, timeout=PATIENCE,
                              check=False)
        expect(f"{words}: exit code", done.returncode, 2)
        expect_match(f"{words}", done.stderr, said)


def main():
    suite.run([WINE, "--prepare"], timeout=PATIENCE)
    suite.run_cases("hostile", globals(), sys.argv[1:])
    suite.finish()


if __name__ == "__main__":
    main()
