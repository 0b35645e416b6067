#!/usr/bin/env python3
"""Tests of echo_client.exe.

    tests/programs/echo_client.py [PATH/OF/echo_client.exe]

The client talks to small servers, each of which does one thing right or wrong.
The environment variable WINE is the command that runs a Windows program;
without it tools/wine.sh does. Prints a line per case and at the end `N passed,
N failed`; exit code 1 if a case failed.
"""

import hashlib
import os
import random
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import suite  # noqa: E402
from small_servers import (LONG_S, Server, close_after,  # noqa: E402
                           corrupt, echo, echo_and_more, echo_and_stay,
                           echo_through_a_straw, received, refused_port,
                           reset_after, say_nothing)
from suite import Failed, expect, expect_match  # noqa: E402
from terminal import Terminal  # noqa: E402

WINE = shlex.split(os.environ.get("WINE", "")) or [str(suite.WINE)]
CLIENT = str(suite.BUILD / "bin" / "echo_client.exe")


# ---- servers ---------------------------------------------------------------

def echo_however_late(conn, server):
    conn.settimeout(None)
    echo(conn, server)


def echo_at_the_end(conn, _):
    for data in list(received(conn)):
        conn.sendall(data)


# ---- running the client ----------------------------------------------------

class Run:
    """One run of the client: exit code, standard output, standard error."""

    def __init__(self, args, data=b""):
        done = subprocess.run(WINE + [CLIENT] + [str(a) for a in args],
                              input=data, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=LONG_S,
                              check=False)
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode("utf-8", "replace").replace("\r", "")

    def expect_echo(self, data):
        expect("exit code", (self.code, self.err if self.code else ""), (0, ""))
        expect("bytes on stdout", len(self.out), len(data))
        expect("checksum of stdout", hashlib.sha256(self.out).hexdigest(),
               hashlib.sha256(data).hexdigest())

    def expect_failure(self, code, pattern):
        expect_match("standard error", self.err, pattern)
        expect("exit code", self.code, code)
        complaints = [line for line in self.err.splitlines()
                      if line.startswith("echo_client: ")]
        expect("lines of complaint", len(complaints), 1)


def echoed(data, behave=echo, address="127.0.0.1", args=(), where=None):
    with Server(behave, address) as server:
        target = [where.format(server.port)] if where else ["-p", server.port]
        run = Run(target + list(args), data)
    expect("the server's own error", server.error, None)
    run.expect_echo(data)
    expect("connections", server.connections, 1)
    return run


# ---- cases -----------------------------------------------------------------

def case_one_line():
    run = echoed(b"hello\n")
    expect_match("summary", run.err, r"(?m)^1 line, 6 bytes came back unchanged")
    expect_match("round trip", run.err,
                 r"(?m)^round trip: min \d+\.\d{3}, median \d+\.\d{3}, "
                 r"max \d+\.\d{3} ms \(1 measured\)$")


def case_no_newline_at_the_end():
    run = echoed(b"one\ntwo")
    expect_match("summary", run.err, r"(?m)^2 lines, 7 bytes ")


def case_empty_input():
    run = echoed(b"")
    expect_match("summary", run.err, r"(?m)^0 lines, 0 bytes ")


def case_every_byte_value():
    echoed(bytes(range(256)) * 3 + b"\x1a\r\n\x00\x1a")


def case_20_mb_with_checksum():
    echoed(random.Random(20).randbytes(20_000_000))


def case_20_mb_and_a_server_that_pushes_back():
    echoed(random.Random(21).randbytes(20_000_000), echo_through_a_straw)


def case_server_that_answers_after_the_half_close():
    echoed(random.Random(22).randbytes(100_000), echo_at_the_end)


def case_quiet():
    run = echoed(b"hello\n", args=["--quiet"])
    expect("standard error", run.err, "")


def case_host_and_port_in_all_spellings():
    for where in ("127.0.0.1:{}", "localhost:{}", "--host=127.0.0.1:{}", "{}"):
        echoed(b"x\n", where=where)
    for args in (["127.0.0.1"], ["--host", "127.0.0.1"]):
        echoed(b"x\n", args=args)
    with Server(echo) as server:
        Run(["127.0.0.1", server.port], b"x\n").expect_echo(b"x\n")


def case_ipv6():
    for where in ("[::1]:{}", "--host=[::1]:{}"):
        echoed(b"six\n", address="::1", where=where)
    for args in (["::1"], ["[::1]"]):
        echoed(b"six\n", address="::1", args=args)


def case_input_that_pauses_longer_than_the_timeout():
    with Server(echo) as server:
        client = subprocess.Popen(
            WINE + [CLIENT, "-p", str(server.port), "--timeout", "3"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        client.stdin.write(b"before\n")
        client.stdin.flush()
        expect("the first echo", client.stdout.read(7), b"before\n")
        time.sleep(4.5)  # what is tested: nothing is owed, so nothing is late
        out, err = client.communicate(b"after\n", timeout=LONG_S)
    expect("exit code", (client.returncode, err if client.returncode else b""),
           (0, b""))
    expect("the second echo", out, b"after\n")


def case_output_that_is_not_read_longer_than_the_timeout():
    data = random.Random(23).randbytes(4_000_000)
    with Server(echo) as server:
        client = subprocess.Popen(
            WINE + [CLIENT, "-p", str(server.port), "--timeout", "3"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        writer = threading.Thread(
            target=lambda: (client.stdin.write(data), client.stdin.close()))
        writer.start()
        time.sleep(4.5)  # what is tested: the server is not to blame
        out = client.stdout.read()
        writer.join()
        err = client.stderr.read()
        client.wait(LONG_S)
    expect("exit code", (client.returncode, err if client.returncode else b""),
           (0, b""))
    expect("checksum", hashlib.sha256(out).digest(),
           hashlib.sha256(data).digest())


def case_refused():
    with refused_port() as holder:
        run = Run(["-p", holder.getsockname()[1]], b"hello\n")
    run.expect_failure(1, r"connect 127\.0\.0\.1:\d+: WSAECONNREFUSED \(10061\)"
                          r".*is a server running")
    expect("standard output", run.out, b"")


def case_unknown_host():
    Run(["no-such-host.invalid"], b"x\n").expect_failure(
        1, r"getaddrinfo no-such-host\.invalid: WSA\w+ \(11\d+\).*no such host")


def case_server_closes_at_once():
    with Server(close_after(0)) as server:
        run = Run(["-p", server.port], b"hello\n")
    run.expect_failure(1, r"closed early, with 0 of \d+ bytes back")


def case_server_closes_in_the_middle():
    with Server(close_after(3)) as server:
        run = Run(["-p", server.port], b"hello\n")
    run.expect_failure(1, r"closed early, with 3 of 6 bytes back")
    expect("what did come back", run.out, b"hel")


def case_server_closes_while_we_have_more_to_say():
    with Server(close_after(7)) as server:
        client = subprocess.Popen(
            WINE + [CLIENT, "-p", str(server.port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        client.stdin.write(b"before\n")
        client.stdin.flush()
        code = client.wait(LONG_S)  # our end of its input is still open
        err = client.stderr.read().decode()
        client.stdin.close()
    expect("exit code", code, 1)
    expect_match("standard error", err, r"closed early, with 7 of 7 bytes")


def case_server_resets():
    # Wine shows a reset as the end of the stream unless a receive is pending
    # at that moment. One is pending, except in the first instant of the
    # client's life, and nothing outside the client shows when that instant is
    # over.
    for seconds in (0.5, 2, 8, 16):
        with Server(reset_after(seconds)) as server:
            run = Run(["-p", server.port], b"hello\n")
        if "closed early" not in run.err:
            break
    run.expect_failure(1, r"(recv|send), with 0 of 6 bytes back: "
                          r"WSAECONN(RESET|ABORTED) \(100\d\d\).*cut us off")


def case_server_never_answers():
    with Server(say_nothing) as server:
        started = time.monotonic()
        run = Run(["-p", server.port, "--timeout", "2"], b"hello\n")
        took = time.monotonic() - started
    run.expect_failure(1, r"WSAETIMEDOUT \(10060\).* 2 s with 0 of 6 bytes")
    if not 1.9 < took < 40:
        raise Failed(f"gave up after {took:.1f} s instead of 2")


def case_server_never_reads():
    with Server(say_nothing) as server:
        run = Run(["-p", server.port, "--timeout", "2"], bytes(30_000_000))
    run.expect_failure(1, r"WSAETIMEDOUT \(10060\).* with 0 of \d+ bytes")


def case_server_never_closes():
    with Server(echo_and_stay) as server:
        run = Run(["-p", server.port, "--timeout", "2"], b"hello\n")
    run.expect_failure(1, r"WSAETIMEDOUT.*with 6 of 6 bytes back; the server "
                          r"did not close")
    expect("standard output", run.out, b"hello\n")


def case_server_alters_a_byte():
    with Server(corrupt(4)) as server:
        run = Run(["-p", server.port], b"hello\n")
    run.expect_failure(1, r"byte 4 \(counted from 0\) was sent as 0x6f and came "
                          r"back as 0x4f")
    expect("what was right before it", run.out, b"hell")


def case_server_commands_the_terminal():
    """What nobody has sent is not shown."""
    def behave(conn, _):
        data = conn.recv(65536)
        conn.sendall(data + b"\x1b]0;owned\x07\x1b[2J")
        list(received(conn))
    with Server(behave) as server:
        run = Run(["-p", server.port], b"hello\n")
    run.expect_failure(1, "byte 6 came back but was never sent")
    expect("standard output", run.out, b"hello\n")


def case_server_alters_a_byte_far_into_the_stream():
    place = 5_000_001
    data = random.Random(24).randbytes(6_000_000)
    with Server(corrupt(place)) as server:
        run = Run(["-p", server.port], data)
    run.expect_failure(1, rf"byte {place} .* as 0x{data[place]:02x} and came "
                          rf"back as 0x{data[place] ^ 0x20:02x}")


def case_server_alters_a_byte_while_we_wait_for_room():
    """The block that has no room yet must not take the place of byte 5."""
    def behave(conn, _):
        data = conn.recv(65536)  # however late it begins
        conn.settimeout(1)
        try:
            while True:
                data += conn.recv(65536)
        except TimeoutError:  # its ledger is full
            conn.sendall(data[:5] + b"!" + data[6:])
    with Server(behave) as server:
        run = Run(["-p", server.port], b"a" * 1_000_000 + b"z" * 1_000_000)
        run.expect_failure(1, r"byte 5 .* was sent as 0x61 and came back as 0x21")


def case_server_adds_a_byte():
    with Server(echo_and_more) as server:
        run = Run(["-p", server.port], b"hello\n")
    run.expect_failure(1, r"byte 6 came back but was never sent")


def case_bad_command_lines():
    for args, pattern in (
            (["--bogus"], "unknown option '--bogus'"),
            (["-x"], "unknown option '-x'"),
            (["--quiet=1"], "--quiet takes no value, not '1'"),
            (["-p"], "-p needs a value"),
            (["--port"], "--port needs a value"),
            (["--timeout"], "--timeout needs a value"),
            (["--host"], "--host needs a value"),
            (["-p", "0"], "1 to 65535, not '0'"),
            (["-p", "65536"], "1 to 65535, not '65536'"),
            (["--port=80x"], "1 to 65535, not '80x'"),
            (["--port= 80"], "1 to 65535, not ' 80'"),
            (["--port="], "1 to 65535, not ''"),
            (["99999999999999999999"], "1 to 65535|no such host"),
            (["a:b"], "1 to 65535, not 'b'"),
            (["a:1", "2"], "a port already, then comes '2'"),
            (["-p", "1", "-p", "2"], "a port already, then comes '2'"),
            (["a", "--host", "b"], "a host already, then comes 'b'"),
            (["a", "1", "c"], "1 to 65535, not 'c'|a port already"),
            (["[::1"], r"brackets .* not '\[::1'"),
            (["[::1]5566"], r"brackets .* not '\[::1\]5566'"),
            ([""], "a host is missing"),
            ([":5566"], "a host is missing"),
            (["--timeout", "0"], "1 to 3600 whole seconds, not '0'"),
            (["--timeout", "3601"], "1 to 3600 whole seconds, not '3601'"),
            (["--timeout=1.5"], "1 to 3600 whole seconds, not '1.5'")):
        run = Run(args)
        try:
            run.expect_failure(1 if "no such host:" in run.err else 2, pattern)
            expect("standard output", run.out, b"")
        except Failed as error:
            raise Failed(f"{args}: {error}") from None


def case_help_and_version():
    for option in ("-h", "--help", "-?", "/?"):
        run = Run([option])
        expect("exit code", run.code, 0)
        expect("standard error", run.err, "")
        expect_match("help", run.out.decode(), "usage: echo_client")
    run = Run(["--version"])
    expect("exit code", run.code, 0)
    expect_match("version", run.out.decode(), r"^echo_client \d+\.\d+\.\d+\r?\n$")


def case_leaving_while_something_is_owed():
    heard = threading.Event()

    def behave(conn, server):
        conn.recv(1)
        heard.set()
        server.released.wait(LONG_S)
    with Server(behave) as server, \
            Terminal(WINE + [CLIENT, "-p", server.port]) as terminal:
        terminal.read_until(r"ends\.\s+> $")
        terminal.wait_until_read()
        terminal.type("hello\r")
        if not heard.wait(LONG_S):
            suite.fail("the line was not sent")
        terminal.type("\x03")
        terminal.read_until("left before all was back: 0 of 7 bytes")
        expect("exit code", terminal.process.wait(LONG_S), 1)


def case_the_session_that_the_readme_shows():
    readme = (suite.ROOT / "README.md").read_text(encoding="ascii")
    shown = re.search(r"```\n(connected to .*?)```", readme, re.DOTALL)[1]
    typed = re.findall(r"^> (.+)$", shown, re.MULTILINE)
    with Server(echo) as server, \
            Terminal(WINE + [CLIENT, "-p", server.port]) as terminal:
        terminal.read_until(r"ends\.\s+> $")
        terminal.wait_until_read()
        for count, line in enumerate(typed, 1):
            terminal.type(line + "\r")
            terminal.read_until(rf"(?s)(came back.*){{{count}}}ms\s+> $")
        terminal.type("\x03")  # Wine does not pass on a Ctrl+Z
        seen = terminal.read_until(r"measured\)")
        expect("exit code", terminal.process.wait(LONG_S), 0)

    def masked(text):
        text = re.sub(r"(?<=127\.0\.0\.1:)\d+", "PORT", text)
        text = re.sub(r"\d+\.\d{3}(?!\d)", "TIME", text)
        return [line.rstrip() for line in text.strip().splitlines()]
    expect("number of lines typed", len(typed), 2)
    expect("on the screen", masked(seen), masked(shown))


def main():
    global CLIENT
    if len(sys.argv) > 1:
        CLIENT = os.path.abspath(sys.argv[1])
    if not os.path.exists(CLIENT):
        print(f"{CLIENT} is not there: build it first", file=sys.stderr)
        sys.exit(2)

    # One client stays, idle, while all others come and go. Under Wine that
    # also keeps "Windows" running, which otherwise starts anew each time. It
    # has to run first: a program that starts Wine's server gives it its
    # standard error, and a pipe there would not end before that server does.
    with Server(echo_however_late) as server:
        idle = subprocess.Popen(WINE + [CLIENT, "-p", str(server.port), "-q"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not server.accepted.wait(LONG_S):
            idle.kill()
            print("the first client did not connect", file=sys.stderr)
            sys.exit(2)
        suite.run_cases("echo_client", globals())
        with suite.check("echo_client: idle for the whole time, then one line"):
            out, _ = idle.communicate(b"still here\n", timeout=LONG_S)
            expect("echo", out, b"still here\n")
            expect("exit code", idle.returncode, 0)
    suite.finish()


if __name__ == "__main__":
    main()
