#!/usr/bin/env python3
"""The zip of `make dist`: it has the programs, their checksums are right, and
the same programs make the same zip."""

import hashlib
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, MODELS, check, fail, finish, run  # noqa: E402


def make():
    run(["make", "-f", "Makefile.mingw", "-s", "dist"], timeout=600)
    zips = list((BUILD / "dist").glob("*.zip"))
    if len(zips) != 1:
        fail(f"there are {len(zips)} zips: {zips}")
    return zips[0]


def has_what_it_should(path):
    with zipfile.ZipFile(path) as archive:
        files = {name.split("/", 1)[1]: archive.read(name)
                 for name in archive.namelist()}
    sums = files.pop("SHA256SUMS").decode("ascii").splitlines()
    wanted = {"README.md", "LICENSE", "echo_client.exe", "echo_load.exe",
              "compare.exe", "blocking.exe", "contract.exe",
              *(f"{model}.exe" for model in MODELS)}
    if missing := wanted - set(files):
        fail(f"not in it: {sorted(missing)}")
    told = dict(reversed(line.split("  ", 1)) for line in sums)
    real = {name: hashlib.sha256(data).hexdigest()
            for name, data in files.items()}
    if told != real:
        fail(f"SHA256SUMS says {told}, and they are {real}")


def main():
    with check("dist: the zip has the programs and their checksums"):
        path = make()
        has_what_it_should(path)
    with check("dist: made twice it is the same"):
        first = path.read_bytes()
        if make().read_bytes() != first:
            fail("it differs")
    with check("dist: the checksum of the zip beside it is right"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        beside = path.with_suffix(".zip.sha256").read_text(encoding="ascii")
        if beside != f"{digest}  {path.name}\n":
            fail(f"says {beside}, is {digest}")
    finish()


if __name__ == "__main__":
    main()
