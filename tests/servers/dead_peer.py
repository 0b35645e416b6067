#!/usr/bin/env python3
"""What TCP does when the peer's machine vanishes (docs/keep-alive.md).

Loopback cannot show it: that machine always answers. So the peer is in another
network namespace of Linux, as on another machine, and then loses its address:
nobody answers any more, and nobody says so. This runs Linux's TCP, without
Wine, and needs root.
"""

import os
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import Lines, check, expect, expect_match, fail, finish, skip  # noqa: E402

HERE, THERE, PORT = "192.0.2.1", "192.0.2.2", 5566
IDLE_S, BETWEEN_S, TIMES = 1, 1, 3  # keep-alive
WATCH_S = 7


# ---- the near machine ------------------------------------------------------

def ask(sock):
    """From its struct tcp_info (tcp(7)): how often the same bytes were sent
    again, and the pause until the next time, in seconds."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return info[2], int.from_bytes(info[8:12], sys.byteorder) / 1e6


def near():
    """Three connections; a line when they are there, one to go on, and then what
    was seen."""
    plain, sends, asks = (socket.create_connection((THERE, PORT), 10)
                          for _ in range(3))
    asks.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, IDLE_S),
                          (socket.TCP_KEEPINTVL, BETWEEN_S),
                          (socket.TCP_KEEPCNT, TIMES)):
        asks.setsockopt(socket.IPPROTO_TCP, option, value)
    print("connected", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    print("sent", sends.send(b"hello"), flush=True)
    first = ask(sends)[1]
    told = {}
    while (left := began + WATCH_S - time.monotonic()) > 0:
        waiting = [one for one in (plain, sends, asks) if one not in told]
        for one in select.select(waiting, [], [], left)[0]:
            try:
                told[one] = f"recv() says {one.recv(1)!r}"
            except OSError as error:
                told[one] = f"{type(error).__name__}"
            told[one] += f" after {time.monotonic() - began:.1f} s"
    print("plain:", told.get(plain, "nothing"))
    again, pause = ask(sends)
    print(f"sends: {told.get(sends, 'nothing')}, sent again {again} times, "
          f"pause {pause / first:.0f} times as long")
    print("asks:", told.get(asks, "nothing"))


def far():
    with socket.create_server((THERE, PORT)) as listener:
        print("listening", flush=True)
        clients = [listener.accept()[0] for _ in range(3)]
        sys.stdin.readline()
        print(len(clients))


# ---- both, and the network between them ------------------------------------

def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Machine:
    """A network namespace with one card."""

    def __init__(self, name, address):
        self.name, self.address = f"{name}-{os.getpid()}", address

    def __enter__(self):
        ip("netns", "add", self.name)
        return self

    def __exit__(self, *_):
        ip("netns", "del", self.name)

    def ip(self, *words):
        ip("-n", self.name, *words)

    def run(self, part):
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, __file__, part],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def connect(one, other):
    """A cable. Each knows the other's card by heart: otherwise Linux would find
    out that nobody answers for the address, and report that instead."""
    ip("link", "add", "card", "netns", one.name, "type", "veth", "peer", "name",
       "card", "netns", other.name)
    for machine, peer, last in ((one, other, 2), (other, one, 1)):
        machine.ip("link", "set", "card", "address", f"02:00:00:00:00:0{3 - last}")
        machine.ip("addr", "add", f"{machine.address}/24", "dev", "card")
        machine.ip("link", "set", "card", "up")
        machine.ip("neigh", "add", peer.address, "lladdr",
                   f"02:00:00:00:00:0{last}", "dev", "card", "nud", "permanent")


def vanish():
    with Machine("near", HERE) as one, Machine("far", THERE) as other:
        connect(one, other)
        with other.run("far") as peer:
            try:
                expect("the peer", Lines(peer.stdout).read(), "listening")
                return near_sees(one, other)
            finally:
                peer.kill()


def near_sees(one, other):
    with one.run("near") as process:
        try:
            lines = Lines(process.stdout)
            expect("the first line", lines.read(), "connected")
            other.ip("addr", "del", f"{THERE}/24", "dev", "card")
            process.stdin.write(b"go on\n")
            process.stdin.flush()
            return lines.rest()
        finally:
            process.kill()


def can_make_machines():
    return os.geteuid() == 0 and shutil.which("ip") is not None and \
        subprocess.run(["unshare", "-n", "true"], capture_output=True,
                       check=False).returncode == 0


def main():
    if sys.argv[1:] in (["near"], ["far"]):
        {"near": near, "far": far}[sys.argv[1]]()
        return
    seen = []
    with check("dead_peer: a machine vanishes while three connections are open"):
        if not can_make_machines():
            skip("needs root, and ip of Debian's iproute2")
        seen = vanish()
        print("\n".join(f"       {line}" for line in seen))
        expect("lines", len(seen), 4)
    for name, number, pattern in (
            ("send() takes the bytes all the same", 0, "^sent 5$"),
            ("without keep-alive nobody is told", 1, "^plain: nothing$"),
            ("sent bytes are sent again, with longer and longer pauses", 2,
             r"^sends: nothing, sent again [3-9] times, pause (8|16|32) times"),
            ("keep-alive ends the connection", 3,
             r"^asks: TimeoutError after [3-6]\.\d s$")):
        with check(f"dead_peer: {name}"):
            if not can_make_machines():
                skip("needs root, and ip of Debian's iproute2")
            if len(seen) <= number:
                fail("nothing was seen")
            expect_match("it", seen[number], pattern)
    finish()


if __name__ == "__main__":
    main()
