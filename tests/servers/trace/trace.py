#!/usr/bin/env python3
"""Tracing: what the six servers tell of themselves is right, and stays so.

    trace.py            check everything
    trace.py MODEL...   check these, and no more
    trace.py --update   write what was seen into golden/ and the pages

One scripted run per model, the same for all: a client comes, sends 64 bytes,
reads its echo, half-closes, and then the server stops. Each step waits until
every thread of the server waits again, so the calls and their order are the
model's own. golden/ holds them, so that a change is seen in review.
"""

import collections
import difflib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import (BUILD, COMPLETION, MODELS, PATIENCE, ROOT,  # noqa: E402
                   WINE, Lines, Server, check, fail, finish, own_wine, run)
from viewer import install_viewer, view  # noqa: E402

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
# These pages hold what was seen, between <!-- run: NAME --> and <!-- end -->.
PAGES = [ROOT / "README.md", ROOT / "docs" / "tracing.md",
         *(ROOT / model / "README.md" for model in MODELS)]
OUT = BUILD / "trace"
CALLS = BUILD / "tests" / "calls.exe"
TOOLS = os.environ.get("CROSS", "x86_64-w64-mingw32-")

# So that the order is the model's and not the scheduler's.
OPTIONS = {model: ["--threads", "1"] for model in
           ("overlapped_routine", "iocp", "pool", "threadpool", "rio")}
# How many packets one call takes is the scheduler's affair, too.
OPTIONS["iocp_tuned"] = ["--threads", "1", "--batch", "1"]
# Their threads wait in recv() itself.
BLOCKING = ["one_client", "blocking"]
# polling is not among them: it never waits, so its trace has no step and no end.
TOLD = [*MODELS, *BLOCKING, "wsapoll", "pool", "threadpool", "iocp_tuned", "rio"]
COMPLETING = [*COMPLETION, "threadpool", "iocp_tuned"]
UPDATE = "--update" in sys.argv[1:]
CHOSEN = [name for name in sys.argv[1:] if name != "--update"]


# ---- one scripted run -------------------------------------------------------

class Line(collections.namedtuple("Line", "thread function depth call result")):
    """A line of --trace. A call that is too long for its column moves the
    result to the right; then the call ends with its last bracket."""

    WHOLE = re.compile(r"^ *\d+\.\d{3}  (.{9}) (.{22}) ( *)(.*)$")

    @classmethod
    def parse(cls, text):
        match = cls.WHOLE.match(text)
        if not match:
            fail(f"not a line of a trace: {text!r}")
        thread, place, indent, rest = match.groups()
        call, *result = re.split(r" {2,}", rest, maxsplit=1)
        if not result and (long := re.match(r"(.*\)) (.+)$", call)):
            call, result = long[1], [long[2]]
        return cls(thread.rstrip(), place.split(":")[0].rstrip(),
                   len(indent) // 2, call, result[0] if result else "")

    def masked(self):
        """The line without the parts that may differ in another run."""
        call, result = (re.sub(r"\b(socket|datagram) \d+", r"\1 N",
                               re.sub(r"127\.0\.0\.1:\d+", "PEER", text))
                        for text in (self.call, self.result))
        return self._replace(call=call, result=result)


class Narrator:
    """A server, and what it tells."""

    def __init__(self, model, *options):
        reader, writer = os.pipe()
        self.told = Lines(os.fdopen(reader, "rb", buffering=0))
        with os.fdopen(writer, "wb") as errors:
            self.server = Server(model, "--quiet", "--trace",
                                 *OPTIONS.get(model, []), *options,
                                 errors=errors)
        self.lines = []
        self.waiting = {}
        heading = self.told.read()
        if not heading or heading.split() != ["ms", "thread", "in", "call",
                                            "result"]:
            fail(f"no heading, but {heading!r}")

    def take(self):
        text = self.told.read()
        if text is None:
            return None
        line = Line.parse(text)
        self.lines.append(line)
        if line.thread != "stop":
            self.waiting[line.thread] = line.result == "waits" or \
                line.call == "* return to the pool"
        if line.thread.startswith("conn") and \
                line.call.startswith("closesocket"):
            del self.waiting[line.thread]  # it ends
        return line

    def until(self, is_it):
        """Read on to a line for which is_it() is true, and then until all
        threads wait."""
        while (line := self.take()) and not is_it(line):
            pass
        while line and not all(self.waiting.values()):
            line = self.take()
        if not line:
            fail("ended before the line that was waited for")

    def stop(self):
        self.server.process.stdin.close()
        while self.take():
            pass
        self.summary = self.server.wait()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.end()
        self.told.stream.close()


def begins(*starts):
    return lambda line: line.call.startswith(starts)


def echo_is_back(model):
    """Is this line the end of the send?"""
    if model in ("overlapped_routine", "threadpool"):
        return begins("* send done")
    if model == "pool":
        # The worker waits again; the main thread without the client, and then
        # with it.
        left = ["SleepConditionVariableSRW(", "WSAPoll(", "WSAPoll("]

        def all_wait(line):
            name = line.call.split("(")[0] + "("
            if name in left and line.result == "waits":
                left.remove(name)
            return not left
        return all_wait
    if model == "iocp_tuned":
        return begins("WSASend(#1")  # done at once, and no packet comes
    if model in (*COMPLETING, "rio"):
        # The second completion: of the receive there was one before.
        seen = []

        def second(line):
            seen.extend(re.findall(r"\b64 bytes", line.result))
            return len(seen) == 2
        return second
    return begins("send(#1")


def scripted_run(model, *options):
    """Accept, one echo, half-close, stop. Returns the narrator, and the lines
    of each step by name."""
    steps = {}
    with Narrator(model, *options) as narrator:

        def step(name, is_it):
            before = len(narrator.lines)
            narrator.until(is_it)
            steps[name] = narrator.lines[before:]

        # An APC that comes before its thread runs would run before all else.
        threads = 2 if model in ("overlapped_routine", "iocp", "iocp_tuned",
                                 "pool", "rio", "blocking") else 1
        step("start", lambda line: len(narrator.waiting) == threads and
             line.result == "waits")
        address = ("127.0.0.1", narrator.server.port)
        with socket.create_connection(address, PATIENCE) as client:
            # The step is not done before the thread that will serve the client
            # has it.
            step("accept", begins("WSARecv(#1") if model in COMPLETING else
                 begins("recv(#1") if model in BLOCKING else
                 begins("WSAEnumNetworkEvents(#1") if model == "eventselect"
                 else lambda line: re.match(r"socket \d+ is #1, ", line.call))
            client.sendall(b"x" * 64)
            got = b""
            while len(got) < 64 and (piece := client.recv(64)):
                got += piece
            if got != b"x" * 64:
                fail(f"echo is {got!r}")
            step("echo", echo_is_back(model) if model not in BLOCKING else
                 lambda line: line.call == "send")
            client.shutdown(socket.SHUT_WR)
            if client.recv(1) != b"":
                fail("more than the echo came back")
            # There the main thread frees a client, after its callback.
            step("half-close", begins("CloseThreadpoolIo(")
                 if model == "threadpool" else begins("closesocket(#1)"))
        before = len(narrator.lines)
        narrator.stop()
        steps["stop"] = narrator.lines[before:]
        return narrator, steps


def table_of(summary):
    """The table at the end: {call: (how many, of these for echoes)}."""
    table = {}
    for line in summary:
        if match := re.match(r"  (\w+) +(\d+)(?: +(\d+)(?: +\d+\.\d{3})?)?$",
                             line):
            table[match[1]] = int(match[2]), int(match[3] or 0)
    sums = tuple(map(sum, zip(*(numbers for name, numbers in table.items()
                                if name != "together"))))
    if not sums or table.pop("together", None) != sums:
        fail("the summary does not add up:\n" + "\n".join(summary))
    return table


def counts_of(summary):
    return {name: calls for name, (calls, _) in table_of(summary).items()}


def for_echoes_agree(model, narrator, steps):
    """There was one echo. The table says that so many calls were made for it
    as the trace shows from its first byte to the next wait. (It counts the thread
    that has the client; the main thread of pool only hands it out.)"""
    shown = collections.Counter(name for name, _ in calls_of(
        [line for line in steps["echo"] if model != "pool" or
         line.thread != "main"]))
    counted = {name: echo for name, (_, echo) in
               table_of(narrator.summary).items() if echo}
    if counted != shown:
        fail(f"the table has {counted} for the echo, the trace {shown}")


def calls_of(lines):
    """(name, whether it waited) of each call. One that waits is told twice:
    it counts where it ends."""
    ended = [re.match(r"(\w+)(\(|$)", line.call) for line in lines
             if line.result != "waits"]
    return [(match[1], match[2] == "") for match in ended if match]


# ---- golden: the calls of each model, in order ------------------------------

def folded(rows):
    """Rows, with a group that repeats at least three times shown once."""
    out, at = [], 0
    while at < len(rows):
        for size in range(1, 9):
            group, times = rows[at:at + size], 1
            while rows[at + times * size:at + (times + 1) * size] == group:
                times += 1
            if times >= 3:
                out += [f"{times} times:", *(f"    {row}" for row in group)]
                at += times * size
                break
        else:
            out.append(rows[at])
            at += 1
    return out


def without_retries(lines):
    """The lines as if the first cancel of each call had ended it at once, and the
    calls that are left out. A thread that is just on its way into its call, or out
    of it, is cancelled again, after a short wait: how often is the scheduler's
    affair."""
    kept, out = [], collections.Counter()
    for line in lines:
        if line.function == "server_stop" and \
                line.call.startswith("SleepConditionVariableSRW"):
            # A client's thread is out of its call, and not at its end yet.
            out["SleepConditionVariableSRW"] += line.result == "waits"
            continue
        mine = [at for at, one in enumerate(kept) if one.thread == line.thread]
        before = [at for at in mine if line.call.startswith("CancelIoEx") and
                  kept[at].call == line.call]
        if before:
            out["CancelIoEx"] += 1
            if line.result == "ok":
                kept[before[0]] = line
        elif line.call == "WaitForSingleObject" and line.result == "timeout":
            out["WaitForSingleObject"] += 1
            kept.pop(mine[-1])
        else:
            kept.append(line)
    return kept, out


def golden_text(model, narrator):
    """Each thread by itself: how two of them interleave is the system's
    affair. Which number an AcceptEx() has does not matter either."""
    parts = [f"{model}: accept, one echo, half-close, stop; by thread"]
    lines, retries = without_retries(narrator.lines)
    accepts = {match[1] for line in narrator.lines
               if (match := re.match(r"AcceptEx\(.*, op (\d+)\)", line.call) or
                   re.search(r"accept of listener, op (\d+)", line.result))}
    any_accept = re.compile(rf"\bop ({'|'.join(accepts) or '-'})\b")
    threads = {}
    for line in map(Line.masked, lines):
        row = f"{line.function:17} {'  ' * line.depth}" + \
            any_accept.sub("op N", line.call)
        row = f"{row:<66}  {any_accept.sub('op N', line.result)}".rstrip()
        # Each of them may be the last one, which lets the others leave.
        threads.setdefault("the last to leave" if line.function in
                           ("server_release", "post_quit") else line.thread,
                           []).append(row)
    for thread in sorted(threads):
        parts += ["", f"{thread}:", *folded(threads[thread])]
    parts += ["", "calls:"]
    parts += [f"{calls - retries[name]:4} {name}" +
              (f", {echo} for the echo" if echo else "")
              for name, (calls, echo) in table_of(narrator.summary).items()
              if calls > retries[name]]
    return "\n".join(parts) + "\n"


def compare(path, text):
    """Is the file as it was seen now?"""
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="ascii")
        return
    before = path.read_text(encoding="ascii").splitlines()
    if before != text.splitlines():
        fail("\n".join(difflib.unified_diff(
            before, text.splitlines(), f"{path.relative_to(ROOT)}",
            "this run", lineterm="")) +
             "\nWhere this is meant: tests/servers/trace/trace.py --update")


# ---- .json: the Trace Event Format ------------------------------------------

def events_agree(path, seen, counts=None):
    """What the viewer shows is what is in the file, every operation has its
    two ends, and each call is there as often as it was counted."""
    events = json.loads(path.read_text(encoding="ascii"))["traceEvents"]
    phases = collections.Counter(event["ph"] for event in events)
    shown = {"slices and instants": (seen["slices"] + seen["instants"],
                                     phases["X"] + phases["i"]),
             "operations": (seen["async_slices"], phases["b"]),
             "unfinished": (seen["unfinished"], 0),
             "ends": (phases["e"], phases["b"])}
    for what, (one, other) in shown.items():
        if one != other:
            fail(f"{path.name}: {what}: {one}, not {other}")
    open_ops = {}
    for event in events:
        if event["ph"] == "b":
            open_ops[event["id"]] = event
        elif event["ph"] == "e":
            begin = open_ops.pop(event["id"], None)
            if not begin or begin["name"] != event["name"] or \
                    begin["ts"] > event["ts"]:
                fail(f"{path.name}: {event} ends {begin}")
    calls = collections.Counter(e["name"] for e in events if e["ph"] == "X")
    if counts is not None and calls != counts:
        fail(f"{path.name} has {calls}, counted were {counts}")


# ---- .jsonl: a line for each record -----------------------------------------

POSTS = {"WSARecv", "WSASend", "AcceptEx", "RIOReceive", "RIOSend"}


def replay(path, counts):
    """Every line is complete in itself: its state is what the lines up to it
    add up to."""
    lines = [json.loads(line) for line in
             path.read_text(encoding="ascii").splitlines()]
    begin, *records, end = lines
    if begin["kind"] != "begin" or begin["format"] != 2 or \
            not all(begin[key] for key in ("command", "system", "processors",
                                           "qpc", "qpf")):
        fail(f"begins with {begin}")
    if end != {"kind": "end", "records": len(records), "dropped": 0}:
        fail(f"ends with {end} after {len(records)} records")
    calls, clients, flying, times = collections.Counter(), set(), set(), {}
    ran, posted = 0, collections.defaultdict(list)
    for number, rec in enumerate(records):
        state = rec["state"]

        def wrong(what):
            fail(f"{path.name}, record {number}: {what}\n{json.dumps(rec)}")

        if rec["seq"] != number:
            wrong("is out of order")
        if rec["kind"] != "call" and rec["t"] < times.get(rec["thread"], 0):
            wrong("goes back in time")
        times[rec["thread"]] = max(rec["t"], times.get(rec["thread"], 0))
        if rec["kind"] in ("call", "woke"):
            calls[rec["call"]] += 1
        if rec["kind"] == "connection":
            clients.add(int(rec["name"][1:]))
        if rec.get("call") == "closesocket" and \
                rec["arguments"].startswith("#"):
            clients.discard(int(rec["arguments"][1:]))
            if not {one["id"] for one in state["connections"]} <= clients | {
                    int(rec["arguments"][1:])}:
                wrong(f"clients are {clients}")
        elif {one["id"] for one in state["connections"]} != clients:
            wrong(f"clients are {clients}")
        if rec.get("call") in POSTS and "error" not in rec:
            flying.add(rec["op"])
        if rec["kind"] == "event" and "op" in rec and \
                rec.get("ended") != [rec["op"]]:
            wrong("a completion that ends nothing")
        flying -= set(rec.get("ended", []))
        if rec["kind"] == "event":
            ran += any(t["name"] == rec["thread"] and t["in"] in
                       ("SleepEx", "WSAWaitForMultipleEvents")
                       for t in state["threads"])
        shown = {number for o in state.get("operations", [])
                 if o["phase"] != "reaped" for number in o.get("ops") or [o["op"]]}
        if shown != flying or state.get("in_flight", 0) != len(flying):
            wrong(f"in flight are {flying}")
        for op in state.get("operations", []):
            if (op["buffer"] == "server") != (op["phase"] == "reaped") or \
                    (op["phase"] == "pending") != op.get("inferred", False):
                wrong(f"{op} contradicts itself")
        if "apcs" in state and state["apcs"]["run"] != ran:
            wrong(f"{ran} APCs have run")
        for sent in rec.get("posted", []):
            posted[sent].append(rec.get("call", rec["kind"]).removesuffix("Ex"))
        special(rec, state, wrong)
        sleepers(rec, state, wrong)
    for pair in posted.values():
        # iocp_tuned sends a packet more than there are workers to take one.
        if pair not in JOINED and (path.stem, pair) != (
                "iocp_tuned", ["PostQueuedCompletionStatus"]):
            fail(f"{path.name}: joined are {pair}")
    if len(posted) != sum(calls[sender] for sender, _ in JOINED):
        fail(f"{path.name}: not all that was sent has a number")
    if calls != counts:
        fail(f"{path.name} has {calls}, counted were {counts}")
    if flying or clients:
        fail(f"{path.name} leaves {flying} and {clients}")


JOINED = [["PostQueuedCompletionStatus", "GetQueuedCompletionStatus"],
          ["PostMessageW", "GetMessageW"], ["QueueUserAPC", "event"]]


def sleepers(rec, state, wrong):
    """Who sleeps, whose bytes are where, and which events are set."""
    for thread in state["threads"]:
        if thread["name"] == rec["thread"] and thread["asleep"] != \
                (rec["kind"] == "wait" and rec["call"] != "DispatchMessageW"):
            wrong(f"{thread} is not what it does")
        if thread["asleep"] and not thread["in"]:
            wrong(f"{thread} sleeps nowhere")
    for one in state["connections"]:
        if one["owed"] != one["received"] - one["sent"] or \
                one["owed"] not in (0, 64):
            wrong(f"{one} is no moment of an echo of 64 bytes")
    # The operations of rio belong to a request queue, whose socket is not known.
    if rec.get("call") == "shutdown" and "rio.c" not in rec["at"] and state[
            "connections"] != [
            {"id": 1, "received": 64, "sent": 64, "owed": 0}]:
        wrong("the echo is over")
    if rec["kind"] == "connection":
        if not re.match(r"127\.0\.0\.1:\d+$", rec["peer"]) or \
                rec["function"] != "conn_open" and "one_client" not in rec["at"]:
            wrong("a connection without a peer or a place")
    if rec.get("call") in ("recv", "send", "WSARecv", "WSASend") and \
            rec.get("arguments", "").startswith("#1") and rec["conn"] != 1:
        wrong("it is about #1")
    if rec["kind"] in ("call", "woke") and rec.get("call") == "select":
        if rec["ready"] != state["sets"]["out"]["read"] + \
                state["sets"]["out"]["write"]:
            wrong("the ready ones are not the answer")
    if rec.get("call") in ("WSAResetEvent", "WSAEnumNetworkEvents"):
        reset = "event of " * (rec["call"] != "WSAResetEvent") + rec["arguments"]
        for slots in state["events"]:
            if any(slot["event"] == reset and slot["signalled"]
                   for slot in slots["slots"]):
                wrong(f"{reset} is still shown as signalled")


def special(rec, state, wrong):
    """Check what only one model has."""
    if rec.get("call") == "select" and rec["kind"] == "woke":
        asked, answered = state["sets"]["in"], state["sets"]["out"]
        for way in ("read", "write"):
            if not set(answered[way]) <= set(asked[way]):
                wrong("the answer has a socket that was not asked about")
        if not answered["read"] + answered["write"]:
            wrong("select() came back with nothing")
    if rec.get("call") == "WSAWaitForMultipleEvents" and \
            rec["kind"] == "woke" and rec["value"] < 64:
        slots = {t["thread"]: t["slots"] for t in state["events"]}
        if not slots[rec["thread"]][rec["value"]]["signalled"]:
            wrong("the slot that ended the wait is not signalled")
    if rec.get("call") == "GetMessageW" and rec["kind"] == "woke" and \
            state["queue"]["taken"] < 1:
        wrong("no message was taken")
    if "port" in state:
        waits = sum(t["in"] in ("GetQueuedCompletionStatus",
                                "GetQueuedCompletionStatusEx")
                    for t in state["threads"])
        if state["port"]["waiting"] != waits:
            wrong(f"{waits} threads wait at the port")


# ---- the oracle: what Wine itself has seen ----------------------------------

def source_of(model):
    [path] = [path for path in (ROOT / model / f"{model}.c",
                                ROOT / "extras" / model / f"{model}.c")
              if path.exists()]
    return path


def symbols(exe):
    """[(address, name)] of the program's own code, by address."""
    found = []
    for line in run([TOOLS + "nm", "-n", exe]).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "tT" and \
                not parts[2].startswith("."):
            found.append((int(parts[0], 16), re.sub(r"\..*", "", parts[2])))
    return found


def relay_counts(model, text):
    """Calls that Wine saw come out of the functions that stand in their
    place."""
    import bisect
    table = symbols(BUILD / "bin" / f"{model}.exe")
    own = {f"watch_{name}" for name in traced_names()}
    addresses = [address for address, _ in table]
    counts = collections.Counter()
    for name, back in re.findall(r"Call \w+\.(\w+)\(.*\) ret=([0-9a-f]+)$",
                                 text, re.MULTILINE):
        at = int(back, 16)
        if addresses[0] <= at < addresses[-1] and (caller := table[
                bisect.bisect_right(addresses, at) - 1][1]) in own:
            passed_on = ALIASES.get(name, name)
            counts[passed_on if caller == f"watch_{passed_on}" else name] += 1
    # The relay does not show these two: one is called through a pointer. But
    # they report their calls themselves.
    for name, said in (("AcceptEx", r"trace:winsock:WS2_AcceptEx listener"),
                       ("CancelIoEx", r"trace:file:NtCancelIoFileEx ")):
        if count := len(re.findall(said, text)):
            counts[name] = count
    return counts


def under_relay(model):
    """A run without tracing, while Wine writes down every call."""
    env = own_wine("relay") | {"WINEDEBUG": "+relay,+winsock,+file,+pid"}
    with Server(model, *OPTIONS.get(model, []), env=env) as server:
        with socket.create_connection(("127.0.0.1", server.port),
                                      PATIENCE) as client:
            for _ in range(3):
                client.sendall(b"y" * 100)
                left = 100
                while left and (piece := client.recv(left)):
                    left -= len(piece)
            client.shutdown(socket.SHUT_WR)
            if left or client.recv(1) != b"":
                fail("not the whole echo")
        counted = counts_of(server.stop())
        # Wine's own programs run beside it: their addresses are the same.
        own = f"{server.pid:04x}:"
        return counted, "\n".join(line for line in
                                  server.error_text().splitlines()
                                  if line.startswith(own))


# Only these: a line for every call of every DLL takes minutes.
RELAYED = ("ws2_32.*;user32.GetMessageW;user32.DispatchMessageW;"
           "user32.PostMessageW;kernel32.SleepEx;kernel32.WaitForSingleObject;"
           "kernel32.GetQueuedCompletionStatus;kernel32.QueueUserAPC;"
           "kernel32.GetQueuedCompletionStatusEx;kernel32.CancelIoEx;"
           "kernel32.SetFileCompletionNotificationModes;"
           "kernel32.CreateIoCompletionPort;"
           "kernel32.PostQueuedCompletionStatus;kernel32.SetEvent;"
           "kernel32.ResetEvent;kernel32.WaitForMultipleObjectsEx;"
           "kernelbase.SetEvent;kernelbase.ResetEvent;kernelbase.CancelIoEx;"
           "kernelbase.WaitForMultipleObjectsEx;kernel32.CreateThreadpoolIo;"
           "ntdll.TpStartAsyncIoOperation;ntdll.TpCancelAsyncIoOperation;"
           "ntdll.TpWaitForIoCompletion;ntdll.TpReleaseIoCompletion;"
           "kernel32.CreateEventW;"
           "user32.CreateWindowExW;kernel32.CreateThreadpool;"
           "kernelbase.CreateThreadpool;ntdll.TpSetPoolMinThreads;"
           "kernel32.SetThreadpoolThreadMinimum;"
           "kernelbase.SetThreadpoolThreadMinimum;"
           "kernel32.SleepConditionVariableSRW;msvcrt._beginthreadex;"
           "kernelbase.SleepConditionVariableSRW")
# Wine's ws2_32 and kernel32 pass these on without a step of their own.
ALIASES = {"TpStartAsyncIoOperation": "StartThreadpoolIo",
           "TpCancelAsyncIoOperation": "CancelThreadpoolIo",
           "TpWaitForIoCompletion": "WaitForThreadpoolIoCallbacks",
           "TpReleaseIoCompletion": "CloseThreadpoolIo",
           "TpSetPoolMinThreads": "SetThreadpoolThreadMinimum",
           "WaitForMultipleObjectsEx": "WSAWaitForMultipleEvents",
           "SetEvent": "WSASetEvent", "ResetEvent": "WSAResetEvent"}


def check_oracle():
    env = own_wine("relay")
    run([WINE, "--prepare"], timeout=300, env=env)
    run([WINE, "reg", "add", r"HKCU\Software\Wine\Debug", "/v",
         "RelayInclude", "/d", RELAYED, "/f"], timeout=300, env=env)
    try:
        for model in TOLD:
            if model == "rio":
                continue  # Wine sees the calls of its provider
            with check(f"trace: {model}: counts what Wine has seen it call"):
                counted, text = under_relay(model)
                seen = relay_counts(model, text)
                seen = {name: count for name, count in seen.items()
                        if name in counted or name in traced_names()}
                if seen != counted:
                    fail(f"Wine saw {seen}\nwe counted {counted}")
    finally:
        run([WINE, "--end"], status=None, env=env)


def traced_names():
    text = (ROOT / "watch" / "calls.h").read_text(encoding="ascii")
    return set(re.findall(r"^CALL\w*\((\w+)", text, re.MULTILINE))


# ---- ends of all kinds ------------------------------------------------------

def calls(*words, status=0):
    return run([WINE, CALLS, *words], status=status)


def ended_at(mark, path, mode):
    """End the program as soon as the mark is in its file."""
    path.unlink(missing_ok=True)
    with subprocess.Popen([str(WINE), str(CALLS), str(path), mode],
                          cwd=ROOT) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not path.exists() or mark not in path.read_text():
                if time.monotonic() > deadline:
                    fail(f"no {mark} in {path.name}")
                time.sleep(0.01)  # Wine writes it, and nothing tells us
        finally:
            process.kill()
    return path


def check_ends():
    for mode, status in (("end", 0), ("null", None), ("die", 1)):
        with check(f"trace: the file is whole after: {mode}"):
            path = OUT / f"{mode}.json"
            path.unlink(missing_ok=True)
            output = calls(path, mode, status=status)
            if mode == "null" and "crashed" not in output:
                fail("the program's own handler was not called")
            if mode != "end" and "unfinished" not in path.read_text():
                fail("nothing is marked as unfinished")
            [seen] = view([path])
            events_agree(path, seen)
    with check("trace: the file loads after TerminateProcess() from outside"):
        view([ended_at("WSARecv", OUT / "terminate.json", "terminate")])
    with check("trace: a call inside another one is not held up by it"):
        path = ended_at("WSACloseEvent", OUT / "nested.jsonl", "nested")
        if "shutdown" in path.read_text():
            fail("the outer call is told before it is over")
    with check("trace: nobody who reads it does not keep a program running"):
        with subprocess.Popen([str(WINE), str(CALLS), "narrate", "flood"],
                              stdin=subprocess.DEVNULL, cwd=ROOT,
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE) as process:
            try:
                if process.wait(PATIENCE) != 0:
                    fail(f"exit status {process.returncode}")
            finally:
                process.kill()
    with check("trace: changes no result and no last error"):
        calls(OUT / "errors.json", "errors")
        calls("narrate", "errors")
    with check("trace: a flood of calls adds up, kept or dropped"):
        path = OUT / "flood.jsonl"
        counts = counts_of(calls(path, "flood").splitlines())
        adds_up(path.read_text(), counts)
    with check("trace: says what it drops, and the rest adds up"):
        text, counts = held_back()
        if not adds_up(text, counts):
            fail("nothing was dropped")


def adds_up(text, counts):
    """A .jsonl holds the calls that were counted, except for as many records
    as it says that it has dropped. Returns that number."""
    lines = [json.loads(line) for line in text.splitlines()]
    kept = sum(line["kind"] in ("call", "woke") for line in lines)
    dropped = sum(line["count"] for line in lines if line["kind"] == "dropped")
    if lines[-1]["kind"] != "end" or lines[-1]["dropped"] != dropped:
        fail(f"{dropped} dropped, at the end {lines[-1]}")
    # A wait is two records; either may be dropped.
    if not kept <= sum(counts.values()) <= kept + dropped:
        fail(f"{kept} kept, {dropped} dropped, "
             f"{sum(counts.values())} counted")
    return dropped


def held_back():
    """Make a flood of calls. Nobody reads a byte of their file before the last
    call was made: the rings have no room for a quarter of them. Returns the
    whole text, and the counts."""
    path = OUT / "held.jsonl"
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(pipe, "rb", buffering=0) as stream, \
            subprocess.Popen([str(WINE), str(CALLS), str(path), "flood"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             cwd=ROOT) as process:
        try:
            told, kept = Lines(process.stdout), Lines(stream)
            summary = []
            while not summary or "together" not in summary[-1]:
                if (line := told.read()) is None:
                    fail("it ended without a summary")
                summary.append(line)
            # The last call has its record: all others come before it.
            lines = [kept.read()]
            while "closesocket" not in lines[-1]:
                lines.append(kept.read() or fail("closesocket() is missing"))
            process.stdin.close()
            lines += kept.rest()
            if process.wait(PATIENCE) != 0:
                fail(f"exit status {process.returncode}")
        finally:
            process.kill()
    return "\n".join(lines), counts_of(summary)


def check_bytes():
    """Of what a client sends, a trace shows the first bytes, and nothing that
    changes a terminal or breaks a line of JSON."""
    sent = b'a"\\\n\r\t\0\x1b[2J\xff, and more'
    shown = r'"a\"\\\n\r\t\0.[2J., an"...'
    path = OUT / "bytes.jsonl"
    with check("trace: the first bytes are shown, and none that a terminal "
               "obeys"):
        with Narrator("select", "--trace-file", path) as narrator:
            with socket.create_connection(
                    ("127.0.0.1", narrator.server.port), PATIENCE) as client:
                client.sendall(sent)
                narrator.until(begins("send(#1"))
                # With unread bytes its close would be a reset.
                client.recv(len(sent), socket.MSG_WAITALL)
            narrator.stop()
        told = {line.call.split("(")[0]: line for line in narrator.lines
                if line.function in ("on_readable", "on_writable") and
                not line.result.startswith("0, end")}
        if told["recv"].result != f"{len(sent)} bytes {shown}" or \
                told["send"].call != f"send(#1, {shown}, {len(sent)})":
            fail(f"{told}")
        if not any(rec.get("arguments") == told["send"].call[5:-1] for rec in
                   map(json.loads, path.read_text().splitlines())):
            fail("the .jsonl does not have the same bytes")


def check_command_line():
    server = BUILD / "bin" / "select.exe"

    def refused(options, status, *words):
        done = subprocess.run([str(WINE), str(server), "--port", "0",
                               *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE,
                              cwd=ROOT)
        if done.returncode != status or done.stdout or \
                not all(word in done.stderr for word in words) or \
                done.stderr.count("\n") != 1:
            fail(f"{options}: exit status {done.returncode}\n{done.stdout}"
                 f"{done.stderr}")

    with check("trace: a file that cannot be written is exit 3"):
        refused(["--trace-file", "no/such/folder/t.json"], 3,
                "no/such/folder/t.json", "ERROR_PATH_NOT_FOUND (3)")
        taken = OUT / "taken.json"
        taken.mkdir(exist_ok=True)
        refused(["--trace-file", str(taken)], 3, "taken.json", "ERROR_")
    with check("trace: a full disk ends the trace, not the server"):
        full = OUT / "full.json"
        full.unlink(missing_ok=True)
        full.symlink_to("/dev/full")
        with Server("select", "--trace-file", full) as plain:
            with socket.create_connection(("127.0.0.1", plain.port),
                                          PATIENCE) as client:
                client.sendall(b"!")
                if client.recv(1) != b"!":
                    fail("no echo")
            plain.stop()
            text = plain.error_text()
        if "ERROR_DISK_FULL" not in text or "trace ends here" not in text or \
                text.count("\n") != 1:
            fail(f"standard error: {text!r}")
    with check("trace: a file of an unknown kind is exit 2"):
        for name in ("t.txt", "json", "", "t.json.gz"):
            refused(["--trace-file", name], 2, ".json or .jsonl", "--help")
    with check("trace: a program built without tracing says so"):
        server = BUILD / "plain" / "bin" / "select.exe"
        run(["make", "-f", "Makefile.mingw", "-s", "PLAIN=1", "servers"],
            timeout=600)
        refused(["--trace"], 2, "built without tracing")
        refused(["--trace-file", "t.json"], 2, "built without tracing")


# ---- the pages --------------------------------------------------------------

def echo_parts(runs):
    """{mark: text}: one echo of each model, alone and in a table, and a whole
    run, as compare() has found it."""
    rows = ["| model | call by call | calls | waits |", "|---|---|---|---|"]
    parts = {}
    for model, (_, steps) in runs.items():
        told = [line.masked() for line in steps["echo"]]
        if model == "pool":  # two threads, and which is first is nobody's choice
            told.sort(key=lambda line: line.thread)
        names = calls_of(told)
        rows.append(f"| [{model}](../{source_of(model).relative_to(ROOT)}) | " +
                    ", ".join(f"`{name}`" for name, _ in names) +
                    f" | {len(names)} | {sum(wait for _, wait in names)} |")
        text = [f"{line.function:15} {'  ' * line.depth}{line.call}".ljust(58)
                + f" {line.result}" for line in told]
        parts[f"echo of {model}"] = fenced(text)
        whole = (GOLDEN / f"{model}.txt").read_text(encoding="ascii")
        threads = whole.split("\n\n", 1)[1].split("\n\ncalls:\n")[0]
        parts[f"run of {model}"] = fenced(threads.splitlines())
    parts["one echo of each"] = "\n".join(rows)
    return parts


def fenced(lines):
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def preprocessed(*options):
    """What the compiler makes of one line of select.c, cut into lines."""
    text = run([TOOLS + "gcc", "-E", "-P", *options, "-I.", "-Ibuild/include",
                "select/select.c"])
    line = re.search(r"int len = .*recv\)?\(.*", text)[0]
    line = re.sub(r"(__func__), \d+", r"\1, 131", line)
    return fenced(re.sub(r"(?<=: \(void\)0\), )|(?<=watch_recv\))", "\n    ",
                         line).splitlines())


def record_part():
    """One line of a .jsonl: the end of the wait that an echo begins with."""
    for line in (OUT / "select.jsonl").read_text().splitlines():
        rec = json.loads(line)
        if rec["kind"] == "woke" and rec["state"]["connections"]:
            return fenced(re.sub(r",(\"(source|us|result|state|threads|sets)\":)",
                                 r",\n\1", line).splitlines())
    fail("select.jsonl has no such line")


def masked_times(text):
    return re.sub(r'("t"|"us"|select\.c):[\d.]+', r"\1:0", text)


def check_pages(runs):
    parts = echo_parts(runs) | {"gcc -E plain": preprocessed(),
                                "gcc -E": preprocessed("-DTRACE"),
                                "a record": record_part()}
    for path in PAGES:
        page = path.read_text(encoding="ascii")
        name = path.relative_to(ROOT)
        for mark in re.findall(r"<!-- run: ([^\\]+?) -->", page):
            with check(f"trace: {name}: {mark}"):
                fresh = replaced(page, mark, parts)
                if masked_times(fresh) != masked_times(page):
                    if not UPDATE:
                        fail("is not what a run shows now:\n"
                             f"{parts[mark]}\nWhere that is meant: "
                             "tests/servers/trace/trace.py --update")
                    page = fresh
        if UPDATE:
            path.write_text(page, encoding="ascii")


def replaced(page, mark, parts):
    if mark not in parts:
        fail("there is no such part; there are " + ", ".join(parts))
    whole = re.compile(f"(<!-- run: {mark} -->\n).*?(<!-- end -->)", re.DOTALL)
    return whole.sub(lambda m: m[1] + parts[mark] + "\n" + m[2], page)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    runs = {}
    with check("trace: the viewer is there"):
        install_viewer()
    for model in CHOSEN or TOLD:
        with check(f"trace: {model}: the calls, in their order"):
            path = OUT / f"{model}.json"
            narrator, steps = scripted_run(model, "--trace-file", path)
            compare(GOLDEN / f"{model}.txt", golden_text(model, narrator))
            runs[model] = narrator, steps
        with check(f"trace: {model}: the table tells the echo from the rest"):
            for_echoes_agree(model, narrator, steps)
        with check(f"trace: {model}: the viewer shows each of them"):
            [seen] = view([path])
            events_agree(path, seen, counts_of(narrator.summary))
        with check(f"trace: {model}: each line stands for itself"):
            path = OUT / f"{model}.jsonl"
            again, _ = scripted_run(model, "--trace-file", path)
            if more := list(difflib.unified_diff(
                    golden_text(model, narrator).splitlines(),
                    golden_text(model, again).splitlines(), "one run",
                    "a second run", lineterm="")):
                fail("\n".join(more))
            replay(path, counts_of(again.summary))
    if CHOSEN:
        finish()
    if len(runs) == len(TOLD):
        check_pages(runs)
    check_ends()
    check_bytes()
    check_command_line()
    check_oracle()
    finish()


if __name__ == "__main__":
    main()
