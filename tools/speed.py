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
each round all servers have their turn, and what is told of a server is its median
share of `blocking` in the same round. The load is build/linux/load, which needs no
Wine and looks at every byte. It needs a machine that does nothing else: the load
average before each round is in the file.
"""
import argparse
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
from suite import BUILD, MODELS, PATIENCE, WINE, fail  # noqa: E402

FOLDER = ROOT / "extras" / "iocp_tuned"
RESULT, PAGE = FOLDER / "figures.json", FOLDER / "README.md"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)
LOAD = BUILD / "linux" / "load"
SERVER_CPU, LOAD_CPU = sorted(os.sched_getaffinity(0))[:2] \
    if len(os.sched_getaffinity(0)) > 1 else (0, 0)
SCENARIOS = {"1 x 64 B": (1, 64), "64 x 64 B": (64, 64),
             "1000 x 64 B": (1000, 64), "1 x 64 KiB": (1, 65536),
             "64 x 4 KiB": (64, 4096)}
IDLE = 1000


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
    "... only zero-byte": ours("iocp_tuned", *ONE, "--batch", "1", "--skip",
                                  "0", "--zero-byte"),
    "... all on": ours("iocp_tuned", *ONE, "--zero-byte"),
    "epoll (Linux)": [str(BUILD / "linux" / "epoll"), "--port", "{port}",
                      "--quiet", "--stop-on-eof"],
}


# ---- measuring -------------------------------------------------------------

def number_in(path, name):
    return int(re.search(rf"^{name}:? +(\d+)", Path(path).read_text(
        encoding="ascii"), re.MULTILINE)[1])


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
            try:
                self.connect().close()
                return self
            except ConnectionRefusedError:
                time.sleep(.02)
        self.__exit__()
        fail(f"it does not listen: {self.process.args}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def requests(self):
        """To the wineserver; of a program of Linux, what it writes."""
        return number_in(f"/proc/{self.process.pid}/io", "syscw")

    def load(self, clients, size, seconds):
        with subprocess.Popen(on(LOAD_CPU, [LOAD, self.port, clients, size,
                                            seconds]), text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as client:
            client.stdout.readline()
            before = self.requests()
            out, err = client.communicate(timeout=seconds + 3 * PATIENCE)
        if client.returncode != 0:
            return {"wrong": err.strip()}
        got = json.loads(out)
        got["requests"] = (self.requests() - before) / got["all_echoes"]
        got["per_second"] = got["echoes"] / got["seconds"]
        return got

    def idle_kib(self):
        """For each of many clients that are connected and say nothing."""
        memory = f"/proc/{self.process.pid}/smaps_rollup"
        before = number_in(memory, "Private_Dirty")
        socks = [self.connect() for _ in range(IDLE)]
        with self.connect() as last:  # all before it are accepted
            last.sendall(b"x")
            if last.recv(1) != b"x":
                fail("no echo")
            kib = (number_in(memory, "Private_Dirty") - before) / IDLE
        for sock in socks:
            sock.close()
        return kib

    def calls(self):
        """For each echo, as a server of ours says at its end."""
        last = self.process.communicate(timeout=PATIENCE)[0].decode()
        found = re.search(r"^ *together .* (\d+\.\d+)\s*$", last, re.MULTILINE)
        return float(found[1]) if found else None

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        if self.wine:
            subprocess.run([WINE, "--end"], env=self.env, timeout=300,
                           check=False, stderr=subprocess.DEVNULL)


def turn(command, seconds):
    """All that is asked of a server in one round."""
    got = {}
    for scenario, what in SCENARIOS.items():
        with Running(command) as server:
            got[scenario] = server.load(*what, seconds)
            if "--stop-on-eof" in command:
                got[scenario]["calls"] = server.calls()
    with Running(command) as server:
        got["idle"] = server.idle_kib()
    return got


def measure(servers, rounds, seconds, path):
    """A file after each round: what was measured stays when a later one ends
    with an error."""
    data = {"date": time.strftime("%Y-%m-%d"), "seconds": seconds, "loads": [],
            "servers": {name: [] for name in servers}}
    for number in range(rounds):
        data["loads"].append(os.getloadavg()[0])
        fresh = {}
        for name, command in servers.items():
            fresh[name] = turn(command, seconds)
            print(number + 1, name, *(
                one.get("wrong", round(one.get("per_second", 0)))
                for key, one in fresh[name].items() if key != "idle"), flush=True)
        for name, got in fresh.items():
            data["servers"][name].append(got)
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
            name, *(cell(all_of(scenario, lambda one, _: one.get(key)), "%.2f")
                    for key, most in (("calls", 2), ("requests", 3))
                    for scenario in list(SCENARIOS)[:most]),
            cell([one["idle"] for one in rounds], "%.1f")])
    first = ", ".join(cell([one[scenario].get("per_second") for one in base],
                           "%.0f") for scenario in SCENARIOS)
    return {"speed": f"{data['date']}, {len(base)} rounds of {data['seconds']:g} "
                     f"s, load average before them {min(data['loads']):.1f} to "
                     f"{max(data['loads']):.1f}. 1.00 is {first} echoes/s.\n\n" +
            table(["server", *SCENARIOS, "longest wait of 1000 / median"], speed),
            "costs": table(["server", "calls, 1 client", "64", "requests, 1 client",
                            "64", "1000", "idle KiB"], costs)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--server", action="append", default=[])
    parser.add_argument("--only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--json", type=Path, default=RESULT)
    given = parser.parse_args()
    servers = dict(SERVERS)
    for one in given.server:
        name, _, command = one.partition("=")
        servers[name] = shlex.split(command)
    if given.only:
        servers = {name: servers[name] for name in
                   dict.fromkeys(["blocking", *given.only.split(",")])}
    if given.measure:
        measure(servers, given.rounds, given.seconds, given.json)
    texts = tables(json.loads(given.json.read_text(encoding="ascii")))
    if given.json != RESULT:
        print("\n\n".join(texts.values()))
        return
    page = PAGE.read_text(encoding="ascii")
    fresh = BLOCK.sub(lambda match: match[1] + texts[match[2]] + match[3], page)
    if not given.check:
        PAGE.write_text(fresh, encoding="ascii")
    elif fresh != page or len(BLOCK.findall(page)) != len(texts):
        sys.exit(f"{PAGE.relative_to(ROOT)} does not say what "
                 f"{RESULT.relative_to(ROOT)} says; tools/speed.py writes it")


if __name__ == "__main__":
    main()
