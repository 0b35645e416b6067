#!/usr/bin/env python3
"""How many threads shall a pool have? The formulas of the textbooks, measured.

usage: tools/thread_count.py [--rounds N] [--seconds S]
       tools/thread_count.py --publish | --check

Runs echo_load (64 clients, 64 bytes) against pool with 1, n, n + 2, 2n, 2n + 2 and
32 threads, where n is the number of processors; and with --work 0, 1 and 10: each
echo blocks its thread for so many ms, as a query to a database would. In each
round every setting has its turn, so that what else the machine does hits all of
them. The result is the median of the rounds, as a share of the best setting with
the same work; it is written to build/thread_count.json.

--publish copies it to extras/pool/threads.json, and writes the table and the chart
of extras/pool/README.md; --check runs nothing: do the page and the chart say what
threads.json says? It needs Linux.
"""

import argparse
import json
import os
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from suite import BUILD, WINE, Server, fail, run  # noqa: E402
from comparison import table  # noqa: E402

MEASURED = BUILD / "thread_count.json"
PUBLISHED = ROOT / "extras" / "pool" / "threads.json"
CHART = ROOT / "extras" / "pool" / "threads.svg"
PAGE = ROOT / "extras" / "pool" / "README.md"
BLOCK = re.compile(r"(<!-- figures: threads -->\n).*?(\n<!-- end -->)", re.DOTALL)

WORK = [0, 1, 10]  # ms
CLIENTS, SIZE = 64, 64
FORMULAS = {"1": lambda n: 1, "n": lambda n: n, "n + 2": lambda n: n + 2,
            "2n": lambda n: 2 * n, "2n + 2": lambda n: 2 * n + 2,
            "32": lambda n: 32}


def echoes_a_second(threads, work, seconds):
    """On a busy machine a thread of echo_load may get no processor for a second,
    and its clients no echo: such a run says nothing, and is made again."""
    for _ in range(5):
        told = load(threads, work, seconds)
        if told["valid"]:
            return told["echoes_per_s"]
        if told["wrong_bytes"] or told["lost_echoes"] or told["errors"]:
            break
    fail(f"pool, {threads} threads, {work} ms: no valid run")


def load(threads, work, seconds):
    with Server("pool", "--quiet", "--threads", str(threads), "--work",
                str(work)) as server:
        told = json.loads(run(
            [WINE, BUILD / "bin" / "echo_load.exe", "--quiet", "--json", "-",
             "--port", server.port, "--connections", CLIENTS, "--size", SIZE,
             "--duration", f"{int(1000 * seconds)}ms", "--warmup", "300ms"],
            status=None))
        server.stop()
    return told


def measure(rounds, seconds):
    """Formulas that come to the same number are measured once."""
    n = len(os.sched_getaffinity(0))
    counts = sorted({formula(n) for formula in FORMULAS.values()})
    rates = {(work, count): [] for work in WORK for count in counts}
    for number in range(rounds):
        for (work, count), seen in rates.items():
            seen.append(echoes_a_second(count, work, seconds))
        print(f"round {number + 1} of {rounds}", flush=True)
    result = {"processors": n, "rounds": rounds, "seconds": seconds,
              "clients": CLIENTS, "bytes": SIZE, "settings": [
                  {"work_ms": work, "threads": count,
                   "echoes_per_second": round(statistics.median(seen), 1),
                   "least": round(min(seen), 1), "most": round(max(seen), 1)}
                  for (work, count), seen in rates.items()]}
    MEASURED.write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")
    print(figures(result))


def shares(result, work):
    """{threads: share of the best one} with so much work."""
    rates = {one["threads"]: one["echoes_per_second"]
             for one in result["settings"] if one["work_ms"] == work}
    return {count: rate / max(rates.values()) for count, rate in rates.items()}


def figures(result):
    n = result["processors"]
    columns = [shares(result, work) for work in WORK]
    best = [max(one["echoes_per_second"] for one in result["settings"]
                if one["work_ms"] == work) for work in WORK]
    rows = [[name, formula(n), *(f"{column[formula(n)]:.2f}"
                                 for column in columns)]
            for name, formula in FORMULAS.items()]
    rows.append(["best, echoes/s", "", *(f"{rate:,.0f}" for rate in best)])
    return table(["threads", f"n = {n}", *(f"{work} ms" for work in WORK)], rows)


def chart(result):
    """A group of bars for each amount of work, a bar for each count."""
    wide, high, left, top = 640, 260, 40, 30
    counts = sorted({one["threads"] for one in result["settings"]})
    group = (wide - left) / len(WORK)
    bar = group * 0.8 / len(counts)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} '
             f'{high}" font-family="sans-serif" font-size="12">',
             "<title>Echoes a second with a pool of so many threads, as a share "
             "of the best</title>",
             f'<rect width="{wide}" height="{high}" fill="#ffffff"/>']
    floor, scale = high - 50, high - 50 - top
    for share in (0, 0.5, 1):
        y = floor - share * scale
        parts += [f'<path d="M{left} {y:.0f}H{wide}" stroke="#cccccc"/>',
                  f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">'
                  f'{share:g}</text>']
    for number, work in enumerate(WORK):
        start = left + number * group + group * 0.1
        for place, count in enumerate(counts):
            tall = shares(result, work)[count] * scale
            x = start + place * bar
            parts += [f'<rect x="{x:.1f}" y="{floor - tall:.1f}" '
                      f'width="{bar - 3:.1f}" height="{tall:.1f}" '
                      'fill="#3b6ea5"/>',
                      f'<text x="{x + bar / 2 - 1.5:.1f}" y="{floor + 16}" '
                      f'text-anchor="middle">{count}</text>']
        parts.append(f'<text x="{start + group * 0.4:.1f}" y="{floor + 38}" '
                     f'text-anchor="middle">threads; each echo blocks {work} ms'
                     '</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def filled(result, page):
    return BLOCK.sub(lambda m: m[1] + figures(result) + m[2], page)


def publish():
    result = json.loads(MEASURED.read_text(encoding="ascii"))
    PUBLISHED.write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")
    CHART.write_text(chart(result), encoding="ascii")
    PAGE.write_text(filled(result, PAGE.read_text(encoding="ascii")),
                    encoding="ascii")
    check()


def check():
    result = json.loads(PUBLISHED.read_text(encoding="ascii"))
    page = PAGE.read_text(encoding="ascii")
    if not BLOCK.search(page) or filled(result, page) != page:
        sys.exit("extras/pool/README.md does not say what threads.json says")
    if chart(result) != CHART.read_text(encoding="ascii"):
        sys.exit("extras/pool/threads.svg does not show what threads.json says")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.publish:
        publish()
    elif options.check:
        check()
    else:
        measure(options.rounds, options.seconds)


if __name__ == "__main__":
    main()
