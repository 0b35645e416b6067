#!/usr/bin/env python3
"""The clients that people really use: nc, socat and curl talk to each server.
And what people really do at its terminal: Ctrl+C."""

import os
import random
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (MODELS, PATIENCE, WINE, BUILD, Failed, Lines, Server,  # noqa: E402
                   check, fail, finish)
from terminal import Terminal  # noqa: E402


def talk(command, sent):
    done = subprocess.run(command, input=sent, capture_output=True,
                          timeout=PATIENCE)
    if done.returncode != 0:
        fail(f"{' '.join(command)}: exit status {done.returncode}\n"
             f"{done.stderr.decode(errors='replace')}")
    if done.stdout != sent:
        same = os.path.commonprefix([done.stdout, sent])
        fail(f"{' '.join(command)}: sent {len(sent)} bytes, got "
             f"{len(done.stdout)}, alike are the first {len(same)}")


def press_ctrl_c(model):
    """Start it as a user does, on a terminal, and press Ctrl+C there."""
    with Terminal([WINE, BUILD / "bin" / f"{model}.exe", "--port", "0"],
                  stdout=subprocess.PIPE,
                  stderr=subprocess.STDOUT) as terminal:
        output = Lines(terminal.process.stdout)
        line = output.read()
        if not line or "listening on" not in line:
            fail(f"no ready line but {line!r}")
        terminal.type("\x03")
        lines = output.rest()
        status = terminal.process.wait(timeout=PATIENCE)
        if status != 0 or not any("stopped after" in line for line in lines):
            fail(f"after Ctrl+C: exit status {status}, " + "\n".join(lines))


def main():
    text = "".join(f"line {n}: hello\n" for n in range(1000)).encode()
    binary = random.Random(2).randbytes(300_000)
    for model in sys.argv[1:] or MODELS:
        with check(f"{model}: starts, and stops at the end of its input"):
            with Server(model) as server:
                port = str(server.port)
                with check(f"{model}: nc gets its lines back"):
                    talk(["nc", "-N", "127.0.0.1", port], text)
                with check(f"{model}: socat gets 300,000 random bytes back"):
                    talk(["socat", "-t", "30", "-", f"TCP:127.0.0.1:{port}"],
                         binary)
                with check(f"{model}: curl telnet:// gets a line back"):
                    curl_telnet(port)
                server.stop()
        with check(f"{model}: an interrupt stops it"):
            with Server(model) as server:
                server.interrupt()
        with check(f"{model}: Ctrl+C at a terminal stops it"):
            press_ctrl_c(model)
    finish()


def curl_telnet(port):
    """curl's telnet never half-closes: it ends when the server does or when it
    is ended. So read the echo first, and then end curl."""
    command = ["curl", "-sS", "--no-buffer", f"telnet://127.0.0.1:{port}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as curl:
        echo = Lines(curl.stdout)
        try:
            for line in ("hello", "is anybody there?"):
                curl.stdin.write(line.encode() + b"\n")
                curl.stdin.flush()
                got = echo.read()
                if got != line:
                    raise Failed(f"curl sent {line!r} and got {got!r}")
        finally:
            curl.kill()


if __name__ == "__main__":
    main()
