#!/usr/bin/env python3
"""The pages cannot drift from the code.

    docs.py            check them
    docs.py --update   write what the experiments print into the pages

- Every link leads somewhere, to the heading too.
- Every `file.c:function` is there.
- Every command in a fenced block is one that works: the program exists and
  knows its options, make knows its target.
- A command for Windows stands there for bash too, which does not understand
  its backslashes.
- A block between `<!-- run: build\\experiments\\x.exe -->` and `<!-- end -->`
  shows what that program prints. (Blocks with other names after "run:" are
  tests/servers/trace/trace.py's.)
- The figures of docs/comparison.md are those of docs/comparison.json, and so
  are those of docs/soak.md and docs/soak.json, and of pool's page; those of
  docs/scale.md and its chart follow from comparison.json.
- The pages of the six models have the same headings.
- The README shows the real cases and points of the contract suite. (The test
  tests/programs/compare.py compares its output of the demo with a real one.)
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (BUILD, MODELS, ROOT, WINE, Failed, check, fail, finish, run,  # noqa: E402
                   tree)

UPDATE = "--update" in sys.argv[1:]
FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
RUN = re.compile(r"(<!-- run: build\\(\w+)\\(\w+)\.exe(.*?) -->\n```\n)(.*?)"
                 r"(```\n<!-- end -->)", re.DOTALL)


def pages(root=ROOT):
    return tree("*.md", root)


def named(page):
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page


def prose(text):
    """Without the fenced blocks, where a bracket is just a bracket."""
    return FENCE.sub("", text)


# ---- links -----------------------------------------------------------------

def anchors(path):
    """As GitHub makes them: lower case, blanks to dashes, no punctuation."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(path.read_text(
            encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        number = 1
        while slug in found:
            slug = f"{slug}-{number}"
            number += 1
        found.add(slug)
    return found


def bad_links(page):
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)",
                             prose(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = page.parent / name if name else page
        if not place.exists():
            yield f"{named(page)}: no file {target}"
        elif anchor and (place.suffix != ".md" or
                         anchor not in anchors(place)):
            yield f"{named(page)}: no heading {target}"


# ---- names from the code ---------------------------------------------------

def files_named(name):
    """A file of extras/linux/common, which is named as one of common/, is said
    with its folder: linux/common/net.c."""
    return [path for path in tree(name.split("/")[-1])
            if str(path).endswith("/" + name) and
            ("linux/common" in name or "linux/common/" not in str(path))]


def defines(path, name):
    """A function, macro, type or constant of that name."""
    return re.search(rf"^\w[^;={{}}()]*\b{name}\(|^#define {name}\b|"
                     rf"\b(?:struct|enum) {name}\b|^    {name}\b.*[,=]|"
                     rf"^\s*\w.*\b{name}(?: =|;|\[|\))",
                     path.read_text(encoding="utf-8"), re.MULTILINE)


def bad_references(page):
    text = page.read_text(encoding="utf-8")
    for name, symbol in re.findall(r"`([\w/]+\.(?:c|h|py|sh)):(\w+)`", text):
        found = files_named(name)
        if len(found) != 1:
            yield f"{named(page)}: {len(found)} files {name}"
        elif not defines(found[0], symbol):
            yield f"{named(page)}: no {symbol} in {name}"
    for name, line in re.findall(r"\b(\w+\.c):(\d+)\b", prose(text)):
        if not files_named(name):
            continue  # an example of a message
        yield f"{named(page)}: {name}:{line} will drift: name the function"


# ---- commands --------------------------------------------------------------

HELP = {}


def help_of(program):
    """What it says it understands; of one without --help, all it contains."""
    if program not in HELP:
        exe = next((BUILD / folder / f"{program}.exe" for folder in
                    ("bin", "tests", "experiments")
                    if (BUILD / folder / f"{program}.exe").exists()), None)
        HELP[program] = None if exe is None else run(
            [WINE, exe, "--help"], status=None) or " "
    return HELP[program]


def bad_command(line):
    """Why that line would not work, or None."""
    if match := re.match(r"(?:mingw32-)?make -f Makefile\.mingw ?(.*)$", line):
        # Comments go; A=select is a setting.
        words = shlex.split(match[1], comments=True)
        done = subprocess.run(["make", "-n", "-f", "Makefile.mingw", *words],
                              cwd=ROOT, capture_output=True, text=True,
                              check=False)
        return None if done.returncode == 0 else done.stderr.strip()
    if match := re.search(r"\bbuild[\\/]\w+[\\/](\w+)\.exe\b(.*)$", line):
        said = help_of(match[1])
        if said is None:
            return f"no program {match[1]}"
        rest = re.split(r" [|<>&#]|\"", match[2])[0]
        rest = re.sub(r" --arg \S+", " --arg", rest)  # another program's
        for option in re.findall(r"(?<= )--?[a-z][\w-]*", rest):
            if not re.search(rf"(?<![\w-]){option}(?![\w-])", said):
                return f"{match[1]} knows no {option}"
        return None
    if match := re.match(r"(?:python3 )?((?:tools|tests)/[\w/]+\.(?:py|sh))\b",
                         line):
        return None if (ROOT / match[1]).exists() else f"no {match[1]}"
    return None


def bad_commands(page):
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if why := bad_command(line.removeprefix("$ ").strip()):
                yield f"{named(page)}: {line.strip()}: {why}"


def bad_twins(page):
    lines = [line.strip() for block in
             FENCE.findall(page.read_text(encoding="utf-8"))
             for line in block.splitlines()]
    for line in lines:
        twin = "tools/wine.sh " + line.replace("\\", "/")
        if line.startswith("build\\") and twin not in lines:
            yield f"{named(page)}: {line}: there is no line {twin}"


def bad_tools(page):
    """Our own tools and their options, in text and in commands."""
    for tool, options in re.findall(r"\b(tools/\w+\.py)((?: --[a-z-]+)*)",
                                    page.read_text(encoding="utf-8")):
        if not (ROOT / tool).exists():
            yield f"{named(page)}: there is no {tool}"
            continue
        if tool not in HELP:  # __doc__ has its usage; and can it begin?
            HELP[tool] = run([sys.executable, "-c", "import sys; "
                              "sys.path[0] = 'tools'; import "
                              f"{Path(tool).stem} as tool; print(tool.__doc__)"])
        for option in options.split():
            if not re.search(rf"(?<![\w-]){option}(?![\w-])", HELP[tool]):
                yield f"{named(page)}: {tool} knows no {option}"


# ---- what programs print ---------------------------------------------------

def printed(folder, program, arguments):
    exe = BUILD / folder / f"{program}.exe"
    if not exe.exists():
        fail(f"{exe} is not there")
    return run([WINE, exe, *arguments.split()]).replace("\r", "")


def run_blocks(page):
    text = page.read_text(encoding="utf-8")

    def run_one(match):
        told = printed(match[2], match[3], match[4])
        if told != match[5] and not UPDATE:
            fail(f"{named(page)}: {match[3]} prints\n{told}and the page says\n"
                 f"{match[5]}(where it is meant: tests/static/docs.py --update)")
        return match[1] + told + match[6]
    new = RUN.sub(run_one, text)
    if new != text:
        page.write_text(new, encoding="utf-8")


def every_experiment_is_told(found):
    texts = "".join(page.read_text(encoding="utf-8") for page in found)
    shown = {match[3] for match in RUN.finditer(texts)}
    there = {path.stem for path in (ROOT / "course" / "experiments").glob("*.c")}
    if missing := there - shown - {"lab", "lab_window"}:
        fail(f"no page shows {sorted(missing)}")


def siblings(texts):
    """The headings of each page, compared with those of the first page."""
    (first, wanted), *others = [
        (name, re.findall(r"^##+ .*$", prose(text), re.MULTILINE))
        for name, text in texts.items()]
    if len(wanted) < 10:
        fail(f"{first} has only {len(wanted)} headings")
    for name, told in others:
        if told != wanted:
            fail(f"{name} has other headings than {first}: " +
                 ", ".join(sorted(set(told) ^ set(wanted)) or ["the order"]))


# ---- the README's pieces of output ------------------------------------------

def readme_shows_the_suite():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(E(\d+)\.\d+) +(\d+)  (.*)$", run(
        [WINE, BUILD / "bin" / "contract.exe", "--list"]).replace("\r", ""),
        re.MULTILINE)
    sums = {}
    for case, group, points, _ in listed:
        if case == "E8.6":
            continue  # Ctrl+Break: Wine cannot press it
        sums[group] = sums.get(group, 0) + int(points)
    wanted = " ".join(f"E{group} {n}/{n}" for group, n in sums.items())
    if f"points: {wanted}, all {(n := sum(sums.values()))}/{n}" not in text:
        fail(f"README.md: the points are {wanted}, all {n}")
    titles = {case: title for case, _, _, title in listed}
    shown = re.findall(r"^  ok    (E\S+) +(.*?) +\d+ ms$", text, re.MULTILINE)
    if not shown:
        fail("README.md shows no case")
    for case, title in shown:
        if titles.get(case) != title:
            fail(f"README.md: {case} is {titles.get(case)!r}, not {title!r}")


# ---- all of it -------------------------------------------------------------

RULES = {"links": bad_links, "names from the code": bad_references,
         "commands": bad_commands, "commands for bash": bad_twins,
         "tools": bad_tools}
# A page that breaks each rule.
WRONG = {"links": "[a](nowhere.md)", "names from the code":
         "`select.c:no_such_function`", "commands":
         "```\nbuild\\bin\\select.exe --no-such-option\n```",
         "commands for bash": "```\nbuild\\bin\\select.exe\n"
         "tools/wine.sh build/bin/iocp.exe\n```",
         "tools": "`tools/trace_cost.py --no-such-option`"}


def rules_can_fail():
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "page.md"
        for rule, text in WRONG.items():
            page.write_text(text + "\n", encoding="ascii")
            if not list(RULES[rule](page)):
                fail(f"{rule}: {text} passes")
        text = "".join(f"## {n}\n" for n in range(12))
        try:
            siblings({"a": text, "b": text.replace("3", "x")})
        except Failed:
            pass
        else:
            fail("another heading passes")
        page.write_text("<!-- run: build\\experiments\\select_empty.exe -->\n"
                        "```\nnonsense\n```\n<!-- end -->\n",
                        encoding="ascii")
        if not UPDATE:
            try:
                run_blocks(page)
            except Failed:
                return
            fail("what a program prints is not compared")


def main():
    found = pages()
    for rule, complaints in RULES.items():
        with check(f"docs: {rule}"):
            if bad := [text for page in found for text in complaints(page)]:
                fail("\n".join(bad))
    for page in found:
        if RUN.search(page.read_text(encoding="utf-8")):
            with check(f"docs: {page.relative_to(ROOT)}: programs print what "
                       "it shows"):
                run_blocks(page)
    with check("docs: the README shows the contract suite as it is"):
        readme_shows_the_suite()
    with check("docs: the pages of the six have the same headings"):
        siblings({model: (ROOT / model / "README.md").read_text(
            encoding="utf-8") for model in MODELS})
    with check("docs: each experiment is on a page"):
        every_experiment_is_told(found)
    for page in ("comparison", "soak"):
        with check(f"docs: {page}.md has the figures of {page}.json"):
            run([ROOT / "tools" / f"{page}.py", "--check"])
    with check("docs: extras/iocp_tuned has the figures of its figures.json"):
        run([ROOT / "tools" / "speed.py", "--check"])
    with check("docs: scale.md and scale.svg follow from comparison.json"):
        run([ROOT / "tools" / "scale.py", "--check"])
    with check("docs: pool's page and chart have the figures of threads.json"):
        run([ROOT / "tools" / "thread_count.py", "--check"])
    with check("docs: every rule is able to fail"):
        rules_can_fail()
    finish()


if __name__ == "__main__":
    main()
