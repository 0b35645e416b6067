#!/usr/bin/env python3
"""Names of files may have any letters, also those that the machine's code page
does not have.

    tests/programs/names.py [WORD...]    only cases with one of the words

The programs are copied to a folder with such a name, and take and make files
with such names. The manifest gives a program UTF-8 as its code page; but
Windows before Windows 10 version 1903 does not know this, so the copies go
without: their code page is 1252 here, which has "\\xe9" and no Chinese.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import suite  # noqa: E402
from suite import (BUILD, MODELS, ROOT, WINE, Server, expect,  # noqa: E402
                   expect_match, fail)
from terminal import Terminal  # noqa: E402

CHINESE = "\u8bfe\u7a0b"
NAME = f"{CHINESE} & caf\xe9's"
FOLDER = BUILD / "names" / NAME
# More than Windows takes in the usual form of a path: 260 characters.
LONG = FOLDER / (CHINESE * 40) / (CHINESE * 40) / ("x" * 120)
# Wine takes the letters of a command line from the locale: tools/wine.sh helps.
LONG_S = 300  # a guard against hanging
ENV = dict(os.environ, LC_ALL="C")


def windows(path):
    return "Z:" + str(path).replace("/", "\\")


def start(program, *words, code=0):
    """Run a copied program to its end. Returns its standard output and error,
    which are UTF-8."""
    done = subprocess.run([WINE, FOLDER / f"{program}.exe", *map(str, words)],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=LONG_S, cwd=ROOT, env=ENV,
                          check=False)
    out, err = (text.decode("utf-8", errors="replace").replace("\r", "")
                for text in (done.stdout, done.stderr))
    if done.returncode != code:
        fail(f"{program}: exit code {done.returncode}, not {code}\n{out}{err}")
    return out, err


def made(path):
    """The text of a file that a program made."""
    if not path.exists():
        fail(f"no {path.name!r}; there are {sorted(os.listdir(path.parent))}")
    return path.read_bytes().decode("utf-8")


def copy_programs():
    shutil.rmtree(BUILD / "names", ignore_errors=True)
    LONG.mkdir(parents=True)
    for exe in (BUILD / "bin").glob("*.exe"):
        data = exe.read_bytes()
        changed = data.replace(b"activeCodePage", b"unknownSetting")
        if changed == data:
            fail(f"{exe.name} has no activeCodePage in it")
        (FOLDER / exe.name).write_bytes(changed)
    shutil.copy(FOLDER / "select.exe", LONG)


# ---- cases -----------------------------------------------------------------

def case_the_code_page_has_no_such_letters():
    """echo_client takes its host from the C library, as text of the code page:
    so it shows that the other cases are what they seem to be."""
    _, err = start("echo_client", f"{CHINESE}.invalid", code=1)
    expect_match("echo_client's host", err, r" \?\?\.invalid")


def case_trace_files_of_all_six():
    for model in MODELS:
        path = FOLDER / f"{model} {NAME}.json"
        with Server(model, "--trace-file", windows(path),
                    exe=FOLDER / f"{model}.exe", env=ENV) as server:
            server.stop()
        events = json.loads(made(path))["traceEvents"]
        names = [event["args"].get("name") for event in events
                 if event["name"] == "process_name"]
        expect("process in the trace", names, [model])


def case_a_trace_file_that_cannot_be_made():
    _, err = start("iocp", "--trace-file", f"{CHINESE}/x.json", code=3)
    expect_match("standard error", err, rf"cannot write '{CHINESE}/x\.json': "
                 r"ERROR_PATH_NOT_FOUND \(3\)")


def case_figures_that_are_none():
    """Windows turns full-width figures into plain ones for a program that asks
    for its arguments in a code page ("best fit"): then this would be an
    address, and not the one that was checked by whoever wrote it."""
    wide = "\uff11\uff12\uff17.0.0.1"
    for model in MODELS:
        _, err = start(model, "--bind", wide, "--port", "0", code=2)
        expect_match("standard error", err, f"--bind takes .* not '{wide}'")


def case_contract():
    """E8.4 starts contract.exe once more, to press Ctrl+C."""
    exe, junit = FOLDER / "iocp.exe", FOLDER / f"{NAME}.xml"
    out, _ = start("contract", "--exe", windows(exe), "--only", "E1.1,E8.4",
                   "--junit", windows(junit))
    expect_match("first line", out,
                 "^contract: " + re.escape(windows(exe)) + r" \(iocp\)")
    expect_match("last line", out, "2 passed, 0 failed\n$")
    found = xml.etree.ElementTree.fromstring(made(junit)).find("testsuite")
    expect("name in the JUnit file", found.get("name"), windows(exe))


def case_contract_with_a_program_that_is_not_there():
    _, err = start("contract", "--exe", f"{NAME}.exe", code=4)
    expect_match("standard error", err, re.escape(f"there is no {NAME}.exe"))


def case_contract_with_a_long_path():
    """Of a file that it makes: Wine starts no program with such a path."""
    junit = LONG / f"{NAME}.xml"
    start("contract", "--exe", windows(FOLDER / "select.exe"), "--only",
          "E1.1", "--junit", windows(junit))
    made(junit)
    _, err = start("contract", "--exe", windows(LONG / "select.exe"), code=4)
    expect_match("standard error", err, "CreateProcess: ERROR_")


def case_echo_load():
    path = LONG / f"{NAME}.json"
    with Server("iocp", exe=FOLDER / "iocp.exe", env=ENV) as server:
        start("echo_load", "--duration", "50ms", "--warmup", "0", "--json",
              windows(path), server.port)
        server.stop()
    expect("valid", json.loads(made(path))["valid"], True)


def case_echo_load_without_a_folder():
    _, err = start("echo_load", "--json", f"{CHINESE}/x.json", code=2)
    expect_match("standard error", err, rf"cannot write '{CHINESE}/x\.json': "
                 r"ERROR_PATH_NOT_FOUND \(3\)")


def case_compare():
    """All that compare finds beside itself, and a server of somebody's own. It
    takes one client only, so the loads with more of them end at once."""
    exe = FOLDER / "select.exe"
    page, data, table = (FOLDER / f"{NAME}.{kind}"
                         for kind in ("html", "json", "csv"))
    out, _ = start("compare", "--quick", "--rounds", "1", "--seconds", "0.1",
                   "--servers", f'{CHINESE}="{windows(exe)}" -c 1', "--only",
                   CHINESE, "--report", windows(page), "--json", windows(data),
                   "--csv", windows(table), code=1)
    expect_match("last line", out, re.escape(f"Report: {windows(page)} "))
    servers = json.loads(made(data))["servers"]
    expect("servers", [(one["name"], one["path"]) for one in servers],
           [(CHINESE, f"{windows(exe)} -c 1")])
    rows = list(csv.DictReader(made(table).splitlines()))
    expect("a row of the table", (rows[0]["server"], rows[0]["valid"]),
           (CHINESE, "true"))
    expect_match("the page", made(page), f'"name":"{CHINESE}"')
    left = [name for name in os.listdir(FOLDER) if name.endswith(".part")]
    expect("files that are left", left, [])


def case_compare_without_echo_load():
    load, elsewhere = FOLDER / "echo_load.exe", FOLDER / "elsewhere.exe"
    load.rename(elsewhere)
    try:
        _, err = start("compare", "--only", "iocp", code=2)
    finally:
        elsewhere.rename(load)
    expect_match("standard error", err, re.escape(
        f"echo_load: there is no program {windows(load)}"))


def case_a_console():
    """It shows UTF-8, whatever its own code page is."""
    with Terminal([WINE, FOLDER / "iocp.exe", "--trace-file",
                   f"{CHINESE}/x.json"], env=ENV) as terminal:
        terminal.read_until(f"cannot write '{CHINESE}/x.json'")


def main():
    copy_programs()
    suite.run_cases("names", globals(), sys.argv[1:])
    suite.finish()


if __name__ == "__main__":
    main()
