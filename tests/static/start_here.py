#!/usr/bin/env python3
"""Follow docs/start-here.md as a reader does, once in bash and once in cmd.exe.

    start_here.py            both
    start_here.py cmd        only one of them

The commands are those of the page, word for word: of a pair of lines the first
is typed into cmd.exe (Wine's), the second into bash. They run in a folder that
looks like the source tree, with the reader's own server in it, mine.exe. A
server gets the page's client, and what the client types has to stand among the
calls of the server. A program that takes minutes is ended as soon as it has
shown its first result: other tests run it to its end. make only says what it
would build.

The page uses fixed ports. So the test has a network of its own, where that is
allowed.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, MODELS, PATIENCE, ROOT, Failed, Lines, check,  # noqa: E402
                   fail, finish, own_wine, run, skip)

PAGE = ROOT / "docs" / "start-here.md"
SHELLS = sys.argv[1:] or ["bash", "cmd"]
ENV = own_wine("walk")
WINE = "tools/wine.sh"
BUILD_ALL = "make -f Makefile.mingw"
TYPED = "hello, class"

# What a program has to print; those with a pattern are ended then.
FIRST_RESULT = {"compare": r"^\d+ servers?, \d+ loads?, ",
                "contract": r"^ *(ok|FAIL) +E\d+\.\d+ "}
OURS = {"cmd.exe", "mine.exe", *(path.name for path in BUILD.glob("*/*.exe"))}
READY = r": listening on 127\.0\.0\.1:\d+, pid \d+, \d+ threads? "


# ---- what the page says -----------------------------------------------------

def twin(line):
    """The same command for bash."""
    return f"{WINE} " + line.replace("\\", "/")


def commands(text):
    """[{shell: line}], in the order of the page. A line that is not for a
    program of ours is for both shells."""
    found = []
    for block in re.findall(r"^ *```\n(.*?)^ *```$", text,
                            re.DOTALL | re.MULTILINE):
        lines = [line.strip() for line in block.splitlines()]
        if len(lines) == 1:
            found.append({"bash": lines[0], "cmd": lines[0]})
        elif len(lines) == 2 and lines[1] == twin(lines[0]):
            found.append({"cmd": lines[0], "bash": lines[1]})
        else:
            fail(f"not a command, nor a pair of the same command: {lines}")
    return found


def nothing_is_left_out(text, found):
    """A command inside a sentence would not be walked."""
    walked = {line for pair in found for line in pair.values()}
    prose = re.sub(r"^ *```\n.*?^ *```$", "", text, flags=re.DOTALL |
                   re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", prose):
        code = re.sub(r"\s+", " ", code)
        if re.match(r"build[\\/]|make |tools/\S+ ", code) and \
                not {code, f"{WINE} {code}"} & walked:
            fail(f"`{code}` is in no block of its own")


def program_of(line):
    match = re.search(r"\bbuild[\\/]\w+[\\/](\w+)\.exe", line)
    return match[1] if match else line.split()[0]


# ---- a reader ---------------------------------------------------------------

class Window:
    """One window of the reader, with a command in it."""

    def __init__(self, shell, line, folder):
        words = ["bash", "-c", line] if shell == "bash" else \
            [WINE, "cmd", "/c", line]
        self.line, self.shown = line, []
        # All is built. Only make could tell that it is not.
        env = ENV | {"MAKEFLAGS": "n"} if line == BUILD_ALL else ENV
        self.process = subprocess.Popen(
            words, cwd=folder, env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = Lines(self.process.stdout)

    def read(self):
        line = self.output.read()
        if line is not None:
            self.shown.append(line)
        return line

    def until(self, pattern):
        while (line := self.read()) is not None:
            if re.search(pattern, line):
                return
        fail(f"{self.line}: ended without /{pattern}/:\n" +
             "\n".join(self.shown))

    def typed(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.close()

    def to_the_end(self):
        while self.read() is not None:
            pass
        if status := self.process.wait(PATIENCE):
            fail(f"{self.line}: exit status {status}:\n" +
                 "\n".join(self.shown))

    def interrupt(self):
        """Press Ctrl+C. The program is no child of ours when cmd.exe began
        it."""
        for pid in wine_programs({f"{program_of(self.line)}.exe"}):
            os.kill(pid, signal.SIGINT)
        self.to_the_end()

    def close(self):
        """End the program and what it has started, whatever that is just
        doing: a program that is killed while it starts another one may leave
        that one behind, with our pipe."""
        deadline = time.monotonic() + PATIENCE
        while not self.ended():
            if time.monotonic() > deadline:
                fail(f"{self.line}: does not end")
            for pid in wine_programs(OURS):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            stream.close()

    def ended(self):
        try:
            while (line := self.output.read(0.2)) is not None:
                self.shown.append(line)
        except Failed:
            return False
        return True


def wine_programs(names):
    """The processes of our Wine that run a file of such a name."""
    mark = f"MODELS_WINEPREFIX={ENV['MODELS_WINEPREFIX']}"
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text(errors="replace").split("\0")
            ours = mark in (entry / "environ").read_text(
                errors="replace").split("\0")
        except OSError:
            continue  # it has ended, or is not ours
        if ours and names & {re.split(r"[\\/]", word)[-1] for word in words}:
            yield int(entry.name)


def port_of(line):
    match = re.search(r"--port (\d+)", line)
    return match[1] if match else "5566"


def serve(shell, line, client, folder):
    """Run the server and the client that the page has for its port."""
    server = Window(shell, line, folder)
    try:
        server.until(READY)
        window = Window(shell, client, folder)
        try:
            window.typed(f"{TYPED}\n")
            window.to_the_end()
        finally:
            window.close()
        if "came back unchanged" not in "\n".join(window.shown):
            fail(f"{client}:\n" + "\n".join(window.shown))
        server.interrupt()
    finally:
        server.close()
    told = "\n".join(server.shown)
    if f'send(#1, "{TYPED}' not in told.replace("WSASend", "send"):
        fail(f"the line is not among the calls:\n{told}")
    if ": stopped after " not in told:
        fail(f"no summary after Ctrl+C:\n{told}")


def walk(shell, line, clients, folder):
    program = program_of(line)
    if "--window" in line:
        skip("needs a desktop; the part window makes one and runs it there")
    if shell == "cmd" and program in ("make", "tools/setup.sh"):
        skip("Wine has no make; the part cmd_shell runs what it would do")
    if program in MODELS:
        serve(shell, line, clients[port_of(line)], folder)
        return
    window = Window(shell, line, folder)
    try:
        if program in FIRST_RESULT:
            window.until(FIRST_RESULT[program])
        else:
            window.to_the_end()
    finally:
        window.close()


# ---- where the reader is ----------------------------------------------------

def own_network():
    """Start this program again, in a network that is not used by others."""
    if "MODELS_OWN_NETWORK" in os.environ:
        with socket.socket() as sock:  # bring up the loopback interface
            name = struct.pack("16sh14x", b"lo", 1)
            fcntl.ioctl(sock, 0x8914, name)  # SIOCSIFFLAGS, IFF_UP
        return
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        try:
            alone = subprocess.run([*words, "true"], check=False,
                                   stderr=subprocess.DEVNULL).returncode == 0
        except FileNotFoundError:
            break
        if alone:
            os.environ["MODELS_OWN_NETWORK"] = "1"
            os.execvp(words[0], [*words, sys.executable, *sys.argv])


def ports_are_free(found):
    for port in {port_of(pair["bash"]) for pair in found}:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", int(port)))
            except OSError:
                return False
    return True


def make_folder(folder):
    """A source tree with its programs, where the reader may write."""
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name not in ("build", ".git"):
            (folder / entry.name).symlink_to(entry)
    (folder / "build").mkdir()
    for name in ("bin", "tests", "experiments", "obj"):
        (folder / "build" / name).symlink_to(BUILD / name)
    shutil.copy(BUILD / "bin" / "select.exe", folder / "mine.exe")


def main():
    own_network()
    text = PAGE.read_text(encoding="ascii")
    found = []
    with check("start-here: each command stands in a block, for both shells"):
        found = commands(text)
        nothing_is_left_out(text, found)
        if not any(program_of(pair["cmd"]) in MODELS for pair in found):
            fail("no server is run")
        try:
            commands("```\nbuild\\bin\\a.exe\ntools/wine.sh build/bin/b.exe\n"
                     "```\n")
        except Failed:
            pass
        else:
            fail("two commands pass for one")
    run([ROOT / WINE, "--prepare"], timeout=300, env=ENV)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "tree"
            make_folder(folder)
            for shell in SHELLS:
                lines = dict.fromkeys(pair[shell] for pair in found)
                clients = {line.partition("127.0.0.1:")[2] or "5566": line
                           for line in lines
                           if program_of(line) == "echo_client"}
                for line in lines:
                    if program_of(line) == "echo_client":
                        continue  # with its server
                    with check(f"start-here, {shell}: {line}"):
                        if not ports_are_free(found):
                            skip("another program has a port of the page")
                        walk(shell, line, clients, folder)
    finally:
        run([ROOT / WINE, "--end"], status=None, env=ENV)
    finish()


if __name__ == "__main__":
    main()
