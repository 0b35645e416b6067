#!/usr/bin/env python3
"""The six models are siblings: a diff between two shows the models and nothing
else. This keeps them so. Per family the same function names in the same order
and the same sections; in all six the same fact card, the same banners, and
equal text where a banner promises it. CONTRIBUTING.md says why.

    tests/static/shape.py           check the six, and that each rule can fail
    tests/static/shape.py --diffs   only print how far neighbours are apart
"""

import difflib
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from suite import (COMPLETION, EXTRAS, MODELS, READINESS, ROOT, Failed, check, fail,  # noqa: E402
                   finish)

LIFE = ["server_start", "server_wake", "server_stop"]
FAMILIES = {
    "readiness": (READINESS, ["server_run", "on_accept", "conn_set_state",
                              "on_readable", "on_writable", "conn_close",
                              *LIFE]),
    "completion": (COMPLETION, ["server_run", "on_accept", "conn_post_recv",
                                "conn_post_send", "on_recv", "on_sent",
                                "conn_close", *LIFE]),
}
# The twins on Linux, and the six that they are beside.
TWINS = {"epoll": "eventselect", "io_uring": "iocp"}
# The main thread accepts, other threads serve.
MAIN_ACCEPTS = ["eventselect", "overlapped_event", "overlapped_routine"]
CARD = ["tells us", "waits in", "moves bytes", "holds at most", "stops by",
        "diff with"]
BANNERS = ["1. types", "2. the loop", "3. accept", "4. echo", "5. close",
           "6. start and stop", "7. main (same in all six)"]
# All of one_client is one loop: to accept, to echo and to close are a few lines of
# it, and a section for each would make it longer than its lesson.
FEWER_BANNERS = {"one_client": ["1. types", "2. the loop",
                                "6. start and stop", BANNERS[-1]]}
# Lines of C that are its own, which includes and main() are not.
SHORT = {"one_client": 80}
SAME = "same in all six"
LONGEST = 60


class Model:
    """What the rules look at, taken from one model's file."""

    BANNER = re.compile(r"^/\* ---- (.+?) -+ \*/$")

    def __init__(self, name, text):
        self.name = name
        self.lines = text.splitlines()
        self.banners = []
        self.sections = {}
        self.head = []
        for line in self.lines:
            if match := self.BANNER.match(line):
                self.banners.append(match[1])
                self.sections[match[1]] = []
            elif self.banners:
                self.sections[self.banners[-1]].append(line)
            else:
                self.head.append(line)
        self.functions = list(functions(text))

    def names(self):
        return [name for name, _, _ in self.functions]

    def section_of(self, function):
        """The banner that a function stands under."""
        first = {name: line for name, line, _ in self.functions}[function]
        over = [match[1] for line in self.lines[:first]
                if (match := self.BANNER.match(line))]
        return over[-1] if over else "no banner"

    def card(self):
        """The keys of the fact card: the last block of the first comment."""
        comment = []
        for line in self.lines:
            comment.append(line)
            if line.endswith("*/"):
                break
        blocks = "\n".join(comment[:-1]).split("\n *\n")
        return [match[1].rstrip() for line in blocks[-1].splitlines()
                if (match := re.match(r" \*   (\S(?:\S| (?! ))*)", line))]

    def includes(self):
        return [match[1] for line in self.lines
                if (match := re.match(r'\s*#\s*include\s+(\S+)', line))]


def functions(text):
    """(name, first line, last line) of each function, in file order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.c"
        path.write_text(text, encoding="ascii")
        listing = subprocess.run(
            ["ctags", "-u", "-x", "--language-force=C", "--kinds-C=f",
             "--fields=+ne", "--_xformat=%N %n %{end}", str(path)],
            check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        name, first, last = line.split()
        yield name, int(first), int(last)


# ---- the rules: each yields a complaint per thing that is wrong -------------

def required_names(models):
    for family, (members, required) in FAMILIES.items():
        for member in members:
            for name in required:
                if name not in models[member].names():
                    yield f"{member}: no {name}(), which {family} needs"


def same_order(models):
    for members, _ in FAMILIES.values():
        common = set.intersection(*(set(models[m].names()) for m in members))
        orders = {m: [n for n in models[m].names() if n in common]
                  for m in members}
        first = members[0]
        for member in members[1:]:
            if orders[member] != orders[first]:
                yield (f"{member}: order {' '.join(orders[member])}\n"
                       f"{first}: order {' '.join(orders[first])}")


def same_sections(models):
    for members, _ in FAMILIES.values():
        common = set.intersection(*(set(models[m].names()) for m in members))
        for name in sorted(common):
            seen = {m: models[m].section_of(name) for m in members}
            if len(set(seen.values())) > 1:
                yield f"{name}() stands under different banners: {seen}"


def fact_cards(models):
    for name, model in models.items():
        if model.card() != CARD:
            yield f"{name}: fact card {model.card()}, not {CARD}"


def banners(models):
    for name, model in models.items():
        wanted = FEWER_BANNERS.get(name, BANNERS)
        if model.banners != wanted:
            yield f"{name}: banners {model.banners}, not {wanted}"


def equal_parts(models):
    first = models[MODELS[0]]
    for banner in BANNERS:
        if SAME not in banner:
            continue
        for name in list(models)[1:]:
            if models[name].sections.get(banner) != \
                    first.sections.get(banner):
                difference = "\n".join(difflib.unified_diff(
                    first.sections.get(banner, []),
                    models[name].sections.get(banner, []),
                    first.name, name, lineterm=""))
                yield f"{banner}:\n{difference}"


def same_accept(models):
    """How the main thread accepts is the same where it does nothing else; only
    how it waits when it is out of sockets is the model's own."""
    texts = {name: [line for line in function_text(
                 "\n".join(models[name].lines) + "\n",
                 "on_accept").splitlines() if "RETRY_MS" not in line]
             for name in MAIN_ACCEPTS}
    first = MAIN_ACCEPTS[0]
    for name in MAIN_ACCEPTS[1:]:
        if texts[name] != texts[first]:
            yield "\n".join(difflib.unified_diff(
                texts[first], texts[name], first, name, lineterm=""))


def trace_last(models):
    for name, model in models.items():
        if model.includes()[-1:] != ['"watch/watch.h"']:
            yield f"{name}: the last include is {model.includes()[-1:]}"


def traced_calls(text):
    """(name, arguments) of every call that watch.h follows."""
    rows = (ROOT / "watch" / "calls.h").read_text(encoding="ascii")
    names = re.findall(r"^CALL(?:_VOID|_NONE|_POINTER\(\w+, |)\(?(\w+)", rows,
                       re.MULTILINE)
    if not {"recv", "accept_ex", "WSACreateEvent"} <= set(names):
        fail(f"not the rows of calls.h: {names}")
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    for match in re.finditer(rf"\b({'|'.join(names)})\(", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield match[1], text[match.end():end - 1]


def no_effects(models):
    """The place of a call is noted before its arguments are computed, so no
    argument may call anything. Names in capitals are macros of Windows, which
    only compute."""
    for name, model in models.items():
        for call, arguments in traced_calls("\n".join(model.lines)):
            if re.search(r"\+\+|--|(?<![=!<>])=(?!=)", arguments) or \
                    re.search(r"\b(?!sizeof\b)[a-z]\w*\s*\(", arguments):
                yield f"{name}: {call}({arguments}) has an effect of its own"


def lengths(models):
    for name, model in models.items():
        for function, first, last in model.functions:
            if last - first + 1 > LONGEST:
                yield f"{name}: {function}() has {last - first + 1} lines"


def short_ones(models):
    for name, most in SHORT.items():
        own = "\n".join(line for banner in models[name].banners
                        if SAME not in banner
                        for line in models[name].sections[banner])
        own = re.sub(r"/\*.*?\*/", "", own, flags=re.DOTALL)
        count = sum(bool(line.strip()) for line in own.splitlines())
        if count >= most:
            yield f"{name}: {count} lines of C, not less than {most}"


RULES = {
    required_names: "each model has the functions of its family",
    same_order: "in a family, common names come in the same order",
    same_sections: "in a family, a name stands under the same banner",
    fact_cards: "the fact cards have the same keys",
    banners: "the banners are the same, in the same order",
    equal_parts: "what is the same in all six is the same in all six",
    same_accept: "where the main thread accepts, it accepts alike",
    trace_last: "watch.h is the last include",
    no_effects: "no argument of a traced call has an effect of its own",
    lengths: f"no function is longer than {LONGEST} lines",
    short_ones: "what is meant to be short is short",
}


def twins_alike(models, twins):
    """Another system, so other calls and another main(); else the same plan,
    under the same names."""
    for name, twin in twins.items():
        model = models[TWINS[name]]
        family = next(required for members, required in FAMILIES.values()
                      if model.name in members)
        common = [n for n in model.names() if n in twin.names()]
        if missing := set(family) - set(common):
            yield f"{name}: no {sorted(missing)}"
        order = [n for n in twin.names() if n in common]
        if order != common:
            yield f"{name}: order {order}\n{model.name}: order {common}"
        for function in common:
            if (under := twin.section_of(function)).split()[:2] != \
                    model.section_of(function).split()[:2]:
                yield f"{name}: {function}() stands under {under}"
        if twin.card() != CARD:
            yield f"{name}: fact card {twin.card()}, not {CARD}"
        if twin.banners[:-1] != BANNERS[:-1]:
            yield f"{name}: banners {twin.banners}"
        yield from lengths({name: twin})
    mains = [list(twin.sections.items())[-1] for twin in twins.values()]
    if mains[0] != mains[1]:
        yield "their main() is not the same in both"


# ---- proof that each rule can fail ------------------------------------------

def function_text(text, name):
    """A function's own lines: from its name to its closing brace."""
    first, last = {n: (a, b) for n, a, b in functions(text)}[name]
    return "".join(text.splitlines(keepends=True)[first - 1:last])


def moved(text, name, before):
    """`text` with one function moved up, in front of another."""
    part, place = function_text(text, name), function_text(text, before)
    return text.replace(part, "", 1).replace(place, part + place, 1)


PLANTED = [
    (required_names, "iocp", lambda t: re.sub(r"\bon_sent\b", "on_gone", t)),
    (required_names, "select", lambda t: re.sub(r"\bconn_set_state\b", "ask", t)),
    (same_order, "eventselect",
     lambda t: moved(t, "on_writable", "on_readable")),
    (same_sections, "overlapped_event",
     lambda t: t.replace("/* ---- 5. close", "/* ---- 5. closed", 1)),
    (fact_cards, "asyncselect",
     lambda t: t.replace(" *   stops by ", " *   ends by  ", 1)),
    (fact_cards, "iocp",
     lambda t: re.sub(r"^ \*   waits in .*\n", "", t, count=1,
                      flags=re.MULTILINE)),
    (banners, "overlapped_routine",
     lambda t: t.replace("---- 3. accept ", "---- 3. accepting ", 1)),
    (banners, "one_client",
     lambda t: t.replace("---- 2. the loop ", "---- 4. echo ", 1)),
    (equal_parts, "iocp",
     lambda t: t.rstrip("\n") + " /* and so on */\n"),
    (equal_parts, "blocking",
     lambda t: t.replace("    stop_end();\n", "", 1)),
    (same_accept, "overlapped_event",
     lambda t: t.replace("    net_no_inherit(sock);\n",
                         "    net_no_inherit(sock);\n    count++;\n", 1)),
    (trace_last, "select",
     lambda t: t.replace('#include "watch/watch.h"',
                         '#include "watch/watch.h"\n'
                         '#include <stdio.h>', 1)),
    (trace_last, "eventselect",
     lambda t: t.replace('#include "watch/watch.h"\n', "", 1)),
    (no_effects, "select",
     lambda t: t.replace("c->len - c->sent, 0)", "c->len - c->sent++, 0)")),
    (no_effects, "iocp",
     lambda t: t.replace("closesocket(sock);", "closesocket(next(sock));")),
    (no_effects, "eventselect",
     lambda t: t.replace("shutdown(c->sock, SD_SEND)",
                         "shutdown(c->sock, how = SD_SEND)")),
    (lengths, "select",
     lambda t: t.replace("int main(int argc, char **argv)\n{",
                         "int main(int argc, char **argv)\n{" + "\n" * 60,
                         1)),
    (short_ones, "one_client",
     lambda t: t.replace("static void server_stop", "int one;\n" * 9 +
                         "static void server_stop", 1)),
]


PLANTED_TWINS = [
    ("epoll", lambda t: re.sub(r"\bon_writable\b", "on_write", t)),
    ("epoll", lambda t: moved(t, "on_writable", "on_readable")),
    ("epoll", lambda t: t.replace(" *   stops by ", " *   ends by  ", 1)),
    ("io_uring", lambda t: t.replace("/* ---- 3. accept ", "/* ---- 3. ", 1)),
    ("io_uring", lambda t: moved(t, "on_sent", "on_recv")),
    ("io_uring", lambda t: t.replace("    stop_end();\n", "", 1)),
    ("io_uring", lambda t: t.replace(
        "int main(int argc, char **argv)\n{",
        "int main(int argc, char **argv)\n{" + "\n" * 60, 1)),
]


def self_test_twins(models, texts):
    for name, change in PLANTED_TWINS:
        changed = dict(texts, **{name: change(texts[name])})
        if changed == texts:
            fail(f"could not plant a fault in {name}.c")
        twins = {one: Model(one, text) for one, text in changed.items()}
        if not list(twins_alike(models, twins)):
            fail(f"a fault that was planted in {name}.c passes")


def self_test(texts):
    for rule, model, change in PLANTED:
        changed = change(texts[model])
        if changed == texts[model]:
            fail(f"could not plant a fault for {rule.__name__} in {model}.c")
        models = {name: Model(name, changed if name == model else text)
                  for name, text in texts.items()}
        if not list(rule(models)):
            fail(f"{rule.__name__} let a planted fault in {model}.c pass")
    missing = set(RULES) - {rule for rule, _, _ in PLANTED}
    if missing:
        fail(f"never seen to fail: {[rule.__name__ for rule in missing]}")


# ---- what is printed, not judged --------------------------------------------

def changed_lines(a, b):
    """Lines that diff -w would mark in two files."""
    squeezed = [[re.sub(r"\s+", "", line) for line in text.splitlines()]
                for text in (a, b)]
    return sum(line[:2] in ("+ ", "- ") for line in difflib.ndiff(*squeezed))


def print_sizes(texts, models):
    print("lines  longest  median  function lines of each file")
    for name, model in models.items():
        sizes = [last - first + 1 for _, first, last in model.functions]
        print(f"{len(model.lines):5}  {max(sizes):7}  "
              f"{statistics.median(sizes):6}  {name}.c")
    print("changed lines between neighbours")
    for a, b in zip(MODELS, MODELS[1:]):
        print(f"{changed_lines(texts[a], texts[b]):5}  {a} -> {b}")


def main():
    texts = {name: (ROOT / name / f"{name}.c").read_text(encoding="ascii")
             for name in MODELS}
    # These are not of the six, but follow the same plan.
    texts |= {name: (ROOT / "extras" / name / f"{name}.c").read_text(
        encoding="ascii") for name in EXTRAS}
    models = {name: Model(name, text) for name, text in texts.items()}
    if "--diffs" in sys.argv[1:]:
        print_sizes(texts, models)
        return
    with check("shape: every rule is able to fail"):
        self_test(texts)
    for rule, meaning in RULES.items():
        with check(f"shape: {meaning}"):
            if wrong := list(rule(models)):
                raise Failed("\n".join(wrong))
    texts_of_twins = {name: (ROOT / "extras" / "linux" / name / f"{name}.c")
                      .read_text(encoding="ascii") for name in TWINS}
    twins = {name: Model(name, text) for name, text in texts_of_twins.items()}
    with check("shape: the rule for the twins is able to fail"):
        self_test_twins(models, texts_of_twins)
    with check("shape: the twins on Linux follow the same plan"):
        if wrong := list(twins_alike(models, twins)):
            raise Failed("\n".join(wrong))
    print_sizes(texts, models)
    for name, model in TWINS.items():
        print(f"{changed_lines(texts[model], texts_of_twins[name]):5}  "
              f"{model} -> {name}")
    finish()


if __name__ == "__main__":
    main()
