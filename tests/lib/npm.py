"""Packages from npm, for tests only: installed into a folder under build.

Where npm's registry cannot be reached, the check that needs a package from
there is skipped. Where the environment has CI, which is set where tests have
to be complete, the check fails instead. It also fails if the package is there,
but is not the one that was meant.
"""

import base64
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tarfile

from suite import ROOT, Failed, Skipped, fail

LIMIT_S = 600

# What npm says when no answer came, or none from the registry itself.
UNREACHED = re.compile(
    r"npm (?:ERR!|error) code (E(?:AI_AGAIN|AI_FAIL|CONN(?:REFUSED|RESET|"
    r"ABORTED)|HOSTUNREACH|NETUNREACH|NETDOWN|ADDRNOTAVAIL|NOTFOUND|PIPE|"
    r"PROTO|TIMEDOUT|SOCKETTIMEDOUT|REQUESTTIMEOUT|NOTCACHED|50[234])|"
    r"ERR_SOCKET_TIMEOUT|ERR_(?:SSL|TLS)_\w+|CERT_\w+|\w*_CERT\w*|"
    r"UNABLE_TO_\w+)\s")


class NoRegistry(Skipped):
    """The registry cannot be reached from here."""


asked_in_vain = None  # the error to raise; to ask once is enough


def npm(*words):
    global asked_in_vain
    if asked_in_vain:
        raise asked_in_vain
    command = ["npm", *map(str, words)]
    try:
        done = subprocess.run(command, cwd=ROOT, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=LIMIT_S, check=False)
    except FileNotFoundError:
        fail("there is no npm; tools/setup.sh test installs it")
    except subprocess.TimeoutExpired:
        no_registry(f"npm still waits after {LIMIT_S} s")
    if done.returncode != 0:
        text = done.stdout + done.stderr
        if match := UNREACHED.search(text):
            no_registry(match[1])
        fail(f"{' '.join(command)}: exit status {done.returncode}\n{text}")


def no_registry(why):
    global asked_in_vain
    kind = Failed if os.environ.get("CI") else NoRegistry
    asked_in_vain = kind(f"npm's registry cannot be reached from here: {why}")
    raise asked_in_vain


@contextlib.contextmanager
def nobody_else(target):
    """Several tests may want the same package at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.with_suffix(".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_there(target, wanted):
    """Is exactly this installed? If not, the folder is made empty for it."""
    stamp = target / "installed"
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return True
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return False


def install(source, target):
    """Install what package-lock.json in `source` says into `target`. If it is
    there already in this version, it stays."""
    wanted = (source / "package-lock.json").read_text(encoding="ascii")
    with nobody_else(target):
        if is_there(target, wanted):
            return
        for name in ("package.json", "package-lock.json"):
            text = (source / name).read_text(encoding="ascii")
            (target / name).write_text(text, encoding="ascii")
        npm("ci", "--prefix", target, "--ignore-scripts", "--no-audit",
            "--no-fund")
        (target / "installed").write_text(wanted, encoding="ascii")


def unpack(package, sha512, folder, target):
    """Unpack only the files directly in that folder of a package, and nothing
    that the package depends on. Its tarball must have this checksum: npm is
    not asked for it."""
    wanted = f"{package} {sha512}\n"
    with nobody_else(target):
        if is_there(target, wanted):
            return
        npm("pack", package, "--pack-destination", target, "--ignore-scripts")
        packed = list(target.glob("*.tgz"))
        if len(packed) != 1:
            fail(f"npm pack {package} left {packed}")
        tarball = packed[0].read_bytes()
        seen = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        if seen != sha512:
            fail(f"{package}: its sha512 is {seen}, not {sha512}")
        with tarfile.open(packed[0]) as archive:
            for member in archive:
                place, _, name = member.name.rpartition("/")
                if place == f"package/{folder}" and member.isfile():
                    data = archive.extractfile(member).read()
                    (target / name).write_bytes(data)
        packed[0].unlink()
        (target / "installed").write_text(wanted, encoding="ascii")
