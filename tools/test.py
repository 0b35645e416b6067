#!/usr/bin/env python3
"""Run every test, or some parts of them.

    tools/test.py [PART...]      one of these, or PART:JOB, as contract:iocp
    tools/test.py --list         the parts and their jobs

`make -f Makefile.mingw test` builds first and then calls this. A test mostly
waits, so several jobs run at the same time, in lanes. Each lane has a Wine of
its own: a wineserver is one thread, and what one job does to it must not
affect other jobs. And a lane keeps to one processor: in a virtual machine, to
wake a program on another processor costs more than all else, and nearly
doubles the cost of each echo. Servers with several threads are tested on all
processors as well.

Still the output is in the order of the parts, with a line per check; the last
line is the sum of all. The output of each job is kept in build/reports.

LANES=N sets the number of lanes; the default is three for each processor.
"""

import collections
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from suite import BUILD, EXTRAS, MODELS, OWN_OPTIONS, REPORTS, WINE  # noqa: E402

PROCESSORS = sorted(os.sched_getaffinity(0))
LANES = int(os.environ.get("LANES", 3 * len(PROCESSORS)))
# No job needs this long; one that hangs must not hang the whole.
LIMIT_S = int(os.environ.get("TEST_LIMIT", 900))
CLOSING = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")


# ---- what there is to run -----------------------------------------------------

class Job:
    """One command that prints a line per check and, at its end, its sums."""

    def __init__(self, name, *command, part="", seconds=10, wide=False,
                 after=None):
        self.part, self.name = part, name
        self.command = [str(word) for word in command]
        self.seconds = seconds  # about; the longest jobs start first
        self.wide = wide        # it may use all processors
        self.after = after      # the name of a job that has to end before
        self.lines = []
        self.took = self.passed = self.failed = self.skipped = 0
        self.deaths = []        # of Wine's server, while it ran
        self.done = False

    def title(self):
        return f"{self.part} {self.name}".strip()


def python(part, *arguments):
    """The command that runs tests/.../PART.py."""
    path = next(found for pattern in (f"*/{part}.py", f"*/{part}/{part}.py")
                for found in (ROOT / "tests").glob(pattern))
    return sys.executable, path, *arguments


def broken(clauses):
    only = ",".join(f"E{n}" for n in clauses)
    return Job(f"E{clauses[0]}-E{clauses[-1]}", WINE,
               "build/bin/contract.exe", "--prove", "--exe",
               "build/tests/broken.exe", "--only", only, "--scale", "2",
               seconds=100)


def in_threes(names):
    return [names[at:at + 3] for at in range(0, len(names), 3)]


# In the order in which they are shown.
PARTS = {
    **{name: [Job("", *python(name))] for name in
       ("selftest", "text", "shape", "imports", "properties", "cmd_shell",
        "dist")},
    "grader": [Job("", *python("grader"), seconds=150)],
    "diagnosis": [Job(f"{n}-of-3", *python("diagnosis", f"{n}/3"), seconds=100)
                  for n in (1, 2, 3)],
    "lanes": [Job("", *python("lanes"), seconds=25)],
    "docs": [Job("", *python("docs"), seconds=95)],
    "start_here": [Job("", *python("start_here"), seconds=35)],
    "unit": [Job("", WINE, "build/tests/unit.exe", seconds=15)],
    "places": [Job("", *python("places"), seconds=60)],
    "echo_client": [Job("", *python("echo_client"), seconds=20)],
    "echo_load": [Job("", *python("echo_load"), seconds=75)],
    "file_copy": [Job("", *python("file_copy"), seconds=70)],
    "names": [Job("", *python("names"), seconds=25)],
    "real_clients": [Job("", *python("real_clients"))],
    "dead_peer": [Job("", *python("dead_peer"), seconds=10)],
    "haproxy": [Job("", *python("haproxy"), seconds=60)],
    "window": [Job("", *python("window"), seconds=20)],
    "trace": [Job("", *python("trace"), seconds=60)],
    "row": [Job("", *python("row"), seconds=30)],
    "library": [Job("", *python("library"), seconds=150)],
    "contract": [Job(model, *python("contract", model), seconds=60,
                     wide=model not in ("select", "asyncselect", *EXTRAS))
                 for model in (*MODELS, *EXTRAS)] +
                [Job(options.replace(" ", ""), *python("contract", options),
                     seconds=60) for options in OWN_OPTIONS],
    "builds": [Job(f"{way}-{model}", *python("contract", f"--{way}", model),
                   seconds=50) for way in ("plain", "traced")
               for model in MODELS],
    "linux": [Job("build", *python("linux", "--build")),
              *(Job(name, *python("linux", name), seconds=100, wide=True,
                    after="build") for name in ("epoll", "io_uring"))],
    "faults": [Job(some[0] + "...", *python("faults", *some),
                   seconds=100) for some in in_threes([*MODELS, *EXTRAS])],
    "matrix": [Job("", *python("matrix"), seconds=60)],
    "rio": [Job("", *python("rio"), seconds=15)],
    "soak": [Job("", *python("soak"), seconds=15)],
    "strict": [*(Job(some[0] + "...", *python("strict", *some), seconds=30)
                 for some in in_threes([*MODELS, *EXTRAS])),
               Job("wrong", *python("strict", "wrong"), seconds=150)],
    "broken": [broken(range(1, 5)), broken(range(5, 9)), broken(range(9, 15))],
    "compare": [Job("quick", *python("compare", "quick"),
                    seconds=200, wide=True),
                Job("troubles", *python("compare", "troubles"),
                    seconds=90),
                Job("others", *python("compare", "-quick",
                                      "-troubles"), seconds=130, wide=True,
                    after="quick")],
    "hostile": [Job("", *python("hostile"), seconds=60)],
    "report": [Job("", *python("report"), seconds=70)],
    "sanitize": [Job("build", *python("sanitize", "--build"),
                     seconds=60),
                 *(Job(model, *python("sanitize", model), seconds=60,
                       after="build") for model in MODELS),
                 Job("linux", *python("linux", "--sanitize"), seconds=130)],
}
# Asked for by name only: it needs other packages.
EXTRA = {"sanitize"}


def chosen(words):
    """The jobs that the words ask for, in their order."""
    jobs = []
    for word in words or [part for part in PARTS if part not in EXTRA]:
        part, _, name = word.partition(":")
        found = [job for job in PARTS.get(part, ())
                 if not name or job.name == name]
        if not found:
            sys.exit(f"test: there is no {word}; --list tells what there is")
        for job in found:
            job.part = part
            jobs.append(job)
    return jobs


# ---- Wine's server ------------------------------------------------------------

class Wine:
    """The Wine of one lane, and whether its server is still the same one."""

    def __init__(self, number):
        self.number = number
        first = Path(os.environ.get("MODELS_WINEPREFIX", BUILD / "wine"))
        self.prefix = first.with_name(f"{first.name}-{number}") if number \
            else first
        self.env = dict(os.environ, MODELS_WINEPREFIX=str(self.prefix),
                        WINE=str(WINE), PYTHONUNBUFFERED="1",
                        PYTHONDONTWRITEBYTECODE="1")
        self.server = None
        self.wide = True

    def call(self, option):
        subprocess.run([WINE, option], env=self.env, check=option != "--end",
                       stdin=subprocess.DEVNULL, timeout=300)

    def start(self, wide):
        """Start a server that stays until end(), on all processors or on one.
        It and its programs may use the processors of the thread that starts
        them."""
        if wide != self.wide:
            self.end()
            self.wide = wide
            os.sched_setaffinity(0, PROCESSORS if wide else
                                 {PROCESSORS[self.number % len(PROCESSORS)]})
        self.call("--prepare")
        if self.server is None:
            self.server = os.pidfd_open(self.server_pid())

    def server_pid(self):
        at = os.stat(self.prefix)
        mark = f"/server-{at.st_dev:x}-{at.st_ino:x}"
        for cwd in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if os.readlink(cwd).endswith(mark):
                    return int(cwd.parent.name)
            except OSError:
                pass  # it has ended, or is not ours
        raise RuntimeError(f"no wineserver for {self.prefix}")

    def died(self):
        return self.server is not None and \
            bool(select.select([self.server], [], [], 0)[0])

    def last_words(self):
        """What its server, and those of Wines that a test has made for
        itself, said when they gave up."""
        said = []
        for log in (self.prefix / "server.log", *self.prefix.parent.glob(
                f"{self.prefix.name}-for-*/server.log")):
            if log.exists():
                said += [line for line in log.read_text(
                    errors="replace").splitlines() if "Assertion" in line]
                log.write_text("")
        return said

    def end(self):
        self.call("--end")
        if self.server is not None:
            os.close(self.server)
            self.server = None


# ---- running ------------------------------------------------------------------

class Runner:
    """Lanes take jobs; the main thread shows what they print, in order."""

    def __init__(self, jobs):
        # The short jobs come first, so that there is something to see. The
        # rest follow, the longest first, so that no long job is left at the end.
        short = [job for job in jobs if job.seconds <= 10]
        rest = [job for job in jobs if job.seconds > 10]
        rest.sort(key=lambda job: -job.seconds)
        self.stages = [short, rest]
        self.jobs = jobs
        self.changed = threading.Condition()
        self.running = {}  # of a job: its process

    def next_job(self):
        """The next one that may run now; None when there is nothing left."""
        with self.changed:
            while any(self.stages):
                stage = next(stage for stage in self.stages if stage)
                for job in stage:
                    if self.may_run(job):
                        stage.remove(job)
                        self.running[job] = None
                        return job
                self.changed.wait()
            return None

    def may_run(self, job):
        return not any(other.part == job.part and other.name == job.after and
                       not other.done for other in self.jobs)

    def lane(self, number):
        wine = Wine(number)
        try:
            while job := self.next_job():
                try:
                    self.run(job, wine)
                except Exception as error:  # a fault of ours ends one job
                    self.tell(job, f"FAILED {job.title()}: {error!r}")
                    job.failed += 1
                with self.changed:
                    job.done = True
                    del self.running[job]
                    self.changed.notify_all()
        finally:
            wine.end()

    def tell(self, job, line):
        with self.changed:
            job.lines.append(line)
            self.changed.notify_all()

    def run(self, job, wine):
        """Run it, and run it once more if Wine's server died meanwhile: then
        its results say nothing about our programs."""
        began = time.monotonic()
        for _ in range(2):
            wine.start(job.wide)
            wine.last_words()
            first = len(job.lines)
            status = self.once(job, wine)
            died, said = wine.died(), wine.last_words()
            if not died and not said:
                break
            wine.end()
            job.deaths.append("; ".join(said) or "without a word")
            self.tell(job, f"-- Wine's server died: {job.deaths[-1]}")
        else:
            job.failed += 1
            self.tell(job, f"FAILED {job.title()}: Wine's server died twice")
        job.took = time.monotonic() - began
        (REPORTS / f"{job.title().replace(' ', '-')}.log").write_text(
            "\n".join(job.lines) + "\n")
        if len(job.deaths) < 2:
            self.count(job, job.lines[first:], status)

    def once(self, job, wine):
        """Its exit status, or None when it had to be ended."""
        with subprocess.Popen(
                job.command, env=wine.env, cwd=ROOT, text=True,
                errors="replace", stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                start_new_session=True) as process:
            self.running[job] = process
            reader = threading.Thread(target=self.read, args=(job, process))
            reader.start()
            ended = os.pidfd_open(process.pid)
            happened = select.select([ended, wine.server], [], [], LIMIT_S)[0]
            os.close(ended)
            status = process.wait() if ended in happened else None
            if not happened:
                self.tell(job, f"FAILED {job.title()}: not done after "
                          f"{LIMIT_S} s")
                job.failed += 1
            if status is None:
                kill_group(process)
                wine.call("--end")  # its programs may hold its output open
            reader.join()
        if not happened:
            wine.end()
        return status

    def read(self, job, process):
        for line in process.stdout:
            self.tell(job, line.rstrip("\r\n"))

    def count(self, job, lines, status):
        """Add up its closing line. Without such a line, or with one that does
        not fit the exit status, the job has failed."""
        sums = [match for line in lines if (match := CLOSING.match(line))]
        if sums:
            job.passed = int(sums[-1][1])
            job.failed += int(sums[-1][2])
            job.skipped = int(sums[-1][3] or 0)
        if status is not None and status != 0 and not job.failed:
            self.tell(job, f"FAILED {job.title()}: exit status {status}, no "
                      "failure counted")
            job.failed = 1
        elif not job.passed + job.failed + job.skipped:
            self.tell(job, f"FAILED {job.title()}: ran nothing")
            job.failed = 1

    def show(self, job):
        """Print its lines as they come, except the closing line."""
        shown = 0
        while True:
            with self.changed:
                self.changed.wait_for(
                    lambda: job.done or len(job.lines) > shown)
                lines, ended = job.lines[shown:], job.done
            shown += len(lines)
            for line in lines:
                if not CLOSING.match(line):
                    print(f"  {line}", flush=True)
            if ended and shown == len(job.lines):
                return

    def stop(self):
        """End what runs, begin nothing more."""
        with self.changed:
            self.stages.clear()
            for process in filter(None, self.running.values()):
                kill_group(process)


def kill_group(process):
    """End the process and what it has started outside Wine."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def sums(jobs):
    passed, failed, skipped = (sum(getattr(job, what) for job in jobs)
                               for what in ("passed", "failed", "skipped"))
    return passed, failed, skipped


def failures(lines, after=12, most=60):
    """The lines that say FAILED or FAIL, and what follows each: who reads only
    the end of a long output sees what failed there."""
    told, left = [], 0
    for line in lines:
        if line.lstrip().startswith("FAIL"):
            left = after + 1
        if left:
            told.append(line)
            left -= 1
    return told[-most:]


def run(jobs, lane_count=LANES):
    """Run them and show all; the exit status."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    # The first Wine is made, all others are copies of it.
    subprocess.run([WINE, "--make"], check=True, timeout=300)
    runner = Runner(jobs)
    began = time.monotonic()
    lanes = [threading.Thread(target=runner.lane, args=(number,))
             for number in range(min(lane_count, len(jobs)))]
    for lane in lanes:
        lane.start()
    try:
        parts = collections.defaultdict(list)
        for job in jobs:
            parts[job.part].append(job)
        for part, its_jobs in parts.items():
            print(f"== {part}", flush=True)
            for job in its_jobs:
                runner.show(job)
            passed, failed, skipped = sums(its_jobs)
            print(f"   {part}: {passed} of {passed + failed}" +
                  (f", {skipped} skipped," if skipped else "") +
                  f" in {sum(job.took for job in its_jobs):.0f} s", flush=True)
    except KeyboardInterrupt:
        runner.stop()
        sys.exit("test: interrupted")
    finally:
        for lane in lanes:
            lane.join()
    for job in jobs:
        if job.deaths:
            print(f"Wine's server died: {job.deaths[0]}; {job.title()} was run "
                  "again")
        if job.failed:
            print(f"FAILED {job.title()}: {job.failed} failed")
            for line in failures(job.lines):
                print(f"    {line}")
    print(f"{time.monotonic() - began:.0f} s in {len(lanes)} lanes")
    passed, failed, skipped = sums(jobs)
    print(f"{passed} passed, {failed} failed" +
          (f", {skipped} skipped" if skipped else ""))
    return 0 if passed and not failed else 1


def main():
    if sys.argv[1:] == ["--list"]:
        for part, jobs in PARTS.items():
            print(part, *(job.name for job in jobs))
        return 0
    return run(chosen(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
