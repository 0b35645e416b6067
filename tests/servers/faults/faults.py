#!/usr/bin/env python3
"""Servers whose calls fail: a clear error, nothing lost but the one client.

usage: faults.py [MODEL ...]

They are the servers of build/bin; watch/faults.h says how a call is made to fail.

While a server starts, each call that can fail is made to fail once: it must
end with exit code 1 or 3 and a line that names the call, and never be ready.
While it serves, every second or third call fails: the clients that were there
before are still served, newcomers are served or turned away, no client hangs,
and the server stops as asked. For a while every call fails, and afterwards all
is as before. Two servers are told of a client's close at the moment when Windows
would tell them, and routines run where Windows may run them; Wine would not.
"""
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lib"))
from suite import BUILD, PATIENCE, WINE, Failed, Server, fail, fill  # noqa: E402

COMMON = ["malloc"]
READY = ["ioctlsocket", "recv", "send", "accept"]
OVERLAPPED = ["WSARecv", "WSASend"]
RIO = ["RIOReceive", "RIOSend"]
POSTS = OVERLAPPED + RIO
ACCEPT_EX = ["iocp", "threadpool", "iocp_tuned", "rio"]
# Such a call happens once for many clients, so it needs many of them.
RARE = ["_beginthreadex", "calloc", "VirtualAlloc", "RIORegisterBuffer",
        "RIOResizeCompletionQueue"]
SERVING = {
    "select": COMMON + READY,
    "asyncselect": COMMON + ["recv", "send", "accept", "WSAAsyncSelect"],
    "eventselect": COMMON + ["recv", "send", "accept", "calloc",
                             "WSACreateEvent", "WSAEventSelect",
                             "_beginthreadex"],
    "overlapped_event": COMMON + OVERLAPPED + ["accept", "calloc",
                                               "WSACreateEvent",
                                               "WSAEventSelect",
                                               "_beginthreadex"],
    "overlapped_routine": COMMON + OVERLAPPED + ["accept", "WSAEventSelect"],
    "iocp": COMMON + OVERLAPPED + ["WSASocketW", "CreateIoCompletionPort"],
    "one_client": ["recv", "send", "accept"],
    # Every third recv() of polling is soon one of an idle client: nobody would
    # stay. So this call has only its own case, of what its clients see then.
    "polling": COMMON + ["ioctlsocket", "send", "accept"],
    "blocking": COMMON + ["recv", "send", "accept", "_beginthreadex"],
    "wsapoll": COMMON + READY + ["realloc"],
    "pool": COMMON + READY + ["realloc"],
    "threadpool": COMMON + OVERLAPPED + ["WSASocketW", "CreateThreadpoolIo"],
    "iocp_tuned": COMMON + OVERLAPPED + ["WSASocketW", "CreateIoCompletionPort",
                                         "SetFileCompletionNotificationModes"],
    "rio": RIO + ["WSASocketW", "calloc", "VirtualAlloc", "RIORegisterBuffer",
                  "RIOCreateRequestQueue", "RIOResizeCompletionQueue"],
}
STARTING = {
    "select": ["ioctlsocket", "WSASocketW", "listen", "setsockopt"],
    "asyncselect": ["CreateWindowExW", "WSAAsyncSelect", "WSASocketW"],
    "eventselect": ["WSACreateEvent", "WSAEventSelect", "WSASocketW"],
    "overlapped_event": ["WSACreateEvent", "WSAEventSelect", "WSASocketW"],
    "overlapped_routine": ["calloc", "WSACreateEvent", "WSAEventSelect",
                           "_beginthreadex"],
    "iocp": ["CreateIoCompletionPort", "HeapAlloc", "calloc", "WSASocketW",
             "_beginthreadex"],
    "one_client": ["WSASocketW", "listen", "setsockopt"],
    "polling": ["ioctlsocket", "WSASocketW", "listen", "setsockopt"],
    "blocking": ["CreateEventW", "WSASocketW", "listen", "setsockopt",
                 "_beginthreadex"],
    "wsapoll": ["ioctlsocket", "WSASocketW", "listen", "setsockopt", "realloc"],
    "pool": ["ioctlsocket", "WSASocketW", "listen", "setsockopt", "realloc",
             "calloc", "_beginthreadex"],
    "threadpool": ["CreateThreadpool", "SetThreadpoolThreadMinimum",
                   "CreateThreadpoolIo", "HeapAlloc", "WSASocketW"],
    "iocp_tuned": ["CreateIoCompletionPort", "HeapAlloc", "calloc",
                   "WSASocketW", "_beginthreadex"],
    "rio": ["CreateIoCompletionPort", "HeapAlloc", "calloc", "WSASocketW",
            "_beginthreadex", "RIOCreateCompletionQueue", "RIONotify"],
}


# Serves one client at a time: each leaves before the next one comes.
ALONE = ["one_client"]


def require(condition, text):
    if not condition:
        fail(text)


WSAECONNRESET = "10054"
WSAENOBUFS = "10055"


def start(model, may_fail=False, **faults):
    """With WATCH_FAULTS; `window` is its while=, and comes last."""
    window = faults.pop("window", None)
    words = [f"{name}={value}" for name, value in faults.items() if value]
    words += [f"while=Z:{window}"] if window else []
    return Server(model, "--quiet", may_fail=may_fail,
                  env={**os.environ, "WATCH_FAULTS": ",".join(words)}
                  if words else None)


def echoes(sock, text, patience, owed=b""):
    """True: echoed, after what is owed. False: turned away. None: nothing
    yet."""
    sock.settimeout(patience)
    got = b""
    try:
        sock.sendall(text)
        text = owed + text
        while len(got) < len(text):
            more = sock.recv(len(text) - len(got))
            if not more:
                return False
            got += more
    except socket.timeout:
        return None
    except OSError:
        return False
    require(got == text, "a wrong echo: %r instead of %r" % (got, text))
    return True


class Reset:
    """A connection that was reset before connect() returned."""

    def refuse(self, *_):
        raise ConnectionResetError

    sendall = recv = refuse

    def settimeout(self, _):
        pass

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def connect(port):
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    except ConnectionResetError:
        return Reset()
    except OSError as error:
        fail("nobody listens any more: %s" % error)


@contextlib.contextmanager
def last_words(server):
    """A failure tells how the server ended, and what it said last."""
    try:
        yield
    except Failed as failure:
        fail("%s; exit code %s: %s" % (failure, server.process.poll(),
                                       server.error_text()[-400:]))


def serve(port, call, count, alone=False):
    """The clients that are there at the end; how many were served, and how
    many turned away."""
    held, served, away = [], 0, 0
    for number in range(count):
        sock = connect(port)
        # Nobody can leave before the first one is served.
        answer = echoes(sock, b"client %d" % number,
                        0.5 if held else PATIENCE)
        if answer is None:
            # The server is out of sockets, so it left this client in the
            # backlog. It must accept this client as soon as another one
            # leaves.
            require(held, "the first client hangs")
            held.pop(0).close()
            sock.settimeout(PATIENCE)
            text = b"client %d" % number
            got = b""
            while len(got) < len(text):
                try:
                    more = sock.recv(64)
                except socket.timeout:
                    fail("client %d hangs" % number)
                except OSError:
                    more = b""
                if not more:
                    break
                got += more
            answer = got == text
        if answer:
            served += 1
            held.append(sock)
            if alone:
                held.pop().close()
        else:
            away += 1
            sock.close()
    if call not in ("recv", "send", *POSTS):
        for number, sock in enumerate(held):
            require(echoes(sock, b"again %d" % number, PATIENCE),
                    "client %d of before is not served" % number)
    return held, served, away


def trouble_case(model, call):
    """What is begun for a client fails at once: its connection ends with a
    reset. An orderly end after half an echo would look like all of it."""
    # To its wake socket pool cannot say anything while there is no memory, and
    # waits; nothing else may happen to that socket. It is received from once or
    # twice for each client, so every third recv() could always be one of those;
    # every fifth one of many clients is not.
    with start(model, call=call,
               every="5" if model == "pool" else "3",
               code=WSAENOBUFS if model == "pool" else
               WSAECONNRESET) as server:
        ends = []
        for number in range(180 if model == "pool" else 18):
            with connect(server.port) as sock:
                try:
                    sock.sendall(b"x" * 100)
                    ends.append("echo" if sock.recv(100) else "orderly end")
                except ConnectionError:
                    ends.append("reset")
                except socket.timeout:
                    fail("client %d hangs" % number)
        server.stop(PATIENCE)
    require("reset" in ends and "orderly end" not in ends, str(ends))
    return "%d resets" % ends.count("reset")


def serve_case(model, call, count, every):
    # Of WSAENOBUFS they only become slower: held_case().
    code = WSAECONNRESET if call in POSTS else None
    with start(model, call=call, every=str(every),
               code=code) as server:
        with last_words(server):
            held, served, away = serve(server.port, call, count,
                                       model in ALONE)
            server.stop(PATIENCE)
        errors = server.error_text()
    for sock in held:
        sock.close()
    require("fault: " + call in errors, "the fault never struck")
    require(served >= count / 4, "only %d of %d served" % (served, count))
    return "%d served, %d turned away" % (served, away)


def told(model, errors, most):
    """The server has said something about its trouble, and not too often."""
    lines = [line for line in errors.splitlines()
             if line.startswith(model + ": ")]
    require(0 < len(lines) <= most, "%d lines about it: %s"
            % (len(lines), lines[:3]))
    return "%d lines" % len(lines)


class Window:
    """All calls fail from here on, until it is closed: at least for so long that
    a server which tries again each second has tried again."""

    LEAST_S = 1.6

    def __init__(self, call):
        self.call = call
        self.file = BUILD / f"fault-window-{os.getpid()}"
        self.file.unlink(missing_ok=True)
        self.began = 0

    def open(self):
        self.file.touch()
        self.began = time.monotonic()

    def struck(self, server, times):
        deadline = time.monotonic() + PATIENCE
        while server.error_text().count("fault: " + self.call) < times:
            require(time.monotonic() < deadline,
                    f"the fault has not struck {times} times")
            time.sleep(.01)

    def close(self):
        """Returns how long it was open."""
        time.sleep(max(0, self.began + self.LEAST_S - time.monotonic()))
        self.file.unlink()
        return time.monotonic() - self.began


def held_case(model, call, stop):
    """For a while Windows is too short of memory to begin anything. The clients
    get their whole echoes later, all of them, or the server stops before."""
    window = Window(call)
    with start(model, call=call,
               window=window.file) as server:
        with last_words(server):
            held = [connect(server.port) for _ in range(70)]
            for sock in held[:35]:
                require(echoes(sock, b"before", PATIENCE), "not served before")
            window.open()
            held += [connect(server.port) for _ in range(10)]
            for number, sock in enumerate(held):
                sock.sendall(b"meanwhile %d" % number)
            window.struck(server, 10)
            if stop:
                server.stop(PATIENCE)
            lasted = window.close()
            for number, sock in enumerate(held if not stop else ()):
                require(echoes(sock, b", later", PATIENCE, b"meanwhile %d"
                               % number), "client %d was ended" % number)
            if not stop:
                for sock in held:
                    require(echoes(sock, b"after", PATIENCE), "slow for ever")
                server.stop(PATIENCE)
        errors = server.error_text()
    for sock in held:
        sock.close()
    struck = errors.count("fault: " + call)
    require(struck < (lasted + 3) * len(held),
            "refused %d times: it asks without a pause" % struck)
    return "refused %d times in %.1f s, %s" % (struck, lasted,
                                               told(model, errors, 10 + lasted))


def shortage_case(model, call, held_count):
    """For a while no socket can be made at all. Clients that are there notice
    nothing. Those that come then may wait or be turned away; afterwards all is
    as before, with nobody connected as with some."""
    window = Window(call)
    with start(model, call=call,
               window=window.file) as server:
        with last_words(server):
            held = [connect(server.port) for _ in range(held_count)]
            for sock in held:
                require(echoes(sock, b"before", PATIENCE), "not served before")
            window.open()
            # More than iocp has AcceptEx() in flight.
            newcomers = [connect(server.port) for _ in range(40)]
            for sock in held:
                require(echoes(sock, b"meanwhile", PATIENCE),
                        "one that was there is not served")
            for sock in newcomers:
                sock.close()
            window.struck(server, 1)
            lasted = window.close()
            held += [connect(server.port) for _ in range(40)]
            for sock in held:
                require(echoes(sock, b"after", PATIENCE), "deaf afterwards")
                if model in ALONE:
                    sock.close()
            server.stop(PATIENCE)
        errors = server.error_text()
    for sock in held:
        sock.close()
    return told(model, errors, 9 + lasted)


def newcomers_left_case(model):
    """A newcomer that left is no trouble for the server or for others: all are
    served."""
    with start(model, call="AcceptEx",
               every="2") as server:
        held, served, away = serve(server.port, "AcceptEx", 60)
        server.stop(PATIENCE)
        errors = server.error_text()
    for sock in held:
        sock.close()
    require("fault: AcceptEx" in errors, "the fault never struck")
    require(errors.replace("fault: AcceptEx", "").strip() == "",
            "it complains: %r" % errors)
    require((served, away) == (60, 0), "%d served, %d turned away"
            % (served, away))
    return "all served"


def start_case(model, call):
    for struck in range(99):
        with start(model, may_fail=True, call=call,
                   at=str(struck + 1)) as server:
            if server.port:
                server.stop(PATIENCE)
            code = server.process.wait(PATIENCE)
            errors = server.error_text()
        if "fault: " + call not in errors:
            require(server.port, "does not start without fault")
            require(struck > 0, "the fault never struck")
            return "%d times" % struck
        if server.port and model in ACCEPT_EX and call == "WSASocketW":
            continue  # one AcceptEx() less, and a warning: it can still serve
        require(not server.port, "ready although %s failed" % call)
        require(code in (1, 3), "exit code %s after %s" % (code, call))
        # A server learns its name from its command line.
        require(any(line.startswith((model + ": ", "winsock-models: "))
                    for line in errors.splitlines()),
                "no error line after %s: %r" % (call, errors))
    fail("started a hundred times and still found the call")


def routines_case(model):
    """Many clients leave in the same instant, and routines run inside the calls
    that close. None of them may close a client itself, or there would be one
    call inside another for each client that leaves."""
    with start(model, call="APC") as server:
        socks = [connect(server.port) for _ in range(400)]
        for sock in socks:
            require(echoes(sock, b"hello", PATIENCE), "not served")
        for sock in socks:
            sock.close()
        with connect(server.port) as sock:
            require(echoes(sock, b"after", PATIENCE), "deaf afterwards")
        server.stop(PATIENCE)
        errors = server.error_text()
    depths = [int(line.split()[-1]) for line in errors.splitlines()
              if line.startswith("fault: APC depth ")]
    require(depths, "no call that closes")
    require(max(depths) == 1, "%d calls in one another" % max(depths))
    return "400 left"


def early_close_case(model):
    """A client sends all its bytes, then its end, and only then reads."""
    answer = b""
    data = os.urandom(1 << 18)
    with start(model, call="FD_CLOSE") as server:
        with connect(server.port) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            try:
                while more := sock.recv(65536):
                    answer += more
            except socket.timeout:
                fail("the end never came, after %d of %d bytes"
                     % (len(answer), len(data)))
        summary = server.stop(PATIENCE)[0]
    require(answer == data, "%d of %d bytes came back"
            % (len(answer), len(data)))
    require("0 reset" in summary, "not closed in order: " + summary)
    return "%d bytes" % len(answer)


def poll_case(model):
    """A client has sent its end and does not take its echo yet. To wait for it
    would be no wait, but the server must not spin."""
    with start(model, call="POLLHUP") as server:
        with connect(server.port) as sock:
            sent = fill(sock)
            sock.shutdown(socket.SHUT_WR)
            time.sleep(1)
            waits = server.error_text().count("fault: POLLHUP, 100 waits")
            sock.settimeout(PATIENCE)
            got = 0
            while more := sock.recv(1 << 20):
                got += len(more)
        server.stop(PATIENCE)
    require(got == sent, "%d of %d bytes came back" % (got, sent))
    require(waits < 20, "it waited %d times in two seconds" % (100 * waits))
    return "%d bytes, less than %d waits" % (got, 100 * (waits + 1))


def stop_case(model, what):
    """Its only client says nothing, or does not read, or is not there, and the
    server stops all the same. (The contract suite asks this with six clients.)"""
    with start(model) as server:
        with connect(server.port) as sock:
            require(echoes(sock, b"first", PATIENCE), "not served")
            if what == "gone":
                sock.close()
            elif what == "not reading":
                fill(sock)
            time.sleep(.2)  # for the server to wait for it, which nothing tells
            began = time.monotonic()
            summary = server.stop(PATIENCE)[0]
            took = time.monotonic() - began
    require("1 clients" in summary and "0 reset" in summary, summary)
    require(took < 5, "it took %.1f s" % took)
    return "in %.1f s" % took


def books_case(model, call):
    """Clients come, talk and leave, and some calls fail at once. Every
    StartThreadpoolIo() has its callback or its CancelThreadpoolIo(), no callback
    waits for itself, and none runs when its PTP_IO is closed."""
    with start(model, call=call, every="3",
               code=WSAECONNRESET if call in OVERLAPPED else None
               ) as server:
        for number in range(40):
            with connect(server.port) as sock:
                echoes(sock, b"book %d" % number, PATIENCE)
        left = [connect(server.port) for _ in range(10)]
        server.stop(PATIENCE)
        errors = server.error_text()
    for sock in left:
        sock.close()
    require("fault: " + call in errors, "the fault never struck")
    complaints = [line for line in errors.splitlines()
                  if line.startswith("thread pool: ")]
    require(not complaints, "%d complaints: %s"
            % (len(complaints), complaints[:3]))
    return "the books balance"


# Those in which it matters what is done at once.
AT_ONCE_MATTERS = "E1,E2,E3.1,E3.2,E4,E5,E8.1,E8.2,E8.3,E8.7"


def at_once_case(model, fault, *options):
    """Whatever Windows does at once, and whatever not: the contract holds."""
    arguments = [word for option in options for word in ("--arg", option)]
    done = subprocess.run(
        [str(WINE), str(BUILD / "bin" / "contract.exe"), "--strict", "--scale",
         "2", "--exe", str(BUILD / "bin" / (model + ".exe")), "--only",
         AT_ONCE_MATTERS, *arguments], stdin=subprocess.DEVNULL,
        env={**os.environ, "WATCH_FAULTS": f"call={fault}"}, capture_output=True, text=True,
        errors="replace", timeout=600)
    wrong = [line for line in done.stdout.splitlines()
             if line.startswith("FAILED")]
    require(done.returncode == 0, "exit code %d, %s%s"
            % (done.returncode, wrong, done.stderr[-300:]))
    return done.stdout.splitlines()[-1]


def groups_case(model):
    """Two groups of processors: a port, and workers, in each of them."""
    with Server(model, "--quiet", "--groups",
                env={**os.environ, "WATCH_FAULTS": "call=GROUPS"}) as server:
        held = [connect(server.port) for _ in range(9)]
        for number, sock in enumerate(held):
            require(echoes(sock, b"client %d" % number, PATIENCE),
                    "client %d is not served" % number)
        server.stop(PATIENCE)
        errors = server.error_text()
    for sock in held:
        sock.close()
    for group in (0, 1):
        require("a thread for group %d, mask 1\n" % group in errors,
                "no worker in group %d: %r" % (group, errors))
    return "two ports"


def broken_queue_case(call, line):
    """A completion queue that is lost is no trouble of one client."""
    with start("rio", call=call, every="3") as server:
        with connect(server.port) as sock:
            for number in range(9):
                if not echoes(sock, b"echo %d" % number, PATIENCE):
                    break
        code = server.process.wait(PATIENCE)
        errors = server.error_text()
    require(code == 1, "exit code %s" % code)
    require(line in errors, "it says: %r" % errors)
    return "exit code 1"


def run(title, case, *args):
    began = time.time()
    try:
        note = case(*args)
    except (Failed, subprocess.TimeoutExpired) as failure:
        print("not ok  %s: %s" % (title, failure), flush=True)
        return False
    print("ok      %s: %s (%.1f s)" % (title, note, time.time() - began),
          flush=True)
    return True


def main():
    models = sys.argv[1:] or list(SERVING)
    results = []
    for model in models:
        for call in STARTING[model]:
            results.append(run("%s starts, %s fails" % (model, call),
                               start_case, model, call))
        for call in SERVING[model]:
            rare = call in RARE
            results.append(run("%s serves, %s fails" % (model, call),
                               serve_case, model, call,
                               150 if rare else 18, 2 if rare else 3))
    for model in models:
        for call in ("recv", "send", *POSTS):
            if call in SERVING[model] or (model, call) == ("polling", "recv"):
                results.append(run("%s, %s fails at once" % (model, call),
                                   trouble_case, model, call))
        for call in POSTS:
            for stop in (False, True) if call in SERVING[model] else ():
                results.append(run("%s, no memory for %s%s" % (
                    model, call, ", stopped meanwhile" if stop else ""),
                    held_case, model, call, stop))
        call = "WSASocketW" if model in ACCEPT_EX else "accept"
        for held in (0, 2) if model not in ALONE else (0,):
            results.append(run("%s, %s fails for a while, %d clients there"
                               % (model, call, held), shortage_case,
                               model, call, held))
        if model in ACCEPT_EX:
            results.append(run(model + " hears at once that a newcomer left",
                               newcomers_left_case, model))
    if "threadpool" in models:
        for call in [*OVERLAPPED, "AcceptEx", "CreateThreadpoolIo"]:
            results.append(run("threadpool keeps the books, %s fails" % call,
                               books_case, "threadpool", call))
    if "iocp_tuned" in models:
        for fault in ("PENDING", "MIXED", "AT_ONCE"):
            for options in ([], ["--zero-byte"]):
                results.append(run(" ".join(["iocp_tuned", *options, fault]),
                                   at_once_case, "iocp_tuned", fault,
                                   *options))
        results.append(run("iocp_tuned, two groups of processors", groups_case,
                           "iocp_tuned"))
    if "overlapped_routine" in models:
        results.append(run("overlapped_routine, routines run inside calls",
                           routines_case, "overlapped_routine"))
    for model in ALONE:
        for what in ("silent", "not reading", "gone"):
            if model in models:
                results.append(run("%s stops, its client is %s" % (model, what),
                                   stop_case, model, what))
    for model in ("wsapoll", "pool"):
        if model in models:
            results.append(run(model + " does not spin on POLLHUP", poll_case,
                               model))
    if "rio" in models:
        for call, line in (
                ("RIODequeueCompletion",
                 "rio: RIODequeueCompletion: the queue is corrupt"),
                ("RIONotify", "rio: RIONotify: WSAEINVAL")):
            results.append(run("rio serves, %s fails" % call,
                               broken_queue_case, call, line))
    for model in ("asyncselect", "eventselect"):
        if model in models:
            results.append(run(model + " hears of the close early",
                               early_close_case, model))
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
