#!/usr/bin/env python3
"""Three of our servers behind HAProxy in TCP mode (docs/scale.md).

- The clauses of the contract about the stream hold through it.
- A back end that is killed costs its own clients, and nobody else.
- The page shows haproxy.cfg, which is used here with other ports.
"""

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, PATIENCE, ROOT, WINE, Failed, Server, check, count_others,  # noqa: E402
                   expect, fail, finish, skip)

CONFIG = Path(__file__).with_suffix(".cfg")
PAGE = ROOT / "docs" / "scale.md"
BEHIND = ["select", "eventselect", "iocp"]
# What a client alone can see. All other cases start the server, measure its
# process, or read what it prints.
CLAUSES = "E1,E2,E3.1,E3.2,E4,E5,E6.1,E6.2,E6.5,E12.1"
EACH = 10  # clients for each back end


def haproxy():
    """Its path; Debian has it where a user's shell may not look."""
    return shutil.which("haproxy") or shutil.which("haproxy",
                                                   path="/usr/sbin")


@contextlib.contextmanager
def proxy(servers):
    """HAProxy before the servers; yields the port of its front end."""
    text = CONFIG.read_text(encoding="ascii")
    for server in servers:
        text, found = re.subn(rf"(server {server.model} 127\.0\.0\.1):\d+",
                              rf"\g<1>:{server.port}", text)
        expect(f"lines for {server.model}", found, 1)
    with socket.socket() as front, tempfile.TemporaryDirectory() as folder:
        front.bind(("127.0.0.1", 0))
        front.listen(1024)
        port = front.getsockname()[1]
        path = Path(folder) / "haproxy.cfg"
        # It takes our listening socket: no other program can get the port.
        path.write_text(text.replace("bind 127.0.0.1:5566",
                                     f"bind fd@{front.fileno()}"),
                        encoding="ascii")
        with open(Path(folder) / "log", "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [haproxy(), "-db", "-f", path], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, pass_fds=[front.fileno()])
            try:
                echo(connect(port), b"ready")
                yield port
            except BaseException:
                log.seek(0)
                print(log.read())
                raise
            finally:
                process.kill()
                process.wait()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def echo(client, text):
    client.sendall(text)
    got = b""
    while len(got) < len(text):
        piece = client.recv(4096)
        if not piece:
            fail(f"the end after {len(got)} of {len(text)} bytes")
        got += piece
    expect("the echo", got, text)


def is_served(client, text):
    try:
        echo(client, text)
    except (ConnectionError, Failed):  # it has ended; a timeout is no end
        return False
    return True


def one_back_end_dies():
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(name, "--quiet"))
                   for name in BEHIND]
        port = stack.enter_context(proxy(servers))
        clients = [stack.enter_context(connect(port))
                   for _ in range(EACH * len(servers))]
        for number, client in enumerate(clients):
            echo(client, b"client %d" % number)
        # Not select: of a process that is killed in select(), Wine's server has
        # been seen to keep the socket that was accepted last.
        killed = servers.pop()
        killed.end()
        alive = [client for number, client in enumerate(clients)
                 if is_served(client, b"still %d" % number)]
        expect(f"clients that are served after {killed.model} was killed",
               len(alive), EACH * len(servers))
        # As many as would come to the dead one in three rounds.
        for number in range(3 * len(BEHIND)):
            with connect(port) as newcomer:
                echo(newcomer, b"newcomer %d" % number)
        for client in alive:
            echo(client, b"the end")
        for server in servers:
            server.stop()


def contract_holds():
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(name, "--quiet"))
                   for name in BEHIND]
        port = stack.enter_context(proxy(servers))
        count_others([WINE, BUILD / "bin" / "contract.exe", "--all",
                      "--connect", f"127.0.0.1:{port}", "--only", CLAUSES,
                      "--scale", "2"], timeout=600)


def page_shows_config():
    if f"```\n{CONFIG.read_text(encoding='ascii')}```\n" not in \
            PAGE.read_text(encoding="ascii"):
        fail(f"{PAGE.name} does not show {CONFIG.name} as it is")


def main():
    with check("haproxy: the page shows the configuration"):
        page_shows_config()
    for name, case in (
            ("the stream clauses hold through it", contract_holds),
            ("a back end that is killed costs only its own clients",
             one_back_end_dies)):
        with check(f"haproxy: {name}"):
            if haproxy() is None:
                skip("no haproxy here; tools/setup.sh test installs it")
            case()
    finish()


if __name__ == "__main__":
    main()
