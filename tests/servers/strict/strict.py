#!/usr/bin/env python3
"""Windows' rules (watch/strict.h): who keeps them is told of nothing, with
several seeds; and of each wrong server its one mistake is told, at its line.

    tests/servers/strict/strict.py [MODEL...|wrong]
"""

import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (  # noqa: E402
    BUILD, EXTRAS, MODELS, PATIENCE, ROOT, WINE, Failed, Lines, Server, check,
    expect, expect_match, fail, finish, run, run_cases)

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
        if together == 1:
            client.close()
            return
    for number, client in enumerate(clients):
        if number % 3 == 0:
            half_close(client, bytes_of(number, 5000))
        elif number % 3 == 1:
            client.sendall(b"never read")
            reset(client)
        else:
            client.close()
    half_close(connect(port), bytes_of(together, 5000))


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


# ---- those that break one -------------------------------------------------------

WRONG = BUILD / "tests" / "wrong.exe"
SOURCE = ROOT / "tests" / "servers" / "strict" / "wrong" / "wrong.c"


def line_of(mark):
    """The line of the source that follows this comment."""
    lines = SOURCE.read_text(encoding="ascii").splitlines()
    found = [number for number, line in enumerate(lines, 2)
             if line.strip() == f"/* {mark} */"]
    if len(found) != 1:
        fail(f"{mark!r} stands in lines {found} of {SOURCE.name}")
    return found[0]


def send_lines(client):
    """More than one at a time; until the server goes."""
    try:
        for number in range(40):
            client.sendall(bytes_of(number, 1000))
            if not client.recv(1000):
                return
    except OSError:
        pass


def send_and_shut(client):
    """All of it is there when it is read, or the end is told after it."""
    client.sendall(b"0123456789" * 100)
    client.shutdown(socket.SHUT_WR)
    everything(client)


def send_when_told(client):
    """The operation is in flight by then, and the mistake is made."""
    receive(client, 1)
    client.sendall(b"ab")
    everything(client)


def send_and_reset(client):
    """A reset would take the byte with it, if that had not been received yet."""
    client.sendall(b"a")
    expect("received", client.recv(1), b"r")
    reset(client)


# A mistake: its rule, where it is made, where it began, and what the client does.
MISTAKES = {
    "reused": (1, "S1 reused", "asked", None),
    "overwritten": (1, "reaped", "asked", send_when_told),
    "freed": (1, "S1 told", "S1 lent", send_when_told),
    "filled": (2, "reaped", "asked", send_when_told),
    "peeked": (2, "S2 peeked", "asked", send_when_told),
    "refilled": (2, "reaped", "S2 refilled", None),
    "closed_early": (3, "S3 closed", "asked", b"a"),
    "half_accepted": (4, "S4 shut", "S4 accepted", b"a"),
    "close_at_once": (5, "S5 closed", "S5 told", send_and_shut),
    "reaped_twice": (7, "reaped", "reaped", b"ab"),
    "done_inline": (7, "S7 inline", "S7 inline", None),
    "packet_posted": (7, "S7 posted", "S7 asked", None),
    "stale_count": (8, "S8 sent", "S8 failed", send_and_reset),
    "rest_lost": (9, "S9 sent", "S9 sent", send_lines),
    "no_patience": (10, "S10 closed", None, send_lines),
    "in_routine": (12, "S12 recv", None, b"ab"),
    "thread_gone": (13, None, "asked", None),
    "after_close": (14, "S14 recv", "S14 closed", None),
    "stale_message": (14, "S14 recv by message", "S14 closed by message", b"ab"),
    "too_many": (17, "S17 many", None, None),
    "no_sets": (17, "S17 none", None, None),
    "closed_elsewhere": (18, "S18 closed", "S18 recv", None),
    "option_late": (19, "S19 late", None, None),
    "port_shared": (19, "S19 listen", "S19 shared", None),
    "flags_unset": (19, "asked", None, None),
    "joined_twice": (19, "S19 again", "S19 joined", None),
}


def run_wrong(name, options, act, command=None, env=None):
    """What it says on standard error, and what its client has received."""
    words = [WINE, *(command or (WRONG, name, options))]
    with subprocess.Popen([str(word) for word in words], cwd=ROOT, env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        try:
            output = Lines(process.stdout)
            line = output.read()
            if not line or not line.startswith("port "):
                fail(f"{line!r} is no port")
            got = b""
            with connect(int(line.split()[1])) as client:
                if callable(act):
                    act(client)
                else:
                    client.sendall(act or b"")
                    got = everything(client)
            text = process.stderr.read().decode().replace("\r\n", "\n")
            expect("its exit status", process.wait(PATIENCE), 0)
        finally:
            process.kill()
    return text, got


def everything(client):
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except ConnectionResetError:
        got += b"RESET"
    return got


def case_told(name, seed):
    rule, where, before, act = MISTAKES[name]
    text, _ = run_wrong(name, f"seed={seed}", act)
    rules = {int(number) for number in re.findall(r"(?m)^strict: S(\d+)", text)}
    if rules != {rule}:
        fail(f"not S{rule} alone:\n{text}")
    places = {int(number) for number in re.findall(r" at \S+wrong\.c:(\d+) in",
                                                   text)}
    wanted = {line_of(mark) for mark in (where, before) if mark}
    if places != wanted:
        fail(f"not the lines {wanted}:\n{text}")
    expect_match("the last line", text, rf"(?m)^strict: \d+ rules broken: S{rule} x\d+$")


# ---- what Windows may do ---------------------------------------------------------

def lines_echoed(client):
    count = 0
    try:
        for number in range(20):
            client.sendall(bytes_of(number, 500))
            receive(client, 500)
            count += 1
    except (OSError, Failed):
        pass
    return count


def ends_of_idle(options):
    """What select says of a client that resets while nothing is asked of it."""
    with Server("select", f"--strict={options}") as server:
        client = connect(server.port)
        echo(client, b"hello")
        reset(client)
        half_close(connect(server.port), b"it has been told of the first")
        lines = server.stop()
    return [line for line in lines if line.startswith("#1 ")][-1]


def case_reset_of_an_idle_client():
    expect_match("without S11", ends_of_idle("S3"), "^#1 closed, 5 bytes$")
    expect_match("with S11", ends_of_idle("S11"), "^#1 reset after 5 bytes$")


def case_pending_is_told():
    """A send that is done at once is told as pending, which is no error."""
    told = []
    for options in ("S3", "S6"):
        run_wrong("impatient", options,
                  lambda client: told.append(lines_echoed(client)))
    if told[0] != 20 or told[1] == 20:
        fail(f"echoed without and with S6: {told}")


def case_reset_of_whom_is_closed_early():
    for options, seen in (("S1", b""), ("S3", b"RESET")):
        _, got = run_wrong("closed_early", options, b"a")
        expect(f"the client of {options}", got, seen)


def case_errors_of_nothing_are_old():
    told = []
    for options in ("S3", "S10"):
        run_wrong("errors_of_nothing", options,
                  lambda client: told.append(lines_echoed(client)))
    expect("echoed without and with S10", told, [20, 0])


def case_packets_come_in_any_order():
    _, plain = run_wrong("in_order", "S3", b"abcdefgh")
    expect("without S16", plain, b"bcdefgh")
    for seed in range(1, 6):
        _, got = run_wrong("in_order", f"S16,seed={seed}", b"abcdefgh")
        expect("bytes", sorted(got), sorted(b"bcdefgh"))
        if got != plain:
            return
    fail("always in order")


STUDENT = r"""
#include <winsock2.h>
#include <stdio.h>

int main(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    int len = sizeof here;
    WSADATA data;
    char byte;
    WSAStartup(MAKEWORD(2, 2), &data);
    SOCKET sock = socket(AF_INET, SOCK_STREAM, 0);
    bind(sock, (struct sockaddr *)&here, sizeof here);
    listen(sock, 1);
    getsockname(sock, (struct sockaddr *)&here, &len);
    printf("port %u\n", ntohs(here.sin_port));
    fflush(stdout);
    SOCKET client = accept(sock, NULL, NULL);
    closesocket(client);
    recv(client, &byte, 1, 0);
    closesocket(sock);
    WSACleanup();
    return 0;
}
"""


def case_any_program_by_its_environment():
    """Linked with libwatch.a, its source untouched."""
    run(["make", "-s", "-f", "Makefile.mingw", "build/libwatch.a"])
    with tempfile.TemporaryDirectory() as folder:
        source, exe = Path(folder, "student.c"), Path(folder, "student.exe")
        source.write_text(STUDENT)
        run(["x86_64-w64-mingw32-gcc", "-g", source, "build/libwatch.a",
             "-lws2_32", "-o", exe])
        for watch, told in (("off", None), ("strict", "S14 #1"),
                            ("strict:seed=3,S3", "no rule broken"),
                            ("strict:3,S14", "S14 #1")):
            text, _ = run_wrong(None, None, None, [exe],
                                dict(os.environ, WATCH=watch))
            if told is None:
                expect("said", text, "")
            else:
                expect_match(watch, text, rf"(?m)^strict: {told}\b")
        for watch in ("strict:S0", "strict:S22", "strict:x", "strictly",
                      "strict:seed=", "strict:1;2"):
            run([WINE, exe], status=2, env=dict(os.environ, WATCH=watch))


def case_same_seed_same_choices():
    first, again, other = (run_wrong("rest_lost", f"S9,{seed}", send_lines)[0]
                           for seed in (5, 5, 6))
    expect("reports", again, first)
    if other == first.replace("seed 5", "seed 6"):
        fail(f"two seeds, one course:\n{first}")


def case_page_shows_a_report():
    """docs/watch.md has what is told of closed_early, but for the lines."""
    text, _ = run_wrong("closed_early", "seed=1", b"a")
    page = (ROOT / "docs" / "watch.md").read_text(encoding="ascii")
    text, page = (re.sub(r"wrong\.c:\d+", "wrong.c:N", one)
                  for one in (text, page))
    if f"```\n{text.strip()}\n```" not in page:
        fail(f"docs/watch.md has another report than\n{text}")


# ---- main --------------------------------------------------------------------

def main():
    words = sys.argv[1:] or [*MODELS, *EXTRAS, "wrong"]
    for word in words:
        if word != "wrong":
            for seed in SEEDS:
                with check(f"{word} keeps the rules, seed {seed}"):
                    case_kept(word, seed)
    for name, mistake in MISTAKES.items() if "wrong" in words else ():
        with check(f"S{mistake[0]}: {name.replace('_', ' ')}"):
            for seed in SEEDS:
                case_told(name, seed)
    if "wrong" in words:
        run_cases("strict", globals(), ("pending", "order", "seed", "program", "reset of", "errors",
                                         "page"))
    finish()


if __name__ == "__main__":
    main()
