#!/usr/bin/env python3
"""The contract suite grades the program that it is pointed at, and no other.

CreateProcess() looks for a program first in the folder of the program that
calls it, and all of ours are in build/bin. So for `iocp.exe` it would start
ours there, and not the one in the user's current folder.

And with --selfcheck it tests the servers beside it, and writes a file about
them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, MODELS, PATIENCE, ROOT, WINE, check, expect,  # noqa: E402
                   expect_match, fail, finish)

CONTRACT = BUILD / "bin" / "contract.exe"
FOLDER = BUILD / "grader"
COULD_NOT_RUN = 4


def grade(exe, cwd=ROOT):
    """Exit status and output of one quick case."""
    done = subprocess.run([WINE, CONTRACT, "--exe", str(exe), "--only", "E1.1"],
                          cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout + done.stderr


def wrong(exe, cwd=ROOT, said="ended at once"):
    status, output = grade(exe, cwd)
    if status != COULD_NOT_RUN:
        fail(f"{exe} in {cwd}: exit status {status}\n{output}")
    expect_match(str(exe), output, said)


def right(exe, name, cwd=ROOT):
    status, output = grade(exe, cwd)
    if status != 0:
        fail(f"{exe} in {cwd}: exit status {status}\n{output}")
    expect_match(str(exe), output, rf"\({name}\)")
    expect_match(str(exe), output, r"(?m)^1 passed, 0 failed")


def windows(path):
    return "Z:" + str(path).replace("/", "\\")


def selfcheck(contract):
    """Exit status, and the lines of the file."""
    file = FOLDER / "selfcheck.txt"
    done = subprocess.run([WINE, contract, "--selfcheck", windows(file),
                           "--only", "E1.1", "--scale", "10"],
                          stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)
    if not file.exists():
        fail(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode, file.read_text(encoding="ascii").splitlines()


def names_all_servers():
    status, lines = selfcheck(CONTRACT)
    if status != 0:
        fail("\n".join([f"exit status {status}", *lines]))
    for line, wanted in zip(lines, ("winsock-models ", "system: Windows ",
                                    "processor: ", "built with: ",
                                    "options: --seed ")):
        expect_match("its head", line, f"^{wanted}")
    expect("its end", lines[-1], "end, exit code 0")
    for model, line in zip(MODELS, lines[5:-1], strict=True):
        expect_match(model, line,
                     rf"^{model}: 1 passed, 0 failed, 0 skipped in [\d.]+ s$")


def names_what_is_wrong():
    """Beside this one lies one server, and a program that is no server."""
    for source, name in (("contract", "contract"), ("select", "select"),
                         ("echo_client", "iocp")):
        shutil.copy(BUILD / "bin" / f"{source}.exe", FOLDER / f"{name}.exe")
    status, lines = selfcheck(FOLDER / "contract.exe")
    expect("exit status", status, COULD_NOT_RUN)
    expect("its end", lines[-1], f"end, exit code {COULD_NOT_RUN}")
    for line in lines[5:-1]:
        good = re.match(r"select: 1 passed, 0 failed", line)
        if not good and ": it does not start: " not in line:
            fail(line)
    expect("lines about servers", len(lines[5:-1]), len(MODELS))


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder in (FOLDER / "student", FOLDER / "a student"):
        folder.mkdir(parents=True)  # holds a program that is no server
        shutil.copy(BUILD / "bin" / "echo_client.exe", folder / "iocp.exe")
    student = FOLDER / "student"
    below = os.path.relpath(student, ROOT)
    with check("grader: a wrong iocp.exe is not taken for ours"):
        wrong(below + "/iocp.exe")
        wrong(below.replace("/", "\\") + "\\iocp.exe")
        wrong(windows(student / "iocp.exe"))
    with check("grader: nor where the path has a blank"):
        wrong(windows(FOLDER / "a student" / "iocp.exe"))
        wrong("a student\\iocp.exe", FOLDER)
    with check("grader: nor by its name alone, in its own folder"):
        wrong("iocp.exe", student)
        wrong(".\\iocp.exe", student)
    with check("grader: the right one, however its path is written"):
        right("build\\bin\\iocp.exe", "iocp")
        right("build/bin/iocp.exe", "iocp")
        right("iocp.exe", "iocp", BUILD / "bin")
        right("..\\..\\bin\\iocp.exe", "iocp", student)
        right(windows(BUILD / "bin" / "select.exe"), "select")
    with check("grader: a program that is not there"):
        wrong("iocp.exe", FOLDER, "there is no iocp.exe")
        wrong("iocp", BUILD / "bin", "there is no iocp")
        wrong("student", FOLDER, "there is no student")
    with check("grader: --selfcheck tells of each server beside it"):
        names_all_servers()
    with check("grader: --selfcheck tells which of them does not start"):
        names_what_is_wrong()
    shutil.rmtree(FOLDER)
    finish()


if __name__ == "__main__":
    main()
