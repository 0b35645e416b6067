#!/usr/bin/env python3
"""Each server runs on a Windows with nothing added: what it imports ships with
Windows. And a PLAIN=1 build has nothing of the tracing in it."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import BUILD, EXTRAS, MODELS, check, fail, finish, run  # noqa: E402

TOOLS = os.environ.get("CROSS", "x86_64-w64-mingw32-")
# The C library is msvcrt.dll or, with a newer MinGW-w64, the universal one.
ALWAYS = re.compile(r"KERNEL32\.dll|msvcrt\.dll|ucrtbase\.dll|WS2_32\.dll|"
                    r"api-ms-win-crt-[a-z]+-l\d-\d-\d\.dll", re.IGNORECASE)
WINDOW = re.compile(r"USER32\.dll|GDI32\.dll", re.IGNORECASE)
# The other programs, and what they need beside that: SHA-256, and the name of
# the processor. What is added here has to be a DLL that Windows always takes
# from its own folder (KnownDLLs in the registry). It takes any other from the
# program's folder first, where a download may have put a file of that name:
# so nothing imports winmm.dll or bcrypt.dll.
OTHERS = {**{name: [] for name in (*EXTRAS, "file_copy", "echo_client",
                                   "echo_load")},
          "contract": ["ADVAPI32.dll"], "compare": ["ADVAPI32.dll"]}
# What makes an attack harder: the program lies at another address each time,
# anywhere in 64 bits, and its data is never run as code.
GUARDS = ("DYNAMIC_BASE", "HIGH_ENTROPY_VA", "NX_COMPAT")


def imports(exe):
    listing = run([TOOLS + "objdump", "-p", exe])
    names = re.findall(r"^\s*DLL Name: (\S+)", listing, re.MULTILINE)
    if not names:
        fail(f"{exe.name}: objdump shows no import at all")
    return names


def strangers(exe, model):
    return [name for name in imports(exe) if not ALWAYS.fullmatch(name) and
            not (model == "asyncselect" and WINDOW.fullmatch(name))]


def unguarded(exe):
    listing = run([TOOLS + "objdump", "-p", exe])
    guards = [guard for guard in GUARDS
              if not re.search(rf"^\s*{guard}$", listing, re.MULTILINE)]
    # Without relocations it cannot lie anywhere else.
    return guards + (["relocations"] if "relocations stripped" in listing or
                     ".reloc" not in listing else [])


def trace_symbols(objects):
    listing = run([TOOLS + "nm", *objects])
    return sorted(set(re.findall(r" [A-Za-z] ((?:trace|watch|faults)_\w+)", listing)))


def model_objects(tree):
    found = [path for folder in (*MODELS, "common", "watch")
             for path in (tree / "obj" / folder).glob("*.o")]
    if len(found) < len(MODELS):
        fail(f"only {len(found)} object files in {tree}")
    return found


def main():
    for model in MODELS:
        with check(f"{model}.exe imports only what Windows has"):
            if bad := strangers(BUILD / "bin" / f"{model}.exe", model):
                fail("imports " + ", ".join(bad))
    for name, more in OTHERS.items():
        with check(f"{name}.exe imports only what Windows has"):
            known = {one.lower() for one in more}
            bad = [one for one in strangers(BUILD / "bin" / f"{name}.exe",
                                            name) if one.lower() not in known]
            if bad:
                fail("imports " + ", ".join(bad))
    for exe in [BUILD / "bin" / f"{name}.exe" for name in (*MODELS, *OTHERS)]:
        with check(f"{exe.name}: {', '.join(GUARDS)}"):
            if missing := unguarded(exe):
                fail("has no " + ", ".join(missing))
    with check("the import check is able to fail"):
        if not strangers(BUILD / "bin" / "asyncselect.exe", "select"):
            fail("asyncselect.exe would do as select.exe, windows and all")
    with check("PLAIN=1 builds, and has no trace symbol"):
        run(["make", "-f", "Makefile.mingw", "-s", "PLAIN=1", "servers"],
            timeout=600)
        if names := trace_symbols(model_objects(BUILD / "plain")):
            fail("has " + ", ".join(names))
    with check("the trace check is able to fail"):
        if not trace_symbols(model_objects(BUILD)):
            fail("no trace symbol in the traced build either")
    finish()


if __name__ == "__main__":
    sys.exit(main())
