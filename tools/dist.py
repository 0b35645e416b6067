#!/usr/bin/env python3
"""dist.py FOLDER PROGRAM... -- the programs in a zip, with their checksums

The same programs make the same zip, byte by byte: its entries have one fixed
date. It has SHA256SUMS inside, and stands beside a .sha256 of its own.
"""

import hashlib
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATE = (2026, 1, 1, 0, 0, 0)


def version():
    text = (ROOT / "common" / "args.h").read_text(encoding="ascii")
    return re.search(r'#define SUITE_VERSION "([^"]+)"', text)[1]


def main():
    folder, *programs = sys.argv[1:]
    if not programs:
        sys.exit("usage: dist.py FOLDER PROGRAM...")
    name = f"winsock-models-{version()}"
    files = {f"{program}.exe": (ROOT / folder / f"{program}.exe").read_bytes()
             for program in programs}
    for document in ("README.md", "LICENSE"):
        files[document] = (ROOT / document).read_bytes()
    files["SHA256SUMS"] = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {file}\n"
        for file, data in sorted(files.items())).encode("ascii")

    path = ROOT / "build" / "dist" / f"{name}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(f"{name}/{file}", DATE), data,
                             zipfile.ZIP_DEFLATED)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".zip.sha256").write_text(f"{digest}  {path.name}\n",
                                               encoding="ascii")
    print(f"{path.relative_to(ROOT)}: {len(files)} files, "
          f"{path.stat().st_size} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
