#!/usr/bin/env python3
"""What all checks rely on: suite.py counts what passed, failed and was skipped,
and nothing else; and a package of npm's that nobody can reach is a skip, but
not in CI."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import ROOT, check, expect, expect_match, fail, finish  # noqa: E402

LIB = ROOT / "tests" / "lib"
# Nobody listens there.
NO_REGISTRY = {"npm_config_registry": "http://127.0.0.1:9",
               "npm_config_fetch_retries": "0"}


def script(text, **environment):
    """Exit status, and the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"from suite import *\n{text}"], cwd=LIB,
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120, check=False)
    return done.returncode, done.stdout.splitlines()


PASS = "with check('good'): pass\n"
FAIL = "with check('bad'): fail('in two\\nlines')\n"
SKIP = "with check('not here'): skip('no such thing')\n"
CRASH = "with check('crash'): {}['x']\n"
OK, BAD, SKIPPED = ("ok     good", "FAILED bad",
                    "skip   not here: no such thing")


def check_counting():
    for text, status, *lines in (
            (PASS, 0, OK, "1 passed, 0 failed"),
            (PASS + FAIL, 1, OK, BAD, "       in two", "       lines",
             "1 passed, 1 failed"),
            (PASS + SKIP, 0, OK, SKIPPED, "1 passed, 0 failed, 1 skipped"),
            (SKIP, 0, SKIPPED, "0 passed, 0 failed, 1 skipped"),
            (SKIP + FAIL, 1, SKIPPED, BAD, "       in two", "       lines",
             "0 passed, 1 failed, 1 skipped"),
            ("", 1, "0 passed, 0 failed")):
        with check(f"selftest: {lines[-1]}, exit {status}"):
            expect("exit status and lines", script(text + "finish()\n"),
                   (status, lines))
    with check("selftest: a check that crashes has failed"):
        status, lines = script(CRASH + PASS + "finish()\n")
        expect("exit status", status, 1)
        expect_match("lines", "\n".join(lines), r"FAILED crash\n(.*\n)+"
                     r" +KeyError: 'x'\nok     good\n1 passed, 1 failed$")


def ends(line, status):
    return repr([sys.executable, "-c",
                 f"import sys; print('a line\\n{line}'); sys.exit({status})"])


def check_others():
    """Programs that print a closing line of their own."""
    for line, status, counted in (
            ("3 passed, 0 failed", 0, "3 passed, 0 failed"),
            ("3 passed, 2 failed", 1, "3 passed, 2 failed"),
            ("3 passed, 0 failed, 4 skipped", 0,
             "3 passed, 0 failed, 4 skipped")):
        with check(f"selftest: others' {line} is counted"):
            expect("exit status and lines", script(
                f"count_others({ends(line, status)}, timeout=60)\nfinish()\n"),
                (status, ["a line", counted]))
    for line, status in (("all is well", 0), ("1 passed, 0 failed!", 0),
                         ("1 passed, 0 failed", 3)):
        with check(f"selftest: others' {line}, exit {status}, is a failure"):
            call = f"count_others({ends(line, status)}, timeout=60)"
            expect("exit status", script(
                f"with check('other'): {call}\nfinish()\n")[0], 1)


def npm_case(work, target, **environment):
    with tempfile.TemporaryDirectory() as cache:
        return script(
            f"import npm\nfrom pathlib import Path\nwith check('package'): "
            f"npm.{work.format(target=f'Path({str(target)!r})')}\nfinish()\n",
            npm_config_cache=cache, **environment)


def check_npm():
    unpack = "unpack('no-such-package@1.0.0', 'x', 'y', {target})"
    install = "install(ROOT / 'tests' / 'programs' / 'report', {target})"
    for work in (unpack, install):
        with check("selftest: no registry of npm's: a skip, but not in CI: "
                   f"{work.split('(')[0]}"), \
                tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "target"
            status, lines = npm_case(work, target, CI="", **NO_REGISTRY)
            expect("exit status", status, 0)
            expect_match("lines", "\n".join(lines),
                         r"^skip   package: npm's registry cannot be reached "
                         r"from here: ECONNREFUSED\n"
                         r"0 passed, 0 failed, 1 skipped$")
            status, lines = npm_case(work, target, CI="true", **NO_REGISTRY)
            expect("exit status in CI", status, 1)
            expect("in CI", (lines[0], lines[-1]),
                   ("FAILED package", "0 passed, 1 failed"))
    with check("selftest: what npm says of a package is a failure"), \
            tempfile.TemporaryDirectory() as folder:
        # To npm a file is a package, too: here one that is not there, and one
        # that is another than was meant.
        target = Path(folder) / "target"
        (Path(folder) / "package.json").write_text(
            '{"name": "another", "version": "1.0.0"}', encoding="ascii")
        for package in ("file:no/such/package.tgz", f"file:{folder}"):
            status, lines = npm_case(
                f"unpack('{package}', 'x', 'y', {{target}})", target, CI="")
            if status != 1 or lines[-1] != "0 passed, 1 failed":
                fail(f"{package}: exit status {status}: {lines}")
        expect_match("another checksum", "\n".join(lines),
                     r"its sha512 is \S{88}, not x")


def main():
    check_counting()
    check_others()
    check_npm()
    finish()


if __name__ == "__main__":
    main()
