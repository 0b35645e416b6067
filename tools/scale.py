#!/usr/bin/env python3
"""The figures of docs/scale.md, and its chart docs/scale.svg.

    tools/scale.py           write them, from docs/comparison.json
    tools/scale.py --check   do they say what comparison.json says?

What many idle connections cost is computed from what 500 of them cost, which
compare.exe has counted. Threads and handles follow from the rules of the models;
the script ends with an error if a rule does not give what was counted.
"""

import json
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from comparison import BLOCK, MODELS, RESULT, fail, table  # noqa: E402

PAGE = ROOT / "docs" / "scale.md"
CHART = ROOT / "docs" / "scale.svg"
SIZES = [10_000, 1_000_000, 10_000_000]
NAMES = ["blocking", *MODELS]

COUNTED = 500          # idle clients of compare.exe
A_WAIT = 63            # clients of a thread: 64 events, less its wake event
BUFFER = 65536         # bytes of a buffer, unless --buffer says otherwise
A_PAGE = 4096
PORTS = 16384          # that a client's address has: 49152 to 65535
HANDLES = 2 ** 24      # that a process may have: Microsoft, "Kernel Objects"
GIB = 1 << 30


def waiters(clients):
    """How many threads wait for them, where a thread waits for 63 clients."""
    return math.ceil(clients / A_WAIT)


def threads(name, clients):
    """Threads for that many clients, beside those of an empty server."""
    if name == "blocking":
        return clients
    # An empty server has one waiter already.
    return waiters(clients) - 1 if name in ("eventselect",
                                            "overlapped_event") else 0


def handles(name, clients):
    """Handles for that many clients: sockets; the handles of threads, and the
    events of threads and of clients."""
    if name in ("eventselect", "overlapped_event"):
        return 2 * clients + 2 * threads(name, clients)
    return clients + threads(name, clients)


def locked_pages(name, clients):
    """Pages of the buffers that the system has while their receives are in
    flight."""
    return clients * BUFFER // A_PAGE if name in (
        "overlapped_event", "overlapped_routine", "iocp") else 0


def memory(one, clients):
    return one["bytes_per_client"] * clients


def check_rules(servers):
    """The rules give what compare.exe has counted. A handle or two more or less
    belong to no client."""
    for name in NAMES:
        for rule, key, some in ((threads, "threads_per_client", 0.5),
                                (handles, "handles_per_client", 2.5)):
            ours, seen = rule(name, COUNTED), servers[name][key] * COUNTED
            if abs(ours - seen) > some:
                fail(f"{name}: {key} is {seen / COUNTED}, and the rule says "
                     f"{ours / COUNTED}")


# ---- the tables ------------------------------------------------------------

def in_words(size):
    """Bytes, with two digits that count."""
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1000:
            return f"{size:.{1 if size < 10 else 0}f} {unit}"
    return f"{size / 1024:,.{1 if size < 10240 else 0}f} TiB"


def processes(name, one, clients):
    """As many as the limits ask for: the model's own, and the one for handles."""
    limit = one["capacity"]["clients"] or clients
    return max(math.ceil(clients / limit),
               math.ceil(handles(name, clients) / HANDLES))


def costs(servers):
    rows = []
    for clients in SIZES:
        for name in NAMES:
            one = servers[name]
            pages = locked_pages(name, clients) * A_PAGE
            rows.append([f"{clients:,}", name, in_words(memory(one, clients)),
                         in_words(pages) if pages else "0",
                         f"{handles(name, clients):,}",
                         f"{threads(name, clients):,}",
                         f"{processes(name, one, clients):,}"])
    return table(["idle clients", "server", "memory", "of it locked",
                  "handles", "more threads", "processes"], rows)


def clients_side(_):
    rows = []
    for clients in SIZES:
        rows.append([f"{clients:,}",
                     f"{math.ceil(clients / PORTS):,}",
                     f"{math.ceil(clients / 60):,}"])
    return table(["clients", "client addresses, at least",
                  "events in a second, if each has one in a minute"], rows)


def filled(servers, text):
    makers = {"costs": costs, "ports": clients_side}
    return BLOCK.sub(lambda match: match[1] + makers[match[2]](servers) +
                     match[3], text)


# ---- the chart -------------------------------------------------------------

WIDTH, ROW, TOP, LEFT, RIGHT = 760, 34, 64, 150, 730
LOWEST, HIGHEST = 2 ** 24, 2 ** 44  # 16 MiB to 16 TiB
MARKS = [(2 ** 24, "16 MiB"), (2 ** 27, "128 MiB"), (GIB, "1 GiB"),
         (16 * GIB, "16 GiB"), (256 * GIB, "256 GiB"), (2 ** 42, "4 TiB")]
SHADES = ["#9ecae1", "#4292c6", "#084594"]


def across(size):
    share = math.log(size / LOWEST) / math.log(HIGHEST / LOWEST)
    return round(LEFT + share * (RIGHT - LEFT), 1)


def chart(servers):
    bottom = TOP + ROW * len(NAMES)
    said = "; ".join(
        f"{name}: " + ", ".join(in_words(memory(servers[name], clients))
                                for clients in SIZES) for name in NAMES)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{bottom + 40}" viewBox="0 0 {WIDTH} {bottom + 40}" '
        'font-family="sans-serif" font-size="13" role="img" '
        'aria-labelledby="title desc">',
        '<title id="title">Memory of idle clients, by model</title>',
        f'<desc id="desc">For 10,000, 1,000,000 and 10,000,000 clients. {said}.'
        '</desc>',
        f'<rect width="{WIDTH}" height="{bottom + 40}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="15">Memory of idle clients, '
        'computed from 500 (logarithmic scale)</text>']
    for i, clients in enumerate(SIZES):
        x = LEFT + 150 * i
        lines += [f'<circle cx="{x + 6}" cy="41" r="6" fill="{SHADES[i]}"/>',
                  f'<text x="{x + 18}" y="46">{clients:,}</text>']
    for size, name in MARKS:
        x = across(size)
        lines += [f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" '
                  'stroke="#cccccc"/>',
                  f'<text x="{x}" y="{bottom + 18}" '
                  f'text-anchor="middle">{name}</text>']
    for row, name in enumerate(NAMES):
        y = TOP + ROW * row + ROW // 2
        places = [across(memory(servers[name], clients)) for clients in SIZES]
        lines += [f'<text x="{LEFT - 12}" y="{y + 5}" '
                  f'text-anchor="end">{name}</text>',
                  f'<line x1="{places[0]}" y1="{y}" x2="{places[-1]}" y2="{y}" '
                  'stroke="#888888" stroke-width="2"/>']
        lines += [f'<circle cx="{x}" cy="{y}" r="6" fill="{shade}"/>'
                  for x, shade in zip(places, SHADES)]
    return "\n".join([*lines, "</svg>"]) + "\n"


def main():
    how = sys.argv[1:]
    if how not in ([], ["--check"]):
        sys.exit(__doc__)
    data = json.loads(RESULT.read_text(encoding="ascii"))
    servers = {one["name"]: one for one in data["servers"]}
    check_rules(servers)
    for path, text in ((PAGE, filled(servers,
                                     PAGE.read_text(encoding="ascii"))),
                       (CHART, chart(servers))):
        if how != ["--check"]:
            path.write_text(text, encoding="ascii")
        elif not path.exists() or path.read_text(encoding="ascii") != text:
            sys.exit(f"docs/{path.name} does not say what "
                     "docs/comparison.json says; run tools/scale.py")


if __name__ == "__main__":
    main()
