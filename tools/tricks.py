#!/usr/bin/env python3
"""What each trick of iocp_tuned gains and costs: extras/iocp_tuned/README.md.

    tools/tricks.py            write the figures into the page, from figures.json
    tools/tricks.py --check    does the page say what figures.json says?
    tools/tricks.py --measure  measure first (some minutes), and make figures.json
                               and the page anew

Each variant is iocp_tuned with other options, beside iocp and blocking. All are
measured in one run, in turn. There are no echoes per second: calls, requests to
the wineserver and memory do not depend on what else the machine does.
"""
import json
import re
import selectors
import socket
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from suite import PATIENCE, Server, fail  # noqa: E402

FOLDER = ROOT / "extras" / "iocp_tuned"
RESULT, PAGE = FOLDER / "figures.json", FOLDER / "README.md"
BLOCK = re.compile(r"(<!-- figures: tricks -->\n).*?(\n<!-- end -->)",
                   re.DOTALL)

OFF = {"--batch": "1", "--inline": "0", "--no-zero-byte": None}


def options(*tricks):
    """All tricks are off but these."""
    words = []
    for name, value in OFF.items():
        if name not in tricks:
            words += [name] if value is None else [name, value]
    return words


ONE = ["--threads", "1"]
VARIANTS = {
    "blocking": ("blocking", []),
    "iocp": ("iocp", ONE),
    "all off": ("iocp_tuned", ONE + options()),
    "only batches": ("iocp_tuned", ONE + options("--batch")),
    "only skip": ("iocp_tuned", ONE + options("--inline")),
    "only zero-byte": ("iocp_tuned", ONE + options("--no-zero-byte")),
    "batches and skip": ("iocp_tuned", ONE + options("--batch", "--inline")),
    "all on": ("iocp_tuned", ONE),
}
ROUNDS, MESSAGE = 3, 64
FEW, MANY = 300, 900    # echoes of one client
COMPANY, EACH = 64, 20  # clients, and the echoes of each
CROWD, A_FEW = 1000, 3


# ---- measuring -------------------------------------------------------------

def connect(port, count):
    socks = [socket.create_connection(("127.0.0.1", port), PATIENCE)
             for _ in range(count)]
    for sock in socks:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return socks


def echo_once(sock, number):
    text = (b"%d " % number).ljust(MESSAGE, b".")
    sock.sendall(text)
    got = b""
    while len(got) < MESSAGE and (more := sock.recv(MESSAGE - len(got))):
        got += more
    if got != text:
        fail(f"a wrong echo: {got!r}")


def load(socks, times):
    """Each client sends its next message when it has its echo. Returns the
    longest wait of each client, sorted."""
    chooser = selectors.DefaultSelector()
    left = dict.fromkeys(socks, times)
    sent, got, waits = {}, {}, dict.fromkeys(socks, 0.0)

    def send(sock):
        text = (b"%d %d " % (sock.fileno(), left[sock])).ljust(MESSAGE, b".")
        left[sock] -= 1
        got[sock], sent[sock] = b"", (text, time.monotonic())
        sock.sendall(text)

    for sock in socks:
        chooser.register(sock, selectors.EVENT_READ)
        send(sock)
    while sent:
        ready = chooser.select(PATIENCE)
        if not ready:
            fail("silence")
        for key, _ in ready:
            sock = key.fileobj
            got[sock] += sock.recv(MESSAGE)
            text, since = sent[sock]
            if len(got[sock]) < MESSAGE:
                continue
            if got[sock] != text:
                fail(f"a wrong echo: {got[sock]!r}")
            waits[sock] = max(waits[sock], time.monotonic() - since)
            del sent[sock]
            if left[sock]:
                send(sock)
    chooser.close()
    return sorted(waits.values())


def number_in(path, name):
    for line in Path(path).read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise SystemExit(f"no {name} in {path}")


def start(variant):
    model, words = VARIANTS[variant]
    return Server(model, "--quiet", *words)


def calls_of(lines):
    [calls] = [float(line.split()[-1]) for line in lines
               if line.split()[:1] == ["together"]]
    return calls


def alone(variant):
    """One client: calls per echo, and requests to the wineserver per echo."""
    with start(variant) as server:
        [sock] = connect(server.port, 1)
        seen = []
        for echoes in (10, FEW, MANY):
            for number in range(echoes):
                echo_once(sock, number)
            seen.append(number_in(f"/proc/{server.process.pid}/io", "syscw:"))
        sock.close()
        calls = calls_of(server.stop())
    return {"calls": calls, "requests":
            ((seen[2] - seen[1]) - (seen[1] - seen[0])) / (MANY - FEW)}


def in_company(variant):
    """The same for many clients, who send at the same time."""
    with start(variant) as server:
        socks = connect(server.port, COMPANY)
        load(socks, 1)
        before = number_in(f"/proc/{server.process.pid}/io", "syscw:")
        load(socks, EACH)
        after = number_in(f"/proc/{server.process.pid}/io", "syscw:")
        for sock in socks:
            sock.close()
        calls = calls_of(server.stop())
    return {"company calls": calls,
            "company requests": (after - before) / (COMPANY * EACH)}


def crowd(variant):
    """The memory of silent clients, and how long they wait when all send."""
    with start(variant) as server:
        memory = f"/proc/{server.process.pid}/smaps_rollup"
        before = number_in(memory, "Private_Dirty:")
        socks = connect(server.port, CROWD)
        last = connect(server.port, 1)
        echo_once(last[0], 0)  # all others are accepted
        kib = (number_in(memory, "Private_Dirty:") - before) / CROWD
        waits = load(socks, A_FEW)
        for sock in socks + last:
            sock.close()
        server.stop()
    return {"idle KiB": kib, "worst/median": waits[-1] /
            statistics.median(waits)}


def measure():
    """A file after each round: what was measured stays when a later one ends
    with an error."""
    rounds = {name: [] for name in VARIANTS}
    for number in range(ROUNDS):
        fresh = {}
        for name in VARIANTS:
            fresh[name] = alone(name) | in_company(name) | crowd(name)
            print(number + 1, name, fresh[name], flush=True)
        for name in VARIANTS:
            rounds[name].append(fresh[name])
        data = {"date": time.strftime("%Y-%m-%d"),
                "variants": [{"name": name, "model": VARIANTS[name][0],
                              "options": VARIANTS[name][1],
                              "rounds": rounds[name]} for name in VARIANTS]}
        RESULT.write_text(json.dumps(data, indent=1) + "\n", encoding="ascii")


# ---- the page --------------------------------------------------------------

COLUMNS = {"calls": "calls", "company calls": "calls, 64 clients",
           "requests": "requests", "company requests": "requests, 64",
           "idle KiB": "idle KiB", "worst/median": "worst wait / median"}


def figures(data):
    """Medians of the rounds."""
    rows = ["| variant | " + " | ".join(COLUMNS.values()) + " |",
            "| --- |" + " ---: |" * len(COLUMNS)]
    for one in data["variants"]:
        cells = [f"{statistics.median(seen[key] for seen in one['rounds']):.1f}"
                 for key in COLUMNS]
        rows.append(f"| {one['name']} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main():
    if "--measure" in sys.argv[1:]:
        measure()
    page = PAGE.read_text(encoding="ascii")
    data = json.loads(RESULT.read_text(encoding="ascii"))
    fresh, found = BLOCK.subn(
        lambda match: match[1] + figures(data) + match[2], page)
    if found != 1:
        sys.exit(f"{PAGE}: {found} blocks of figures")
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(fresh, encoding="ascii")
    elif fresh != page:
        sys.exit(f"{PAGE.relative_to(ROOT)} does not say what "
                 f"{RESULT.relative_to(ROOT)} says; tools/tricks.py writes it")


if __name__ == "__main__":
    main()
