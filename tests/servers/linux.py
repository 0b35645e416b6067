#!/usr/bin/env python3
"""The twins on Linux, epoll and io_uring: built, graded by the contract suite
like any server that runs already, and asked for what that suite cannot ask of
them: how they start, stop, run out of files, and what they leave behind.

    linux.py                    build both, and test both
    linux.py --build            only build them
    linux.py NAME...            only test epoll, or io_uring
    linux.py --sanitize         build both under the sanitizers; the contract
"""

import contextlib
import ctypes
import fcntl
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from real_clients import curl_telnet, talk  # noqa: E402
from suite import (BUILD, PATIENCE, ROOT, WINE, Lines, Server, check,  # noqa: E402
                   count_others, expect, expect_match, fail, fill, finish, run,
                   skip)
from terminal import Terminal  # noqa: E402

TWINS = ["epoll", "io_uring"]
WAYS = {"epoll": [[], ["--edge"], ["--threads", "3"]],
        "io_uring": [[], ["--threads", "3"]]}
BIN = BUILD / "linux"
SANITIZED = BIN / "sanitize"

# The cases that need no process of ours; the others start the server
# themselves, which is a program of Windows then.
GRADED = ("E1,E2,E3.1,E3.2,E4,E5,E6.1,E6.2,E6.5,E7.4,E7.5,E7.6,E7.7,"
          "E12.1")
GRADED_CASES = 34
STOP_S = 2.0  # what the contract allows, E8


class Native(Server):
    """Like Server, but a program of Linux; its own limits may be set."""

    def __init__(self, name, *options, exe=None, before=None, stdout=None,
                 may_fail=False):
        self.model = name
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(exe or BIN / name), "--port", "0", "--stop-on-eof", *options],
            stdin=subprocess.PIPE, stdout=stdout or subprocess.PIPE,
            stderr=self.errors, cwd=ROOT, preexec_fn=before)
        self.port = None
        if stdout:
            return
        try:
            self.output = Lines(self.process.stdout)
            line = self.output.read()
            match = self.READY.match(line or "")
            if match:
                expect("its name", match[1], name)
                expect("its pid", int(match[4]), self.process.pid)
                self.port, self.threads = int(match[3]), int(match[5])
            elif line is not None or not may_fail:
                fail(f"{name}: first line is {line!r}, not a ready line\n"
                     f"{self.error_text()}")
        except BaseException:
            self.end()
            raise

    def cpu(self):
        """Seconds of a processor that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text() \
            .rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """KiB that are really there."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def signal(self, number, timeout=PATIENCE):
        self.process.send_signal(number)
        return self.wait(timeout)


def dial(port, host="127.0.0.1"):
    client = socket.create_connection((host, port), PATIENCE)
    client.settimeout(PATIENCE)
    return client


def receive(client, wanted):
    got = b""
    while len(got) < wanted and (piece := client.recv(wanted - len(got))):
        got += piece
    return got


def echo(client, data=b"hello"):
    client.sendall(data)
    expect("the echo", receive(client, len(data)), data)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                      struct.pack("ii", 1, 0))
    client.close()


def until(what, holds, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            fail(f"not within {timeout} s: {what}")
        time.sleep(0.02)


# ---- the contract suite ------------------------------------------------------

def graded(name, options, folder=BIN):
    """And a client that is silent all the while is served at the end: E14."""
    with Native(name, "--quiet", *options, exe=folder / name) as server:
        patient = dial(server.port)
        numbers = count_others(
            [WINE, BUILD / "bin" / "contract.exe", "--connect",
             f"127.0.0.1:{server.port}", "--all", "--strict", "--scale", "2",
             "--only", GRADED], timeout=600, hide="ok")
        expect("its numbers", numbers, (GRADED_CASES, 0, 0))
        echo(patient)
        patient.close()
        server.stop()
        expect("its errors", server.error_text(), "")


# ---- E7: how many ------------------------------------------------------------

def case_a_client_above_the_limit(name):
    with Native(name, "--max-clients", "2") as server:
        first, second, third = (dial(server.port) for _ in range(3))
        expect("what the third reads", third.recv(1), b"")
        echo(first)
        echo(second)
        first.close()
        until("a free place is used", lambda: served(server.port))
        lines = "\n".join(server.stop())
        expect_match("its log", lines, r"#3 refused: 2 clients is the limit")
        expect_match("its summary", lines, r" 2 at once")


def served(port):
    """One that is turned away sees the end, or a reset for its byte."""
    with dial(port) as client, contextlib.suppress(ConnectionError):
        client.sendall(b"?")
        return client.recv(1) == b"?"
    return False


def case_no_more_files(name):
    """So few that some newcomers have to wait. The others notice nothing, the
    server does not spin, and a place that becomes free is used."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
    with Native(name, "--quiet", before=limit) as server:
        clients = [dial(server.port) for _ in range(40)]
        until("it says so", lambda: "EMFILE" in server.error_text())
        inside = 24 - server.files()
        expect("free files", inside, 0)
        for client in clients[:8]:
            echo(client)
        before = server.cpu()
        time.sleep(2.5)
        if server.cpu() - before > 0.2:
            fail(f"{server.cpu() - before} s of a processor in 2.5 s")
        echo(clients[0])
        for client in clients[:20]:
            client.close()
        for client in clients[20:]:
            echo(client)
            client.close()
        # One line for each time that it tried, at most, and nothing else.
        for line in server.error_text().splitlines():
            expect_match("a warning", line, rf"^{name}: accept4?: EMFILE")
        expect_match("its summary", "\n".join(server.stop()), "40 clients")


def case_5000_clients_leave_nothing_behind(name):
    with Native(name, "--quiet") as server:
        files = server.files()
        for n in range(200):
            with dial(server.port) as client:
                echo(client)
        until("all have left", lambda: server.files() == files)
        memory = server.memory()
        for n in range(5000):
            client = dial(server.port)
            echo(client, b"x" * 100)
            reset(client) if n % 2 else client.close()
        until("all have left", lambda: server.files() == files)
        if server.memory() - memory > 4096:
            fail(f"{memory} KiB before, {server.memory()} KiB after")
        expect_match("its summary", "\n".join(server.stop()),
                     "5200 clients, 0 refused, 2500 reset")


# ---- E3, E6: memory, processor ------------------------------------------------

def case_clients_that_never_read_cost_no_memory(name):
    with Native(name, "--quiet") as server:
        before = server.memory()
        clients = [dial(server.port) for _ in range(8)]
        for client in clients:
            fill(client)
        if server.memory() - before > 8 * 64 + 4096:
            fail(f"{before} KiB before, {server.memory()} KiB after")
        before = server.cpu()
        time.sleep(1)
        if server.cpu() - before > 0.1:
            fail("it is busy with them")
        for client in clients:
            client.close()
        server.stop()


def case_an_idle_server_does_nothing(name):
    """Before anybody, with 100 idle clients, one of which has sent its end and
    reads nothing, and after they have gone."""
    with Native(name, "--quiet") as server:
        def idle(when):
            before = server.cpu()
            time.sleep(1)
            if server.cpu() - before > 0.02:
                fail(f"{when}: {server.cpu() - before} s in a second")
        idle("before anybody")
        clients = [dial(server.port) for _ in range(100)]
        for client in clients:
            echo(client)
        fill(clients[0])
        clients[0].shutdown(socket.SHUT_WR)
        idle("with 100 clients")
        for number, client in enumerate(clients):
            reset(client) if number % 2 else client.close()
        until("they have gone", lambda: server.files() < 20)
        idle("after they have gone")
        server.stop()


# ---- E8: stop ------------------------------------------------------------------

# Talks without a pause, until the server has gone.
TALKER = """
import contextlib, socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
with contextlib.suppress(OSError):
    client.sendall(b"x")
    client.recv(1)
    print("echo", flush=True)
    while client.send(b"x" * 1000) and client.recv(65536):
        pass
"""


def stops(name, how):
    """With clients in every state: idle, in the middle of an echo, stuck, and
    talking without a pause."""
    with Native(name) as server:
        idle, half, stuck = (dial(server.port) for _ in range(3))
        talker = subprocess.Popen([sys.executable, "-c", TALKER,
                                   str(server.port)], stdout=subprocess.PIPE)
        try:
            expect("what the talker says", talker.stdout.readline(), b"echo\n")
            echo(idle)
            echo(half, b"x" * 100_000)
            half.shutdown(socket.SHUT_WR)
            fill(stuck)
            began = time.monotonic()
            lines = how(server)
            took = time.monotonic() - began
            if took > STOP_S:
                fail(f"it took {took:.1f} s")
            expect("the end of the idle client", idle.recv(1), b"")
            expect("the end of the other", half.recv(1), b"")
            if not re.search(r"stopped after [\d.]+ s: 4 clients, 0 refused",
                             lines[-1]):
                fail(f"its summary is {lines[-1]!r}")
            talker.wait(PATIENCE)
        finally:
            talker.kill()
            talker.wait()
            talker.stdout.close()
        expect("its errors", server.error_text(), "")


def case_the_end_of_its_input_stops_it(name):
    stops(name, lambda server: server.stop())


def case_signals_stop_it(name):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        stops(name, lambda server, number=number: server.signal(number))


def case_a_second_signal_ends_it_at_once(name):
    """Both are there before it runs again, so it cannot be done in between."""
    with Native(name) as server:
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM,
                       signal.SIGCONT):
            server.process.send_signal(number)
        expect("its exit code", server.process.wait(PATIENCE), 1)


def case_nohup_keeps_it(name):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Native(name, before=ignore) as server:
        server.process.send_signal(signal.SIGHUP)
        with dial(server.port) as client:
            echo(client)
        server.signal(signal.SIGINT)  # this one it hears all the same


def case_input_that_goes_on_does_not_stop_it(name):
    with Native(name) as server:
        for _ in range(10):
            server.process.stdin.write(b"a line\n" * 100)
            server.process.stdin.flush()
        until("it has read them", lambda: waiting(server.process.stdin) == 0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            fail(f"it ended with {server.process.wait(0.3)}")
        with dial(server.port) as client:
            echo(client)
        server.stop()


def waiting(pipe):
    """How many bytes are in it, that nobody has read yet."""
    count = fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(count, sys.byteorder)


def case_a_pause_of_the_whole_process(name):
    """After it the waits fail with EINTR, and that is no failure."""
    with Native(name) as server, dial(server.port) as client:
        for _ in range(5):
            echo(client)
            server.process.send_signal(signal.SIGSTOP)
            until("it stands still", lambda: Path(
                f"/proc/{server.process.pid}/stat").read_text().rsplit(
                    ") ", 1)[1][0] == "T")
            server.process.send_signal(signal.SIGCONT)
        echo(client)
        server.stop()


def case_ctrl_c_at_a_terminal(name):
    with Terminal([BIN / name, "--port", "0"], stdout=subprocess.PIPE,
                  stderr=subprocess.STDOUT) as terminal:
        output = Lines(terminal.process.stdout)
        expect_match("the ready line", output.read() or "", "listening on")
        terminal.type("\x03")
        expect_match("the rest", "\n".join(output.rest()), "stopped after")
        expect("its exit code", terminal.process.wait(PATIENCE), 0)


# ---- E9, E10, E11: start ---------------------------------------------------------

def ends(name, *options, before=None, folder=None):
    """(exit code, standard output, standard error) of one that does not
    serve."""
    done = subprocess.run([(folder or BIN) / name, *options], text=True,
                          timeout=PATIENCE, capture_output=True,
                          stdin=subprocess.DEVNULL, preexec_fn=before)
    return done.returncode, done.stdout, done.stderr


def cannot_start(name, pattern, *options, before=None):
    code, out, err = ends(name, *options, before=before)
    expect("its exit code", code, 3)
    expect("its output", out, "")
    expect_match("its error", err, rf"^{name}: [^\n]*{pattern}[^\n]*\n\Z")


def case_a_port_that_cannot_be_had(name):
    with Native(name) as server:
        cannot_start(name, r"bind 127.0.0.1:\d+: EADDRINUSE \(98\) .*--port",
                     "--port", str(server.port))
        server.stop()
    cannot_start(name, r"bind 192.0.2.1:5566: EADDRNOTAVAIL", "--bind",
                 "192.0.2.1")


def case_a_restart_is_not_refused(name):
    """Connections of the server before it are still in TIME_WAIT."""
    with Native(name) as server:
        clients = [dial(server.port) for _ in range(5)]
        for client in clients:
            echo(client)
        server.stop()
        for client in clients:
            expect("its end", client.recv(1), b"")
            client.close()
    with Native(name, "--port", str(server.port)) as again:
        expect("its port", again.port, server.port)
        again.stop()


def case_mistakes_on_the_command_line(name):
    wrong = ["--port 80x", "--port -1", "--port 65536", "--port=", "--port",
             "-p 1 2", "--max-clients 0", "--buffer 0", "--buffer 1048577",
             "--threads 0", "--threads 257", "--bind localhost", "--bind 1.2.3",
             "--nonsense", "stray", "-q -v", "--quiet=1", "--trace",
             "--trace-file x.json", "--window", "--stop-on-eo"]
    if name != "epoll":
        wrong.append("--edge")
    for words in wrong:
        code, out, err = ends(name, *words.split())
        if (code, out) != (2, "") or not re.fullmatch(
                rf"{name}: [^\n]+; --help lists the options\n", err):
            fail(f"{words}: exit code {code}, {out!r}, {err!r}")
    version = re.search(r'SUITE_VERSION +"(.*?)"', (
        ROOT / "common" / "version.h").read_text())[1]
    for word in ("--help", "-h", "-?", "/?"):
        code, out, err = ends(name, word)
        expect(word, (code, err), (0, ""))
        for option in ("--port", "--bind", "--max-clients", "--threads",
                       "--buffer", "--quiet", "--verbose", "--stop-on-eof"):
            expect_match(word, out, option)
    expect("--version", ends(name, "--version"), (0, f"{name} {version}\n", ""))


def case_who_can_connect(name):
    with Native(name) as server:
        listening = Path("/proc/net/tcp").read_text()
        expect_match("the listener", listening,
                     rf" 0100007F:{server.port:04X} 00000000:0000 0A ")
        expect("its errors", server.error_text(), "")
        server.stop()
    with Native(name, "--bind", "0.0.0.0") as server:
        expect_match("its errors", server.error_text(),
                     "warning: 0.0.0.0:.* other machines")
        with dial(server.port) as client:
            echo(client)
        server.stop()
    with Native(name, "--bind", "::1") as server, \
            dial(server.port, "::1") as client:
        echo(client)
        client.close()
        expect_match("its log", "\n".join(server.stop()), r"#1 open \[::1\]:")


# ---- E13: output -----------------------------------------------------------------

def case_nobody_reads_its_output(name):
    """The pipe is full after some of these clients. They are served, and it
    stops; the one second is for its summary."""
    with Native(name, "--verbose") as server:
        for n in range(1500):
            with dial(server.port) as client:
                echo(client)
        began = time.monotonic()
        server.process.stdin.close()
        expect("its exit code", server.process.wait(PATIENCE), 0)
        if time.monotonic() - began > STOP_S:
            fail(f"it took {time.monotonic() - began:.1f} s")


def case_lines_that_were_dropped_are_counted(name):
    with Native(name) as server:
        for n in range(3000):
            with dial(server.port) as client:
                echo(client)
        server.process.stdin.close()
        text = "\n".join(server.wait())
        expect_match("its output", text, r"\(\d+ lines dropped: nobody reads")
        expect_match("its summary", text, "3000 clients")


def case_nobody_is_left_to_read_it(name):
    with Native(name) as server:
        server.process.stdout.close()
        for n in range(10):
            with dial(server.port) as client:
                echo(client)
        server.process.stdin.close()
        expect("its exit code", server.process.wait(PATIENCE), 0)


def case_started_without_standard_output(name):
    """Then the first socket would get its number, and a client the log."""
    port = free_port()
    with Native(name, "--port", str(port), before=lambda: os.close(1),
                stdout=subprocess.DEVNULL) as server:
        until("it listens", lambda: listens(port))
        expect("its standard output", os.readlink(
            f"/proc/{server.process.pid}/fd/1"), "/dev/null")
        with dial(port) as client:
            client.sendall(b"a")
            expect("the echo", client.recv(100), b"a")
            client.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                fail(f"and then {client.recv(100)!r}")
        server.process.stdin.close()
        expect("its exit code", server.process.wait(PATIENCE), 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with contextlib.suppress(ConnectionRefusedError):
        dial(port).close()
        return True
    return False


# ---- the clients that people really use -------------------------------------------

def case_nc_socat_and_curl(name):
    text = "".join(f"line {n}: hello\n" for n in range(1000)).encode()
    with Native(name) as server:
        port = str(server.port)
        talk(["nc", "-N", "127.0.0.1", port], text)
        talk(["socat", "-t", "30", "-", f"TCP:127.0.0.1:{port}"],
             os.urandom(300_000))
        curl_telnet(port)
        server.stop()


# ---- only one of them ---------------------------------------------------------------

def planted(name, line, instead):
    """The server, with one line of its source replaced."""
    path = ROOT / "extras" / "linux" / name / f"{name}.c"
    source = path.read_text(encoding="ascii")
    if source.count(line) != 1:
        fail(f"{path.name} has no such line, or several: {line}")
    wrong = BIN / f"planted_{name}.c"
    wrong.write_text(source.replace(line, instead), encoding="ascii")
    exe = BIN / f"planted_{name}"
    run(["gcc", "-std=c11", "-O2", "-pthread", "-I.", wrong,
         *sorted((ROOT / "extras" / "linux" / "common").glob("*.c")), "-o", exe,
         *(["-luring"] if name == "io_uring" else [])])
    return exe


def only_epoll_edge_that_reads_once():
    """With --edge a server that reads once serves a piece, and then its client
    waits for ever. Ours reads on."""
    def first_100(exe):
        with Native("epoll", "--edge", "--buffer", "10", exe=exe) as server, \
                dial(server.port) as client:
            client.settimeout(1)
            client.sendall(b"x" * 100)
            got = b""
            with contextlib.suppress(TimeoutError):
                while len(got) < 100 and (piece := client.recv(100)):
                    got += piece
            client.close()
            server.stop()
            return len(got)
    expect("of 100 bytes", first_100(None), 100)
    wrong = planted("epoll", "        if (state == CONN_RECEIVING) {",
                    "        if (false) {")
    expect("of 100 bytes, when it reads once", first_100(wrong), 10)


def only_epoll_edges_are_told_once():
    page = (ROOT / "extras" / "linux" / "README.md").read_text()
    said = run([BIN / "edge_once"])
    if f"```\n{said}```\n" not in page:
        fail(f"extras/linux/README.md does not show what it prints:\n{said}")
    expect_match("edge, read once", said, r"edge, read once: +told +1 x, got +10 ")


def forbid(err):
    """Before exec: io_uring_setup() fails with this error, as where a container
    forbids it."""
    def load():
        libc = ctypes.CDLL(None, use_errno=True)
        number = 425  # on every processor
        code = struct.pack("HBBI" * 4,
                           0x20, 0, 0, 0,            # load the number
                           0x15, 0, 1, number,       # is it this one?
                           0x06, 0, 0, 0x00050000 | err,
                           0x06, 0, 0, 0x7fff0000)   # allow all others
        place = ctypes.create_string_buffer(code)
        program = struct.pack("HxxxxxxP", 4, ctypes.addressof(place))
        if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, program) != 0:
            os._exit(99)
    return load


def only_io_uring_where_it_is_forbidden():
    cannot_start("io_uring", r"io_uring_setup: EPERM \(1\).* forbids io_uring",
                 before=forbid(1))
    cannot_start("io_uring", r"io_uring_setup: ENOSYS \(38\).* no io_uring",
                 before=forbid(38))


# ---- all of it ----------------------------------------------------------------------

def no_io_uring(folder=BIN):
    """Why io_uring cannot run here, or None."""
    code, _, err = ends("io_uring", "--port", "0", "--stop-on-eof",
                        folder=folder)
    return err.strip() if code == 3 else None


def test_one(name):
    if name == "io_uring" and (reason := no_io_uring()):
        with check("linux: io_uring serves"):
            skip(reason)
        return
    for options in WAYS[name]:
        words = " ".join([name, *options])
        with check(f"linux: {words}: keeps the contract"):
            graded(name, options)
    own = f"only_{name}_"
    for function, case in list(globals().items()):
        if function.startswith("case_"):
            words = function.removeprefix("case_").replace("_", " ")
            with check(f"linux: {name}: {words}"):
                case(name)
        elif function.startswith(own):
            words = function.removeprefix(own).replace("_", " ")
            with check(f"linux: {name}: {words}"):
                case()


def build(*settings):
    with check("linux: the twins build without a warning"):
        done = subprocess.run(
            ["make", "-f", "Makefile.mingw", "linux", "WERROR=-Werror",
             *settings], cwd=ROOT, text=True, check=False, timeout=300,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            fail(done.stdout)


def test_sanitized():
    build("SANITIZE=1")
    for name in TWINS:
        for options in WAYS[name]:
            words = " ".join([name, *options])
            with check(f"linux: {words}, sanitized: keeps the contract"):
                if name == "io_uring" and (reason := no_io_uring(SANITIZED)):
                    skip(reason)
                graded(name, options, SANITIZED)


def main():
    words = sys.argv[1:]
    if words == ["--sanitize"]:
        test_sanitized()
        finish()
    if words in ([], ["--build"]):
        build()
    for name in words or TWINS:
        if name != "--build":
            test_one(name)
    finish()


if __name__ == "__main__":
    main()
