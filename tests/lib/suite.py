"""What the checks under tests/ share: a line per check, starting servers.

A check is a `with check("what must hold"):` block. It passes when the block
ends, and fails when anything is raised in it; fail(...) says why in words.
skip(...) ends a check that cannot be made here, and says why.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
REPORTS = BUILD / "reports"
WINE = ROOT / "tools" / "wine.sh"

READINESS = ["select", "asyncselect", "eventselect"]
COMPLETION = ["overlapped_event", "overlapped_routine", "iocp"]
MODELS = READINESS + COMPLETION
# Before and beyond the six, as the Makefile has them; and of these, those that
# by their nature cannot keep the whole contract (contract.py).
EXTRAS, PARTIAL = (re.search(rf"^{name} = (.*)$", (ROOT / "Makefile.mingw").read_text(
    encoding="ascii"), re.MULTILINE)[1].split() for name in ("EXTRAS", "PARTIAL"))


# Servers with options of their own keep the contract with these, too.
OWN_OPTIONS = ["iocp_tuned --batch=1", "iocp_tuned --skip=0",
               "iocp_tuned --batch=1 --skip=0", "iocp_tuned --zero-byte",
               "iocp_tuned --groups"]


def program_of(server, folder=BUILD / "bin"):
    """The file of a server that runs here. Wine has no Registered I/O, so rio
    is linked with tests/servers/rio_provider, which has."""
    if server == "rio":
        return BUILD / "tests" / "rio_emulated.exe"
    return folder / f"{server}.exe"


# Generous, for a machine with other work to do; nothing waits this long when
# all is well.
PATIENCE = 60.0

# The last line of every part, and of every program that it counts.
CLOSING = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")

passed = 0
failed = 0
skipped = 0


class Failed(Exception):
    """A check did not hold; the text says what was seen."""


class Late(Failed):
    """It did not hold in time; see at_best()."""


class Skipped(Exception):
    """A check could not be made; the text says what is missing."""


def fail(text):
    raise Failed(text)


def late(text):
    raise Late(text)


def skip(reason):
    raise Skipped(reason)


def fill(client):
    """Send until nothing more is taken, and read nothing. Returns how much went."""
    client.settimeout(0.3)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while True:
            sent += client.send(b"x" * 65536)
    client.settimeout(PATIENCE)
    return sent


@contextlib.contextmanager
def small_disk(folder, size):
    """A disk of its own in that folder, which is soon full."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs",
                       folder], check=False, capture_output=True).returncode:
        skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def check(name):
    global passed, failed, skipped
    began = time.monotonic()
    try:
        yield
    except Skipped as reason:
        skipped += 1
        print(f"skip   {name}: {reason}")
    except Exception as error:  # a crash of a check is a failed check
        failed += 1
        text = str(error) if isinstance(error, Failed) else \
            traceback.format_exc()
        print(f"FAILED {name}")
        for line in text.rstrip().splitlines():
            print(f"       {line}")
    else:
        passed += 1
        took = time.monotonic() - began
        print(f"ok     {name}" + (f" ({took:.1f} s)" if took >= 1 else ""))
    sys.stdout.flush()


def finish():
    """Print the last line, and exit with a status: to have no check is a
    failure."""
    print(f"{passed} passed, {failed} failed" +
          (f", {skipped} skipped" if skipped else ""))
    sys.exit(0 if passed + skipped and not failed else 1)


def count(closing):
    """Add the numbers of a closing line to ours, and return them."""
    global passed, failed, skipped
    numbers = tuple(int(number or 0) for number in closing.groups())
    passed += numbers[0]
    failed += numbers[1]
    skipped += numbers[2]
    return numbers


def expect(what, seen, wanted):
    """Fail unless both are equal."""
    if seen != wanted:
        fail(f"{what}: expected {wanted!r}, saw {seen!r}")


def expect_match(what, seen, pattern):
    """Fail unless the pattern is somewhere in what was seen."""
    if not re.search(pattern, seen):
        fail(f"{what}: expected /{pattern}/, saw {seen!r}")


def at_best(attempt, times=5):
    """Other work on the machine makes a measured time longer, never shorter.
    So a time that is too long (Late) says little. Then attempt() is made
    again: one good time of several shows that a good time is possible."""
    for left in reversed(range(times)):
        try:
            return attempt()
        except Late:
            if left == 0:
                raise


def run_cases(part, names, words=()):
    """Check each case_* in a module's globals(). If there are words, only
    cases with one of the words are checked. A case with a word that follows a
    dash is left out."""
    wanted = [word for word in words if not word.startswith("-")]
    unwanted = [word[1:] for word in words if word.startswith("-")]
    for name, case in list(names.items()):
        title = name.removeprefix("case_").replace("_", " ")
        if name.startswith("case_") and \
                (not wanted or any(word in title for word in wanted)) and \
                not any(word in title for word in unwanted):
            with check(f"{part}: {title}"):
                case()


def own_wine(purpose):
    """The environment for a Wine beside the one we were given: for a test that
    ends its Wine, or starts it in another way. tools/test.py knows this Wine
    by its name."""
    given = os.environ.get("MODELS_WINEPREFIX", str(BUILD / "wine"))
    return dict(os.environ, MODELS_WINEPREFIX=f"{given}-for-{purpose}")


def run(command, *, status=0, timeout=PATIENCE, **options):
    """Run a command, return its standard output. An exit status other than the
    expected one (None: any) raises Failed with all that it printed."""
    try:
        done = subprocess.run([str(word) for word in command], text=True,
                              stdin=options.pop("stdin", subprocess.DEVNULL)
                              if "input" not in options else None,
                              capture_output=True, timeout=timeout, cwd=ROOT,
                              errors="replace", **options)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{command}: still running after {timeout} s\n"
                     f"{late.stdout or ''}{late.stderr or ''}") from late
    if status is not None and done.returncode != status:
        fail(f"{' '.join(map(str, command))}: exit status {done.returncode}, "
             f"not {status}\n{done.stdout}{done.stderr}")
    return done.stdout


def count_others(command, *, timeout, hide=None, **options):
    """Run a program that prints a line per check of its own and at the end
    `N passed, N failed`, perhaps `, N skipped`. Show its lines except those
    that begin with `hide`, add its numbers to ours, and return all three.
    Raises Failed if it does not end with such a line."""
    closing = None
    with subprocess.Popen([str(word) for word in command], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options) as process:
        try:
            output = Lines(process.stdout)
            while (line := output.read(timeout)) is not None:
                if match := CLOSING.fullmatch(line):
                    closing = match
                elif not (hide and line.startswith(hide)):
                    print(line, flush=True)
            status = process.wait(timeout)
        finally:
            process.kill()
    if closing is None:
        fail(f"exit status {status} and no closing line")
    numbers = count(closing)
    if (status != 0) != (numbers[1] != 0):
        fail(f"exit status {status} with {numbers[1]} failed")
    return numbers


def tree(pattern, root=ROOT):
    """The files in the folder with such names, without the folder "build": it
    has many files, and other tests write there."""
    return sorted(path for top in root.iterdir()
                  if top.name not in ("build", ".git")
                  for path in (top.rglob(pattern) if top.is_dir() else [top])
                  if path.match(pattern))


class Lines:
    """Read lines from a pipe, each with a time limit."""

    def __init__(self, stream):
        self.stream = stream
        self.text = ""

    def read(self, timeout=PATIENCE):
        """The next line, or None at the end."""
        deadline = time.monotonic() + timeout
        while "\n" not in self.text:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.stream], [], [], max(left, 0))
            if not ready:
                fail(f"no line within {timeout} s; got {self.text!r}")
            piece = os.read(self.stream.fileno(), 65536)
            if not piece:
                line, self.text = self.text, ""
                return line or None
            self.text += piece.decode(errors="replace")
        line, self.text = self.text.split("\n", 1)
        return line.rstrip("\r")

    def rest(self, timeout=PATIENCE):
        lines = []
        while (line := self.read(timeout)) is not None:
            lines.append(line)
        return lines


class Held:
    """What a server holds, asked from outside: Linux cannot tell."""

    def __init__(self, server):
        self.asked = subprocess.Popen(
            [WINE, BUILD / "tests" / "handles.exe", str(server.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self.answers = Lines(self.asked.stdout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.asked.kill()
        self.asked.wait()
        self.asked.stdin.close()
        self.asked.stdout.close()

    def handles_and_threads(self):
        self.asked.stdin.write(b"\n")
        self.asked.stdin.flush()
        line = self.answers.read(PATIENCE)
        if not line:
            fail(f"handles.exe has ended: {self.asked.wait(PATIENCE)}")
        handles, threads = map(int, line.split())
        if handles == 0:
            fail("this Wine does not tell the number of handles")
        return handles, threads


class Server:
    """One server program under Wine, from its ready line to its summary.

        with Server("iocp") as server:
            ... server.port ...
            lines = server.stop()

    With `may_fail` it may also end before it is ready: its port is None then.
    Its output waits in a pipe until stop(). With more than some hundred
    clients say "--quiet"; otherwise the server waits too, with all its
    clients.
    """

    READY = re.compile(r"^(\w+): listening on (\S+):(\d+), pid (\d+), "
                       r"(\d+) threads? \(Ctrl\+C stops\)$")

    def __init__(self, model, *options, exe=None, env=None, may_fail=False,
                 errors=None):
        self.model = model
        self.exe = exe or program_of(model)
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(WINE), str(self.exe), "--port", "0", "--stop-on-eof",
             *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=errors or self.errors, cwd=ROOT, env=env)
        try:
            self.output = Lines(self.process.stdout)
            line = self.output.read()
            match = self.READY.match(line or "")
            ended = line is None and may_fail
            if not ended and (not match or match[1] != model):
                fail(f"{model}: first line is {line!r}, not a ready line"
                     f"\n{self.error_text()}")
            self.port = None if ended else int(match[3])
            self.pid = None if ended else int(match[4])  # Windows' number
        except BaseException:
            self.end()
            raise

    def error_text(self):
        """So far. Not by read(): the place in the file is shared with the server,
        which would then write there."""
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode(
            "utf-8", errors="replace").replace("\r\n", "\n")

    def wait(self, timeout=PATIENCE):
        """All the rest of its standard output, once it has ended as it
        should."""
        lines = self.output.rest(timeout)
        status = self.process.wait(timeout)
        if status != 0:
            fail(f"{self.model}: exit status {status}\n" + "\n".join(lines) +
                 "\n" + self.error_text())
        stopped = [line for line in lines
                   if line.startswith(f"{self.model}: stopped after ")]
        if len(stopped) != 1:
            fail(f"{self.model}: no summary at the end:\n" + "\n".join(lines))
        return lines

    def stop(self, timeout=PATIENCE):
        """Close its standard input, which asks it to stop."""
        self.process.stdin.close()
        return self.wait(timeout)

    def interrupt(self):
        """Do what Ctrl+C in a terminal does."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in filter(None, (self.process.stdin, self.process.stdout,
                                    self.errors)):
            with contextlib.suppress(OSError):
                stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


REPORTS.mkdir(parents=True, exist_ok=True)
