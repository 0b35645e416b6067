#!/usr/bin/env python3
"""Every program has the manifest in it, and its own name and version as Windows
shows them. This reads the resources of each .exe, as Windows does."""

import re
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, MODELS, ROOT, Failed, check, expect, fail, finish  # noqa: E402

VERSION, MANIFEST = 16, 24  # types of resources
WANTED = (ROOT / "common" / "program.manifest").read_bytes()
VERSION_H = (ROOT / "common" / "version.h").read_text(encoding="ascii")


def version_of_suite():
    """The version as text. It is there as numbers, too: they have to agree."""
    text = re.search(r'SUITE_VERSION +"(\d+\.\d+\.\d+)"', VERSION_H)[1]
    numbers = re.search(r"SUITE_VERSION_NUMBERS (.*)", VERSION_H)[1]
    expect("the numbers in version.h", numbers.split(", "),
           [*text.split("."), "0"])
    return text


def resources(data):
    """Yields (type, data) of each resource. Source: PE Format."""
    pe = struct.unpack_from("<I", data, 0x3c)[0]
    count, optional = struct.unpack_from("<H12xH", data, pe + 6)
    base = None
    for i in range(count):
        name, _, address, _, offset = struct.unpack_from(
            "<8sIIII", data, pe + 24 + optional + 40 * i)
        if name.rstrip(b"\0") == b".rsrc":
            base = offset
            shift = offset - address  # from an address to a place in the file
    if base is None:
        fail("it has no resources")

    def walk(at, kind):
        for i in range(sum(struct.unpack_from("<HH", data, base + at + 12))):
            name, to = struct.unpack_from("<II", data, base + at + 16 + 8 * i)
            if to >> 31:
                yield from walk(to & 0x7fffffff,
                                name if kind is None else kind)
            else:
                address, size = struct.unpack_from("<II", data, base + to)
                yield kind, data[address + shift:address + shift + size]

    return list(walk(0, None))


def look(name, data, version):
    found = resources(data)
    manifests = [text for kind, text in found if kind == MANIFEST]
    versions = [text for kind, text in found if kind == VERSION]
    if manifests != [WANTED]:
        fail(f"{len(manifests)} manifests, and program.manifest is to be the "
             "only one")
    if len(versions) != 1:
        fail(f"{len(versions)} version resources")
    numbers = struct.unpack_from("<HHHH", versions[0],
                                 versions[0].index(b"\xbd\x04\xef\xfe") + 8)
    expect("its version as numbers",
           [numbers[i] for i in (1, 0, 3, 2)],
           [int(part) for part in version.split(".")] + [0])
    texts = versions[0].decode("utf-16-le", errors="replace")
    for key, value in (("OriginalFilename", f"{name}.exe"),
                       ("InternalName", name), ("ProductVersion", version),
                       ("FileDescription", f"{name} (winsock-models)")):
        if not re.search(rf"{key}\0+{re.escape(value)}\0", texts):
            fail(f"no {key} {value}")


def main():
    programs = [path for folder in ("bin", "tests", "experiments")
                for path in sorted((BUILD / folder).glob("*.exe"))]
    version = None
    with check("properties: version.h says one version"):
        version = version_of_suite()
    with check("properties: every program has the manifest, its name and its "
               "version"):
        if len(programs) < 2 * len(MODELS):
            fail(f"only {len(programs)} programs are built")
        for path in programs:
            try:
                look(path.stem, path.read_bytes(), version)
            except Failed as told:
                fail(f"{path.relative_to(ROOT)}: {told}")
    with check("properties: the check is able to fail"):
        data = (BUILD / "bin" / "iocp.exe").read_bytes()
        for what, changed in (
                ("manifest", data.replace(b"asInvoker", b"asAnyone!")),
                ("no resources", data.replace(b".rsrc", b".none")),
                ("FileDescription", data.replace(
                    "iocp (w".encode("utf-16-le"),
                    "icop (w".encode("utf-16-le")))):
            try:
                look("iocp", changed, version)
            except Failed as told:
                if what not in str(told):
                    fail(f"for {what!r} it says {told}")
            else:
                fail(f"it finds no fault with {what!r}")
    finish()


if __name__ == "__main__":
    main()
