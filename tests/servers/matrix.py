#!/usr/bin/env python3
"""Each call of each server fails with each code that its page names.

usage: matrix.py [--all | --cells N] [--seed N] [MODEL ...]

    --all       every cell; otherwise a sample. tools/soak.py --faults runs it so
    --cells N   of so many cells (30), at least one of each model; a cell whose
                call is not made at that time does not count
    --seed N    the same sample once more; it is printed
    --only W    the cells with all of these words: "recv WSAENETDOWN serve"

A cell is a model, a call, a code and a time. The call fails

    start    once, each of the first times: the server ends with exit code 1 or 3
             and a line that says which call, which error and where, or it does
             without, and serves
    serve    each second or third time, while clients come and go: those who were
             there before lose nothing, the others are served or turned away, but
             none hangs; afterwards all are served, no handle is lost, and the
             server stops as asked. When what all clients share is lost, the
             wait or the listener, it ends as at the start
    stop     every time from the moment when it is asked to stop, for a while: it
             stops, or ends as at the start

The calls are those in the source of the model, the codes those of watch/codes.h.
"""
import argparse
import itertools
import random
import re
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
sys.path.insert(0, str(Path(__file__).resolve().parent / "faults"))
from faults import ALONE, connect, echoes, last_words, start  # noqa: E402
from suite import (BUILD, EXTRAS, MODELS, PATIENCE, ROOT,  # noqa: E402
                   Failed, Held, Skipped, check, fail, finish, skip)

WATCH = ROOT / "watch"
CODES = {name: re.findall(r"\b\w*E\w+", codes) for name, codes in re.findall(
    r'^CODES\((\w+), "[^"]*", ([^)]*)\)$',
    (WATCH / "codes.h").read_text(encoding="ascii"), re.MULTILINE)}
ROWS = re.findall(r'^CALL(?:_\w+)?\((\w+), (\w+), .*"[^"]*", (\w+), (\w+),',
                  (WATCH / "calls.h").read_text(encoding="ascii"),
                  re.MULTILINE)
TIMES = ["start", "serve", "stop"]

# All clients share these: a server cannot serve any of them without.
SHARED = {"select", "WSAPoll", "GetMessageW", "WSAWaitForMultipleEvents",
          "GetQueuedCompletionStatus", "GetQueuedCompletionStatusEx",
          "WaitForSingleObject", "RIODequeueCompletion", "RIONotify",
          # and these end a wait:
          "SetEvent", "WSASetEvent", "PostQueuedCompletionStatus", "QueueUserAPC"}
# The listener is shared, too. When sockets are short for a while, a server waits.
LISTENER = {"accept", "AcceptEx", "WSASocketW", "WSAEnumNetworkEvents"}
FOR_A_WHILE = {"WSAEMFILE", "WSAENOBUFS", "WSAEWOULDBLOCK"}
# And these are about a newcomer who has left.
LEFT = {"WSAECONNRESET", "WSAECONNABORTED", "WSAENOTCONN"}
# polling asks every client all the time, so each of them may be the victim.
VICTIMS = {("polling", "recv")}
# That queue is full, and the message that comes next ends the wait as well.
UNTRUE = ("PostMessageW", "ERROR_NOT_ENOUGH_QUOTA", "stop")
# One such call is for many clients.
RARE = {"_beginthreadex", "calloc", "realloc", "VirtualAlloc",
        "RIORegisterBuffer", "RIOResizeCompletionQueue", "WSACreateEvent"}
STAY = 3
A_WHILE = 1  # seconds
# A thread or a socket of a client that has just left may be about to go.
HANDLES_ALLOWED = 3


def is_shared(model, call, code):
    # The threads of pool wake it with a socket, all the time.
    return call in SHARED or \
        (model == "pool" and call in ("send", "recv")) or \
        (call in LISTENER and code not in FOR_A_WHILE | LEFT)


def names_in(model):
    """What is called in its source, or for it by common/."""
    folder = ROOT / (f"extras/{model}" if model in EXTRAS else model)
    text = "".join(path.read_text(encoding="ascii")
                   for path in sorted(folder.glob("*.c")))
    text += (ROOT / "common" / "net.c").read_text(encoding="ascii")
    names = {pointer: name for name, pointer, _, _ in ROWS}
    return {names.get(word, word) for word in re.findall(r"\b(\w+)\(", text)}


def calls_of(model):
    return sorted(names_in(model) & CODES.keys())


def cells_of(model):
    return [(model, call, code, when) for call in calls_of(model)
            for code in CODES[call] for when in TIMES
            if (call, code, when) != UNTRUE]


class Handles(Held):
    """How many handles a server has."""

    def count(self):
        return self.handles_and_threads()[0]

    def settled(self, most):
        """Once there are no more than so many, or after a few seconds."""
        deadline = time.monotonic() + 5
        while (seen := self.count()) > most and time.monotonic() < deadline:
            time.sleep(.05)
        return seen


def struck(server, call):
    return server.error_text().count(f"fault: {call}\n")


def died_loudly(server, call, code):
    """It says which call, which error, and where in the source or with which
    address."""
    status = server.process.wait(PATIENCE)
    errors = server.error_text()
    if status not in (1, 3):
        fail(f"exit status {status}: {errors[-500:]!r}")
    lines = [line for line in errors.splitlines()
             if line.startswith((f"{server.model}: ", "winsock-models: "))]
    wanted = re.compile(rf"\b{call}\b.*\b{code}\b.*(, at \S+\.c:\d+|; )|"
                        rf"\b{call}\b.* 127\.0\.0\.1:\d+: {code}\b")
    if call == "RIODequeueCompletion":  # has no code
        wanted = re.compile(rf"\b{call}\b")
    if not any(wanted.search(line) for line in lines):
        fail(f"it ends with {status} and says {lines}")
    return status


def begin_case(model, call, code):
    times = 0
    outcome = ""
    for at in (1, 2, 3):
        with start(model, may_fail=True, call=call, at=at, code=code) as server:
            if server.port:
                try:
                    with connect(server.port) as sock:
                        if not echoes(sock, b"hello", PATIENCE):
                            fail("it is ready, but serves nobody: "
                                 f"{server.error_text()[-500:]!r}")
                    server.stop()
                    outcome = outcome or "does without"
                except Failed:
                    if not struck(server, call):
                        raise
                    # A thread of its own may meet it when the line is out.
                    outcome = f"exit code {died_loudly(server, call, code)}"
                hit = struck(server, call)
            else:
                hit = struck(server, call)
                if not hit:
                    fail(f"it does not start: {server.process.wait(PATIENCE)}, "
                         f"{server.error_text()!r}")
                outcome = f"exit code {died_loudly(server, call, code)}"
        if not hit:
            break
        times += 1
    if times == 0:
        skip("it is not called there")
    return f"{times} times, {outcome}"


class Window:
    """The call fails from open() to close()."""

    def __init__(self):
        self.file = BUILD / f"matrix-window-{socket.gethostname()}-{id(self)}"
        self.file.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.unlink(missing_ok=True)

    def open(self):
        self.file.touch()

    def close(self):
        self.file.unlink()


def answered(socks, patience):
    """Of these clients, those that have their echo, and those that have nothing
    yet. The others were turned away."""
    served, waiting = [], list(socks)
    deadline = time.monotonic() + patience
    while waiting:
        left = deadline - time.monotonic()
        ready, _, _ = select.select(waiting, [], [], max(left, 0))
        if not ready:
            break
        for sock in ready:
            waiting.remove(sock)
            try:
                if sock.recv(64):
                    served.append(sock)
            except OSError:
                pass  # reset
    return served, waiting


def newcomers(server, count):
    """They have connected and asked for an echo."""
    socks = []
    for _ in range(count):
        try:
            sock = socket.create_connection(("127.0.0.1", server.port),
                                            timeout=PATIENCE)
        except OSError:
            continue  # reset before it was there, or the server has ended
        sock.settimeout(PATIENCE)
        socks.append(sock)
        try:
            sock.sendall(b"newcomer")
        except OSError:
            pass  # told by recv(), too
    return socks


def leave(sock):
    """Says that it has sent all, and waits for the end, orderly or not."""
    try:
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(64):
            pass
    except TimeoutError:
        fail("a client that has sent its end hears nothing of it")
    except OSError:
        pass
    sock.close()


def during(server, call, count, alone):
    """Clients come, ask, and half of them leave."""
    came = []
    for _ in range(count if alone else 1):
        came += newcomers(server, 1 if alone else count)
        served, waiting = answered(came, .3)
        for sock in served[::1 if alone else 2]:
            leave(sock)
            came.remove(sock)
        if server.process.poll() is not None:
            break
    return came


def serve_case(model, call, code, every, window):
    with start(model, call=call, code=code, every=every, window=window.file) \
            as server:
        try:
            with last_words(server), Handles(server) as handles:
                come_and_go(server, handles, call, window)
        except Failed:
            if not is_shared(model, call, code) or not struck(server, call):
                raise
            return f"exit code {died_loudly(server, call, code)}"
        hits = struck(server, call)
    if not hits:
        skip("it is not called there")
    return f"{hits} times"


def come_and_go(server, handles, call, window):
    model = server.model
    alone = model in ALONE
    stay = [connect(server.port) for _ in range(0 if alone else STAY)]
    for sock in stay:
        if not echoes(sock, b"before", PATIENCE):
            fail("not served before")
    with connect(server.port) as sock:
        echoes(sock, b"once", PATIENCE)
        leave(sock)
    before = handles.count()
    window.open()
    came = during(server, call, 70 if call in RARE and not alone else 12,
                  alone)
    hits = struck(server, call)
    window.close()
    for sock in came if alone else ():
        leave(sock)
    # An echo may be among what still comes; nobody may wait for ever.
    for number, sock in enumerate(came if not alone else ()):
        if echoes_or_ends(sock) is None:
            fail(f"newcomer {number} hangs")
    for number, sock in enumerate(stay):
        if (model, call) not in VICTIMS and \
                not echoes(sock, b"after", PATIENCE):
            fail(f"client {number}, who was there before, is lost")
    for sock in came if not alone else ():
        sock.close()
    with connect(server.port) as sock:
        if not echoes(sock, b"afterwards", PATIENCE):
            fail("nobody is served afterwards")
        leave(sock)
    after = handles.settled(before + HANDLES_ALLOWED)
    server.stop()
    if after > before + HANDLES_ALLOWED:
        fail(f"{before} handles before, {after} after {hits} faults")


def echoes_or_ends(sock):
    """True, False, or None when nothing comes. It may still be owed its first
    echo."""
    try:
        sock.sendall(b"<more>")
        got = b""
        while not got.endswith(b"<more>"):
            more = sock.recv(64)
            if not more:
                return False
            got += more
    except TimeoutError:
        return None
    except OSError:
        return False
    return True


def stop_case(model, call, code, window):
    with start(model, call=call, code=code, window=window.file) as server:
        stay = [connect(server.port)
                for _ in range(1 if model in ALONE else STAY)]
        for sock in stay:
            if not echoes(sock, b"before", PATIENCE):
                fail("not served before")
        window.open()
        server.process.stdin.close()
        try:
            status = server.process.wait(A_WHILE)
        except subprocess.TimeoutExpired:
            window.close()
        try:
            status = server.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            fail(f"it does not stop: {server.error_text()[-500:]!r}")
        hits = struck(server, call)
        if status != 0:
            died_loudly(server, call, code)
        for sock in stay:
            sock.close()
    if not hits:
        skip("it is not called there")
    return f"{hits} times, exit code {status}"


def cell(model, call, code, when, chance):
    if when == "start":
        return begin_case(model, call, code)
    with Window() as window:
        if when == "stop":
            return stop_case(model, call, code, window)
        return serve_case(model, call, code, chance.choice((2, 3)), window)


def check_table():
    """Every call of a server that can fail has its codes, and every row its
    call. The rows of other people's calls have none: no server here makes them."""
    known = [name for name, *_ in ROWS]
    made = set().union(*map(names_in, [*MODELS, *EXTRAS]))
    for name, _, _, fails in ROWS:
        if fails != "NEVER" and name not in CODES and \
                name != "SleepConditionVariableSRW" and \
                name in made:
            fail(f"{name} has no row in codes.h")
    memory = {"malloc", "realloc", "calloc", "HeapAlloc", "VirtualAlloc"}
    if strange := CODES.keys() - {*known, *memory}:
        fail(f"no calls: {sorted(strange)}")
    names = (ROOT / "common" / "err.c").read_text(encoding="ascii")
    for code in itertools.chain(*CODES.values()):
        if f"NAMED({code})" not in names:
            fail(f"err_name() does not know {code}")
    return len(ROWS)


def shuffled(cells, chance):
    return chance.sample(cells, len(cells))


def run_cell(one, seed):
    """False: there was nothing to see, the call is not made at that time."""
    try:
        seen = cell(*one, random.Random(seed))
    except Skipped:
        return False
    except Exception as failure:  # as check() has it
        seen = failure
    with check(f"matrix: {' '.join(one)}" +
               (f": {seen}" if isinstance(seen, str) else "")):
        if not isinstance(seen, str):
            raise seen
    return True


def run_until(count, cells, seed):
    """Until so many of them have been seen; returns how many."""
    seen = 0
    for one in cells:
        if seen == count:
            break
        seen += run_cell(one, seed)
    return seen


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, usage=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--cells", type=int, default=30)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(10000))
    parser.add_argument("--only", default="")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    models = args.models or [*MODELS, *EXTRAS]
    with check("matrix: every call that can fail has its codes"):
        check_table()
    cells = [one for model in models for one in cells_of(model)
             if all(word in one for word in args.only.split())]
    print(f"matrix: seed {args.seed}, {len(cells)} cells", flush=True)
    if args.all or args.only:
        wanted = 1
        seen = run_until(len(cells), cells, args.seed)
    else:
        wanted = max(args.cells, len(models))
        seen = sum(run_until(1, shuffled(cells_of(model), chance), args.seed)
                   for model in models)
        seen += run_until(wanted - seen, shuffled(cells, chance), args.seed)
    with check(f"matrix: {seen} cells were seen"):
        if seen < wanted:
            fail(f"not {wanted}")
    finish()


if __name__ == "__main__":
    main()
