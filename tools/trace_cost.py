#!/usr/bin/env python3
"""What tracing costs, as a share of the echoes per second without it.

usage: tools/trace_cost.py [--off] [--pairs N] [--seconds S] [MODEL ...]

For each model a server built with PLAIN=1 and three others run at the same
time: tracing off, to .json, to .jsonl; or, for a closer look, only off. All
are idle except the one that is driven. One client sends 64 bytes, waits for
them and compares them, in short bursts that alternate: PLAIN, other, other,
PLAIN. Each such pair gives one ratio. The tool prints their median, and the
two ratios between which it lies with 95 % certainty (the order statistics of
the sign test). Servers and wineserver share one processor, the client has
another: otherwise the tool would mostly measure the way between the
processors. Only the ratios mean anything. Exit code 1: a wrong or a missing
echo.
"""
import argparse
import contextlib
import math
import os
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" /
                       "lib"))
from suite import BUILD, MODELS, WINE, Server, run  # noqa: E402

PLAIN = BUILD / "plain" / "bin"
OUT = BUILD / "trace"
MESSAGE = 64
SERVER_CPU, CLIENT_CPU = 0, 1


class Driver:
    """A client that stays connected, and says nothing between its bursts."""

    def __init__(self, server):
        self.sock = socket.create_connection(("127.0.0.1", server.port),
                                             timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.turn = 0
        self.echo()

    def echo(self):
        self.turn += 1
        message = (b"%d " % self.turn).ljust(MESSAGE, b".")
        self.sock.sendall(message)
        # 64 bytes on loopback come in one piece; anything else is an error
        # of this tool or of the server, and must not be counted as an echo.
        if self.sock.recv(2 * MESSAGE) != message:
            raise SystemExit("a wrong echo, or none")

    def burst(self, seconds):
        """Echoes per second."""
        echoes, began = 0, time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            self.echo()
            echoes += 1
        return echoes / (now - began)


def ratio(plain, other, seconds):
    a, b = plain.burst(seconds), other.burst(seconds)
    c, d = other.burst(seconds), plain.burst(seconds)
    return (b + c) / (a + d)


def median_and_range(ratios):
    ratios = sorted(ratios)
    n = len(ratios)
    away = math.ceil(0.98 * math.sqrt(n))
    return (ratios[n // 2], ratios[max(n // 2 - away, 0)],
            ratios[min(n // 2 + away, n - 1)])


VARIANTS = {"tracing off": [],
            "to .json": ["--trace-file", OUT / "cost.json"],
            "to .jsonl": ["--trace-file", OUT / "cost.jsonl"]}


def measure(model, variants, pairs, seconds):
    os.sched_setaffinity(0, {SERVER_CPU})  # which the servers inherit
    run([WINE, "--end"])
    with contextlib.ExitStack() as stack:
        def start(*options, exe=None):
            return stack.enter_context(
                Server(model, "--quiet", *options, exe=exe))

        plain = start(exe=PLAIN / f"{model}.exe")
        servers = {name: start(*VARIANTS[name]) for name in variants}
        os.sched_setaffinity(0, {CLIENT_CPU})
        base = Driver(plain)
        drivers = {name: Driver(server) for name, server in servers.items()}
        for driver in (base, *drivers.values()):
            driver.burst(0.5)
        seen = {name: [] for name in drivers}
        for _ in range(pairs):
            for name, driver in drivers.items():
                seen[name].append(ratio(base, driver, seconds))
        for driver in (base, *drivers.values()):
            driver.sock.close()
        for server in (plain, *servers.values()):
            server.stop()
    return {name: median_and_range(ratios) for name, ratios in seen.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--off", action="store_true")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.25)
    parser.add_argument("models", nargs="*", default=MODELS)
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    run(["make", "-f", "Makefile.mingw", "-s", "PLAIN=1", "servers"],
        timeout=600)
    variants = ["tracing off"] if args.off else list(VARIANTS)
    print("| model              |" +
          "".join(f" {name:19} |" for name in variants))
    print("| ------------------ |" + " ------------------- |" * len(variants))
    for model in args.models:
        cells = [f"{middle:.3f} ({low:.3f}-{high:.3f})" for middle, low, high
                 in measure(model, variants, args.pairs,
                            args.seconds).values()]
        print(f"| {model:18} | " + " | ".join(cells) + " |", flush=True)
    run([WINE, "--end"])


if __name__ == "__main__":
    main()
