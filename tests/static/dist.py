#!/usr/bin/env python3
"""The zip of `make dist`: it has the programs, their checksums are right, the
list of what they are made of is, and the same source makes the same zip, in
whatever folder it is built."""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, EXTRAS, MODELS, ROOT, check, expect, fail, finish, run  # noqa: E402

TOOLS = os.environ.get("CROSS", "x86_64-w64-mingw32-")


def make():
    run(["make", "-f", "Makefile.mingw", "-s", "dist"], timeout=600)
    zips = list((BUILD / "dist").glob("*.zip"))
    if len(zips) != 1:
        fail(f"there are {len(zips)} zips: {zips}")
    return zips[0]


def parts(path):
    """Name and bytes of what is in the zip."""
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name)
                for name in archive.namelist()}


def has_what_it_should(files):
    sums = files.pop("SHA256SUMS").decode("ascii").splitlines()
    wanted = {"libwatch.a", "watch.md", "README.md", "LICENSE", "sbom.spdx.json", "echo_client.exe", "echo_load.exe",
              "compare.exe", "contract.exe", "file_copy.exe",
              *(f"{model}.exe" for model in (*MODELS, *EXTRAS))}
    if shutil.which("i686-w64-mingw32-gcc"):
        wanted.add("libwatch32.a")
    if missing := wanted - set(files):
        fail(f"not in it: {sorted(missing)}")
    told = dict(reversed(line.split("  ", 1)) for line in sums)
    real = {name: hashlib.sha256(data).hexdigest()
            for name, data in files.items()}
    if told != real:
        fail(f"SHA256SUMS says {told}, and they are {real}")


def lists_what_is_linked(files):
    told = json.loads(files["sbom.spdx.json"])
    programs = {name for name in files if name.endswith(".exe")}
    libraries = {name for name in files if name.endswith(".a")}
    expect("the programs", {item["fileName"].removeprefix("./")
                            for item in told["files"]}, programs | libraries)
    for item in told["files"]:
        data = files[item["fileName"].removeprefix("./")]
        for one in item["checksums"]:
            expect(item["fileName"], one["checksumValue"],
                   hashlib.new(one["algorithm"], data).hexdigest())
    known = {item["SPDXID"] for kind in ("packages", "files")
             for item in told[kind]} | {"SPDXRef-DOCUMENT"}
    for link in told["relationships"]:
        if not {link["spdxElementId"], link["relatedSpdxElement"]} <= known:
            fail(f"nobody has that name: {link}")
    # That they are linked in is no guess: one symbol of each is there.
    for name in programs:
        symbols = run([TOOLS + "nm", BUILD / "bin" / name])
        for part in ("mainCRTStartup", "___chkstk_ms"):
            if f" T {part}\n" not in symbols:
                fail(f"{name} has no {part}")


def libraries_have_their_names(files):
    """The one for 64 bits, and the one for 32 bits."""
    for name, tools, symbol in (
            ("libwatch.a", TOOLS, "__imp_recv"),
            ("libwatch32.a", "i686-w64-mingw32-", "__imp__recv@16")):
        if name not in files:
            continue
        with tempfile.NamedTemporaryFile(suffix=".a") as file:
            file.write(files[name])
            file.flush()
            if f" R {symbol}\n" not in run([tools + "nm", file.name]):
                fail(f"{name} has no {symbol}")


def same_in_another_folder():
    """One program and the library, built in a copy of the source. A debugger's program keeps
    the paths of its source: there no path of the folder may be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "another folder"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(
            "build", ".git", "__pycache__"))
        for variable, place in (("DEBUG=", "bin"), ("DEBUG=1", "debug/bin")):
            exe = f"build/{place}/echo_client.exe"
            run(["make", "-f", "Makefile.mingw", "-s", "-C", folder, variable,
                 exe], timeout=600)
            made = (folder / exe).read_bytes()
            if folder.name.encode() in made:
                fail(f"{exe} has the name of its folder in it")
            if not variable.endswith("1") and made != \
                    (BUILD / "bin" / "echo_client.exe").read_bytes():
                fail("it differs from the one in build/bin")
        library = "build/libwatch.a"
        run(["make", "-f", "Makefile.mingw", "-s", "-C", folder, library],
            timeout=600)
        if (folder / library).read_bytes() != (ROOT / library).read_bytes():
            fail("the library differs from the one in build")


def main():
    with check("dist: the zip has the programs and their checksums"):
        path = make()
        has_what_it_should(parts(path))
    with check("dist: the list of what is in the programs fits them"):
        lists_what_is_linked(parts(path))
    with check("dist: the library is for these processors"):
        libraries_have_their_names(parts(path))
    with check("dist: made twice it is the same"):
        first = path.read_bytes()
        if make().read_bytes() != first:
            fail("it differs")
    with check("dist: built in another folder a program is the same"):
        same_in_another_folder()
    with check("dist: the checksum of the zip beside it is right"):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        beside = path.with_suffix(".zip.sha256").read_text(encoding="ascii")
        if beside != f"{digest}  {path.name}\n":
            fail(f"says {beside}, is {digest}")
    finish()


if __name__ == "__main__":
    main()
