#!/usr/bin/env python3
"""How fast the servers are, and what their speed consists of: the figures of
extras/iocp_tuned/README.md.

    tools/speed.py            write them into the page, from figures.json
    tools/speed.py --check    does the page say what figures.json says?
    tools/speed.py --measure  measure first (some twenty minutes), and make
                              figures.json and the page anew

    --server NAME=COMMAND     one more server. {port} in its command is a free
                              port; a command that begins with an .exe runs
                              under Wine. It has to end when it is killed.
    --only NAME,...           only these; blocking is always among them
    --rounds N, --seconds S   default 5 rounds of 2 seconds
    --json FILE               into this file, and print the table; no page

A server and its wineserver run on one processor, the load on another one. Each
measurement has a new server and a new wineserver, in a Wine folder of its own. In
each round all have their turn, and what is told of a server is its median share of
`blocking` in the same round. The load is build/linux/load, which needs no Wine and
looks at every byte. It needs a machine that does nothing else; if there was other
work before the first round, the page says nothing of speed.
"""
import argparse
import contextlib
import json
import os
import re
import shlex
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from suite import BUILD, MODELS, PATIENCE, WINE, Failed, fail  # noqa: E402

FOLDER = ROOT / "extras" / "iocp_tuned"
RESULT, PAGE = FOLDER / "figures.json", FOLDER / "README.md"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)
LOAD = BUILD / "linux" / "load"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
SCENARIOS = {"1 x 64 B": (1, 64), "64 x 64 B": (64, 64),
             "1000 x 64 B": (1000, 64), "1 x 64 KiB": (1, 65536),
             "64 x 4 KiB": (64, 4096)}
IDLE = 1000
QUIET = 0.5  # load average


def ours(name, *options):
    return [str(BUILD / "bin" / f"{name}.exe"), "--port", "{port}", "--quiet",
            "--stop-on-eof", *options]


ONE = ["--threads", "1"]
SERVERS = {
    "blocking": ours("blocking"),
    **{model: ours(model) for model in MODELS},
    "iocp (1 thread)": ours("iocp", *ONE),
    "iocp_tuned": ours("iocp_tuned"),
    "iocp_tuned (1 thread)": ours("iocp_tuned", *ONE),
    "... all off": ours("iocp_tuned", *ONE, "--batch", "1", "--skip", "0"),
    "... only batches": ours("iocp_tuned", *ONE, "--skip", "0"),
    "... only skip": ours("iocp_tuned", *ONE, "--batch", "1"),
    "... only zero-byte": ours("iocp_tuned", *ONE, "--batch", "1", "--skip", "0",
                               "--zero-byte"),
    "... and zero-byte": ours("iocp_tuned", *ONE, "--zero-byte"),
    "epoll (Linux)": [str(BUILD / "linux" / "epoll"), *ours("")[1:]],
}


# ---- measuring -------------------------------------------------------------

def on(cpu, command):
    return ["taskset", "-c", str(cpu), *map(str, command)]


class Running:
    """A server, and its wineserver, on SERVER_CPU."""

    def __init__(self, command):
        self.env = dict(os.environ,
                        MODELS_WINEPREFIX=str(BUILD / "wine-for-speed"))
        self.wine = command[0].endswith(".exe")
        if self.wine:
            subprocess.run(on(SERVER_CPU, [WINE, "--prepare"]), env=self.env,
                           check=True, timeout=300)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        words = [word.replace("{port}", str(self.port)) for word in command]
        self.process = subprocess.Popen(
            on(SERVER_CPU, [WINE, *words] if self.wine else words),
            env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)

    def __enter__(self):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                self.connect().close()
                return self
            time.sleep(.02)
        self.__exit__()
        fail(f"it does not listen: {self.process.args}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def number(self, file, name):
        text = Path(f"/proc/{self.process.pid}/{file}").read_text(encoding="ascii")
        return int(re.search(rf"(?m)^{name}: +(\d+)", text)[1])

    def load(self, clients, size, seconds):
        with subprocess.Popen(
                on(LOAD_CPU, [LOAD, self.port, clients, size, seconds]), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            client.stdout.readline()
            before = self.number("io", "syscw")
            out, err = client.communicate(timeout=seconds + 3 * PATIENCE)
        if client.returncode != 0:
            return {"wrong": err.strip()}
        got = json.loads(out)
        if self.wine:
            got["requests"] = \
                (self.number("io", "syscw") - before) / got["all_echoes"]
        got["per_second"] = got["echoes"] / got["seconds"]
        return got

    def idle_kib(self):
        """For each of many clients that are connected and say nothing."""
        before = self.number("smaps_rollup", "Private_Dirty")
        socks = [self.connect() for _ in range(IDLE)]
        socks[-1].sendall(b"x")
        if socks[-1].recv(1) != b"x":  # then all before it are accepted
            fail("no echo")
        return (self.number("smaps_rollup", "Private_Dirty") - before) / IDLE

    def pauses(self):
        """A client whose next bytes are never there when the server asks."""
        with self.connect() as sock:
            for _ in range(100):
                sock.sendall(b"x" * 64)
                if len(sock.recv(64, socket.MSG_WAITALL)) != 64:
                    fail("no echo")
                time.sleep(.01)

    def calls(self):
        """For each echo, as a server of ours says at its end."""
        if "--stop-on-eof" not in self.process.args:
            return None
        last = self.process.communicate(timeout=PATIENCE)[0].decode()
        found = re.search(r"(?m)^ *together .* (\d+\.\d+)\s*$", last)
        return float(found[1]) if found else None

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        if self.wine:
            subprocess.run([WINE, "--end"], env=self.env, timeout=300,
                           check=False, stderr=subprocess.DEVNULL)


def turn(command, seconds):
    """All that is asked of a server in one round. When Wine's server dies, as it
    does now and then, only this figure is lost."""
    got = {"idle": None, "pauses": None}
    for scenario in [*SCENARIOS, *got]:
        with contextlib.suppress(Failed, OSError, subprocess.TimeoutExpired), \
                Running(command) as server:
            if scenario == "idle":
                got["idle"] = server.idle_kib()
            elif scenario == "pauses":
                server.pauses()
                got["pauses"] = server.calls()
            else:
                got[scenario] = server.load(*SCENARIOS[scenario], seconds)
                got[scenario]["calls"] = server.calls()
        if scenario in SCENARIOS:
            one = got.setdefault(scenario, {"wrong": "it failed"})
            print(one.get("wrong") or round(one["per_second"]), end=" ")
    print(flush=True)
    return got


def measure(servers, rounds, seconds, path):
    """A file after each round: what was measured stays when a later one ends
    with an error."""
    data = {"date": time.strftime("%Y-%m-%d"), "seconds": seconds,
            "load average": os.getloadavg()[0],
            "servers": {name: [] for name in servers}}
    for _ in range(rounds):
        fresh = []
        for name, command in servers.items():
            print(name, end=": ")
            fresh.append(turn(command, seconds))
        for rounds_of, got in zip(data["servers"].values(), fresh):
            rounds_of.append(got)
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="ascii")


# ---- tables ----------------------------------------------------------------

def cell(values, form, spread=False):
    """The median, and with `spread` the lowest and the highest."""
    if not values or None in values:
        return "fails" if spread else "-"
    text = form % statistics.median(values)
    return f"{text} ({form % min(values)}-{form % max(values)})" if spread else text


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |",
                      "| --- |" + " ---: |" * (len(head) - 1),
                      *("| " + " | ".join(row) + " |" for row in rows)])


def tables(data):
    """{name of a block: its text}"""
    base = data["servers"]["blocking"]
    speed, costs = [], []
    for name, rounds in data["servers"].items():
        def all_of(scenario, value):
            return [None if "wrong" in {**one[scenario], **first[scenario]} else
                    value(one[scenario], first[scenario])
                    for one, first in zip(rounds, base)]
        speed.append([name, *(
            cell(all_of(scenario, lambda one, first: one["per_second"] /
                        first["per_second"]), "%.2f", True)
            for scenario in SCENARIOS),
            cell(all_of("1000 x 64 B", lambda one, _: one["worst_us"] /
                        one["median_us"]), "%.1f")])
        costs.append([
            name, cell([one["pauses"] for one in rounds], "%.2f"),
            *(cell(all_of(scenario, lambda one, _: one.get(key)), "%.2f")
                    for key, most in (("calls", 2), ("requests", 3))
                    for scenario in list(SCENARIOS)[:most]),
            cell([one["idle"] for one in rounds], "%.1f")])
    first = ", ".join(cell([one[scenario].get("per_second") for one in base],
                           "%.0f") for scenario in SCENARIOS)
    when = (f"{data['date']}, rounds: {len(base)}, of {data['seconds']:g} s each; "
            f"load average before them {data['load average']:.2f}")
    return {"speed": f"{when}; 1.00 is {first} echoes/s.\n\n" + table(
                ["server", *SCENARIOS, "longest wait of 1000 / median"], speed),
            "costs": table(["server", "calls, with pauses", "1 client", "64",
                            "requests, 1 client", "64", "1000", "idle KiB"],
                           costs),
            "busy": f"{when}. There was other work: nothing is said of speed."}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("--measure", "--check"):
        parser.add_argument(name, action="store_true")
    for name, kind, usual in (("--only", str, None), ("--rounds", int, 5),
                              ("--seconds", float, 2), ("--json", Path, RESULT)):
        parser.add_argument(name, type=kind, default=usual)
    parser.add_argument("--server", action="append", default=[])
    given = parser.parse_args()
    servers = SERVERS | {name: shlex.split(command) for name, command in
                         (one.split("=", 1) for one in given.server)}
    names = ["blocking", *given.only.split(",")] if given.only else servers
    if given.measure:
        measure({name: servers[name] for name in names}, given.rounds,
                given.seconds, given.json)
    data = json.loads(given.json.read_text(encoding="ascii"))
    texts = tables(data)
    if given.json != RESULT:
        print(texts["speed"], texts["costs"], sep="\n\n")
        return
    if data["load average"] > QUIET:
        texts["speed"] = texts["busy"]
    page = PAGE.read_text(encoding="ascii")
    fresh = BLOCK.sub(lambda match: match[1] + texts[match[2]] + match[3], page)
    if not given.check:
        PAGE.write_text(fresh, encoding="ascii")
    elif fresh != page or len(BLOCK.findall(page)) != 2:
        sys.exit(f"{PAGE.relative_to(ROOT)} does not say what "
                 f"{RESULT.relative_to(ROOT)} says; tools/speed.py writes it")


if __name__ == "__main__":
    main()
