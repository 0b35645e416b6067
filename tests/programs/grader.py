#!/usr/bin/env python3
"""The contract suite grades the program that it is pointed at, and no other; and
what it says of programs that are no servers, or not the ones that they should
be.

CreateProcess() looks for a program first in the folder of the program that
calls it, and all of ours are in build/bin. So for `iocp.exe` it would start
ours there, and not the one in the user's current folder.

And with --selfcheck it tests the servers beside it, and writes a file about
them.
"""

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, EXTRAS, MODELS, PATIENCE, ROOT, WINE, check, expect,  # noqa: E402
                   expect_match, fail, finish, program_of)
from small_servers import Server, echo  # noqa: E402

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


def toys(*names):
    """A folder of programs that a teacher may get (plain.c)."""
    folder = FOLDER / "toys"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(BUILD / "tests" / "plain.exe", folder / f"{name}.exe")
    return folder


def contract(*words, cwd=ROOT):
    done = subprocess.run([WINE, CONTRACT, *map(str, words)], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=3 * PATIENCE, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8")


def port_in_its_place():
    exe = toys("positional") / "positional.exe"
    status, output = contract("--exe", exe, "--only", "E1.1")
    if status != COULD_NOT_RUN:
        fail(f"exit status {status}\n{output}")
    match = re.search(r"at 127\.0\.0\.1:(\d+) \(it was told --port (\d+)\)",
                      output)
    if not match or match[1] != match[2]:
        fail(f"no port in: {output}")
    for words in ("--arg %p", "argv[1]", "--connect HOST:PORT",
                  "usage: positional PORT"):
        if words not in output:
            fail(f"no {words!r} in: {output}")
    status, output = contract("--exe", exe, "--arg", "%p", "--only", "E1.1")
    if status != 0:
        fail(f"with --arg %p: exit status {status}\n{output}")


def says_text(name, text):
    exe = toys(name) / f"{name}.exe"
    status, output = contract("--exe", exe, "--only", "E1.1")
    if status != COULD_NOT_RUN or text not in output:
        fail(f"exit status {status}, no {text!r} in: {output}")


def junit_has_text():
    exe, report = toys("dies") / "dies.exe", FOLDER / "text.xml"
    status, output = contract("--exe", exe, "--only", "E1.1", "--junit", report)
    if status != 1 or "caf\u00e9 \u7aef" not in output:
        fail(f"exit status {status}\n{output}")
    failure = xml.parse(report).getroot().find(".//failure")
    if "caf\u00e9 \u7aef" not in failure.get("message"):
        fail(f"in the JUnit file: {failure.get('message')}")


def each_in_a_folder():
    names = ["one", "hangs", "crashes", "forges", "utf8", "positional"]
    folder = toys(*names)
    shutil.copy(BUILD / "bin" / "select.exe", folder / "good.exe")
    shutil.copy(BUILD / "bin" / "select.exe", folder / "\u8bfe.exe")
    (folder / "text.exe").write_text("no program\n", encoding="ascii")
    (folder / "notes.txt").write_text("no exe\n", encoding="ascii")
    status, output = contract("--each", "toys", "--only", "E1.1,E1.9",
                              "--scale", "0.5", "--csv", "g.csv",
                              "--html", "g.html", cwd=FOLDER)
    if status != 1:
        fail(f"exit status {status}\n{output}")
    with open(FOLDER / "g.csv", encoding="utf-8-sig", newline="") as file:
        rows = {row["program"]: row for row in csv.DictReader(file)}
    if sorted(rows) != sorted([f"{name}.exe" for name in
                               [*names, "good", "text", "\u8bfe"]]):
        fail(f"rows: {sorted(rows)}")
    wanted = {"good": r"nothing", "\u8bfe": r"nothing", "one": r"The server serves one client",
              "hangs": r"could not be graded: the server accepts nobody at",
              "crashes": r"could not be graded: the server ended at once",
              "forges": r"could not be graded: .*<script>",
              "utf8": "could not be graded: .*caf\u00e9 \u7aef",
              "positional": r"could not be graded: .*--arg %p",
              "text": r"could not be graded: "}
    for name, pattern in wanted.items():
        row = rows[f"{name}.exe"]
        if not re.match(pattern, row["what is wrong first"]):
            fail(f"{name}: {row}")
        points = {"good": ("4", "4"), "\u8bfe": ("4", "4"), "one": ("2", "4")}.get(name, ("", ""))
        if (row["points"], row["of"]) != points:
            fail(f"{name}: {row}")
    for row in rows.values():
        if any(re.search(r"(^|;) *[=+@-]", cell) for cell in row.values()):
            fail(f"a formula: {row}")
    page = (FOLDER / "g.html").read_text(encoding="utf-8")
    if "<script" in page or "\x1b" in page or "&lt;script&gt;" not in page:
        fail(f"not escaped: {page}")
    if page.count("<tr>") != 1 + len(rows):
        fail(f"rows in the page: {page}")


def first_row(folder, *options):
    """Of --each for a folder with one program in it."""
    table = FOLDER / "one.csv"
    status, output = contract("--each", folder, *options, "--csv", table,
                              "--html", FOLDER / "one.html")
    if status != 1:
        fail(f"exit status {status}\n{output}")
    with open(table, encoding="utf-8-sig", newline="") as file:
        return next(csv.DictReader(file))


def each_names_stage_and_cause():
    row = first_row(toys("one"), "--scale", "0.5")
    expect_match("the row", row["what is wrong first"],
                 "^The server serves one client at a time")
    expect("its stage", row["stage not passed"], "2 (two clients)")


def each_names_the_case():
    folder = toys()
    shutil.copy(BUILD / "tests" / "broken.exe", folder / "broken.exe")
    row = first_row(folder, "--only", "E1.1,E1.3", "--arg", "--bug", "--arg",
                    "keeps-a-terminator")
    expect_match("the row", row["what is wrong first"],
                 r"^E1\.3 1023, 1024 and 1025 bytes: client #")


def each_and_a_program_that_ends_its_grader():
    """It chooses the exit code, 0, and still it has not passed."""
    folder = toys()
    shutil.copy(BUILD / "tests" / "hostile.exe", folder / "hostile.exe")
    row = first_row(folder, "--only", "E1.1", "--arg", "--do", "--arg",
                    "ends-parent")
    expect_match("the row", row["what is wrong first"],
                 "^contract.exe did not come to its end: exit code 0 ")


def is_model(exe, model, seen):
    status, output = contract("--exe", exe, "--model", model, "--only", "E1.1",
                              "--scale", "2")
    if status != 0:
        fail(f"{exe.name} as {model}: exit status {status}\n{output}")
    expect_match(exe.name, output, rf"(?m)^ +seen: it imports .*{seen}\(\).*"
                 r"with 40 more clients there were \d+ more threads")


def no_model(exe, model, observed):
    status, output = contract("--exe", exe, "--model", model, "--only", "E1.1",
                              "--scale", "2")
    if status != 1 or "E1.1" in output:
        fail(f"{exe.name} as {model}: exit status {status}\n{output}")
    expect_match(f"{exe.name} as {model}", output,
                 rf"(?m)^ +observed: not {model}.*{observed}")


def models_are_told_apart():
    """Each is accepted as itself and refused as the others, and so is the
    baseline as all of them."""
    shown = dict(zip(MODELS, ["select", "WSAAsyncSelect", "WSAEventSelect",
                              "WSAWaitForMultipleEvents", "SleepEx",
                              "GetQueuedCompletionStatus(Ex)?"]))
    for exe in (*MODELS, *EXTRAS):
        for model in MODELS:
            path = program_of(exe)
            if exe == "rio" and model == "iocp":
                continue  # so far as its imports tell, it is one
            if exe == model or (exe, model) == ("iocp_tuned", "iocp"):
                is_model(path, model, shown[model])
            else:
                no_model(path, model, "imports (no )?[A-Za-z]")


def a_grader_that_was_stopped():
    """As when the computer sleeps, and here for longer than a server has for
    its answer. The answer comes when both run again."""
    once = threading.Lock()  # the first connection takes it and keeps it

    def late_once(conn, server):
        conn.recv(1, socket.MSG_PEEK)
        if once.acquire(blocking=False):
            grader.send_signal(signal.SIGSTOP)
            time.sleep(8)  # ANSWER_MS is 5 s
            grader.send_signal(signal.SIGCONT)
            time.sleep(0.5)
        echo(conn, server)
    with Server(late_once) as server:
        grader = subprocess.Popen(
            [WINE, CONTRACT, "--connect", f"127.0.0.1:{server.port}",
             "--only", "E1.1,E1.2"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=ROOT)
        try:
            output, _ = grader.communicate(timeout=PATIENCE)
        finally:
            grader.kill()
            grader.wait()
    expect("it was stopped", once.locked(), True)
    expect(f"exit status ({output})", grader.returncode, 0)


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
    with check("grader: a program whose port is its argv[1]"):
        port_in_its_place()
    with check("grader: time in which it did not run is no silence"):
        a_grader_that_was_stopped()
    with check("grader: what a program prints arrives as text"):
        says_text("utf8", "caf\u00e9 \u7aef")
        says_text("ansi", "caf\u00e9")
    with check("grader: in the JUnit file too"):
        junit_has_text()
    with check("grader: --each: a row for each program, whatever it is"):
        each_in_a_folder()
    with check("grader: --each: the stage, and the cause of many failures"):
        each_names_stage_and_cause()
    with check("grader: --each: the case that failed, where no cause is found"):
        each_names_the_case()
    with check("grader: --each: a program that ends its grader has not passed"):
        each_and_a_program_that_ends_its_grader()
    with check("grader: --model tells the six apart"):
        models_are_told_apart()
    with check("grader: --model: a thread for each client is no model"):
        no_model(BUILD / "tests" / "broken.exe", "select",
                 "with 40 more clients there were 40 more threads")
    shutil.rmtree(FOLDER)
    finish()


if __name__ == "__main__":
    main()
