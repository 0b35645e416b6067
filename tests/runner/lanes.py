#!/usr/bin/env python3
"""tools/test.py itself: its output is in order, its sums are right, a job that
hangs or says nothing has failed, and a Wine whose server dies is named and is
nobody's fault."""

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import ROOT, expect, fail, finish, own_wine, run_cases  # noqa: E402

sys.path.insert(0, str(ROOT / "tools"))
import test as runner  # noqa: E402

# Ends the server of its own Wine as an assertion does, but for the words.
KILL_SERVER = """
import os, pathlib, signal
at = os.stat(os.environ["MODELS_WINEPREFIX"])
for cwd in pathlib.Path("/proc").glob("[0-9]*/cwd"):
    try:
        place = os.readlink(cwd)
    except OSError:
        continue  # it has ended
    if place.endswith(f"/server-{at.st_dev:x}-{at.st_ino:x}"):
        os.kill(int(cwd.parent.name), signal.SIGABRT)
print("FAILED because of that", flush=True)
signal.pause()
"""


def job(name, code, **more):
    return runner.Job(name, sys.executable, "-c", code, part="some", **more)


def run(*jobs, lanes=2):
    """The exit status and the lines of a run."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = runner.run(list(jobs), lanes)
    return status, out.getvalue().splitlines()


def case_output_is_in_order():
    # The first one waits for the second, so both run at the same time.
    with tempfile.TemporaryDirectory() as folder:
        fifo = Path(folder) / "fifo"
        os.mkfifo(fifo)
        status, lines = run(
            job("a", f"open({str(fifo)!r}).read(); print('one');"
                "print('1 passed, 0 failed')"),
            job("b", f"open({str(fifo)!r}, 'w').close(); print('two');"
                "print('2 passed, 0 failed, 3 skipped')"))
    expect("exit status", status, 0)
    expect("lines", [line.split(" in ")[0] for line in lines
                     if "lanes" not in line],
           ["== some", "  one", "  two", "   some: 3 of 3, 3 skipped,",
            "3 passed, 0 failed, 3 skipped"])


def failing(code, *wanted):
    status, lines = run(job("a", code), job("b", "print('1 passed, 0 failed')"))
    expect("exit status", status, 1)
    expect("the last line", lines[-1], "1 passed, 1 failed")
    for line in wanted:
        if not any(line in told for told in lines):
            fail(f"no {line!r} in\n" + "\n".join(lines))


def case_a_failure_is_one():
    failing("print('FAILED it'); print('0 passed, 1 failed'); exit(1)",
            "  FAILED it", "FAILED some a: 1 failed", "    FAILED it")


def case_an_exit_status_counts():
    failing("exit(3)", "FAILED some a: exit status 3, no failure counted")


def case_nothing_is_a_failure():
    failing("print('hello')", "FAILED some a: ran nothing")
    failing("print('0 passed, 0 failed')", "FAILED some a: ran nothing")


def case_a_job_that_hangs_is_ended():
    before, runner.LIMIT_S = runner.LIMIT_S, 2
    try:
        failing("import signal; signal.pause()",
                "FAILED some a: not done after 2 s")
    finally:
        runner.LIMIT_S = before


def dies_once(code):
    """A job whose Wine dies the first time, and that does this afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder) / "mark"
        return run(job(
            "a", f"import pathlib; mark = pathlib.Path({str(mark)!r})\n"
            f"if not mark.exists():\n  mark.touch()\n  exec({KILL_SERVER!r})\n"
            + code))


def case_a_server_that_dies_is_named():
    """The second time all goes well."""
    status, lines = dies_once("print('5 passed, 0 failed')")
    expect("exit status", status, 0)
    expect("the last line", lines[-1], "5 passed, 0 failed")
    expect("what is said of it", lines[-3],
           "Wine's server died: without a word; some a was run again")


def case_a_fault_after_a_death_is_not_hidden():
    status, lines = dies_once("print('4 passed, 1 failed'); exit(1)")
    expect("exit status", status, 1)
    expect("the last line", lines[-1], "4 passed, 1 failed")


def case_a_server_that_dies_twice_is_a_failure():
    status, lines = run(job("a", KILL_SERVER),
                        job("b", "print('1 passed, 0 failed')"))
    expect("exit status", status, 1)
    expect("the last line", lines[-1], "1 passed, 1 failed")
    if "  FAILED some a: Wine's server died twice" not in lines:
        fail("\n".join(lines))


def main():
    os.environ.update(own_wine("lanes"))
    with tempfile.TemporaryDirectory() as folder:
        runner.REPORTS = Path(folder)
        run_cases("lanes", globals())
    finish()


if __name__ == "__main__":
    main()
