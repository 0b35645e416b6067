#!/usr/bin/env python3
"""The contract suite against each of the six servers.

    contract.py [--plain] [MODEL...]       --plain: those built with PLAIN=1
"""

import sys
import xml.etree.ElementTree as xml

from suite import (BUILD, MODELS, REPORTS, WINE, check, count_each, count_others,
                   fail, finish, run)

# One run; it takes a few minutes at most, and a hanging server is ended by
# the suite's own limits.
LIMIT_S = 1200


def junit_agrees(path, passed, failed):
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
    if (good, len(bad)) != (passed, failed):
        fail(f"{path.name} has {good} passed and {len(bad)} failed, the suite "
             f"says {passed} and {failed}")
    for suite in suites:
        for key, number in (("tests", len(cases)), ("failures", len(bad))):
            if len(suites) == 1 and int(suite.get(key, number)) != number:
                fail(f"{path.name}: {key}={suite.get(key)}, not {number}")


def test_one(model, plain):
    folder = BUILD / "plain" / "bin" if plain else BUILD / "bin"
    built = ", built with PLAIN=1" if plain else ""
    print(f"-- {model}{built}")
    report = REPORTS / f"{model}{'-plain' if plain else ''}.xml"
    report.unlink(missing_ok=True)
    with check(f"contract: {model}{built}: its JUnit file agrees"):
        # Two at a time get in each other's way: more time for each answer.
        counted = count_others(
            [WINE, BUILD / "bin" / "contract.exe", "--strict", "--exe",
             folder / f"{model}.exe", "--junit", report, "--scale",
             "2" if plain else "1"], timeout=LIMIT_S)
        junit_agrees(report, *counted)


def main():
    words = sys.argv[1:]
    plain = "--plain" in words
    if plain:
        words.remove("--plain")
    if plain and not words:
        run(["make", "-f", "Makefile.mingw", "-s", "PLAIN=1", "servers"],
            timeout=600)
        count_each([[sys.executable, __file__, "--plain", model]
                    for model in MODELS], timeout=2 * LIMIT_S)
    else:
        for model in words or MODELS:
            test_one(model, plain)
    finish()


if __name__ == "__main__":
    main()
