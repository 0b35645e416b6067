#!/usr/bin/env python3
"""Tests of compare.exe.

    tests/programs/compare.py [WORD...]    only cases with one of the words

It compares the real servers, servers that are broken in one way each, and a
server that runs already. The page that it writes is opened in a browser.
Prints a line per case and at the end `N passed, N failed`.
"""

import atexit
import csv
import json
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import npm  # noqa: E402
import suite  # noqa: E402
from small_servers import Server, echo, places, received  # noqa: E402
from suite import (BUILD, MODELS, ROOT, WINE, expect,  # noqa: E402
                   expect_match, fail)

COMPARE = BUILD / "bin" / "compare.exe"
PAGE = suite.REPORTS / "quick.html"
FILES = Path(tempfile.mkdtemp(prefix="compare_test"))
atexit.register(shutil.rmtree, FILES)
BROKEN = r"build\tests\broken.exe"
SHORT = ["--quick", "--rounds", "1", "--seconds", "0.1"]
LONG_S = 800
ECHO_LOADS = {"echo-1", "echo-64", "echo-1000"}


# ---- running it ------------------------------------------------------------

class Run:
    """One run to its end: exit code, outputs, and the three files."""

    def __init__(self, name, *args, code=0):
        self.page, self.json_file, self.csv_file = (
            FILES / f"{name}.{kind}" for kind in ("html", "json", "csv"))
        done = subprocess.run(
            [str(WINE), str(COMPARE), "--report", f"Z:{self.page}", "--json",
             f"Z:{self.json_file}", "--csv", f"Z:{self.csv_file}", *args],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG_S,
            cwd=ROOT, check=False)
        self.out = done.stdout.decode().replace("\r", "")
        self.err = done.stderr.decode().replace("\r", "")
        if done.returncode != code:
            fail(f"exit code {done.returncode}, not {code}\n{self.out}"
                 f"{self.err}")
        self.data = json.loads(self.json_file.read_text()) \
            if self.json_file.exists() else None

    def server(self, name):
        return next(one for one in self.data["servers"]
                    if one["name"] == name)

    def results(self, name):
        return {scenario["id"]: one for scenario in self.data["scenarios"]
                for one in scenario["results"] if one["server"] == name}

    def valid(self, name):
        return {load for load, one in self.results(name).items()
                if one["valid"]}

    def expect_dead(self, name, pattern):
        """No row of this server counts, and each row tells why."""
        for load, one in self.results(name).items():
            expect(f"{name}, {load}: valid", one["valid"], False)
            expect(f"{name}, {load}: rounds", one["rounds"], [])
            expect_match(f"{name}, {load}: why", one["why"], pattern)
        if not re.search(rf"^{name}, .*({pattern})", self.out, re.MULTILINE):
            fail(f"{name}: its trouble is not told in the end\n{self.out}")


def broken(bug, *args):
    return " ".join([BROKEN, "--bug", bug, *args])


def children(mark):
    """Processes of our own Wine whose command line has these words: other
    tests may run beside this one."""
    wine = os.environ.get("MODELS_WINEPREFIX", str(BUILD / "wine"))
    ours = f"WINEPREFIX={wine}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode()
                surroundings = (folder / "environ").read_bytes().split(b"\0")
            except (OSError, UnicodeDecodeError):
                continue
            if mark in words.replace("\0", " ") and ours in surroundings:
                found.append((int(folder.name), words.replace("\0", " ")))
    return found


def nobody_left(mark):
    """Ended processes take a moment to disappear."""
    deadline = time.monotonic() + suite.PATIENCE
    while left := children(mark):
        if time.monotonic() > deadline:
            fail(f"still running: {left}")
        time.sleep(0.1)


# ---- cases: the six --------------------------------------------------------

def case_quick():
    """What `make demo` runs has every figure that it promises. (.ci/run
    measures how long it takes: here other tests use the processors, too.)"""
    PAGE.unlink(missing_ok=True)
    run = Run("quick", "--quick")
    data = run.data
    names = ["blocking", *MODELS]
    expect("servers", [one["name"] for one in data["servers"]], names)
    expect("models", [one["model"] for one in data["servers"]],
           [None, *MODELS])
    expect("loads", [one["id"] for one in data["scenarios"]],
           ["echo-1", "echo-64", "echo-1000", "bulk", "churn"])
    for name in names:
        expect(f"{name}: valid loads", len(run.valid(name)), 5)
    made, asked = data["rounds"], data["rounds_asked"]
    if not 1 <= made <= asked == 3:
        fail(f"{made} of {asked} rounds")
    if not re.search(rf"^{made} of 3 rounds", run.out, re.MULTILINE):
        fail(f"the table does not say {made} of 3 rounds\n{run.out}")
    expect("says why there are not more", made < 3, "One more round would have "
           "taken longer" in run.out)
    # Under Wine --quick pins where it may.
    expect("pinned", (data["environment"]["pinned"],
                      ": servers on the first" in run.out),
           (len(os.sched_getaffinity(0)) > 1,) * 2)
    expect("report named", run.out.splitlines()[-1],
           f"Report: Z:{run.page} (open it in a browser)")
    rounds_are_complete(data)
    counts_are_right(run)
    table_agrees(run)
    csv_agrees(run)
    page_agrees(run)
    readme_agrees(run)
    shutil.copy(run.page, PAGE)


def rounds_are_complete(data):
    for scenario in data["scenarios"]:
        for one in scenario["results"]:
            rounds = one["rounds"]
            expect(f"{scenario['id']}, {one['server']}: rounds", len(rounds),
                   data["rounds"])
            for figures in rounds:
                least = 1 if scenario["kind"] == "churn" else \
                    scenario["clients"]
                shares = [figures[f"{which}_echoes"] for which in
                          ("fewest", "median", "most")]
                if shares != sorted(shares) or shares[2] < 1:
                    fail(f"{scenario['id']}, {one['server']}: {figures}")
                if not (figures["echoes"] >= least and figures["p50_us"] > 0 and
                        figures["p50_us"] <= figures["p99_us"] <=
                        figures["max_us"]):
                    fail(f"{scenario['id']}, {one['server']}: {figures}")
                apart = figures["echoes"] * scenario["bytes"] / 2**20 / \
                    figures["seconds"] / figures["mib_per_s"]
                if not 0.99 < apart < 1.01:
                    fail(f"{scenario['id']}, {one['server']}: {figures}")
                expect("connects are told", figures["connects_per_s"] is None,
                       scenario["kind"] != "churn")
            low = min(figures["p50_us"] for figures in rounds)
            high = max(figures["max_us"] for figures in rounds)
            curve = one["percentiles"]
            if curve != sorted(curve) or not math.isclose(
                    curve[-1][1], high, rel_tol=1e-4) or not any(
                        value >= low * .999 for _, value in curve):
                fail(f"{scenario['id']}, {one['server']}: {curve}")


# What one echo and one idle client need: these were counted once, and are
# always the same.
CALLS = {"blocking": (2, 0), "select": (3, 1), "asyncselect": (4, 1),
         "eventselect": (4, 1), "overlapped_event": (5, 1), "iocp": (4, 2)}
HANDLES = {"select": 1, "asyncselect": 1, "eventselect": 2,
           "overlapped_event": 2, "overlapped_routine": 1, "iocp": 1}


def counts_are_right(run):
    for name, (calls, waits) in CALLS.items():
        told = run.server(name)
        if abs(told["calls_per_echo"] - calls) > .03 or \
                abs(told["waits_per_echo"] - waits) > .03:
            fail(f"{name}: {told['calls_per_echo']} calls, "
                 f"{told['waits_per_echo']} waits, not {calls}, {waits}")
    routine = run.server("overlapped_routine")
    fixed = routine["calls_per_echo"] - routine["sleeps_per_echo"]
    if abs(fixed - 2) > .03 or abs(routine["sleeps_at_most"] - 2) > .03 or \
            not 0 <= routine["sleeps_per_echo"] <= 2.03:
        fail(f"overlapped_routine: {routine}")
    for name, handles in HANDLES.items():
        told = run.server(name)["handles_per_client"]
        if not handles <= told < handles + .1:
            fail(f"{name}: {told} handles, not {handles}")
    expect("blocking: threads", round(
        run.server("blocking")["threads_per_client"], 2), 1)
    expect("select: capacity", run.server("select")["capacity"]["clients"], 8190)
    for one in run.data["servers"]:
        expect(f"{one['name']}: size", one["exe_bytes"],
               (BUILD / "bin" / f"{one['name']}.exe").stat().st_size)
        expect(f"{one['name']}: starts", len(one["start_ms"]),
               run.data["rounds"])
    busy = [figures["cpu_us_per_echo"] for name in MODELS for figures in
            run.results(name)["echo-64"]["rounds"]]
    known = [value for value in busy if value is not None]
    if len(known) < len(busy) / 2 or not 1 < statistics.median(known) < 1000:
        fail(f"processor time per echo: {busy}")


def median_rate(run, name, load):
    return statistics.median(figures["echoes_per_s"] for figures in
                             run.results(name)[load]["rounds"])


def table_agrees(run):
    for name in ("blocking", *MODELS):
        row = re.search(rf"^{name} +(.*)$", run.out, re.MULTILINE)[1].split()
        rates = [median_rate(run, name, load) for load in
                 ("echo-1", "echo-64", "echo-1000")]
        base = [median_rate(run, "blocking", load) for load in
                ("echo-1", "echo-64", "echo-1000")]
        for i, (rate, of) in enumerate(zip(rates, base)):
            if abs(int(row[2 * i]) - rate) > 1 or \
                    abs(float(row[2 * i + 1]) - rate / of) > .006:
                fail(f"{name}: {row}, wanted {rate} and {rate / of}")
    if any(len(line) > 80 for line in run.out.splitlines()
           if re.match(rf"({'|'.join(MODELS)}) ", line)):
        fail(f"wider than a terminal:\n{run.out}")


def csv_agrees(run):
    with open(run.csv_file, newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    wanted = [(scenario["id"], one["server"], str(i + 1),
               f"{figures['seconds']:g}", f"{figures['echoes_per_s']:g}")
              for scenario in run.data["scenarios"]
              for one in scenario["results"]
              for i, figures in enumerate(one["rounds"])]
    told = [(row["scenario"], row["server"], row["round"],
             *(f"{float(row[key]):g}" for key in ("seconds", "echoes_per_s")))
            for row in rows if row["valid"] == "true"]
    expect("rows of the CSV", told, wanted)


def page_agrees(run):
    text = run.page.read_text(encoding="utf-8")
    inside = re.search(r'<script id="data" type="application/json">(.*?)'
                       r"</script>", text, re.DOTALL)[1]
    expect("the data in the page", json.loads(inside), run.data)
    template = (ROOT / "programs" / "compare" / "page.html").read_text(encoding="utf-8")
    expect("the rest of the page", text.replace(inside, "{}"), template)


def skeleton(text):
    """Its lines without figures; lines that are different each time are left
    out."""
    return [re.sub(r"[\d.,]+", "#", " ".join(
        line.removesuffix(", pinned").split()))
            for line in text.splitlines()
            if line and not re.match(r"round|Windows|Report|\.\.\.|One more|"
                                     r"\S+: rounds of |.*: a client got no echo",
                                     line)]


def readme_agrees(run):
    """The README shows what `make demo` prints, except for the figures."""
    text = (ROOT / "README.md").read_text(encoding="ascii")
    shown = text.split("make -f Makefile.mingw demo\n```\n\n```\n", 1)[1]
    expect("the README's demo", skeleton(shown.split("```", 1)[0]),
           skeleton(run.out))


def case_its_page_in_a_browser():
    """This is a case of its own, because the npm registry may be out of
    reach."""
    if not PAGE.exists():
        fail(f"there is no {PAGE}, which the case quick leaves")
    npm.install(ROOT / "tests" / "programs" / "report", BUILD / "report")
    suite.count_others(["node", ROOT / "tests" / "programs" / "report" / "report.mjs",
                        "--page", PAGE], timeout=LONG_S)


# ---- cases: others in the run ----------------------------------------------

def case_troubles_cost_one_row():
    """Each of them fails in its own way; a server that is right stays
    valid."""
    bad = {
        "mute": (broken("never-answers"), "not echoed: WSAETIMEDOUT"),
        "liar": (broken("stops-at-zero"), "wrong or lost|expected 0x"),
        "deaf": (f"{BROKEN} --threads --bug ignores-unknown",
                 "accepts nobody"),
        "gone": (r"build\bin\echo_client.exe",
                 "ended before it was ready; its exit code was 1"),
        "stays": (broken("deaf-to-eof"), "does not stop"),
    }
    run = Run("troubles", *SHORT, "--only",
              ",".join(["blocking", "select", "full", "mixes", *bad]),
              "--servers", ",".join(
                  [f"{name}={what}" for name, (what, _) in bad.items()] +
                  [f"full={broken('wall-of-64')}",
                   f"mixes={broken('shares-a-buffer')}"]), code=1)
    for name in ("blocking", "select"):
        expect(f"{name}: valid loads", len(run.valid(name)), 5)
    for name, (_, pattern) in bad.items():
        run.expect_dead(name, pattern)
    # A server may be right under one load and not under the next.
    expect("full: valid loads", run.valid("full") & ECHO_LOADS,
           {"echo-1", "echo-64"})
    expect("full: handles", run.server("full")["handles_per_client"], None)
    expect_match("full: why", run.server("full")["no_usage"],
                 r"\(client \d+ of 500\)")
    expect_match("full: in words", run.out, r"(?m)^full, no idle client: .*"
                 r"\(client \d+ of 500\)")
    expect("mixes: valid loads", run.valid("mixes") & ECHO_LOADS, {"echo-1"})
    expect_match("mixes: why", run.results("mixes")["echo-64"]["why"],
                 r"round 1: connection \d+: byte \d+ .* expected 0x")
    page_agrees(run)
    nobody_left("broken.exe")


def connected(port):
    """Whether a client is connected to this port: state 1 in Linux's table."""
    return any(f":{int(port):04X} " in line and " 01 " in line for line in
               Path("/proc/net/tcp").read_text().splitlines())


def victim_run(marked, *args, only="blocking,victim"):
    """Start a run with a server that has `marked` in its command line. Return
    the run, and the process of that server, once its first load has begun."""
    js = FILES / "victim.json"
    js.unlink(missing_ok=True)
    process = subprocess.Popen(
        [str(WINE), str(COMPARE), "--only", only, "--servers",
         rf"victim=build\bin\select.exe --max-clients {marked}", "--report",
         f"Z:{FILES / 'victim.html'}", "--json", f"Z:{js}", *args],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=ROOT)
    deadline = time.monotonic() + LONG_S
    try:
        while time.monotonic() < deadline:
            servers = children(f"--max-clients {marked} ")
            servers = [one for one in servers if "compare" not in one[1]]
            for pid, words in servers:
                port = re.search(r"--port (\d+)", words)[1]
                if children(f"--port {port} --connections") and \
                        connected(port):
                    return process, pid  # it is under load
            time.sleep(0.02)
        fail("the server never got its load")
    except BaseException:
        process.kill()
        process.wait()
        raise


def case_a_server_that_crashes_under_load():
    # The load has to last until we have killed: 1 s was not long enough once.
    process, pid = victim_run(7001, "--quick", "--rounds", "1", "--seconds",
                              "3")
    os.kill(pid, signal.SIGKILL)
    out, _ = process.communicate(timeout=LONG_S)
    data = json.loads((FILES / "victim.json").read_text())
    results = {(scenario["id"], one["server"]): one for scenario in
               data["scenarios"] for one in scenario["results"]}
    expect("exit code", process.returncode, 1)
    bad = results.pop(("echo-1", "victim"))
    expect("valid", bad["valid"], False)
    expect_match("why", bad["why"], "round 1: .*; its exit code was")
    expect("all else is valid", [one["why"] for one in results.values()],
           [None] * len(results))
    if b"Report:" not in out:
        fail("no report is named")


def case_interrupt():
    """Ends early, reports what is complete, leaves no process."""
    process, _ = victim_run(7002, "--quick", "--seconds", "3")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONG_S)
    if time.monotonic() - began > 30:
        fail(f"it took {time.monotonic() - began:.0f} s")
    expect("exit code", process.returncode, 1)
    nobody_left("--max-clients 7002")
    data = json.loads((FILES / "victim.json").read_text())
    expect("complete rounds", data["rounds"], 0)
    results = {one["server"]: one for one in data["scenarios"][0]["results"]}
    expect("what was cut short", (results["victim"]["valid"],
                                  results["victim"]["why"]),
           (False, "not measured"))
    if b"Ended early, after 0 of 3 rounds." not in out:
        fail(f"{out.decode()}{err.decode()}")


def case_killed():
    """Even then no server stays."""
    process, _ = victim_run(7003, "--quick", "--seconds", "20", only="victim")
    ours = [pid for pid, words in children("--max-clients 7003")
            if "--report" in words]
    for pid in ours:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=LONG_S)
    nobody_left("--max-clients 7003")
    expect("a report, though killed", (FILES / "victim.json").exists(), False)


def case_others_servers():
    """One server runs already, one takes its port in its own way, and one has
    a blank in its path."""
    blank = FILES / "my server.exe"
    shutil.copy(BUILD / "bin" / "select.exe", blank)
    with Server(echo) as server:
        run = Run("others", *SHORT, "--only", "there,own,blank", "--servers",
                  f"there=127.0.0.1:{server.port},"
                  r"own=build\bin\iocp.exe --threads 1 -p %p --quiet,"
                  f'blank="Z:{blank}" --max-clients 2000')
    for name in ("there", "own", "blank"):
        expect(f"{name}: valid loads", len(run.valid(name)), 5)
    expect("there: starts", run.server("there")["start_ms"], [])
    expect("there: size", run.server("there")["exe_bytes"], None)
    expect("blank: model", run.server("blank")["model"], None)
    # One wait may tell of a newcomer and of an echo.
    if abs((calls := run.server("blank")["calls_per_echo"]) - 3) > .03:
        fail(f"blank: {calls} calls per echo, not 3")
    # This server is not asked for a summary: it is only ended.
    expect("own: calls", run.server("own")["calls_per_echo"], None)
    for name, words in (("own", "no calls: it is not asked for a table"),
                        ("there", "no counts: it ran already")):
        expect_match(f"{name}: why not", run.out, rf"(?m)^{name}, {words}")
    expect_match("no baseline", run.out, "(?m)^No shares with 1 client: ")
    expect("own: handles", run.server("own")["handles_per_client"], 1)
    page_agrees(run)


def case_clients_that_are_unserved():
    """No result counts in which somebody got nothing while others did."""
    with Server(places(1)) as one, Server(places(10)) as ten:
        run = Run("unserved", *SHORT, "--only", "one,ten", "--servers",
                  f"one=127.0.0.1:{one.port},ten=127.0.0.1:{ten.port}", code=1)
    with open(run.csv_file, newline="", encoding="ascii") as file:
        rows = {(row["server"], row["scenario"]): row
                for row in csv.DictReader(file)}
    for name, places_there in (("one", 1), ("ten", 10)):
        expect(f"{name}: valid echo loads", run.valid(name) & ECHO_LOADS,
               {"echo-1"})
        for load, clients in (("echo-64", 64), ("echo-1000", 1000)):
            left = clients - places_there
            result = run.results(name)[load]
            expect(f"{name}, {load}: unserved", result["unserved"], left)
            expect(f"{name}, {load}: rounds", result["rounds"], [])
            expect_match("why", result["why"], f"served {places_there} of "
                         f"{clients} connections; {left} waited the whole")
            expect("in CSV", (rows[name, load]["unserved"],
                              rows[name, load]["valid"]), (str(left), "false"))
            expect_match("in the table", run.out, rf"(?m)^{name} .*\b{left} "
                         "unserved")
    page_agrees(run)


def late_at_first(conn, _):
    """Echoes at once, except for the first message of a load."""
    first = True
    for data in received(conn):
        if first and len(data) > 1:  # not the byte that asks for an answer
            time.sleep(0.35)
            first = False
        conn.sendall(data)


def case_rounds_that_are_too_short():
    """At first nothing is measured of one server. It is measured again for
    longer, and from then on the other one is measured as long."""
    with Server(late_at_first) as server:
        run = Run("late", "--quick", "--rounds", "2", "--seconds", "0.1",
                  "--only", "late,select", "--servers",
                  f"late=127.0.0.1:{server.port}")
    rounds_are_complete(run.data)
    for name in ("late", "select"):
        expect(f"{name}: valid loads", len(run.valid(name)), 5)
    for scenario in run.data["scenarios"]:
        late, other = ([figures["seconds"] for figures in
                        run.results(name)[scenario["id"]]["rounds"]]
                       for name in ("late", "select"))
        # A slow machine has no time for the second round of --quick.
        expect("rounds", len(other), run.data["rounds"])
        if min(late + other[1:]) < .4 or late != sorted(late) or \
                other != sorted(other):
            fail(f"{scenario['id']}: {late} and {other} s")
        expect("the longest", scenario["seconds"], max(late + other))
        low, high = min(late + other), scenario["seconds"]
        clients = scenario["clients"]
        between = f"{low:g} to {high:g}" if low < high else f"{high:g}"
        line = f"{scenario['id']}: rounds of {between} s; 0.1 s were too " \
            f"short for {clients} client{'s' if clients > 1 else ''}"
        if line not in run.out.splitlines():
            fail(f"no line '{line}' in\n{run.out}")
    csv_agrees(run)
    page_agrees(run)


def case_a_load_client_that_says_nothing_of_ours():
    """compare tells what it knows: here another program has the name of
    echo_load."""
    folder = FILES / "strange"
    folder.mkdir()
    for name in ("compare", "select"):
        shutil.copy(BUILD / "bin" / f"{name}.exe", folder)
    shutil.copy(BUILD / "bin" / "echo_client.exe", folder / "echo_load.exe")
    page, js = folder / "report.html", folder / "report.json"
    done = subprocess.run(
        [str(WINE), str(folder / "compare.exe"), *SHORT, "--only", "select",
         "--report", f"Z:{page}", "--json", f"Z:{js}"], cwd=ROOT,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG_S,
        check=False)
    expect("exit code", done.returncode, 1)
    for scenario in json.loads(js.read_text())["scenarios"]:
        expect_match("why", scenario["results"][0]["why"],
                     "round 1: the load client ended with exit code 2 and 0 "
                     "echoes; the last it said: echo_client: .*'--connections'")


def case_a_server_that_knows_only_its_port():
    """Like most servers of students, it takes --port N, and no other option of
    ours."""
    run = Run("foreign", *SHORT, "--only", "foreign", "--servers",
              f"foreign=Z:{BUILD / 'tests' / 'hostile.exe'} --do "
              "knows-its-port")
    expect("foreign: valid loads", len(run.valid("foreign")), 5)
    nobody_left("hostile.exe")


def case_pinned():
    """Servers on the first processor, the load elsewhere."""
    if len(os.sched_getaffinity(0)) < 2:
        suite.skip("--pin needs two processors")
    process, pid = victim_run(7004, "--quick", "--seconds", "3", "--pin")
    allowed = [re.search(r"Cpus_allowed_list:\s+(\S+)", Path(
        f"/proc/{one}/status").read_text())[1] for one in
        (pid, children("--connections")[0][0])]
    process.send_signal(signal.SIGINT)  # all has been seen
    process.communicate(timeout=LONG_S)
    expect("processors of server and load", allowed[0], "0")
    if re.match(r"0\b", allowed[1]):
        fail(f"the load may use {allowed[1]}")
    data = json.loads((FILES / "victim.json").read_text())
    expect("told", data["environment"]["pinned"], True)


# ---- cases: bad input ------------------------------------------------------

def refused(words, *args, code=2):
    began = time.monotonic()
    done = subprocess.run([str(WINE), str(COMPARE), *args], cwd=FILES,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=LONG_S, check=False)
    said = done.stderr.decode().replace("\r", "")
    expect(f"{args}: exit code", done.returncode, code)
    expect(f"{args}: lines", len(said.splitlines()), 1)
    expect_match(f"{args}: standard error", said, words)
    if done.stdout or time.monotonic() - began > suite.PATIENCE:
        fail(f"{args}: began to run: {done.stdout.decode()}")


def case_bad_command_lines():
    for words, *args in (
            ("unknown option '--quik'", "--quik"),
            ("unexpected 'select'", "select"),
            ("--rounds needs a value", "--rounds"),
            ("takes a whole number from 1 to 100, not '0'", "--rounds", "0"),
            ("takes a whole number from 1 to 100, not '3x'", "--rounds=3x"),
            ("takes 0.1 to 60, not 'nan'", "--seconds", "nan"),
            ("takes 0.1 to 60, not ''", "--seconds", ""),
            ("no server 'wepoll'", "--only", "iocp,wepoll"),
            ("takes NAME=PATH.*not 'x.exe'", "--servers", "x.exe"),
            # A missing program was searched here, not in the folder of
            # compare.
            ("mine: there is no program Z:.*iocp.exe", "--servers",
             "mine=iocp.exe"),
            ("mine: there is no program C:.nowhere.exe", "--servers",
             r"mine=C:\nowhere.exe"),
            ("there is no program C:.my .*quotes", "--servers",
             r"mine=C:\my server.exe"),
            ("two servers have the name 'iocp'", "--servers",
             r"iocp=build\bin\iocp.exe")):
        refused(words, *args)
    expect("files", list(FILES.glob("report.html*")), [])


def case_without_the_load_client():
    alone = FILES / "alone.exe"
    shutil.copy(COMPARE, alone)
    said = subprocess.run([str(WINE), str(alone)], cwd=FILES, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=LONG_S, check=False)
    expect("exit code", said.returncode, 2)
    expect_match("standard error", said.stderr,
                 r"echo_load: there is no program Z:.*\\echo_load\.exe\n")


def case_outputs_that_cannot_be_written():
    """The error comes before the run, and no file is left."""
    before = set(FILES.glob("*.part"))  # of a compare that was killed
    older = FILES / "older.html"
    older.write_text("what was there before")
    folder = FILES / "folder"
    folder.mkdir()
    for kind in ("--report", "--json", "--csv"):
        others = ["--report", f"Z:{older}"] if kind != "--report" else []
        refused("cannot write .*ERROR_PATH_NOT_FOUND", "--quick", *others,
                kind, rf"Z:{FILES}\nowhere\x")
        refused("cannot write .*ERROR_ACCESS_DENIED", "--quick", *others,
                kind, f"Z:{folder}")
    expect("the older report", older.read_text(), "what was there before")
    expect("files", set(FILES.glob("*.part")) - before, set())


def case_help_and_version():
    for argument in ("--help", "-h", "-?", "/?"):
        text = suite.run([WINE, COMPARE, argument])
        if not text.startswith("compare: ") or "--servers" not in text or \
                any(len(line) > 80 for line in text.splitlines()):
            fail(f"{argument}: {text}")
    if not re.match(r"compare \d+\.\d+\.\d+\n$",
                    suite.run([WINE, COMPARE, "--version"])):
        fail("no version")


def main():
    suite.run([WINE, "--prepare"], timeout=LONG_S)
    suite.run_cases("compare", globals(), sys.argv[1:])
    suite.finish()


if __name__ == "__main__":
    main()
