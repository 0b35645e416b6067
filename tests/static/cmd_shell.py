#!/usr/bin/env python3
"""The half of Makefile.mingw that is for cmd.exe: what make would say there is
taken from `make -n`, and every command on files in it is run by Wine's cmd, in
a copy of the tree, to see that it does what it should."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import EXTRAS, MODELS, PARTIAL, ROOT, WINE, Failed, check, fail, finish, run  # noqa: E402

WINDOWS = ["OS=Windows_NT", "SHELL_KIND=cmd"]
# The first words that cmd.exe, or a program of the toolchain, understands.
BUILTINS = {"mkdir", "if", "cd"}
TOOLS = {"gcc", "ar", "ld", "objcopy", "windres", "fc"}


def make(folder, *arguments):
    done = subprocess.run(["make", "-n", "-f", "Makefile.mingw", *WINDOWS,
                           *arguments], cwd=folder, capture_output=True,
                          text=True)
    if done.returncode != 0:
        fail(f"make {arguments}: {done.stderr}")
    return [line for line in done.stdout.splitlines() if line]


def cmd(folder, lines):
    """Run the lines by one cmd.exe, up to the first that fails."""
    batch = folder / "lines.bat"
    # `line || ...` would be wrong: Wine 8 runs the second part after a
    # success, too.
    batch.write_text("@echo off\n" + "".join(
        f"{line}\nif errorlevel 1 (echo failed: {line}& exit /b 1)\n"
        for line in lines), newline="\r\n")
    done = subprocess.run([str(WINE), "cmd", "/c", "lines.bat"], cwd=folder,
                          capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    batch.unlink()
    if done.returncode != 0 or done.stderr:
        fail(f"cmd.exe: exit status {done.returncode}\n{done.stdout}"
             f"{done.stderr}")
    return done.stdout


def words_are_known(lines):
    for line in lines:
        word = line.split()[0]
        if word not in BUILTINS | TOOLS and not word.startswith("build\\"):
            fail(f"cmd.exe does not know {word!r}: {line}")
        for stranger in ("mkdir -p", "rm -", "/dev/null", "|| true", "./"):
            if stranger in line:
                fail(f"{stranger!r} is for a Unix shell: {line}")


def stops_at_a_failure(folder):
    """If a line fails, the program that runs the lines must notice it."""
    cmd(folder, ["mkdir made\\twice"])
    try:
        cmd(folder, ["mkdir made\\twice", "echo not reached"])
    except Failed as told:
        if "failed: mkdir" not in str(told) or "not reached" in str(told):
            fail(f"told {told}")
    else:
        fail("a folder was made twice, and nobody minded")


def builds(folder):
    lines = make(folder, "all")
    words_are_known(lines)
    made = [line for line in lines if line.split()[0] in BUILTINS]
    if len(made) < 5:
        fail(f"few commands on files: {made}")
    cmd(folder, made)
    # Every file that a compiler would write now has its folder.
    outputs = [line.split(" -o ")[1].split()[0] for line in lines
               if line.startswith("gcc ")]
    outputs += [line.split()[2] for line in lines if line.startswith("ar ")]
    if len(outputs) < len(MODELS):
        fail(f"few compilations: {outputs}")
    for output in outputs:
        parent = (folder / output).parent
        if not parent.is_dir():
            fail(f"{output}: no folder for it")
        (folder / output).write_text("stands for a program\n")
    # With the folders there, make does not ask for them again.
    again = [line for line in make(folder, "all")
             if line.split()[0] in BUILTINS]
    if again:
        fail(f"would be done twice: {again}")


def cleans(folder):
    lines = make(folder, "clean")
    words_are_known(lines)
    cmd(folder, lines * 2)  # the second time there is nothing to remove
    if (folder / "build").exists():
        fail("build is still there")


def runs(folder):
    lines = make(folder, "demo", "test")
    words_are_known(lines)
    started = " ".join(line for line in lines if line.startswith("build\\"))
    for program in ("bin\\compare.exe", "bin\\contract.exe", "tests\\unit.exe",
                    *(f"--exe build\\bin\\{m}.exe" for m in
                      (*MODELS, *EXTRAS) if m not in PARTIAL),
                    "--exe build\\tests\\broken.exe --prove"):
        if program not in started:
            fail(f"{program} is not run: {started}")


def tells_shells_apart(folder):
    """The Makefile's own question: does echo keep the quotes?"""
    if '"' not in cmd(folder, ['echo ""']):
        fail("cmd.exe's echo takes the quotes off")
    for shell in ("sh", "bash"):
        if '"' in run([shell, "-c", 'echo ""']):
            fail(f"{shell}'s echo keeps the quotes")
    if "mkdir -p build" not in run(
            ["make", "-n", "-f", "Makefile.mingw", "OS=Windows_NT", "-B",
             "-C", folder, "all"]):
        fail("with sh on the path, Windows too needs mkdir -p")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tree"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(
            "build", ".git", "__pycache__"))
        with check("cmd.exe: told from a Unix shell by its echo"):
            tells_shells_apart(folder)
        with check("cmd.exe: a command that fails is noticed"):
            stops_at_a_failure(folder)
        with check("cmd.exe: all makes its folders"):
            builds(folder)
        with check("cmd.exe: clean removes them, and may be said twice"):
            cleans(folder)
        with check("cmd.exe: demo and test start the programs"):
            runs(folder)
        with check("cmd.exe: diff compares two models"):
            words_are_known(make(folder, "diff", "A=select", "B=iocp"))
    finish()


if __name__ == "__main__":
    main()
