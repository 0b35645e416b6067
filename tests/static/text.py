#!/usr/bin/env python3
"""Every text file of the project: ASCII, LF, no tabs, no trailing blanks, a
newline at the end, and no path of the machine that it was written on."""

import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import ROOT, Failed, check, fail, finish, tree  # noqa: E402

# Made of pieces, so that this file passes its own check.
PATHS = re.compile("|".join(["/" + "work/", "/" + "root/", "/" + "home/",
                             r"C:\\" + "Users"]))
BINARY = {".png", ".ico"}
# The one page that needs other letters, as UTF-8.
NOT_ASCII = Path("docs/glossary.md")


def files(root):
    for path in tree("*", root):
        if path.is_file() and path.suffix not in BINARY and \
                "__pycache__" not in path.parts:
            yield path


def complaints(path, root):
    name = path.relative_to(root)
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        yield f"{name}: no newline at the end"
    if data.endswith(b"\n\n"):
        yield f"{name}: blank lines at the end"
    tabs = path.name.startswith("Makefile") or path.suffix == ".mk"
    crlf = path.suffix in (".bat", ".cmd")
    for number, line in enumerate(data.split(b"\n"), 1):
        where = f"{name}:{number}"
        if crlf:
            line = line.removesuffix(b"\r")
        if b"\r" in line:
            yield f"{where}: carriage return"
            continue
        if b"\t" in line.removeprefix(b"\t" if tabs else b""):
            yield f"{where}: tab"
        if line != line.rstrip():
            yield f"{where}: blanks at the end of the line"
        if not line.isascii() and name != NOT_ASCII:
            yield f"{where}: not ASCII"
        if found := PATHS.search(line.decode("latin-1")):
            yield f"{where}: path of a machine: {found[0]}"
        # Patches and the documents may quote it; the builds may not use it.
        if b"-D" + b"NDEBUG" in line and path.suffix != ".md" and \
                b"never" not in line:
            yield f"{where}: NDEBUG takes the assertions away"


def look(root):
    found = [text for path in files(root) for text in complaints(path, root)]
    if found:
        fail("\n".join(found))


def self_test():
    """Each rule must be able to fail."""
    bad = {"tab": b"a\tb\n", "carriage return": b"a\r\n", "newline": b"a",
           "not ASCII": b"\xc3\xa9\n", "end of the line": b"a \n",
           "path": b"see /" + b"home/me\n", "NDEBUG": b"cc -D" + b"NDEBUG\n",
           "blank lines": b"a\n\n"}
    for what, data in bad.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "sample.c").write_bytes(data)
            try:
                look(folder)
            except Failed as told:
                if what not in str(told) or len(str(told).splitlines()) != 1:
                    fail(f"planted {what!r}, told {told}")
            else:
                fail(f"planted {what!r} and nothing was told")


def main():
    with check("text: every rule is able to fail"):
        self_test()
    with check("text: ASCII, LF, no tabs, no trailing blanks, no strange "
               "paths"):
        look(ROOT)
    finish()


if __name__ == "__main__":
    sys.exit(main())
