#!/usr/bin/env python3
"""asyncselect --window on a desktop that nobody sees (Xvfb): the title, the
list of clients, the Stall button that freezes all of them, the X that ends
it; and a picture of it in build/reports/asyncselect.png."""

import contextlib
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (BUILD, PATIENCE, REPORTS, ROOT, WINE, Lines,  # noqa: E402
                   Server, at_best, check, fail, finish, late, own_wine, run)

PICTURE = REPORTS / "asyncselect.png"
CLIENTS = 5
STALL_S = 5
# A freeze is one of at least this long, and an echo on a busy machine is not.
FROZEN_S = 3.0


@contextlib.contextmanager
def desktop():
    """An environment with a DISPLAY of its own."""
    ready, tell = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(tell), "-screen", "0", "800x600x24",
         "-nolisten", "tcp"], pass_fds=[tell], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(tell)
    try:
        if not select.select([ready], [], [], PATIENCE)[0]:
            fail("Xvfb does not start")
        number = os.read(ready, 20).decode().strip()
        if not number:
            fail("Xvfb ended at once")
        yield {**os.environ, "DISPLAY": f":{number}"}
    finally:
        os.close(ready)
        server.terminate()
        server.wait()


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.port = self.socket.getsockname()[1]

    def echo(self, text):
        """Send the text; return the seconds until it came back."""
        began = time.monotonic()
        self.socket.sendall(text)
        got = b""
        while len(got) < len(text):
            piece = self.socket.recv(len(text) - len(got))
            if not piece:
                fail("the server closed the connection")
            got += piece
        if got != text:
            fail(f"sent {text!r}, got {got!r}")
        return time.monotonic() - began


class Window:
    def __init__(self, port, env):
        self.port = port
        self.env = env

    def probe(self, what):
        return run([WINE, BUILD / "tests" / "probe.exe", self.port, what],
                   env=self.env)

    def look(self):
        """What it shows, as {"title": ..., "list": ..., "line": [...]}."""
        seen = {"line": []}
        for text in self.probe("show").splitlines():
            key, value = text.split(": ", 1)
            if key == "line":
                seen["line"].append(value)
            else:
                seen[key] = value
        return seen

    @contextlib.contextmanager
    def watch(self):
        """The lines of a probe that watches the button."""
        with subprocess.Popen(
                [str(WINE), str(BUILD / "tests" / "probe.exe"), str(self.port),
                 "watch"], env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE) as process:
            try:
                yield Lines(process.stdout)
            finally:
                process.kill()

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition(seen := self.look()):
            if time.monotonic() > deadline:
                fail(f"{what}, but it shows {seen}")
        return seen

    def click(self, place):
        x, y = place.split()
        run(["xdotool", "mousemove", x, y, "click", "1"], env=self.env)

    def picture(self, path):
        run(["import", "-silent", "-window", "root", path], env=self.env)
        return int(run(["identify", "-format", "%k", path]))


def differing(a, b):
    """The number of pixels that differ between two pictures."""
    done = subprocess.run(["compare", "-metric", "AE", a, b, "null:"],
                          capture_output=True, text=True)
    if done.returncode not in (0, 1):
        fail(f"compare: {done.stderr}")
    return float(done.stderr)


def title(port, count):
    clients = f"{count} client" + ("" if count == 1 else "s")
    return lambda seen: re.fullmatch(
        rf"asyncselect\b.*\b{port}\b.*\b{clients}", seen["title"]) \
        and seen["list"] == str(count)


class Pinger(threading.Thread):
    """One client's echoes, one after the other, and the slowest of them."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client
        self.worst = 0.0
        self.count = 0
        self.error = None
        self.enough = threading.Event()

    def run(self):
        try:
            while not self.enough.is_set():
                self.worst = max(self.worst, self.client.echo(b"ping"))
                self.count += 1
        except Exception as error:  # told by stop()
            self.error = error

    def stop(self):
        self.enough.set()
        self.join(PATIENCE)
        if self.error or self.is_alive():
            fail(f"the echoes ended early: {self.error}")


def echo_again(clients):
    took = [client.echo(b"again") for client in clients]
    if max(took) >= FROZEN_S:
        late(f"echoes should be quick again, they took {took} s")
    return took


def stall(window, clients):
    """Click the button while every client echoes without a pause. Before and
    after no echo takes long; the click freezes them, every one."""
    place = window.look()["button at"]
    before = [Pinger(client) for client in clients]
    with window.watch() as button:
        texts = [button.read()]
        for pinger in before:
            pinger.start()
        window.click(place)
        texts += button.rest()
    if len(texts) != 3 or texts[0] != texts[2]:
        fail(f"the button should tell of the stall and then of its end: {texts}")
    for pinger in before:
        pinger.stop()
    worst = [pinger.worst for pinger in before]
    if min(worst) < FROZEN_S:
        fail("the click should freeze every client for "
             f"{STALL_S} s, the slowest echoes took {worst} s")
    after = at_best(lambda: echo_again(clients))
    print(f"       slowest echo of each client {min(worst):.1f} to "
          f"{max(worst):.1f} s, afterwards {max(after) * 1000:.0f} ms")


def show(env):
    with Server("asyncselect", "--window", env=env) as server:
        window = Window(server.port, env)
        with check("window: the title has the model, the port, no clients"):
            window.until(title(server.port, 0), "no clients yet")
            empty = REPORTS / "asyncselect-empty.png"
            window.picture(empty)
        clients = [Client(server.port) for _ in range(CLIENTS)]
        with check(f"window: {CLIENTS} clients that echo are counted and "
                   "listed"):
            for client in clients:
                client.echo(b"hello")
            seen = window.until(title(server.port, CLIENTS),
                                f"{CLIENTS} clients")
            missing = [client.port for client in clients
                       if not any(line.endswith(f":{client.port}")
                                  for line in seen["line"])]
            if missing:
                fail(f"ports {missing} are not listed: {seen['line']}")
        with check("window: its picture shows the clients"):
            # A line of text changes far more pixels than this, a blinking
            # cursor fewer. The list has its lines before they are drawn.
            deadline = time.monotonic() + PATIENCE
            while (colours := window.picture(PICTURE)) < 4 or \
                    (pixels := differing(empty, PICTURE)) < 100 * CLIENTS:
                if colours < 4:
                    seen = f"is blank: {colours} colours"
                else:
                    seen = f"differs from the empty list in {pixels} pixels only"
                if time.monotonic() > deadline:
                    fail(f"{PICTURE} {seen}")
        with check("window: the Stall button freezes every client"):
            stall(window, clients)
        with check("window: who leaves, leaves the list"):
            clients.pop().socket.close()
            window.until(title(server.port, CLIENTS - 1), "one client less")
        with check("window: its X stops the server like Ctrl+C"):
            window.probe("close")
            server.wait()


def main():
    # A Wine that was started without a display has none until it ends.
    os.environ.update(own_wine("window"))
    try:
        look_at_both()
    finally:
        run([WINE, "--end"], status=None)
    finish()


def look_at_both():
    with check("window: asyncselect --window on a desktop"):
        with desktop() as env:
            show(env)
            run([WINE, "--end"])
    with check("window: without a desktop --window says so"):
        env = {key: value for key, value in os.environ.items()
               if key != "DISPLAY"}
        done = subprocess.run(
            [WINE, BUILD / "bin" / "asyncselect.exe", "--window", "--port",
             "0"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PATIENCE, env=env)
        if done.returncode == 0 or "--window" not in done.stderr:
            fail(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
