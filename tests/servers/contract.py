#!/usr/bin/env python3
"""The contract suite against each of the six servers, and the baseline.

    contract.py [MODEL...]                     as they are, and those of extras
    contract.py "MODEL OPTION..."              with options of its own
    contract.py --plain | --traced [MODEL...]  built with PLAIN=1; telling their
                                               calls, each start into a file
"""

import shutil
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, EXTRAS, MODELS, REPORTS, WINE, Skipped, check, count_others,  # noqa: E402
                   fail, finish, program_of, run)
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


# Cases that two of the extras cannot have under Wine. blocking has a thread for
# each client, and Wine some files for each thread: 4,000 of them are more than a
# process may open. pool asks about all its clients twice for each one that
# leaves, and so the case took from two minutes to ten here, and failed in the end.
# wsapoll has it, with the same call.
NOT_HERE = {"blocking": ["E7.7"], "pool": ["E7.7"]}

# With PLAIN=1, and traced, the six are the same models with other macros. What
# could go wrong there with 4,000 clients at once, or 5,000 one after the other,
# goes wrong in each of them; and these two cases last as long as all others
# together. So one model has them in each way.
LONG = ["E7.7", "E12.2"]
HAS_LONG = {"--plain": "overlapped_event", "--traced": "iocp"}


# What a server cannot keep by its nature, which its first lines say: cases that
# fail, and cases that are not run because of those (blocked). They are expected.
# All others have to pass.
CANNOT_KEEP = {
    "one_client": {
        "failed": "E1.9",
        "blocked": "E2.6 E3.1 E3.2 E3.3 E4.1 E4.2 E4.3 E4.4 E4.5 E5.1 E5.2 E5.3 "
                   "E5.4 E6.1 E6.4 E6.5 E7.1 E7.2 E7.3 E7.4 E7.5 E7.6 E7.7 E8.2 "
                   "E8.3 E8.4 E8.5 E8.7 E12.1 E12.3 E13.1 E13.2 E13.3"},
    "polling": {"failed": "E6.3 E6.4 E12.1 E12.3"},
}


def outcomes(report):
    """{"passed": cases, "failed": ...} of a JUnit file."""
    found = {"passed": set(), "failed": set(), "blocked": set(),
             "skipped": set()}
    for case in xml.parse(report).getroot().iter("testcase"):
        skipped = case.find("skipped")
        outcome = "failed" if case.find("failure") is not None else \
            "passed" if skipped is None else "blocked" if \
            skipped.get("message").startswith("blocked by") else "skipped"
        found[outcome].add(case.get("name").split()[0])
    return found


def differences(expected, seen):
    """A line for each case whose outcome is not the expected one."""
    for outcome in ("failed", "blocked"):
        wanted = set(expected.get(outcome, "").split())
        for case in sorted(seen[outcome] - wanted):
            yield f"{case} has {outcome}, which is not in its nature"
        for case in sorted(wanted - seen[outcome]):
            now = [name for name, cases in seen.items() if case in cases]
            yield (f"{case} should have {outcome} by its nature, but "
                   f"{' '.join(now) or 'was not run'}")


def keeps_the_rest(model, command, report):
    """Run a suite of which some cases have to fail, and only these."""
    *lines, closing = run(command, status=1, timeout=LIMIT_S).splitlines()
    print("\n".join(lines))
    print(f"{closing}, where some had to fail")
    seen = outcomes(report)
    if wrong := list(differences(CANNOT_KEEP[model], seen)):
        fail("\n".join(wrong))
    if not seen["passed"]:
        fail("no case has passed")


def the_table_can_fail(model):
    """A table that is wrong in any of its words is found out."""
    table = CANNOT_KEEP[model]
    seen = outcomes(REPORTS / f"{model}.xml")
    for outcome, cases in table.items():
        for case in cases.split():
            less = " ".join(set(cases.split()) - {case})
            if not list(differences({**table, outcome: less}, seen)):
                fail(f"nobody would miss {case} in the table")
    for case in seen["passed"]:
        more = {**table, "failed": f"{table['failed']} {case}"}
        if not list(differences(more, seen)):
            fail(f"nobody would see {case} in the table")


def cases_without(names):
    listed = run([WINE, BUILD / "bin" / "contract.exe", "--list"])
    cases = [line.split()[0] for line in listed.splitlines()]
    for name in names:
        if name not in cases:
            fail(f"no case {name} in {cases}")
        cases.remove(name)
    return ["--only", ",".join(cases)]


# Other tests run beside it: each answer may take longer.
SCALE = "2"
WAYS = {"": "", "--plain": ", built with PLAIN=1", "--traced": ", traced"}


def test_options(model, options):
    """A server with options of its own keeps the contract with each of them."""
    print(f"-- {model} {' '.join(options)}")
    command = [WINE, BUILD / "bin" / "contract.exe", "--strict", "--all",
               "--exe", program_of(model), "--scale", SCALE,
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
               program_of(model, folder), "--junit", report, "--scale",
               SCALE]
    if model in NOT_HERE:
        command += cases_without(NOT_HERE[model])
    if model != HAS_LONG.get(way, model):
        command += cases_without(LONG)
    if way == "--traced":
        shutil.rmtree(traces, ignore_errors=True)
        traces.mkdir(parents=True)
        command += ["--arg", "--trace-file", "--arg", traces / "%n.json"]
    if model in CANNOT_KEEP:
        with check(f"contract: {model}{WAYS[way]}: all passes but what cannot, "
                   "by nature"):
            keeps_the_rest(model, command, report)
        with check(f"contract: {model}: and a wrong table is found out"):
            the_table_can_fail(model)
        return
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
        name, *options = model.split()
        if options:
            test_options(name, options)
        else:
            test_one(name, way)
    finish()


if __name__ == "__main__":
    main()
