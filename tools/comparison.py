#!/usr/bin/env python3
"""The figures of docs/comparison.md.

    tools/comparison.py            write them into the page, from comparison.json
    tools/comparison.py --check    does the page say what comparison.json says?
    tools/comparison.py --measure  run compare.exe first (ten minutes), and make
                                   docs/comparison.json and the page anew

The servers and the wineserver run on one processor, the load on the other;
otherwise it would mostly measure the way between the processors.
Two more servers are in the run: an echo server of this script, which needs
nothing of Wine and shows what the load client can do at most, and iocp with a
single worker. It needs a machine that does nothing else.
"""

import json
import os
import re
import select
import socket
import statistics
import sys
import textwrap
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from suite import BUILD, MODELS, WINE, fail, run  # noqa: E402

RESULT = ROOT / "docs" / "comparison.json"
PAGE = ROOT / "docs" / "comparison.md"
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(\n<!-- end -->)",
                   re.DOTALL)
NATIVE, ONE_WORKER = "native epoll", "iocp, 1 worker"
SERVER_CPU = 0


# ---- measuring -------------------------------------------------------------

def native_echo(listener):
    """Echo as fast as this machine can, or nearly so."""
    os.sched_setaffinity(0, {SERVER_CPU})
    clients = {}
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                sock = listener.accept()[0]
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[sock.fileno()] = sock
                poll.register(sock, select.EPOLLIN)
                continue
            sock = clients[descriptor]
            try:
                if data := sock.recv(65536):
                    sock.sendall(data)
                    continue
            except OSError:
                pass  # a client that left early
            del clients[descriptor]
            sock.close()


def measure():
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    threading.Thread(target=native_echo, args=(listener,), daemon=True).start()
    result = BUILD / "comparison-raw.json"
    run([WINE, "--end"])
    # Not compare.exe: it may give its children only processors of its own.
    run(["taskset", "-c", SERVER_CPU, WINE, "--prepare"])
    run([WINE, BUILD / "bin" / "compare.exe", "--pin", "--servers",
         f"native=127.0.0.1:{listener.getsockname()[1]},"
         r"iocp_1=build\bin\iocp.exe --threads 1", "--report",
         f"Z:{BUILD / 'comparison.html'}", "--json", f"Z:{result}"],
        timeout=3600)
    run([WINE, "--end"])
    return json.loads(result.read_text(encoding="ascii"))


def reduced(data):
    """What the page needs: of the rounds their median and both ends."""
    names = {"native": NATIVE, "iocp_1": ONE_WORKER}
    kept = {key: data[key] for key in
            ("program", "date", "mode", "environment", "rounds")}
    kept["servers"] = []
    for one in data["servers"]:
        one = {key: value for key, value in one.items() if key != "path"}
        one["name"] = names.get(one["name"], one["name"])
        one["start_ms"] = round(statistics.median(one["start_ms"]), 1) \
            if one["start_ms"] else None
        kept["servers"].append(one)
    kept["loads"] = []
    for load in data["scenarios"]:
        rows = {}
        for one in load["results"]:
            if not one["valid"]:
                fail(f"{load['name']}, {one['server']}: {one['why']}")
            rows[names.get(one["server"], one["server"])] = {
                metric: spread([figures[metric] for figures in one["rounds"]])
                for metric in ("echoes_per_s", "mib_per_s", "connects_per_s",
                               "p50_us", "p99_us", "cpu_us_per_echo")}
        kept["loads"].append({key: load[key] for key in (
            "id", "name", "clients", "bytes", "seconds")} | {"servers": rows})
    return kept


def spread(values):
    """[median, lowest, highest]; None where nothing is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return [float(f"{value:.4g}") for value in
            (statistics.median(known), min(known), max(known))]


def in_lines(data):
    """JSON with a line for each server, and for each row of a load."""
    lines = []
    for key, value in data.items():
        if key not in ("servers", "loads"):
            lines.append(f'"{key}": {json.dumps(value)}')
    lines.append('"servers": [\n ' + ",\n ".join(
        json.dumps(one) for one in data["servers"]) + "]")
    loads = []
    for load in data["loads"]:
        head = {key: value for key, value in load.items() if key != "servers"}
        rows = ",\n  ".join(f"{json.dumps(name)}: {json.dumps(row)}"
                            for name, row in load["servers"].items())
        loads.append(json.dumps(head)[:-1] + ',\n "servers": {\n  ' + rows +
                     "}}")
    lines.append('"loads": [\n' + ",\n".join(loads) + "]")
    return "{" + ",\n".join(lines) + "}\n"


# ---- writing ---------------------------------------------------------------

def table(head, rows):
    """Markdown, with the columns under each other."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head, *rows])
              for i in range(len(head))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":"
                                for width in widths[1:]]

    def line(cells):
        return "| " + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))) + " |"
    return "\n".join(line(cells) for cells in [head, rule, *rows])


def number(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def calls(one, key):
    """A number of calls. SleepEx() runs one completion routine or several, of
    which each WSARecv() and WSASend() has one: so it is a range there."""
    of = {call["name"]: call["per_echo"] for call in one["calls"]}
    if "SleepEx" not in of:
        return number(one[key], 2)
    exact = one[key] - of["SleepEx"]
    return f"{exact:.0f} to {exact + of['WSARecv'] + of['WSASend']:.0f}"


def counts(data):
    rows = []
    for one in data["servers"]:
        if one["name"] in ("blocking", *MODELS):
            rows.append([one["name"], calls(one, "calls_per_echo"),
                         calls(one, "waits_per_echo"),
                         number(one["handles_per_client"], 2),
                         number(one["threads_per_client"], 3),
                         number(one["threads"], 0),
                         number(one["bytes_per_client"] / 1024, 1)])
    return table(["server", "calls/echo", "waits/echo", "handles/client",
                  "threads/client", "threads", "KiB/client"], rows)


def ratios(data, loads, metric, digits=2):
    """A row for the baseline in figures, the others as a share of it."""
    chosen = [next(one for one in data["loads"] if one["id"] == load)
              for load in loads]
    base = [load["servers"]["blocking"][metric] for load in chosen]
    rows = [["blocking, itself"] + [f"{value[0]:,.{0 if value[0] > 99 else 1}f}"
                                    for value in base]]
    for one in data["servers"]:
        name = one["name"]
        if name == "blocking":
            continue
        cells = []
        for load, of in zip(chosen, base):
            middle, low, high = (value / of[0] for value in
                                 load["servers"][name][metric])
            cells.append(f"{middle:.{digits}f} ({low:.{digits}f} to "
                         f"{high:.{digits}f})")
        rows.append([name, *cells])
    return table(["server", *[load["name"] for load in chosen]], rows)


def speed(data):
    return ratios(data, ["echo-1", "echo-64", "echo-1000"], "echoes_per_s")


def crowd(data):
    return ratios(data, ["echo-16", "echo-256", "idle"], "echoes_per_s")


def bulk(data):
    return ratios(data, ["size-8192", "size-65536", "bulk"], "mib_per_s")


def fair(data):
    return ratios(data, ["echo-64", "echo-1000", "floods"], "p99_us")


def churn(data):
    return ratios(data, ["churn"], "connects_per_s")


def run_of(data):
    at = data["environment"]
    seconds = data["loads"][0]["seconds"]
    others = "".join(f" ({load['name']}: up to {load['seconds']:g} s)"
                     for load in data["loads"] if load["seconds"] != seconds)
    return textwrap.fill(
        f"Measured on {data['date'][:10]} on {at['system']}, {at['cpu']}, "
        f"{at['processors']} processors, built with {at['build']}: "
        f"{data['rounds']} rounds of {seconds:g} s{others} for each server and load, "
        "in turns, servers and wineserver on one processor, the load on the "
        "other.", 80)


def filled(data, text):
    makers = {"counts": counts, "speed": speed, "crowd": crowd, "bulk": bulk,
              "fair": fair, "churn": churn, "run": run_of}
    return BLOCK.sub(lambda match: match[1] + makers[match[2]](data) +
                     match[3], text)


def main():
    how = sys.argv[1:]
    if how not in ([], ["--check"], ["--measure"]):
        sys.exit(__doc__)
    if how == ["--measure"]:
        RESULT.write_text(in_lines(reduced(measure())), encoding="ascii")
    data = json.loads(RESULT.read_text(encoding="ascii"))
    text = PAGE.read_text(encoding="ascii")
    if how != ["--check"]:
        PAGE.write_text(filled(data, text), encoding="ascii")
    elif filled(data, text) != text:
        sys.exit("docs/comparison.md does not say what docs/comparison.json "
                 "says; run tools/comparison.py")


if __name__ == "__main__":
    main()
