#!/usr/bin/env python3
"""dist.py FOLDER PROGRAM... LIBRARY.a... -- the programs in a zip, with their
checksums; and libwatch.a, with the page about it

The same programs make the same zip, byte by byte: its entries have one fixed
date. It has SHA256SUMS inside, and stands beside a .sha256 of its own.

sbom.spdx.json says what is in the programs: our code, and the parts of MinGW-w64
and of gcc that each program has in itself. The compiler names their versions.
CC names that compiler, as in Makefile.mingw.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATE = (2026, 1, 1, 0, 0, 0)


def version():
    text = (ROOT / "common" / "version.h").read_text(encoding="ascii")
    return re.search(r'#define SUITE_VERSION +"([^"]+)"', text)[1]


def compiler_says(*arguments, text=""):
    command = os.environ.get("CC", "x86_64-w64-mingw32-gcc").split()
    return subprocess.run([*command, *arguments], input=text, text=True,
                          capture_output=True, check=True).stdout.strip()


def runtime():
    """What is linked into each program: name, version, licence."""
    if "clang" in compiler_says("--version"):
        sys.exit("dist: it does not know what clang links into a program")
    expanded = compiler_says("-E", "-P", "-x", "c", "-", text=(
        "#include <_mingw.h>\n"
        "__MINGW64_VERSION_MAJOR.__MINGW64_VERSION_MINOR."
        "__MINGW64_VERSION_BUGFIX\n")).splitlines()[-1].replace(" ", "")
    if not re.fullmatch(r"\d+\.\d+\.\d+", expanded):
        sys.exit(f"dist: the compiler does not name its MinGW-w64: {expanded}")
    return [("mingw-w64", expanded, "ZPL-2.1 AND LicenseRef-public-domain"),
            ("libgcc", compiler_says("-dumpversion"),
             "GPL-3.0-or-later WITH GCC-exception-3.1")]


def sbom(name, programs):
    """SPDX 2.3. `programs`: the bytes of each, and of each library, by its file's
    name."""
    def package(part, version_, licence):
        return {"SPDXID": f"SPDXRef-{part}", "name": part,
                "versionInfo": version_, "licenseDeclared": licence,
                "licenseConcluded": "NOASSERTION",
                "copyrightText": "NOASSERTION",
                "downloadLocation": "NOASSERTION", "filesAnalyzed": False}

    def identity(file):
        return file.replace("_", "-")  # which an SPDXID may not have

    def related(one, kind, other):
        return {"spdxElementId": f"SPDXRef-{one}", "relationshipType": kind,
                "relatedSpdxElement": f"SPDXRef-{other}"}

    # The standard asks for SHA1, and everybody else for SHA256.
    sums = {file: {kind: hashlib.new(kind, data).hexdigest().lower()
                   for kind in ("SHA1", "SHA256")}
            for file, data in sorted(programs.items())}
    everything = hashlib.sha256(json.dumps(sums).encode()).hexdigest()
    linked = runtime()
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT", "name": name,
        # The standard wants a name that no other document has.
        "documentNamespace": f"urn:sha256:{everything}",
        "creationInfo": {
            "created": "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*DATE),
            "creators": ["Tool: tools/dist.py"],
            "comment": "The date is fixed, as those of the zip are."},
        "packages": [package("winsock-models", version(), "MIT"),
                     *(package(*part) for part in linked)],
        "hasExtractedLicensingInfos": [{
            "licenseId": "LicenseRef-public-domain",
            "extractedText": "Most of MinGW-w64's run-time is in the public "
                             "domain; see its COPYING.MinGW-w64-runtime.txt."}],
        "files": [{
            "SPDXID": f"SPDXRef-{identity(file)}", "fileName": f"./{file}",
            "checksums": [{"algorithm": kind, "checksumValue": digest}
                          for kind, digest in digests.items()],
            "licenseConcluded": "NOASSERTION",
            "licenseInfoInFiles": ["NOASSERTION"],
            "copyrightText": "NOASSERTION"}
            for file, digests in sums.items()],
        "relationships": [
            related("DOCUMENT", "DESCRIBES", "winsock-models"),
            *(related("winsock-models", "CONTAINS", identity(file))
              for file in sums),
            *(related(identity(file), "STATIC_LINK", part[0])
              for file in sums if file.endswith(".exe") for part in linked)],
    }


def main():
    folder, *words = sys.argv[1:]
    libraries = [word for word in words if word.endswith(".a")]
    programs = [word for word in words if word not in libraries]
    if not programs:
        sys.exit("usage: dist.py FOLDER PROGRAM... LIBRARY.a...")
    name = f"winsock-models-{version()}"
    files = {f"{program}.exe": (ROOT / folder / f"{program}.exe").read_bytes()
             for program in programs}
    for library in libraries:
        place = "libwatch32.a" if "i686" in library else "libwatch.a"
        files[place] = (ROOT / library).read_bytes()
    files["sbom.spdx.json"] = json.dumps(
        sbom(name, files), indent=1).encode("ascii") + b"\n"
    for document in ("README.md", "LICENSE", "docs/watch.md"):
        files[Path(document).name] = (ROOT / document).read_bytes()
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
