#!/usr/bin/env python3
"""Windows' rules (watch/strict.h): who keeps them is told of nothing, with
several seeds; and of each wrong server its one mistake is told, at its line.

    tests/servers/strict/strict.py [MODEL...|wrong]
"""

import random
import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (  # noqa: E402
    BUILD, EXTRAS, MODELS, PATIENCE, ROOT, WINE, Lines, Server, check, expect,
    expect_match, fail, finish, run)

SEEDS = (1, 2, 3)
RESET = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)


# ---- those that keep the rules ------------------------------------------------

def connect(port):
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def receive(client, size):
    got = b""
    while len(got) < size:
        piece = client.recv(size - len(got))
        if not piece:
            fail(f"the end after {len(got)} of {size} bytes")
        got += piece
    return got


def echo(client, data):
    """Send and receive at the same time, or both sides could wait."""
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    got = receive(client, len(data))
    sender.join()
    if got != data:
        at = next(i for i, (a, b) in enumerate(zip(got, data)) if a != b)
        fail(f"byte {at} of {len(data)} is not what was sent")


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def half_close(client, data):
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    expect("echo after the half-close", receive(client, len(data)), data)
    expect("after the echo", client.recv(1), b"")
    client.close()


def load(client):
    """Until the server goes."""
    try:
        while True:
            client.sendall(b"load" * 1000)
            if not client.recv(65536):
                return
    except OSError:
        pass


def bytes_of(seed, size):
    return random.Random(seed).randbytes(size)


def visit(port, together):
    """All that clients do, so many of them at the same time."""
    clients = [connect(port) for _ in range(together)]
    for number, client in enumerate(clients):
        for size in (1, 1000, 100_000):
            echo(client, bytes_of(number, size))
    for number, client in enumerate(clients):
        if number % 3 == 0:
            half_close(client, bytes_of(number, 5000))
        elif number % 3 == 1:
            client.sendall(b"never read")
            reset(client)
        else:
            client.close()
    half_close(connect(port), bytes_of(seed := together, 300_000)
               if together > 1 else bytes_of(seed, 5000))


def reports(text):
    return [line for line in text.splitlines()
            if re.match(r"strict: S\d+", line)]


def case_kept(model, seed):
    together = 1 if model == "one_client" else 6
    with Server(model, "--quiet", f"--strict={seed}") as server:
        visit(server.port, together)
        last = [connect(server.port) for _ in range(together)]
        threads = [threading.Thread(target=load, args=(client,))
                   for client in last]
        for client, thread in zip(last, threads):
            echo(client, b"still here")
            thread.start()
        server.stop()
        for client, thread in zip(last, threads):
            thread.join(PATIENCE)
            client.close()
        text = server.error_text()
    expect_match("the first line", text, rf"(?m)^strict: seed {seed}$")
    if reports(text) or not re.search(
            r"(?m)^strict: no rule broken, \d+ calls looked at$", text):
        fail(text)


# ---- main --------------------------------------------------------------------

def main():
    words = sys.argv[1:] or [*MODELS, *EXTRAS, "wrong"]
    for word in words:
        if word != "wrong":
            for seed in SEEDS:
                with check(f"{word} keeps the rules, seed {seed}"):
                    case_kept(word, seed)
    finish()


if __name__ == "__main__":
    main()
