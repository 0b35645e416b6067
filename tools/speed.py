#!/usr/bin/env python3
"""Echoes per second as a share of the plainest server's, under Wine.

usage: tools/speed.py [--seconds S] [MODEL ...]

The plainest server is a thread per connection that does nothing but recv() and
send(): tests/broken/broken.c without a bug. It and the six models are driven
by the same client, one after the other: 1, 64 and 1000 connections, each sends
64 bytes, waits for them, compares them, and begins again. The server and its
wineserver run on one processor, the client on another; without that, mostly
the way between the processors is measured. A wineserver is new for each
server. Only the ratios mean anything, and nothing here says how fast Windows
is. Exit code 1: a wrong or a missing echo.
"""
import argparse
import os
import select
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from suite import BUILD, MODELS, WINE, Server, run  # noqa: E402

CONNECTIONS = [1, 64, 1000]
MESSAGE = 64
SERVER_CPU, CLIENT_CPU = 0, 1


class Client:
    def __init__(self, port, number):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number, self.turn = number, 0
        self.say()

    def say(self):
        self.turn += 1
        self.message = b"%d %d " % (self.number, self.turn)
        self.message = self.message.ljust(MESSAGE, b".")
        self.sock.sendall(self.message)

    def hear(self):
        # 64 bytes on loopback come in one piece; anything else is an error
        # of this tool or of the server, and must not be counted as an echo.
        if self.sock.recv(2 * MESSAGE) != self.message:
            raise SystemExit("a wrong echo, or none")
        self.say()


def drive(port, connections, seconds):
    """Echoes per second, from when all have had one and half a second more."""
    clients = {}
    poll = select.epoll()
    for number in range(connections):
        client = Client(port, number)
        clients[client.sock.fileno()] = client
        poll.register(client.sock, select.EPOLLIN)
    echoes, began, counting = 0, time.perf_counter(), False
    heard = set()
    while True:
        now = time.perf_counter()
        if len(heard) < connections:
            began = now
        elif not counting and now - began > 0.5:
            echoes, began, counting = 0, now, True
        if counting and now - began > seconds:
            break
        ready = poll.poll(10)
        if not ready:
            raise SystemExit("no echo for 10 seconds")
        for descriptor, _ in ready:
            clients[descriptor].hear()
            if not counting:
                heard.add(descriptor)
        echoes += len(ready)
    for client in clients.values():
        client.sock.close()
    return echoes / (now - began)


def measure(name, seconds, exe=None):
    run([WINE, "--end"])
    os.sched_setaffinity(0, {SERVER_CPU})  # which the server inherits
    with Server(name, "--quiet", exe=exe) as server:
        os.sched_setaffinity(0, {CLIENT_CPU})
        rates = [drive(server.port, connections, seconds)
                 for connections in CONNECTIONS]
        server.stop()
    return rates


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("models", nargs="*", default=MODELS)
    args = parser.parse_args()
    base = measure("broken", args.seconds, BUILD / "tests" / "broken.exe")
    print("| model              | 1 client | 64 clients | 1000 clients |"
          " 1000 to 64 |")
    print("| ------------------ | -------: | ---------: | -----------: |"
          " ---------: |")
    print("| (echoes/s of the plainest) |"
          + "".join(f" {rate:.0f} |" for rate in base)
          + f" {base[2] / base[1]:.2f} |", flush=True)
    for model in args.models:
        rates = measure(model, args.seconds)
        share = [rate / plain for rate, plain in zip(rates, base)]
        print(f"| {model:18} | {share[0]:8.2f} | {share[1]:10.2f} |"
              f" {share[2]:12.2f} | {rates[2] / rates[1]:10.2f} |", flush=True)
    run([WINE, "--end"])


if __name__ == "__main__":
    main()
