"""A program on a terminal of its own, as a user starts it.

    with Terminal([WINE, exe]) as terminal:
        terminal.read_until("ready")
        terminal.type("\\x03")
        status = terminal.process.wait()
"""

import codecs
import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time

from suite import ROOT, fail

LONG_S = 120  # a guard against hanging


def take_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def plain(text):
    """The text as a person reads it there: Wine draws a blank as a step to the
    right, and returns to the margin twice."""
    text = re.sub(r"\x1b\[(\d*)C", lambda m: " " * int(m[1] or 1), text)
    text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)
    return re.sub(r"\r+\n", "\n", text)


class Terminal:
    def __init__(self, command, **elsewhere):
        """Standard input, output and error are the terminal, unless some are
        `elsewhere`, as for subprocess.Popen."""
        self.ours, theirs = pty.openpty()
        ends = {end: theirs for end in ("stdin", "stdout", "stderr")}
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT,
            preexec_fn=take_terminal, **ends | elsewhere)
        os.close(theirs)
        self.text = ""
        # A read may end in the middle of a letter.
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self.ours)

    def wait_until_read(self):
        """Wait until the program reads keys one by one. Wine begins with that
        a little after the prompt. Before that it takes Enter for another
        key."""
        deadline = time.monotonic() + LONG_S
        while termios.tcgetattr(self.ours)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                fail(f"nobody reads the keys after {LONG_S} s")
            time.sleep(0.01)

    def type(self, keys):
        os.write(self.ours, keys.encode("ascii"))

    def read_until(self, wanted):
        """All that it showed so far, with the pattern in it."""
        deadline = time.monotonic() + LONG_S
        while not re.search(wanted, shown := plain(self.text)):
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self.ours], [], [], left)[0]:
                fail(f"no /{wanted}/ within {LONG_S} s: {shown[-200:]!r}")
            try:
                self.text += self.decoder.decode(os.read(self.ours, 65536))
            except OSError:  # so a terminal says that no program is left
                fail(f"it ended without /{wanted}/: {shown[-200:]!r}")
        return shown
