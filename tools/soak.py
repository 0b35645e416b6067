#!/usr/bin/env python3
"""Does a server lose anything with time? A long load that looks for leaks.

usage: tools/soak.py [options] [SERVER ...]

    SERVER         a model; without one, all six. Or another server with its
                   options: "build/tests/broken.exe --bug leaks-handles"
    --connects N   clients that connect, echo and close (200000)
    --mib N        MiB of echoes of eight clients that stay (4096)
    --clients N    clients held at once, half of them idle and half of them
                   busy (10000); a server with a lower limit gets its limit
    --faults       instead, each call of a server fails with each code that its
                   page names: all of tests/servers/matrix.py
    --publish      runs nothing: collect the six results of build/soak in
                   docs/soak.json, and write their figures into docs/soak.md
    --check        runs nothing: does the page say what docs/soak.json says?

Every byte is compared, and so are the totals in the server's summary. There are
40 samples of each of the three loads: the handles of the server, its file
descriptors, its threads and its memory. The median of the first tenth and the
median of the last tenth are compared: nothing may have grown. Each server is
alone in a Wine of its own; its clients are sockets of this script, outside
Wine. The result is written to build/soak/SERVER.json. Exit code 1: an error, or
something grew. It needs Linux.
"""

import argparse
import collections
import contextlib
import datetime
import itertools
import json
import os
import platform
import random
import re
import resource
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from suite import BUILD, MODELS, WINE, Failed, Held, Server, fail, own_wine, run  # noqa: E402
from comparison import table  # noqa: E402
from test import Wine  # noqa: E402

RESULTS = BUILD / "soak"
PUBLISHED = ROOT / "docs" / "soak.json"
PAGE = ROOT / "docs" / "soak.md"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(\n<!-- end -->)",
                   re.DOTALL)

# Only a server that hangs is silent for so long, even on a busy machine.
PATIENCE = 300.0

SAMPLES = 40  # of each load
TENTH = SAMPLES // 10

# What may differ between the first tenth and the last. A socket may be about to
# close, with an event and a thread of its own, when the sample is taken. The
# heap and Wine keep some free memory, and how much depends on the order in
# which clients end. 1 MiB in 180,000 clients (from the middle of the first tenth
# to the middle of the last) is less than 6 bytes for each, and no heap hands out
# so little.
ALLOWED = {"handles": 8, "descriptors": 8, "threads": 2, "kib": 1024}

CONNECTS, MIB, CLIENTS = 200000, 4096, 10000

AT_ONCE = 100     # clients that come and go together
STREAMS = 8       # clients of the long echoes
SMALL = 64        # bytes of an echo
LARGE = 64 * 1024
ADDRESSES = 250   # see dial()

SHIFTS = 4096
NOISE = random.Random(1).randbytes(LARGE + SHIFTS)


# ---- clients -----------------------------------------------------------------

class Clients:
    """The other side of one server."""

    serials = itertools.count(1)  # of all servers of this run

    def __init__(self, port):
        self.port = port
        self.turn = self.count = self.bytes = 0

    def dial(self, count):
        """That many clients, connected, as (serial, socket). Who closes first
        keeps its port for a minute (TIME_WAIT), and that is the client. An
        address has 28,000 ports for them; when many of these are taken, each
        search for a free one takes long. So the clients come from several
        addresses: Linux has all of 127.0.0.0/8."""
        dialed = []
        for serial in itertools.islice(self.serials, count):
            sock = socket.socket()
            dialed.append((serial, sock))
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with named(serial, "connect"):
                sock.bind((f"127.0.0.{1 + serial % ADDRESSES}", 0))
                sock.connect(("127.0.0.1", self.port))
        self.count += count
        return dialed

    def echo(self, clients, size):
        """An echo of each client. All of them are under way together."""
        self.turn += 1
        for serial, sock in clients:
            with named(serial, "send"):
                sock.sendall(message(serial, self.turn, size))
        for serial, sock in clients:
            with named(serial, "receive"):
                got = receive(sock, size)
            wanted = message(serial, self.turn, size)
            if got != wanted:
                at = len(os.path.commonprefix([got, wanted]))
                fail(f"client {serial}: byte {at} of {size}: expected "
                     f"{wanted[at:at + 8]!r}, got {got[at:at + 8]!r}")
        self.bytes += len(clients) * size

    def leave(self, clients):
        """Close in the orderly way; nothing more may come than the end."""
        for serial, sock in clients:
            with named(serial, "shutdown"):
                sock.shutdown(socket.SHUT_WR)
        for serial, sock in clients:
            with named(serial, "receive the end"):
                more = sock.recv(SMALL)
            sock.close()
            if more:
                fail(f"client {serial}: more than its echo: {more!r}")


@contextlib.contextmanager
def named(serial, call):
    try:
        yield
    except OSError as error:
        fail(f"client {serial}: {call}: {error}")


def message(serial, turn, size):
    """Other bytes for each client and each turn, so that no mix-up is right by
    chance."""
    at = (serial * 31 + turn) % SHIFTS
    return (b"%d/%d " % (serial, turn) + NOISE[at:at + size])[:size]


def receive(sock, size):
    """So many bytes, or fewer at the end of the stream."""
    got = sock.recv(size)
    while got and len(got) < size:
        more = sock.recv(size - len(got))
        if not more:
            break
        got += more
    return got


# ---- samples -----------------------------------------------------------------

class Watch(Held):
    """What the server holds, on both sides."""

    def __init__(self, server, wine_pid):
        super().__init__(server)
        self.host_pid = server.process.pid
        self.wine_pid = wine_pid

    def counts(self):
        handles, threads = self.handles_and_threads()
        return {"handles": handles, "threads": threads,
                "descriptors": descriptors(self.host_pid)}

    def sample(self):
        """Taken twice, until both agree: what the last clients held goes a
        moment after they have seen the end."""
        seen = None
        for _ in range(50):
            before, seen = seen, self.counts()
            if seen == before:
                break
        return {**seen, "kib": memory(self.host_pid),
                "wineserver_descriptors": descriptors(self.wine_pid),
                "wineserver_kib": memory(self.wine_pid)}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid):
    """KiB that are this process's own. /proc/PID/status would tell RssAnon
    only roughly."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(map(int, re.findall(r"^(?:Anonymous|Swap): +(\d+) kB$", text,
                                   re.MULTILINE)))


def first_and_last(values):
    return [round(statistics.median(part)) for part in
            (values[:TENTH], values[-TENTH:])]


def growth(load):
    """A line for each figure that is larger in the last tenth."""
    for what, allowed in ALLOWED.items():
        first, last = first_and_last(load["samples"][what])
        if last > first + allowed:
            yield (f"{load['name']}: {what} grew from {first} to {last}, which "
                   f"is {(last - first) / (0.9 * load['amount']):.3g} for each "
                   f"of {0.9 * load['amount']:,.0f} {load['unit']}")


# ---- loads -------------------------------------------------------------------

def parts(total):
    """The total in SAMPLES parts that are as equal as possible."""
    edges = [total * i // SAMPLES for i in range(SAMPLES + 1)]
    return [end - start for start, end in zip(edges, edges[1:])]


def come_and_go(clients, amount):
    for part in parts(amount):
        while part > 0:
            now = clients.dial(min(part, AT_ONCE))
            clients.echo(now, SMALL)
            clients.leave(now)
            part -= len(now)
        yield


def stream(clients, amount):
    few = clients.dial(STREAMS)
    for turns in parts(amount // STREAMS):
        for _ in range(turns):
            clients.echo(few, LARGE)
        yield
    clients.leave(few)


def hold(clients, count):
    """As many as the server takes; one half is silent after its first echo. At
    half time all of them leave, and as many others come: what is lost when so
    many leave shows too."""
    for _ in range(2):
        crowd = []
        while len(crowd) < count:
            now = clients.dial(min(count - len(crowd), AT_ONCE))
            clients.echo(now, SMALL)
            crowd += now
        for _ in range(SAMPLES // 2):
            clients.echo(crowd[count // 2:], SMALL)
            yield
        clients.leave(crowd)


def run_load(watch, title, load, steps):
    """Make the load in steps with a sample after each, into load["samples"]."""
    began = time.monotonic()
    for number, _ in enumerate(steps, 1):
        sample = watch.sample()
        for what, value in sample.items():
            load["samples"][what].append(value)
        if number % TENTH == 0:
            print(f"{title}: {load['name']} {number * 100 // SAMPLES:3} %, "
                  f"{sample['handles']} handles, {sample['threads']} threads, "
                  f"{sample['kib']:,} KiB, "
                  f"{time.monotonic() - began:.0f} s", flush=True)


# ---- one server --------------------------------------------------------------

def capacity(exe):
    """The clients that it takes, as its help says."""
    said = re.search(r"default and most: (\d+)", run([WINE, exe, "--help"]))
    return int(said[1]) if said else 65535


def check_summary(lines, clients, at_once):
    """The server has counted what we have counted."""
    line = next(line for line in lines if ": stopped after " in line)
    seen = re.search(r": (\d+) clients, (\d+) refused, (\d+) reset, (\d+) at "
                     r"once, \d+ echoes, (\d+) bytes$", line)
    count, refused, reset, most, size = map(int, seen.groups()) if seen else \
        [0] * 5
    if (count, refused, reset, size) != (clients.count, 0, 0, clients.bytes) \
            or most < at_once:
        fail(f"its summary should tell of {clients.count} clients, 0 refused, "
             f"0 reset, at least {at_once} at once, {clients.bytes} bytes:\n"
             f"{line}")


def soak(words, wine, args, result):
    """The three loads on one server. Fills the result; raises Failed."""
    server, *options = words
    exe = BUILD / "bin" / f"{server}.exe" if server in MODELS else Path(server)
    held = min(args.clients, capacity(exe))
    loads = [
        ({"name": "come and go", "amount": args.connects, "unit": "clients"},
         come_and_go),
        ({"name": "stream", "amount": args.mib * 2**20 // LARGE,
          "unit": "echoes"}, stream),
        ({"name": "hold", "amount": SAMPLES * (held - held // 2),
          "unit": "echoes", "held": held}, hold)]
    with Server(exe.stem, "--quiet", *options, exe=exe) as server:
        try:
            run_loads(server, wine, loads, held, result)
        except Failed as error:
            fail(f"{error}\n{server.error_text()}".rstrip())
        if said := server.error_text():
            fail(f"on its standard error:\n{said}")


def run_loads(server, wine, loads, held, result):
    clients = Clients(server.port)
    with Watch(server, wine.server_pid()) as watch:
        for load, make in loads:
            load["samples"] = collections.defaultdict(list)
            result["loads"].append(load)
            run_load(watch, server.model, load,
                     make(clients, load.get("held", load["amount"])))
            if grown := list(growth(load)):
                fail("\n".join(grown))
    check_summary(server.stop(PATIENCE), clients, held)


def environment():
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(
        encoding="utf-8"), re.MULTILINE)
    return {"date": datetime.date.today().isoformat(),
            "system": f"{run([WINE, '--version']).split()[0]}, "
                      f"{platform.system()} {platform.release()}, "
                      f"{cpu[1] if cpu else platform.machine()}, "
                      f"{os.cpu_count()} processors"}


def soak_one(words, env, args):
    """The result of one server."""
    name = Path(words[0]).stem
    os.environ.update(env)
    wine = Wine(0)
    result = {"name": name, "failed": None, "loads": []}
    began = time.monotonic()
    try:
        wine.start(wide=True)
        result |= environment()
        soak(words, wine, args, result)
    except (Failed, OSError) as error:  # a process that is gone is an OSError
        result["failed"] = str(error) + (
            f"\nWine's server died: {' '.join(wine.last_words())}"
            if wine.died() else "")
        print(f"{name}: FAILED: {result['failed']}", flush=True)
    finally:
        wine.end()
    result["seconds"] = round(time.monotonic() - began)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(in_lines(result), encoding="ascii")
    return result


def soak_all(args):
    need = args.clients + 1000  # Wine's server needs most, for threads too
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < need:
        sys.exit(f"soak: {args.clients} clients need {need} open files, but "
                 f"the limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers = [shlex.split(server) for server in args.servers or MODELS]
    wines = [own_wine(f"soak-{Path(words[0]).stem}") for words in servers]
    try:
        results = [soak_one(words, env, args)
                   for words, env in zip(servers, wines)]
    except KeyboardInterrupt:
        sys.exit("soak: interrupted")
    print(figures(results))
    bad = [one["name"] for one in results if one["failed"]]
    print(f"FAILED: {', '.join(bad)}" if bad else "nothing grew, no error")
    return 1 if bad else 0


def all_faults(servers):
    """In a Wine of its own, which ends with it."""
    os.environ.update(own_wine("soak-faults"))
    wine = Wine(0)
    try:
        wine.start(wide=True)
        return subprocess.run(
            [ROOT / "tests" / "servers" / "matrix.py", "--all",
             *servers], cwd=ROOT, check=False).returncode
    finally:
        wine.end()


# ---- writing -----------------------------------------------------------------

def in_lines(data):
    """JSON with a line for each list of samples."""
    text = json.dumps(data, indent=1)
    return re.sub(r"\[[\d\s,]+\]", lambda match: "[" + ", ".join(
        re.findall(r"\d+", match[0])) + "]", text) + "\n"


def amount_of(load):
    if "held" in load:
        return f"{load['held']:,} clients"
    if load["unit"] == "clients":
        return f"{load['amount']:,} clients"
    return f"{load['amount'] * LARGE // 2**20:,} MiB"


def figures(results):
    rows = []
    for one in results:
        for load in one["loads"]:
            if len(load["samples"]["kib"]) < SAMPLES:
                continue  # it was not ended
            rows.append([one["name"], load["name"], amount_of(load)] +
                        [" -> ".join(f"{value:,}" for value in first_and_last(
                            load["samples"][what])) for what in ALLOWED])
    return table(["server", "load", "amount", "handles", "descriptors",
                  "threads", "KiB"], rows)


def run_of(results):
    days = sorted({one["date"] for one in results})
    systems = sorted({one["system"] for one in results})
    return textwrap.fill(f"Run on {' and '.join(days)}: {'; '.join(systems)}.",
                         88)


def filled(results, text):
    makers = {"soak": figures, "run": run_of}
    return BLOCK.sub(lambda match: match[1] + makers[match[2]](results) +
                     match[3], text)


def publish():
    """Only whole results without a failure are worth a page."""
    results = [json.loads((RESULTS / f"{model}.json").read_text(
        encoding="ascii")) for model in MODELS]
    for one in results:
        grown = [line for load in one["loads"] for line in growth(load)]
        if one["failed"] or grown:
            sys.exit(f"soak: {one['name']} failed: {one['failed'] or grown}")
        if [load["amount"] for load in one["loads"]][:2] != \
                [CONNECTS, MIB * 2**20 // LARGE]:
            sys.exit(f"soak: {one['name']} had smaller loads")
    PUBLISHED.write_text(in_lines(results), encoding="ascii")
    PAGE.write_text(filled(results, PAGE.read_text(encoding="ascii")),
                    encoding="ascii")


def check():
    results = json.loads(PUBLISHED.read_text(encoding="ascii"))
    text = PAGE.read_text(encoding="ascii")
    if filled(results, text) != text:
        sys.exit("docs/soak.md does not say what docs/soak.json says")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, usage=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connects", type=int, default=CONNECTS)
    parser.add_argument("--mib", type=int, default=MIB)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("servers", nargs="*", metavar="SERVER")
    args = parser.parse_args()
    if min(args.connects, args.clients, args.mib) < SAMPLES:
        parser.error(f"no number may be less than {SAMPLES}, for each sample "
                     "needs something to do")
    if args.check:
        return check()
    if args.publish:
        return publish()
    if args.faults:
        return all_faults(args.servers)
    return soak_all(args)


if __name__ == "__main__":
    sys.exit(main())
