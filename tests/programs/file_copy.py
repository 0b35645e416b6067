#!/usr/bin/env python3
"""Tests of file_copy.exe: what it copies, and that nothing is lost when it
cannot.

    tests/programs/file_copy.py [WORD...]    only cases with one of the words
    tests/programs/file_copy.py big          4 GiB, which takes a minute or more;
                                             only when asked for
"""

import contextlib
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import suite  # noqa: E402
from suite import (BUILD, ROOT, WINE, expect, expect_match,  # noqa: E402
                   fail, run, small_disk)
from terminal import Terminal, plain  # noqa: E402

EXE = BUILD / "bin" / "file_copy.exe"
FOLDER = BUILD / "file_copy"
LONG_S = 300  # a guard against hanging
OLD = b"the file that was there before"
WAYS = [[], ["--unbuffered"], ["--block", "1", "--in-flight", "1"],
        ["--unbuffered", "--block", "1", "--in-flight", "64", "--verify"],
        ["--block", "1000", "--in-flight", "3", "--verify"]]


def fresh(name="case"):
    """An empty folder. Nobody else uses it."""
    folder = FOLDER / name
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir(parents=True)
    return folder


def filled(path, size, seed=1):
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def copy(*words, code=0, exe=EXE, **how):
    """Run it. Returns its standard output and standard error."""
    done = subprocess.run([WINE, exe, *map(str, words)],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=LONG_S, check=False, **how)
    out, err = (text.decode("utf-8", errors="replace").replace("\r", "")
                for text in (done.stdout, done.stderr))
    if done.returncode != code:
        fail(f"{words}: exit code {done.returncode}, not {code}\n{out}{err}")
    return out, err


def refused(folder, pattern, *words, code=1, **how):
    """It says why, on one line, and all files are as they were."""
    before = contents(folder)
    out, err = copy(*words, code=code, cwd=folder, **how)
    expect("its output", out, "")
    expect_match("its error", err, rf"^file_copy: [^\n]*{pattern}[^\n]*\n\Z")
    expect("the files", contents(folder), before)


def contents(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes()
            for path in folder.rglob("*")}


# ---- what it copies -----------------------------------------------------------

def case_sizes_around_a_block_and_a_sector():
    folder = fresh()
    sizes = (0, 1, 511, 512, 513, 4096, 65535, 65536, 65537, 1_024_000,
             8 * 65536 + 1, 3_000_001)
    for number, size in enumerate(sizes):
        source = filled(folder / "source", size, seed=size)
        for words in (WAYS[number % 5], WAYS[(number + 2) % 5]):
            out, err = copy(*words, source, folder / "target")
            expect_match(f"{size} bytes {words}", out, f"^{size} bytes copied")
            expect("its errors", err, "")
            if (folder / "target").read_bytes() != source.read_bytes():
                fail(f"{size} bytes {words}: other bytes")
    expect("the files", sorted(os.listdir(folder)), ["source", "target"])


def case_an_old_file_is_replaced_and_the_time_stays():
    folder = fresh()
    source = filled(folder / "source", 100_000)
    os.utime(source, (1_000_000_000, 1_000_000_000))
    (folder / "target").write_bytes(OLD * 10_000)
    copy(source, folder / "target")
    expect("its bytes", (folder / "target").read_bytes(), source.read_bytes())
    expect("its time", int((folder / "target").stat().st_mtime), 1_000_000_000)


def case_a_source_that_may_only_be_read():
    folder = fresh()
    source = filled(folder / "source", 70_000)
    source.chmod(0o444)
    copy("--unbuffered", "--verify", source, folder / "target")
    expect("its bytes", (folder / "target").read_bytes(), source.read_bytes())


def case_names_with_any_letters_and_long_ones():
    folder = fresh("\u8bfe\u7a0b & caf\xe9's")
    source = filled(folder / ("\u8bfe" * 80), 100_001)
    deep = folder / ("x" * 120) / ("y" * 120) / ("\u7a0b" * 60)
    deep.mkdir(parents=True)
    target = deep / ("z" * 250)
    copy("--verify", source, target)
    expect("its bytes", target.read_bytes(), source.read_bytes())
    copy(target, folder / "back")
    expect("back", (folder / "back").read_bytes(), source.read_bytes())


def case_big_more_than_four_gibibytes():
    folder = fresh("big")
    source = folder / "source"
    try:
        with source.open("wb") as file:
            for place in (0, 2**31 + 5, 2**32 - 3, 2**32 + 70_000):
                file.seek(place)
                file.write(b"here")
        size = source.stat().st_size
        out, _ = copy("--block", "4096", "--verify", source, folder / "target")
        expect_match("its output", out, f"^{size} bytes copied, and every byte")
        run(["cmp", source, folder / "target"], timeout=LONG_S)
    finally:
        fresh("big")


# ---- what it refuses -----------------------------------------------------------

def case_the_same_file_under_any_name():
    folder = fresh()
    filled(folder / "source", 1000)
    os.link(folder / "source", folder / "hard")
    os.symlink("source", folder / "soft")
    for name in ("source", ".\\source", "hard", "soft", "..\\case\\source"):
        refused(folder, "are the same file", "source", name)
    refused(folder, "are the same file", "--measure", "source", "hard")


def case_what_is_no_file():
    folder = fresh()
    filled(folder / "source", 1000)
    (folder / "folder").mkdir()
    refused(folder, "'folder' is a folder", "folder", "target")
    refused(folder, "'folder' is a folder", "source", "folder")
    refused(folder, "CreateFileW 'missing': ERROR_FILE_NOT_FOUND", "missing",
            "target")
    refused(folder, "CreateFileW 'no\\\\target': ERROR_PATH_NOT_FOUND",
            "source", "no\\target")
    refused(folder, "'NUL' is no file on a disk", "NUL", "target")
    refused(folder, "'NUL'", "source", "NUL")


def case_no_rights():
    folder = fresh()
    filled(folder / "source", 1000)
    (folder / "target").write_bytes(OLD)
    (folder / "target").chmod(0o444)
    refused(folder, "'target' may only be read", "source", "target")
    (folder / "target").chmod(0o644)
    if os.getuid() == 0:
        return  # root may write and read everywhere
    (folder / "source").chmod(0)
    refused(folder, "ERROR_ACCESS_DENIED", "source", "target")


def case_command_lines_that_are_wrong():
    folder = fresh()
    filled(folder / "source", 1000)
    for pattern, *words in (("it takes two names",),
                            ("it takes two names", "source"),
                            ("unexpected 'c'", "source", "b", "c"),
                            ("'s\\*' has a wildcard", "s*", "target"),
                            ("'t\\?' has a wildcard", "source", "t?"),
                            ("a name is empty", "", "target"),
                            ("--block takes", "--block", "0", "source", "t"),
                            ("--block takes", "--block", "16385", "a", "b"),
                            ("--in-flight takes", "--in-flight", "65", "a", "b"),
                            ("unknown option", "--nonsense", "a", "b")):
        refused(folder, pattern + ".*--help lists", *words, code=2)
    expect_match("--help", copy("--help")[0], "usage: file_copy")


# ---- when it fails on the way ----------------------------------------------------

def case_a_full_disk():
    folder = fresh()
    filled(folder / "source", 3_000_000)
    (folder / "disk").mkdir()
    with small_disk(folder / "disk", "1m"):
        (folder / "disk" / "target").write_bytes(OLD)
        # The last of them writes all at once, and only a part of it fits.
        for words in (*WAYS, ["--block", "4000", "--in-flight", "1"]):
            refused(folder, r"'disk\\target': ERROR_DISK_FULL", *words,
                    "source", "disk\\target")


def case_ctrl_c_in_the_middle():
    folder = fresh()
    (folder / "target").write_bytes(OLD)
    with (folder / "source").open("wb") as file:
        file.truncate(2**30)  # sparse, and by blocks of 1 KiB it takes minutes
    with subprocess.Popen([WINE, EXE, "--block", "1", "--in-flight", "4",
                           "source", "target"], cwd=folder, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + LONG_S
        while not any(part.stat().st_blocks
                      for part in folder.glob("*.part")):
            if time.monotonic() > deadline or process.poll() is not None:
                fail("it has not begun")
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONG_S)
    expect("its exit code", process.returncode, 1)
    expect("its output", out, "")
    expect_match("its error", err, "^file_copy: stopped; 'target' is as it was")
    (folder / "source").unlink()
    expect("the files", contents(folder), {"target": OLD})


def planted(name, line, instead):
    """The program, with one line of its source replaced."""
    sources = ROOT / "extras" / "file_copy"
    folder = fresh("planted")
    found = 0
    for path in sources.glob("*.c"):
        text = path.read_text(encoding="ascii")
        found += text.count(line)
        (folder / path.name).write_text(text.replace(line, instead),
                                        encoding="ascii")
    if found != 1:
        fail(f"the source has this line {found} times: {line}")
    exe = folder / f"{name}.exe"
    compiler = shlex.split(os.environ.get("CC", "x86_64-w64-mingw32-gcc"))
    run([*compiler, "-std=c11", "-I.", "-static", *folder.glob("*.c"),
         BUILD / "obj" / "libshared.a", "-o", exe, "-lws2_32"])
    return exe


def case_verify_finds_a_byte():
    """A disk that keeps another byte than it was given."""
    wrong = planted("bad_disk",
                    "    memset(b->buf + b->len, 0, len - b->len);",
                    "    if (offset_of(b) == 65536)\n        b->buf[7] ^= 1;")
    folder = fresh()
    filled(folder / "source", 200_000)
    (folder / "target").write_bytes(OLD)
    refused(folder, "byte 65543 of the copy differs", "--verify", "source",
            "target", exe=wrong)
    copy("source", "target", cwd=folder, exe=wrong)  # without it, nobody knows


def case_an_operation_that_cannot_begin():
    """No packet comes for it, so the program may not wait for one."""
    wrong = planted("bad_write", "copy->target, b->buf, len, NULL",
                    "copy->port, b->buf, len, NULL")
    folder = fresh()
    filled(folder / "source", 1_000_000)
    (folder / "target").write_bytes(OLD)
    refused(folder, "WriteFile 'target': ", "source", "target", exe=wrong)


# ---- what it shows --------------------------------------------------------------

def case_progress_only_on_a_console():
    folder = fresh()
    filled(folder / "source", 3_000_001)
    for words, shown in (([], True), (["--quiet"], False)):
        with Terminal([WINE, EXE, *words, folder / "source",
                       folder / "target"]) as terminal:
            status = terminal.process.wait(LONG_S)
            with contextlib.suppress(suite.Failed):
                terminal.read_until("never said")
            expect("its exit code", status, 0)
            expect(f"progress with {words}",
                   "100 % of 3000001 bytes" in plain(terminal.text), shown)
    expect("its errors, which are a pipe",
           copy(folder / "source", folder / "target")[1], "")


def case_measure_leaves_the_target_alone():
    folder = fresh()
    filled(folder / "source", 2_000_000)
    (folder / "target").write_bytes(OLD)
    before = contents(folder)
    for words in ([], ["--unbuffered"]):
        out, err = copy("--measure", *words, "source", "target", cwd=folder)
        expect("its errors", err, "")
        expect_match("its output", out, r"^speed.*\na loop +1\.00 .*\n"
                     r"CopyFileExW +[\d.]+ .*\nthe port +[\d.]+ .*\n\Z")
        expect("the files", contents(folder), before)


if __name__ == "__main__":
    suite.run_cases("file_copy", globals(), sys.argv[1:] or ["-big"])
    suite.finish()
