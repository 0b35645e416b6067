#!/usr/bin/env python3
"""Tests of echo_load.exe.

    tests/programs/echo_load.py [PATH/OF/echo_load.exe]

It loads the real servers, which echo rightly, and small servers, each of which
does one thing wrong. Prints a line per case and at the end
`N passed, N failed`; exit code 1 if a case failed.
"""

import atexit
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import suite  # noqa: E402
from echo_client import WINE  # noqa: E402
from small_servers import (LONG_S, Server, close_after,  # noqa: E402
                           corrupt, echo, echo_and_more, echo_and_stay,
                           echo_through_a_straw, edited, loses_one,
                           lowest_first, places, received, refused_port,
                           reset, say_nothing)
from suite import at_best, expect, expect_match, fail, late, small_disk  # noqa: E402
from terminal import Terminal  # noqa: E402

LOAD = str(suite.BUILD / "bin" / "echo_load.exe")
FILES = Path(tempfile.mkdtemp(prefix="echo_load_test"))
atexit.register(shutil.rmtree, FILES)

SHORT = ["--duration", "500ms", "--warmup", "0"]


# ---- servers ---------------------------------------------------------------

def stall_once(seconds, after):
    def behave(conn, _):
        began = time.monotonic()
        stalled = False
        for data in received(conn):
            if not stalled and time.monotonic() - began > after:
                time.sleep(seconds)  # what is tested
                stalled = True
            conn.sendall(data)
    return behave


def in_fours(conn, _):
    """Answers only when 4 messages of 64 bytes are here."""
    held = b""
    for data in received(conn):
        held += data
        if len(held) >= 256:
            conn.sendall(held)
            held = b""


# ---- running it ------------------------------------------------------------

def files(name):
    return FILES / f"{name}.json", FILES / f"{name}.hgrm"


class Run:
    """One run: exit code, both outputs, and what is in its two files."""

    count = 0

    def __init__(self, *args, code=0):
        Run.count += 1
        js, hgrm = files(f"run{Run.count}")
        done = subprocess.run(
            WINE + [LOAD, "--json", f"Z:{js}", "--hgrm", f"Z:{hgrm}"] +
            [str(a) for a in args], stdin=subprocess.DEVNULL,
            capture_output=True, timeout=LONG_S, check=False)
        self.out = done.stdout.decode().replace("\r", "")
        self.err = done.stderr.decode().replace("\r", "")
        if done.returncode != code:
            fail(f"exit code {done.returncode}, not {code}\n{self.out}"
                 f"{self.err}")
        text = js.read_text() if js.exists() else ""
        self.json = json.loads(text) if text else None
        self.hgrm = hgrm.read_text() if hgrm.exists() else None

    def expect_trouble(self, name, pattern, **values):
        expect_match("standard error", self.err, pattern)
        expect("errors", list(self.json["errors"]), [name])
        expect("valid", self.json["valid"], False)
        expect_match("errors in words", self.out, rf"errors +{name} \d+\n")
        for key, value in values.items():
            expect(key, self.json[key], value)


def against(behave, *args, code=0):
    with Server(behave) as server:
        return Run(*SHORT, *args, server.port, code=code)


def enough(count, measure):
    """Call measure(seconds), with more and more seconds, until it gets `count`
    echoes."""
    for seconds in (0.5, 2, 8, 32):
        run = measure(f"{seconds}s")
        if run.json["echoes"] >= count:
            break
    return run


# ---- cases: right echoes ---------------------------------------------------

def real_server(model, connections):
    """With --warmup 0 every echo is measured: so the server, which counts for
    itself, must have the same number of bytes and of clients."""
    with suite.Server(model, "--quiet") as server:
        run = Run("-c", connections, *SHORT, server.port)
        lines = server.stop()
    expect("valid", run.json["valid"], True)
    expect("errors", run.json["errors"], {})
    expect("connects", run.json["connects"], connections)
    expect("bytes", run.json["bytes"], run.json["echoes"] * 64)
    total = re.search(r"(\d+) clients.* (\d+) bytes", "\n".join(lines))
    expect("clients and bytes by the server's own count",
           total and (int(total[1]), int(total[2])),
           (connections, run.json["bytes"]))


def case_select_with_1():
    real_server("select", 1)


def case_select_with_64():
    real_server("select", 64)


def case_select_with_1000():
    real_server("select", 1000)


def case_iocp_with_1():
    real_server("iocp", 1)


def case_iocp_with_64():
    real_server("iocp", 64)


def case_iocp_with_1000():
    real_server("iocp", 1000)


def case_churn():
    def with_seconds(seconds, *more):
        with suite.Server("iocp", "--quiet") as server:
            run = Run("-c", 8, *SHORT, "--duration", seconds, "--churn", *more,
                      server.port)
            lines = server.stop()
        total = re.search(r"(\d+) clients.* (\d+) bytes", "\n".join(lines))
        echoes = run.json["echoes"]
        expect("bytes by the server's own count", int(total[2]), echoes * 64)
        if not echoes <= int(total[1]) <= echoes + 8:
            fail(f"{total[1]} clients for {echoes} echoes")
        return run
    for more in ((), ("--half-close",)):
        run = enough(20, lambda seconds: with_seconds(seconds, *more))
        if run.json["connects"] < 20:
            fail(f"only {run.json['connects']} connects")


def case_ipv6():
    with suite.Server("iocp", "--quiet", "--bind", "::1") as server:
        run = Run(*SHORT, "-c", 2, f"[::1]:{server.port}")
    expect("valid", run.json["valid"], True)


def case_a_name():
    """It may stand for both addresses; the server listens on only one."""
    found = {address[4][0] for address in socket.getaddrinfo(
        "localhost", 80, type=socket.SOCK_STREAM)}
    for address in sorted(found & {"127.0.0.1", "::1"}):
        with suite.Server("iocp", "--bind", address) as server:
            run = Run(*SHORT, "-c", 2, "localhost", server.port)
        expect("valid", run.json["valid"], True)


def case_sizes():
    for size in (1, 63, 4096, 65536, "1m", "3000k"):
        run = against(echo, "-c", 2, "--size", size)
        expect("valid", run.json["valid"], True)
    expect("size", run.json["size"], 3000 * 1024)


def case_a_server_that_pushes_back():
    run = against(echo_through_a_straw, "-c", 2, "--size", "16m")
    expect("valid", run.json["valid"], True)


def case_pipeline():
    run = enough(40, lambda seconds: against(
        in_fours, "-c", 2, "--pipeline", 4, "--timeout", 5, "--duration",
        seconds))
    expect("valid", run.json["valid"], True)
    if run.json["echoes"] < 40:
        fail(f"only {run.json['echoes']} echoes")


def case_think():
    def attempt():
        run = against(echo, "-c", 2, "--think", 50, "--duration", "1s")
        echoes = run.json["echoes"]
        if not 20 <= echoes <= 40:
            (fail if echoes > 40 else late)(f"{echoes} echoes of 2 "
                                            "connections in 1 s, with pauses "
                                            "of 50 ms")
    at_best(attempt)


def first_bytes(*args):
    seen = []

    def behave(conn, _):
        data = conn.recv(64, socket.MSG_WAITALL)
        seen.append(data)
        conn.sendall(data)
        echo(conn, None)
    against(behave, *args)
    return sorted(seen)


def case_seed():
    one = first_bytes("-c", 2, "--seed", 7)
    expect("the same seed", first_bytes("-c", 2, "--seed", 7), one)
    other = first_bytes("-c", 2, "--seed", 8)
    expect("different streams", len(set(one + other)), 4)


# ---- cases: servers that are wrong -----------------------------------------

PLACE = 30_007  # byte 55 of echo 468: late, and some of the echo follows
UNTIL_THEN = ["--duration", "60s"]  # the wrong byte ends the run
LIAR = r"connection 1: byte 30007 \(counted from 0\): expected "


def case_an_altered_byte():
    run = against(corrupt(PLACE), "-c", 1, "-s", 640, *UNTIL_THEN, code=1)
    run.expect_trouble("WRONG_BYTE", LIAR + r"0x\w\w, got 0x\w\w; 1 byte "
                       r"altered", wrong_bytes=1, lost_echoes=1, early=True)
    sent, got = re.search(r"expected 0x(\w\w), got 0x(\w\w)", run.err).groups()
    expect("the flipped bit", int(sent, 16) ^ int(got, 16), 0x20)
    expect("right echoes before it", run.json["echoes"], PLACE // 640)


def case_a_missing_byte():
    run = against(edited(PLACE, lambda b: b""), "-c", 1, "-s", 640,
                  *UNTIL_THEN, code=1)
    run.expect_trouble("MISSING_BYTE", LIAR + r"0x\w\w, got 0x\w\w; 1 byte "
                       r"missing", wrong_bytes=1)


def case_a_byte_too_many():
    run = against(edited(PLACE, lambda b: b"\xa5" + b), "-c", 1, "-s", 640,
                  *UNTIL_THEN, code=1)
    run.expect_trouble("SURPLUS_BYTE", LIAR + r"0x\w\w, got 0x\w\w; 1 byte "
                       r"too many", wrong_bytes=1)


def case_the_last_byte_of_an_echo_is_missing():
    run = against(edited(64 * 10 - 1, lambda b: b""), "-c", 1, "--timeout", 3,
                  *UNTIL_THEN, code=1)
    run.expect_trouble("WSAETIMEDOUT", r"connection 1: WSAETIMEDOUT \(10060\) "
                       r"silent for 3 s, with 639 of 640 bytes back",
                       lost_echoes=1)


def case_a_byte_after_the_last_one():
    run = against(echo_and_more, "-c", 1, "--half-close", code=1)
    run.expect_trouble("SURPLUS_BYTE", r"expected nothing, got 0x21; 1 byte "
                       r"too many", wrong_bytes=1, lost_echoes=0)


def case_the_echo_of_another_connection():
    both = threading.Barrier(2)
    held = []

    def behave(conn, server):
        held.append(conn)
        both.wait(LONG_S)
        other = held[1 - held.index(conn)]
        pieces = received(conn)
        data = next(pieces)
        both.wait(LONG_S)  # otherwise one gets bytes before it sends any
        other.sendall(data)
        for data in pieces:
            other.sendall(data)
    run = against(behave, "-c", 2, code=1)
    run.expect_trouble("WRONG_BYTE", r"byte 0 \(counted from 0\)")


def case_one_liar_among_fifty():
    first = threading.Event()

    def behave(conn, server):
        if first.is_set():
            return echo(conn, server)
        first.set()
        return corrupt(100)(conn, server)
    run = against(behave, "-c", 50, code=1)
    run.expect_trouble("WRONG_BYTE", r"byte 100 ", wrong_bytes=1,
                       lost_echoes=1, early=False)
    expect("how often", run.json["errors"], {"WRONG_BYTE": 1})


def case_closed_early():
    run = against(close_after(100), "-c", 1, code=1)
    run.expect_trouble("CLOSED_EARLY", r"connection 1: end of stream: the "
                       r"server closed early, with 100 of 128 bytes back",
                       lost_echoes=1, echoes=1)


def case_closed_early_by_many():
    run = against(close_after(64), "-c", 20, code=1)
    expect("errors", run.json["errors"], {"CLOSED_EARLY": 20})
    expect("lines told", len([line for line in run.err.splitlines()
                              if "connection" in line.split(":")[1]]), 5)
    expect_match("the others", run.out, r"15 of them were not told")


def case_reset():
    run = against(reset, "-c", 1, code=1)
    # Wine shows a reset as an end of stream unless a receive is pending.
    if list(run.json["errors"]) != ["CLOSED_EARLY"]:
        run.expect_trouble("WSAECONNRESET", r"WSARecv: WSAECONNRESET")


def case_never_answers():
    run = against(say_nothing, "-c", 3, "--timeout", 1, code=1)
    run.expect_trouble("WSAETIMEDOUT", r"silent for 1 s, with 0 of 64 bytes",
                       lost_echoes=3, echoes=0, nothing_measured=False)
    if "nothing measured" in run.err:
        fail(f"the error alone explains it:\n{run.err}")
    expect("errors", run.json["errors"], {"WSAETIMEDOUT": 3})


def case_the_load_itself_was_stopped():
    """As when the computer sleeps: what has come meanwhile is not read yet, and
    the server was not silent."""
    began = threading.Event()

    def watched(conn, server):
        conn.recv(1, socket.MSG_PEEK)
        began.set()
        echo(conn, server)
    js, _ = files("stopped")
    with Server(watched) as server:
        process = subprocess.Popen(
            WINE + [LOAD, "-c", "40", "--duration", "4s", "--timeout", "2",
                    "--json", f"Z:{js}", str(server.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=suite.ROOT)
        try:
            if not began.wait(LONG_S):
                fail("it does not send")
            time.sleep(1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(4)
            process.send_signal(signal.SIGCONT)
            _, err = process.communicate(timeout=LONG_S)
        finally:
            process.kill()
            process.wait()
    expect("errors", json.loads(js.read_text())["errors"], {})
    expect(f"exit code ({err.decode()})", process.returncode, 0)


def case_never_accepts():
    """The backlog has no room: the first connect waits there for an accept,
    and the system lets the others wait."""
    for churn in ([], ["--churn"]):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            run = Run(*SHORT, "-c", 8, "--timeout", 1, *churn,
                      full.getsockname()[1], code=1)
        expect("errors", run.json["errors"], {"WSAETIMEDOUT": 8})
        if not 1 <= run.json["connects"] < 8:
            fail(f"{run.json['connects']} connects")


def case_never_closes():
    run = against(echo_and_stay, "-c", 1, "--timeout", 1, "--half-close",
                  code=1)
    run.expect_trouble("WSAETIMEDOUT", "did not close after our half-close")


def case_refused():
    with refused_port() as holder:
        run = Run(*SHORT, "-c", 3, holder.getsockname()[1], code=3)
    run.expect_trouble("WSAECONNREFUSED", r"ConnectEx: WSAECONNREFUSED "
                       r"\(10061\).*is a server running", connects=0, echoes=0)


def case_unknown_host():
    run = Run("no-such-host.invalid", code=3)
    expect_match("standard error", run.err,
                 r"getaddrinfo no-such-host\.invalid: WSA\w+ \(11\d+\)")


# ---- cases: time -----------------------------------------------------------

def case_rate():
    """Each echo that was due was made, or is told as behind."""
    def attempt(rate, *more):
        run = against(echo, "--rate", rate, "--duration", "2s", *more)
        due = rate * run.json["seconds"]
        done, behind = run.json["echoes"], run.json["behind"]
        told = f"{due:.0f} were due, {done} were done, {behind} are behind"
        expect_match("how latency is counted", run.out,
                     "corrected for coordinated omission")
        if not 0.95 * due <= done + behind <= 1.05 * due:
            fail(told)
        if done < 0.95 * due:
            late(told)
    for rate, *more in ((50, "-c", 1), (200, "-c", 7, "--pipeline", 2)):
        at_best(lambda: attempt(rate, *more))


def case_a_stall_shows_with_rate():
    """At 100/s a stall of 300 ms delays 30 of 150 echoes: the one that meets
    it, and those that were due meanwhile. Without --rate it delays one."""
    stall = stall_once(0.3, 0.5)

    def with_rate():
        run = against(stall, "-c", 1, "--rate", 100, "--duration", "1.5s").json
        us = run["latency_us"]
        if us["max"] < 280e3 or us["p99"] < 250e3 or us["p90"] < 100e3:
            fail(f"300 ms are not seen in {us}")
        if us["p50"] > 100e3:
            late(f"p50 is {us['p50']}, though only every fifth was late")
        if not 140 <= run["echoes"] <= 155:
            late(f"{run['echoes']} echoes: those that were due are missing")

    def without_rate():
        us = against(stall, "-c", 1, "--duration", "1.5s").json["latency_us"]
        if us["max"] < 280e3:
            fail(f"without --rate 300 ms are not seen in {us}")
        if us["p99"] > 100e3:
            late(f"without --rate: {us}")
    at_best(with_rate)
    at_best(without_rate)


def case_behind():
    """The server cannot keep up: echoes that were due and not begun are
    told."""
    def slow(conn, _):
        for data in received(conn):
            time.sleep(0.1)
            conn.sendall(data)
    run = against(slow, "-c", 1, "--rate", 100, "--duration", "1s")
    due = 100 * run.json["seconds"]
    echoes, behind = run.json["echoes"], run.json["behind"]
    if echoes > due / 10 or abs(due - echoes - behind) > 5:
        fail(f"{due:.0f} echoes were due, at most every tenth could be made: "
             f"{echoes} were, {behind} are told as behind")
    expect_match("in words", run.out, r"behind +\d+ more echoes were due")


def case_nothing_measured():
    """The first echo begins in the warm-up and comes back after the end."""
    def after_the_end(conn, _):
        for data in received(conn):
            time.sleep(2)
            conn.sendall(data)
    said = r"^echo_load: nothing measured: no echo began in the \d\.\d{3} s$"
    times = ["--warmup", "500ms", "--duration", "300ms", "-c", "2"]
    run = against(after_the_end, *times, code=1)
    expect_match("standard error", run.err, rf"(?m){said}")
    expect_match("figures", run.out, "not valid: no echo was measured")
    done = json_on_standard_output(after_the_end, *times)
    expect("exit code", done.returncode, 1)
    expect_match("standard error", done.stderr.decode().replace("\r", ""),
                 rf"(?m){said}")
    for result in (run.json, json.loads(done.stdout)):
        expect("in JSON", [result[key] for key in (
            "nothing_measured", "valid", "early", "echoes", "errors")],
               [True, False, False, 0, {}])


def unserved(behave, *args, served, waited, how="the whole time"):
    run = against(behave, "--timeout", 60, *args, code=1)
    connections = served + waited
    words = f"served {served} of {connections} connections; {waited} waited {how}"
    expect_match("standard error", run.err, rf"(?m)^echo_load: {words}$")
    expect_match("figures", run.out, rf"(?m)^not valid: {words}$")
    expect("in JSON", [run.json[key] for key in (
        "served", "unserved", "valid", "errors", "nothing_measured")],
           [served, waited, False, {}, False])
    return run


def case_a_server_that_serves_only_its_first_client():
    run = unserved(places(1), "-c", 64, "--warmup", "100ms", served=1,
                   waited=63)
    shares = run.json["echoes_of_a_client"]
    expect("fewest and median", (shares["fewest"], shares["median"]), (0, 0))
    if shares["most"] < run.json["echoes"] * .9:
        fail(f"{shares} of {run.json['echoes']} echoes")
    # They began in the warm-up, and have waited for all of the 0.5 s.
    expect("waiting", run.json["waiting"], 63)
    waits = sum(count for ns, count in run.json["histogram_ns"]
                if ns >= 500e6)
    expect("waits in the latency", waits, 63)


def case_a_server_that_serves_only_ten():
    unserved(places(10), "-c", 64, "--warmup", "100ms", served=10, waited=54)
    unserved(places(10), "-c", 64, served=10, waited=54)


def case_a_server_that_serves_the_lowest_first():
    """How many it has served before the lowest came is a matter of timing."""
    run = against(lowest_first(), "-c", 64, "--timeout", 90, code=1)
    expect_match("figures", run.out, r"not valid: served \d+ of 64 connections; "
                 r"\d+ waited")
    if not run.json["unserved"] > 32:
        fail(f"{run.json['unserved']} unserved")


def case_a_client_that_is_forgotten():
    """It has got echoes, and then no more."""
    unserved(loses_one(after=128), "-c", 8, "--duration", "2s", served=7,
             waited=1, how="for half of the time or longer")


def case_due_echoes_are_in_the_latency():
    """Of the 200 that are due in 2 s, one worker makes its 100 with the only
    client that is served; of the others none can begin."""
    run = unserved(places(1), "-c", 20, "--rate", 100, "--duration", "2s",
                   served=1, waited=19)
    seen = sum(count for _, count in run.json["histogram_ns"])
    told = run.json["echoes"] + run.json["waiting"] + run.json["behind"]
    expect("all of them are in the latency", seen, told)
    if not 190 <= told <= 201:
        fail(f"200 were due, {told} are told")
    if run.json["latency_us"]["p90"] < 1e6:
        fail(f"90 waited for up to 2 s: {run.json['latency_us']}")


def case_a_short_time_is_no_starvation():
    """In 0.2 s each of 1,000 clients gets about one echo, and many get none,
    from a server that is right."""
    for model in ("blocking", *suite.MODELS):
        with suite.Server(model, "--quiet") as server:
            js, _ = files(f"short_{model}")
            # To have measured nothing is no success, but it is no starvation.
            suite.run(WINE + [LOAD, "-c", 1000, "--warmup", "100ms", "-d",
                              "200ms", "--timeout", 60, "--json", f"Z:{js}",
                              server.port], status=None, timeout=LONG_S)
        result = json.loads(js.read_text())
        expect(f"{model}: unserved, errors",
               (result["unserved"], result["errors"]), (0, {}))


def case_a_queue_that_moves_is_no_starvation():
    """A server that needs its time to get to its clients, one after the other,
    and then serves them as fast as it can."""
    turn = threading.Lock()

    def late_for_each(conn, server):
        with turn:
            time.sleep(.02)  # 64 of them take 1.3 s
        echo(conn, server)
    run = against(late_for_each, "-c", 64, "--duration", "1s")
    expect("unserved", run.json["unserved"], 0)


def case_ports_that_are_used_up():
    """In a network of its own, with 80 ports: no server is to blame."""
    alone = subprocess.run(["unshare", "-rn", "true"], check=False,
                           capture_output=True)
    if alone.returncode != 0 or not shutil.which("ip"):
        suite.skip("needs a network of its own: unshare and ip")
    server = "import socket, time; s = socket.create_server(('127.0.0.1', " \
        "4000), backlog=500); print('ready', flush=True); time.sleep(900)"
    done = subprocess.run(["unshare", "-rn", "bash", "-c", f"""
        ip link set lo up
        echo '50000 50079' > /proc/sys/net/ipv4/ip_local_port_range
        exec 3< <({sys.executable} -c "{server}")
        read -r _ <&3
        {suite.WINE} --alone {LOAD} -c 200 --json Z:{FILES}/ports.json \\
            --port 4000
        echo "exit code $?" >&2
        kill $!"""], env=suite.own_wine("ports"), capture_output=True,
        timeout=LONG_S, check=False, stdin=subprocess.DEVNULL)
    said = done.stderr.decode()
    expect_match("standard error", said, "WSAEADDRINUSE: the ports of this "
                 "machine are used up")
    expect_match("standard error", said, "exit code 1")
    result = json.loads((FILES / "ports.json").read_text())
    expect("in JSON", [result[key] for key in ("out_of_ports", "early",
                                               "valid")], [True, True, False])


def case_latency_is_about_right():
    def slow(conn, _):
        for data in received(conn):
            time.sleep(0.05)
            conn.sendall(data)

    def attempt():
        us = against(slow, "-c", 1, "--duration", "1s").json["latency_us"]
        if us["p50"] < 50e3 or us["mean"] < 50e3:
            fail(f"each echo takes 50 ms, seen {us}")
        if us["p50"] >= 70e3:
            late(f"each echo takes 50 ms, seen {us}")
    at_best(attempt)


# ---- cases: what it writes -------------------------------------------------

def number(run, pattern):
    match = re.search(pattern, run.out)
    if match is None:
        fail(f"no /{pattern}/ in\n{run.out}")
    return float(match[1])


def case_json_agrees_with_the_text():
    run = against(echo, "-c", 5, "--rate", 300)
    us = run.json["latency_us"]
    for pattern, value, digits in (
            (r"echoes +(\d+),", run.json["echoes"], 0),
            (r"echoes .* ([\d.]+)/s", run.json["echoes_per_s"], 1),
            (r"([\d.]+) MiB/s", run.json["mib_per_s"], 3),
            (r"connects +(\d+),", run.json["connects"], 0),
            (r"connects .* ([\d.]+)/s", run.json["connects_per_s"], 1),
            (r"latency .*p50 ([\d.]+)", us["p50"] / 1000, 3),
            (r"latency .*p90 ([\d.]+)", us["p90"] / 1000, 3),
            (r"latency .*p99 ([\d.]+)", us["p99"] / 1000, 3),
            (r"latency .*p99.9 ([\d.]+)", us["p999"] / 1000, 3),
            (r"latency .*max ([\d.]+)", us["max"] / 1000, 3),
            (r"([\d.]+) s measured", run.json["seconds"], 3)):
        if abs(number(run, pattern) - value) > 0.51 * 10 ** -digits + 1e-4:
            fail(f"{pattern}: {number(run, pattern)} in words, {value} in JSON")
    for key in ("connections", "size", "duration_s", "warmup_s", "rate",
                "pipeline", "think_ms", "churn", "half_close", "seed"):
        if key not in run.json:
            fail(f"no {key}")
    points = run.json["percentiles"]
    expect("sorted by percent", points, sorted(points))
    expect("sorted by time", [p[1] for p in points],
           sorted(p[1] for p in points))
    table = {float(percent): value for percent, value in points}
    expect("the same twice", [table[50], table[90], table[99], table[100]],
           [us["p50"], us["p90"], us["p99"], us["max"]])
    seen = run.json["histogram_ns"]
    expect("echoes in the histogram", sum(count for _, count in seen),
           sum(run.json[key] for key in ("echoes", "waiting", "behind")))
    shares = run.json["echoes_of_a_client"]
    for which in ("fewest", "median", "most"):
        expect(f"{which} in words", number(run, rf"fairness .*{which} (\d+)"),
               shares[which])
    if not shares["fewest"] <= run.json["echoes"] / 5 <= shares["most"] + 1:
        fail(f"{shares} of {run.json['echoes']} echoes of 5 clients")
    expect("sorted by time, too", seen, sorted(seen))
    expect("its largest", round(seen[-1][0] / 1000, 1), us["max"])


def json_on_standard_output(behave, *args):
    with Server(behave) as server:
        return subprocess.run(WINE + [LOAD, *args, "--json", "-",
                                      str(server.port)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=LONG_S, check=False)


def case_json_on_standard_output():
    done = json_on_standard_output(echo, *SHORT)
    expect("exit code", done.returncode, 0)
    result = json.loads(done.stdout)
    expect("valid", result["valid"], True)
    expect("nothing measured", result["nothing_measured"], False)


def case_other_seeds_come_from_other_addresses():
    """One address has not enough ports for many runs in a row."""
    seen = set()

    def note(conn, server):
        seen.add(conn.getpeername()[0])
        echo(conn, server)
    for seed in (1, 2, 3):
        against(note, "-c", 2, "--seed", seed)
    expect("addresses", len(seen), 3)


def case_hgrm():
    run = against(echo, "-c", 5)
    lines = run.hgrm.splitlines()
    expect("columns", lines[0].split(), ["Value", "Percentile", "TotalCount",
                                         "1/(1-Percentile)"])
    expect("blank line", lines[1], "")
    rows = [line.split() for line in lines[2:] if not line.startswith("#")]
    expect("widths", {len(row) for row in rows[:-1]}, {4})
    expect("the last row has no fourth column", len(rows[-1]), 3)
    values = [float(row[0]) for row in rows]
    levels = [float(row[1]) for row in rows]
    totals = [int(row[2]) for row in rows]
    for what, column in (("values", values), ("percentiles", levels),
                         ("totals", totals)):
        expect(f"{what} rise", column, sorted(column))
    expect("from and to", (levels[0], levels[-1]), (0.0, 1.0))
    expect("all of them", totals[-1], run.json["echoes"])
    for _, level, total, inverse in rows[:-1]:
        if abs(float(inverse) * (1 - float(level)) - 1) > 0.01:
            fail(f"1/(1-{level}) is not {inverse}")
        if int(total) < float(level) * totals[-1] - 0.5:
            fail(f"{total} of {totals[-1]} at {level}")
    if abs(values[-1] * 1000 - run.json["latency_us"]["max"]) > 0.1:
        fail(f"ends with {values[-1]} ms, max {run.json['latency_us']}")
    half = values[levels.index(0.5)] * 1000
    if abs(half - run.json["latency_us"]["p50"]) > 0.1:
        fail(f"p50 is {half} here, and in JSON {run.json['latency_us']}")
    told = dict(re.findall(r"(Mean|Max|Total count) += +([\d.]+)", run.hgrm))
    expect("Total count", int(told["Total count"]), totals[-1])
    if abs(float(told["Mean"]) * 1000 - run.json["latency_us"]["mean"]) > 0.1:
        fail(f"mean {told}, in JSON {run.json['latency_us']}")


def case_quiet():
    expect("standard output", against(echo, "--quiet").out, "")


def case_files_that_cannot_be_written():
    with Server(echo) as server:
        for option in ("--json", "--hgrm"):
            run = Run(*SHORT, option, "Z:/no/such/folder/file", server.port,
                      code=2)
            expect_match("standard error", run.err,
                         r"cannot write 'Z:/no/such/folder/file': "
                         r"ERROR_PATH_NOT_FOUND")
        js, _ = files("same")
        run = Run(*SHORT, "--json", f"Z:{js}", "--hgrm", f"Z:{js}".upper(),
                  server.port, code=2)
        expect_match("standard error", run.err, "need a file each")
        expect("connections", server.connections, 0)


def case_an_older_file_stays_until_there_is_a_new_one():
    js, _ = files("older")
    js.write_text("older")
    with Server(echo) as server:
        process = subprocess.Popen(
            WINE + [LOAD, "-c", "2", "--duration", "600s", "--json", f"Z:{js}",
                    str(server.port)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=suite.ROOT)
        try:
            if not server.accepted.wait(LONG_S):
                fail("it does not connect")
        finally:
            process.kill()
            process.communicate()
        expect("after a kill", js.read_text(), "older")
        suite.run(WINE + [LOAD, *SHORT, "--json", f"Z:{js}", str(server.port)],
                  timeout=LONG_S)
    expect("after a whole run", json.loads(js.read_text())["valid"], True)


def case_a_full_disk():
    """The older file fills it, and stays; and it is no success."""
    folder = FILES / "disk"
    folder.mkdir()
    with small_disk(folder, "4k"), Server(echo) as server:
        older = folder / "x.json"
        older.write_text("older" * 800)
        done = subprocess.run(WINE + [LOAD, *SHORT, "--json", f"Z:{older}",
                                      str(server.port)], cwd=suite.ROOT,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=LONG_S, check=False, text=True)
        expect("exit code", done.returncode, 1)
        expect_match("standard error", done.stderr, "cannot write all of ")
        expect("the older file", older.read_text(), "older" * 800)
        expect("what is there", os.listdir(folder), ["x.json"])


def case_bad_command_lines():
    for args, pattern in (
            (["--bogus"], "unknown option '--bogus'"),
            (["--churn=1"], "--churn takes no value, not '1'"),
            (["--connections"], "--connections needs a value"),
            (["-c", "0"], "-c takes a whole number from 1 to 60000, not '0'"),
            (["-c", "-1"], "not '-1'"),
            (["-c", "1.5"], "not '1.5'"),
            (["-c", "99999999999999999999999999"], "-c takes a whole number"),
            (["--size", "0"], "1 to 16m bytes, not '0'"),
            (["--size", "17m"], "1 to 16m bytes, not '17m'"),
            (["--size=64x"], "not '64x'"),
            (["--size=inf"], "not 'inf'"),
            (["--duration", "0"], "10ms to 3600s, not '0'"),
            (["--duration", "1h"], "not '1h'"),
            (["--warmup", "1.2.3"], "not '1.2.3'"),
            (["--rate", "2m"], "--rate takes .*'2m'"),
            (["--pipeline", "0"], "1 to 1024, not '0'"),
            (["--think", ""], "--think takes .*''"),
            (["--seed", "x"], "--seed takes"),
            (["--timeout", "0"], "--timeout takes"),
            (["--port", "0"], "a port is"),
            (["a", "1", "2"], "port already"),
            (["--json", "-", "--hgrm", "-"], "--json - and --hgrm - exclude each other"),
            (["--churn", "--pipeline", "2"],
             "--churn and --pipeline exclude each other"),
            (["--think", "1", "--pipeline", "2"],
             "--think and --pipeline exclude each other"),
            (["--think", "1", "--rate", "2"],
             "--think and --rate exclude each other")):
        run = Run(*args, code=2)
        expect_match(f"{args}: standard error", run.err, pattern)
        expect("lines", len(run.err.splitlines()), 1)
        expect("standard output", run.out, "")


def case_units():
    run = against(echo, "-c", "0.002k", "--size", "1k", "--duration", "0.1",
                  "--warmup", "50ms", "--think", "2ms")
    expect("as understood", [run.json[key] for key in (
        "connections", "size", "duration_s", "warmup_s", "think_ms")],
           [2, 1024, 0.1, 0.05, 2])


def case_help_and_version():
    for option in ("-h", "--help", "-?", "/?"):
        expect_match("help", Run(option).out, "usage: echo_load")
    expect_match("version", Run("--version").out,
                 r"^echo_load \d+\.\d+\.\d+\n$")


# ---- cases: Ctrl+C ---------------------------------------------------------

def case_ctrl_c_at_a_terminal():
    js, _ = files("ctrl_c")
    with Server(echo) as server, \
            Terminal(WINE + [LOAD, "-c", "3", "--duration", "600s", "--json",
                             f"Z:{js}", server.port],
                     stdout=subprocess.PIPE) as terminal:
        # The line of progress; what has changed of it is drawn anew.
        terminal.read_until(r"\d+\.\d s +\d+ echoes +\d+/s +\(Ctrl\+C")
        time.sleep(1.5)  # the warm-up, and what is measured
        terminal.type("\x03")
        out, _ = terminal.process.communicate(timeout=LONG_S)
    stopped_early(terminal.process, out.decode(), json.loads(js.read_text()))


def stopped_early(process, out, result):
    expect("exit code", process.returncode, 0)
    expect_match("figures", out, r"s measured \(ended early\)")
    expect("early, valid", (result["early"], result["valid"]), (True, True))
    if result["echoes"] < 10 or not 0.2 < result["seconds"] < LONG_S:
        fail(f"{result['echoes']} echoes in {result['seconds']} s")
    if abs(result["echoes"] / result["seconds"] /
           result["echoes_per_s"] - 1) > 0.01:
        fail(f"{result['echoes_per_s']}/s is not echoes by seconds")


def interrupt(behave, *args):
    """A run without an end, ended by an interrupt one second after its first
    bytes have come."""
    js, _ = files("interrupt")
    came = threading.Event()

    def watched(conn, server):
        conn.recv(1, socket.MSG_PEEK)
        came.set()
        behave(conn, server)
    with Server(watched) as server:
        process = subprocess.Popen(
            WINE + [LOAD, "-c", "3", "--duration", "600s", "--warmup", "0",
                    "--json", f"Z:{js}", *args, str(server.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=suite.ROOT)
        try:
            if not came.wait(LONG_S):
                fail("it does not send")
            time.sleep(1)  # what is measured
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LONG_S)
        finally:
            process.kill()
            process.wait()
    return process, out.decode(), err.decode(), json.loads(js.read_text())


def case_interrupt():
    process, out, err, result = interrupt(echo)
    stopped_early(process, out, result)
    # There is one line when it begins; the line of progress is only for
    # terminals.
    expect_match("standard error", err, r"^echo_load: all connected after "
                 r"\d\.\d{3} s; warm-up 0\.000 s, then 600\.000 s measured\s*$")


def case_interrupt_with_half_close():
    process, out, _, result = interrupt(echo, "--half-close")
    stopped_early(process, out, result)


def case_interrupt_while_the_server_hangs():
    """The client does not wait for the timeout, and no echo is called lost
    that had no time to come."""
    began = time.monotonic()
    process, _, err, result = interrupt(say_nothing, "--timeout", "60")
    if time.monotonic() - began > 30:
        fail(f"it took {time.monotonic() - began:.0f} s")
    expect("errors", result["errors"], {})
    expect("nothing measured, so exit code", process.returncode, 1)
    expect("but that was asked for", (result["nothing_measured"],
                                      "nothing measured" in err),
           (False, False))


def case_interrupt_while_it_connects():
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        process = subprocess.Popen(
            WINE + [LOAD, "-c", "8", "--timeout", "60",
                    str(full.getsockname()[1])],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=suite.ROOT)
        try:
            if not select.select([full], [], [], LONG_S)[0]:
                fail("it does not connect")
            time.sleep(1)  # the others have tried, too
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=LONG_S)
        finally:
            process.kill()
            process.wait()
    if time.monotonic() - began > 30:
        fail(f"it took {time.monotonic() - began:.0f} s")
    expect_match("figures", out.decode(), r"ended early(.|\n)*errors +none")


def main():
    global LOAD
    arguments = sys.argv[1:]
    if arguments and arguments[0].endswith(".exe"):
        LOAD = os.path.abspath(arguments.pop(0))
    if not os.path.exists(LOAD):
        print(f"{LOAD} is not there: build it first", file=sys.stderr)
        sys.exit(2)
    suite.run([suite.WINE, "--prepare"], timeout=LONG_S)
    suite.run_cases("echo_load", globals(), arguments)
    suite.finish()


if __name__ == "__main__":
    main()
