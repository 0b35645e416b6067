#!/usr/bin/env python3
"""From an address of code to function, file and line (watch/places.h), for what
different compilers write.

calls.c, calls.h and calls.cpp have lines with here("NAME"). Each of them has to
be found as that line, in the function NAME. probe.exe asks while it runs, under
Wine. look.c asks about the bytes of a file, on this system: so programs of 32
bits are looked at, too, all calls are compared with what addr2line says, and
the sanitizers watch what happens with a file that is broken.
"""

import re
import shutil
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (BUILD, ROOT, WINE, check, expect, fail, finish,  # noqa: E402
                   run, skip)

HERE = Path(__file__).resolve().parent.relative_to(ROOT)
OUT = BUILD / "places"
LOOK = OUT / "look"
X64, X86 = "x86_64-w64-mingw32", "i686-w64-mingw32"
PRODUCT = ["watch/places.c", "watch/image.c", "common/map.c", "common/utf8.c"]
# Also without the C++ library: not every compiler here has one for Windows.
CPP = ["-fno-exceptions", "-fno-rtti"]
ROUNDS = 200000  # of broken files
LIMIT_S = 120

# The compiler, its options, the options for the linker. With -O2 the compiler
# makes copies and parts of functions, and leaves frame pointers out.
GCC, CLANG = ("gcc", "g++"), ("clang", "clang++")
WAYS = {
    "gcc -g": (X64, GCC, ["-g"], []),
    "gcc -g -O2": (X64, GCC, ["-g", "-O2"], []),
    "gcc -g1 -O2": (X64, GCC, ["-g1", "-O2"], []),
    "gcc -gdwarf-4 -O2": (X64, GCC, ["-gdwarf-4", "-O2"], []),
    "gcc -gdwarf-3": (X64, GCC, ["-gdwarf-3", "-gstrict-dwarf"], []),
    "gcc -gdwarf-2 -O2": (X64, GCC, ["-gdwarf-2", "-gstrict-dwarf", "-O2"], []),
    "gcc -g, every function in a section": (
        X64, GCC, ["-g", "-ffunction-sections"], ["-Wl,--gc-sections"]),
    "clang -g": (X64, CLANG, ["-g"], []),
    "clang -g -O2": (X64, CLANG, ["-g", "-O2"], []),
    "clang -gdwarf-4, with lld": (X64, CLANG, ["-gdwarf-4"], ["-fuse-ld=lld"]),
    "gcc -g, 32 bits": (X86, GCC, ["-g"], []),
    "gcc -gdwarf-4 -O2, 32 bits": (X86, GCC, ["-gdwarf-4", "-O2"], []),
}


def wanted(*names):
    """From the sources: {what stands in here("...")}: (file, line)."""
    found = {}
    for name in names:
        lines = (ROOT / HERE / name).read_text(encoding="ascii").splitlines()
        for at, line in enumerate(lines, 1):
            if match := re.search(r'^ +(?:here|leave)\("(.*)"\);', line):
                found[match[1]] = (f"{HERE}/{name}", at)
    return found


C_CALLS = wanted("calls.c", "calls.h")
ALL_CALLS = wanted("calls.c", "calls.h", "calls.cpp")


def needs(*tools):
    for tool in tools:
        if not shutil.which(tool):
            skip(f"{tool} is not installed")


# ---- building -----------------------------------------------------------------

def command(target, compiler):
    if compiler.startswith("clang"):
        needs(compiler, f"{target}-gcc")
        return [compiler, f"--target={target}"]
    needs(f"{target}-{compiler}")
    return [f"{target}-{compiler}"]


def frame(target):
    """What asks: the product and probe.c, without debug information."""
    objects = []
    for source in [*PRODUCT, HERE / "probe.c"]:
        objects.append(OUT / target / Path(source).with_suffix(".o").name)
        if not objects[-1].exists():
            objects[-1].parent.mkdir(exist_ok=True)
            run([*command(target, "gcc"), "-std=c11", "-O2", "-Wall", "-Wextra",
                 "-Werror", "-I.", "-DWITH_CALLS", "-c", source, "-o",
                 objects[-1]])
    return objects


def has_cpp(target, compilers=GCC):
    return bool(shutil.which(compilers[1] if compilers == CLANG else
                             f"{target}-{compilers[1]}"))


def build(name, target=X64, compilers=GCC, options=("-g",), link=()):
    """The program, and the calls in it: those in C++ too, if we can."""
    exe = OUT / (re.sub(r"\W+", "-", name) + ".exe")
    objects = [exe.with_suffix(".c.o")]
    cpp = has_cpp(target, compilers)
    run([*command(target, compilers[0]), *options, "-Wall", "-Werror",
         *(["-DWITH_CPP"] if cpp else []), "-c", HERE / "calls.c", "-o",
         objects[0]])
    if cpp:
        objects.append(exe.with_suffix(".cpp.o"))
        run([*command(target, compilers[1]), *options, *CPP, "-Wall", "-Werror",
             "-c", HERE / "calls.cpp", "-o", objects[1]])
    linker = command(target, "gcc")
    if "-fuse-ld=lld" in link:  # gcc for Windows knows no other linker
        needs("ld.lld")
        gcc = run([*linker, "-print-libgcc-file-name"]).strip()
        linker = [*command(target, "clang"), "-L", Path(gcc).parent]
    run([*linker, *objects, *frame(target), *link, "-o", exe])
    return exe, ALL_CALLS if cpp else C_CALLS


def build_dll(name, *options):
    dll = OUT / name
    run([*command(X64, "gcc"), *options, "-shared", HERE / "calls.c", "-o",
         dll])
    return dll


# ---- looking ------------------------------------------------------------------

def probe(exe, *dlls):
    """What it prints: {what is wanted: (function, file, line, text)}."""
    answers = {}
    for line in run([WINE, exe, *dlls]).splitlines():
        if line.count("|") == 5:
            name, function, file, number, text, bad = line.split("|")
            if bad:
                fail(f"asked twice: {line}")
            answers[name] = (function, file, int(number), text)
        elif not re.search(r" is at [0-9a-f]+$", line):
            fail(line)
    return answers


def judge(answers, calls):
    """All of them have to be right."""
    expect("the calls", sorted(answers), sorted(calls))
    wrong = []
    for name, (function, file, line, text) in answers.items():
        in_file, at = calls[name]
        plain = name.split("/")[0]
        # A header's folder is told as "tests/watch/places/." by some.
        told = file.replace("\\", "/").replace("/./", "/")
        if (function, line) != (plain, at) or not told.endswith(in_file) or \
                text != f"{Path(in_file).name}:{at} {plain}":
            wrong.append(f"{name} at {in_file}:{at}: {function!r} at "
                         f"{file!r}:{line}, {text!r}")
    if wrong:
        fail("\n".join(wrong))


def sections(exe):
    """Where it wants to lie, and {name: (place in the file, size)}."""
    listing = run([f"{X64}-objdump", "-h", exe])
    found = {match[1]: (int(match[3], 16), int(match[2], 16))
             for match in re.finditer(r"^ +\d+ (\S+) +(\w+) +\w+ +\w+ +(\w+)",
                                      listing, re.MULTILINE)}
    data = exe.read_bytes()
    at = struct.unpack_from("<I", data, 0x3c)[0] + 24
    wide = struct.unpack_from("<H", data, at)[0] == 0x20b
    base = struct.unpack_from("<Q" if wide else "<I", data,
                              at + (24 if wide else 28))[0]
    return base, found


def compare_with_addr2line(exe):
    """Every call in the program, also those of the C library."""
    base, _ = sections(exe)
    calls = [int(at, 16) for at in re.findall(
        r"^ +([0-9a-f]+):\t.*\tcall ", run([f"{X64}-objdump", "-d", exe]),
        re.MULTILINE)]
    ours = run([LOOK, exe], input="\n".join(f"{at - base:x}" for at in calls))
    theirs = run([f"{X64}-addr2line", "-e", exe],
                 input="\n".join(f"{at:x}" for at in calls))
    same, wrong = 0, []
    for at, our, their in zip(calls, ours.splitlines(), theirs.splitlines(),
                              strict=True):
        function, file, line = our.split("|")
        match = re.fullmatch(r"(.*):(\d+|\?)(?: \(discriminator \d+\))?", their)
        # Without a line it offers some file.
        their_line = match[2].replace("?", "0")
        # And for code of a header it may name the file that includes it
        # (binutils 2.40, DWARF 5). judge() knows those of ours.
        if line != their_line or line != "0" and not file.endswith(".h") and \
                Path(file).name != Path(match[1]).name:
            wrong.append(f"{at:x}: {our!r}, addr2line {their!r}")
        same += line != "0"
    if wrong:
        fail(f"{len(wrong)} of {len(calls)}:\n" + "\n".join(wrong[:10]))
    if same < 50:
        fail(f"only {same} of {len(calls)} calls have a line")
    return {(our.split("|")[0], int(our.split("|")[2]))
            for our in ours.splitlines()}


def check_way(name, target, compilers, options, link):
    with check(f"places: {name}"):
        exe, calls = build(name, target, compilers, options, link)
        found = compare_with_addr2line(exe)
        if target == X64:
            judge(probe(exe), calls)
        # Wine has no 32 bits everywhere, so that one is not run.
        if missing := [(call, line) for call, (_, line) in calls.items()
                       if (call.split("/")[0], line) not in found]:
            fail(f"not found in the file: {missing}")


# ---- special files ------------------------------------------------------------

def expect_nothing(answers, with_function):
    """No file, no line, but the place in the module; maybe a function."""
    offsets = {}
    for name, (function, file, line, text) in answers.items():
        plain = name.split("/")[0]
        expect(name, (function, file, line),
               (plain if with_function else "", "", 0))
        match = re.fullmatch(r"[\w-]+\.(?:exe|dll)\+0x([0-9a-f]+)( .*)?", text)
        if not match or (match[2] or "") != (f" {plain}" if with_function
                                             else ""):
            fail(f"{name}: {text!r}")
        offsets[name] = int(match[1], 16)
    expect("the calls", len(offsets), len(answers))
    return offsets


def stripped(how, with_function):
    exe, calls = build("whole")
    bare = OUT / f"stripped{how}.exe"
    run([f"{X64}-strip", how, exe, "-o", bare])
    offsets = expect_nothing(probe(bare), with_function)
    expect("the calls", sorted(offsets), sorted(calls))
    # The code is the same, so the offsets lead to the lines in the whole one.
    lines = run([LOOK, exe], input="\n".join(f"{at:x}"
                                            for at in offsets.values()))
    expect("the lines", [int(line.split("|")[2])
                         for line in lines.splitlines()],
           [calls[name][1] for name in offsets])


def broken_lines():
    exe, _ = build("broken")
    data = bytearray(exe.read_bytes())
    at, size = sections(exe)[1][".debug_line"]
    data[at:at + size] = b"\xff" * size
    exe.write_bytes(data)
    expect_nothing(probe(exe), with_function=True)


def two_dlls():
    """Both want to lie at the same address, so one does not."""
    exe, first = build("host")[0], build_dll("first.dll", "-g", "-O2")
    second = OUT / "second.dll"
    shutil.copy(first, second)
    for dll in (first, second):
        judge(probe(exe, dll), C_CALLS)
    both = run([WINE, exe, first, second])
    places = [int(at, 16) for at in re.findall(r" is at ([0-9a-f]+)$", both,
                                               re.MULTILINE)]
    if places[0] == places[1] or sections(first)[0] not in places:
        fail(f"they are at {places}")
    lines = [line for line in both.splitlines() if "|" in line]
    expect("what is said of the second one", lines[len(lines) // 2:],
           lines[:len(lines) // 2])


def another_file():
    """A new build in place of the program that runs: its lines are others."""
    exe, old = build("host")[0], build_dll("old.dll", "-g")
    new = build_dll("new.dll", "-g", "-O2")
    expect_nothing(probe(exe, f"{old}={new}"), with_function=False)


def pdb():
    needs("clang", "lld-link")
    exe, _ = build("host")
    run(["clang", "--target=x86_64-pc-windows-msvc", "-g", "-gcodeview", "-O1",
         "-c", HERE / "calls.c", "-o", OUT / "pdb.obj"])
    run(["lld-link", "/dll", "/noentry", "/debug", OUT / "pdb.obj",
         f"/out:{OUT}/pdb.dll", f"/pdb:{OUT}/pdb.pdb"])
    judge(probe(exe, OUT / "pdb.dll"), C_CALLS)
    # Its code lies where that of pdb.dll does.
    old = build_dll("older.dll", "-g", "-nostdlib", "-Wl,-e,0")
    expect_nothing(probe(exe, f"{old}={OUT}/pdb.dll"), with_function=False)
    (OUT / "pdb.pdb").rename(OUT / "away.pdb")
    # Now the nearest thing is what the DLL exports.
    expect_nothing(probe(exe, OUT / "pdb.dll"), with_function=False)


def broken_files(version, seed):
    """Only calls.c is in this one, so that a break often hits what matters."""
    dll = build_dll(f"broken{version}.dll", f"-gdwarf-{version}", "-nostdlib",
                    "-Wl,-e,0")
    at, size = sections(dll)[1][".debug_line"]
    said = run([LOOK, dll, ROUNDS, seed, at, size], timeout=LIMIT_S)
    lines, functions = map(int, re.findall(r"\d+", said))
    if lines < ROUNDS / 20 or functions < ROUNDS / 20:
        fail(f"hardly anything was found: {said}")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with check("places: look builds, with the sanitizers"):
        run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-O1",
             "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I.",
             HERE / "look.c", "watch/image.c", "-o", LOOK])
    for target in (X64, X86):
        if not has_cpp(target):
            with check(f"places: C++ for {target}"):
                skip(f"{target}-g++ is not installed, so only C is looked at")
    for name, way in WAYS.items():
        check_way(name, *way)
    with check("places: no debug information, only symbols"):
        stripped("--strip-debug", with_function=True)
    with check("places: only symbols, and not those of static functions"):
        stripped("--discard-all", with_function=False)
    with check("places: neither debug information nor symbols"):
        stripped("--strip-all", with_function=False)
    with check("places: a broken table of lines"):
        broken_lines()
    with check("places: two DLLs, one of them moved"):
        two_dlls()
    with check("places: another file has taken the place of the DLL"):
        another_file()
    with check("places: lines and functions in a .pdb file"):
        pdb()
    for version, seed in ((2, 1), (5, 2)):
        with check(f"places: {ROUNDS} broken files, DWARF {version}"):
            broken_files(version, seed)
    finish()


if __name__ == "__main__":
    main()
