#!/usr/bin/env python3
"""How many requests to the wineserver one echo costs in each model.

usage: tools/wine_requests.py [MODEL ...]

Under Wine most system calls are a message to one server process, and these
messages, not the machine, determine the speed. Their number is exact: a client
sends 64 bytes and waits for them, 1000 and then 3000 times, and the writes of
the server's process (syscw in /proc/PID/io) are compared. A loop of only
blocking recv() and send() costs 6. iocp has one worker here, because Wine
wakes several in turn.
"""
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" /
                       "lib"))
from suite import MODELS, Server  # noqa: E402

FEW, MANY, MESSAGE = 1000, 3000, 64


def writes_of(pid):
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("syscw:"):
            return int(line.split()[1])
    raise SystemExit("this kernel does not count writes in /proc/PID/io")


def echo(sock, times):
    for number in range(times):
        message = (b"%d " % number).ljust(MESSAGE, b".")
        sock.sendall(message)
        got = b""
        while len(got) < MESSAGE:
            more = sock.recv(MESSAGE - len(got))
            if not more:
                raise SystemExit("the server closed the connection")
            got += more
        if got != message:
            raise SystemExit("a wrong echo")


def requests_per_echo(model):
    one_worker = ["--threads", "1"] if model == "iocp" else []
    with Server(model, "--quiet", *one_worker) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            echo(sock, 10)
            start = writes_of(server.process.pid)
            echo(sock, FEW)
            few = writes_of(server.process.pid)
            echo(sock, MANY)
            many = writes_of(server.process.pid)
        server.stop()
    return ((many - few) - (few - start)) / (MANY - FEW)


def main():
    print("| model              | requests/echo |")
    print("| ------------------ | ------------: |")
    for model in sys.argv[1:] or MODELS:
        print(f"| {model:18} | {requests_per_echo(model):13.2f} |", flush=True)


if __name__ == "__main__":
    main()
