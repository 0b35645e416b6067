#!/usr/bin/env python3
"""The contract suite against each of the six servers, and the baseline.

    contract.py [MODEL...]                     as they are, and blocking
    contract.py --plain | --traced [MODEL...]  built with PLAIN=1; telling their
                                               calls, each start into a file
"""

import shutil
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, EXTRAS, MODELS, REPORTS, WINE, Skipped, check, count_others,  # noqa: E402
                   fail, finish, run)
from viewer import view  # noqa: E402

# One run; it takes a few minutes at most, and a hanging server is ended by
# the suite's own limits.
LIMIT_S = 1200


def junit_agrees(path, *counted):
    """The file is XML that a JUnit reader can count."""
    root = xml.parse(path).getroot()
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    cases = [case for suite in suites for case in suite.findall("testcase")]
    if not cases or any(not case.get("name") for case in cases):
        fail(f"{path.name}: {len(cases)} cases, or one without a name")
    bad = [case for case in cases if case.find("failure") is not None or
           case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    good = len(cases) - len(bad) - len(skipped)
    if (good, len(bad), len(skipped)) != counted:
        fail(f"passed, failed and skipped in {path.name}: {good}, {len(bad)}, "
             f"{len(skipped)}; the suite says {counted}")
    for suite in suites:
        for key, number in (("tests", len(cases)), ("failures", len(bad))):
            if len(suites) == 1 and int(suite.get(key, number)) != number:
                fail(f"{path.name}: {key}={suite.get(key)}, not {number}")


def traces_load(folder):
    """Each start of a server has left a trace, however it was ended."""
    files = sorted(folder.glob("*.json"))
    if len(files) < 10:
        fail(f"only {len(files)} traces")
    try:
        if not sum(one["slices"] for one in view(files)):
            fail("no call in any of them")
    except Skipped:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


# blocking, which is not one of the six, has a thread for each client, and Wine
# some files for each thread: 4,000 of them are more than a process may open.
NOT_FOR_BLOCKING = ["E7.7"]

# With PLAIN=1, and traced, the six are the same models with other macros. What
# could go wrong there with 4,000 clients at once, or 5,000 one after the other,
# goes wrong in each of them; and these two cases last as long as all others
# together. So one model has them in each way.
LONG = ["E7.7", "E12.2"]
HAS_LONG = {"--plain": "overlapped_event", "--traced": "iocp"}


def cases_without(names):
    listed = run([WINE, BUILD / "bin" / "contract.exe", "--list"])
    cases = [line.split()[0] for line in listed.splitlines()]
    for name in names:
        if name not in cases:
            fail(f"no case {name} in {cases}")
        cases.remove(name)
    return ["--only", ",".join(cases)]


# A server with options of its own has to keep the contract with each of them, too.
OWN_OPTIONS = {
    "iocp_tuned": [["--batch", "1"], ["--inline", "0"], ["--no-zero-byte"],
                   ["--batch", "1", "--inline", "0", "--no-zero-byte"],
                   ["--groups"]],
}

# Other tests run beside it: each answer may take longer.
SCALE = "2"
WAYS = {"": "", "--plain": ", built with PLAIN=1", "--traced": ", traced"}


def test_options(model, options):
    print(f"-- {model} {' '.join(options)}")
    command = [WINE, BUILD / "bin" / "contract.exe", "--strict", "--all",
               "--exe", BUILD / "bin" / f"{model}.exe", "--scale", SCALE,
               *cases_without(LONG)]
    for word in options:
        command += ["--arg", word]
    with check(f"contract: {model} {' '.join(options)}: it can be run"):
        count_others(command, timeout=LIMIT_S)


def test_one(model, way):
    folder = BUILD / "plain" / "bin" if way == "--plain" else BUILD / "bin"
    traces = BUILD / "trace" / model
    print(f"-- {model}{WAYS[way]}")
    report = REPORTS / f"{model}{way[1:]}.xml"
    report.unlink(missing_ok=True)
    command = [WINE, BUILD / "bin" / "contract.exe", "--strict", "--all", "--exe",
               folder / f"{model}.exe", "--junit", report, "--scale",
               SCALE]
    if model == "blocking":
        command += cases_without(NOT_FOR_BLOCKING)
    if model != HAS_LONG.get(way, model):
        command += cases_without(LONG)
    if way == "--traced":
        shutil.rmtree(traces, ignore_errors=True)
        traces.mkdir(parents=True)
        command += ["--arg", "--trace-file", "--arg", traces / "%n.json"]
    with check(f"contract: {model}{WAYS[way]}: its JUnit file agrees"):
        counted = count_others(command, timeout=LIMIT_S)
        junit_agrees(report, *counted)
    if way == "--traced":
        with check(f"contract: {model}{WAYS[way]}: every trace loads"):
            traces_load(traces)


def main():
    words = sys.argv[1:]
    way = words.pop(0) if words and words[0] in WAYS else ""
    for model in words or (MODELS if way else [*MODELS, *EXTRAS]):
        test_one(model, way)
        for options in OWN_OPTIONS.get(model, []) if not way else []:
            test_options(model, options)
    finish()


if __name__ == "__main__":
    main()
