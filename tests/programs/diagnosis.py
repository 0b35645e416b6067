#!/usr/bin/env python3
"""Each server of a first evening gets its own diagnosis, and no other.

The servers are in programs/contract/broken/toy.c, the sentences in
programs/contract/diagnose.c. The servers of broken.c have such a table too:
`contract --prove` goes through it.
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, REPORTS, ROOT, WINE, check, expect, expect_match,  # noqa: E402
                   fail, finish)

CONTRACT = BUILD / "bin" / "contract.exe"
LIMIT_S = 600
STAGES = 8

# A server, the stage that it does not pass, and the only sentence about it.
TOYS = [
    ("one-client", 2, "serves one client at a time"),
    ("one-accept", 1, "serves its first client and nobody after it"),
    ("one-life", 1, "ends when its first client leaves"),
    ("pool", 2, "serves a few clients at the same time; the next one is "
                "accepted only when one"),
    ("one-echo", 1, "closes a connection after its first echo"),
    ("would-block", 1, "takes WSAEWOULDBLOCK"),
    ("lines", 1, "waits for a newline"),
    ("one-variable", 2, "What the first client sends comes back to the second"),
    ("late-reset", 1, "loses a signal"),
    ("leaving-workers", 5, "its threads have left their loop"),
]
FIGURES = {"pool": "5 clients were served at the same time",
           "leaving-workers": "by a reset, 4 of them"}


def grade(toy, *options, status=1):
    """The output of the suite; and it has to end with this status."""
    done = subprocess.run(
        [WINE, CONTRACT, "--exe", BUILD / "tests" / "toy.exe", "--arg", "--toy",
         "--arg", toy, *options], cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
        capture_output=True, timeout=LIMIT_S, check=False)
    if done.returncode != status:
        fail(f"exit status {done.returncode}, not {status}\n{done.stdout}"
             f"{done.stderr}")
    return done.stdout


def hints(output):
    return re.findall(r"(?m)^ +hint: (.*)", output)


def causes(output):
    return re.findall(r"(?m)^cause: (.*)", output)


def diagnosed(toy, stage, sentence):
    """One cause, said once and on top; each failure refers to it."""
    report = REPORTS / f"toy-{toy}.xml"
    report.unlink(missing_ok=True)
    output = grade(toy, "--junit", report)
    try:
        expect("number of causes", len(causes(output)), 1)
        expect_match("the cause", causes(output)[0], re.escape(sentence))
        expect_match("what was seen", output, FIGURES.get(toy, "seen: "))
        expect_match("the stage", output, rf"(?m)^stage {stage} of {STAGES} .*"
                     + re.escape(sentence))
        if output.index("cause: ") > output.index("FAIL"):
            fail("it is not named before the first failure")
        for hint in hints(output):
            expect_match("a hint", hint, "^The cause that is named above")
        # Each of them waits for an answer that does not come.
        expect("cases that failed", len(hints(output)), 1)
    except Exception:
        print(output)
        raise
    blocked = [case.find("skipped").get("message")
               for case in xml.parse(report).iter("testcase")
               if case.find("skipped") is not None]
    if not any(why.startswith("blocked by: ") for why in blocked):
        fail(f"no case of the JUnit file is blocked: {blocked}")


def every_case():
    output = grade("one-client", "--all", "--only", "E1.9,E5,E7.4,E11.1")
    expect("number of causes", len(causes(output)), 1)
    expect("cases that failed", len(hints(output)), 1)
    expect_match("E7.4", output, r"(?m)^---- +E7\.4 .* blocked$")
    expect_match("E11.1 needs no client", output, r"(?m)^ok +E11\.1 ")
    expect_match("points", output, r"E1 0/2 E5 0/12 E7 0/2 E11 2/2, all")


def left_behind():
    output = grade("twelve-clients", "--stage", "1")
    expect("causes", causes(output), [])
    expect_match("the hint", hints(output)[0], r"^It passes on a fresh "
                 r"server\. So what E1\.1 to E1\.3 left behind")


def letters_fail_too():
    output = grade("few-bytes", "--only", "E1.2")
    expect("causes", causes(output), [])
    expect_match("the hint", hints(output)[0], "^It fails in the same way "
                 r"with letters only \(.*not what this case is about")


def no_mistake():
    output = grade("none", "--stage", "2", status=0)
    expect("causes", causes(output), [])
    expect_match("the sum", output, r"(?m)^2 passed, 0 failed$")


CASES = [
    *((f"{toy}: {sentence}", diagnosed, (toy, stage, sentence))
      for toy, stage, sentence in TOYS),
    ("every case, and still one cause", every_case, ()),
    ("what earlier cases did is not blamed on a later one", left_behind, ()),
    ("a byte value is not blamed where letters fail too", letters_fail_too, ()),
    ("a server without a mistake has no cause", no_mistake, ()),
]


def main():
    """1/3: every third case, from the first one on."""
    number, _, of = (sys.argv[1] if len(sys.argv) > 1 else "1/1").partition("/")
    for title, case, args in CASES[int(number) - 1::int(of)]:
        with check(f"diagnosis: {title}"):
            case(*args)
    finish()


if __name__ == "__main__":
    main()
