#!/usr/bin/env python3
"""Servers whose calls fail: a clear error, nothing lost but the one client.

usage: faults.py DIR [MODEL ...]     DIR holds the servers built with faults.h

While a server starts, each call that can fail is made to fail once: it must
end with exit code 1 or 3 and a line that names the call, and never be ready.
While it serves, every second or third call fails: the clients that were there
before are still served, newcomers are served or turned away, nobody hangs, and
the server stops as asked. And two servers hear of a client's close at the
moment when Windows would tell them, which Wine does not.
"""
import os
import socket
import subprocess
import sys
import tempfile
import time

WINE = os.environ.get("WINE", "tools/wine.sh").split()
PATIENCE = 20.0  # seconds; only a server that hangs ever takes this long

COMMON = ["malloc"]
READY = ["ioctlsocket", "recv", "send", "accept"]
OVERLAPPED = ["WSARecv", "WSASend"]
SERVING = {
    "select": COMMON + READY,
    "asyncselect": COMMON + ["recv", "send", "accept", "WSAAsyncSelect"],
    "eventselect": COMMON + ["recv", "send", "accept", "calloc",
                             "WSACreateEvent", "WSAEventSelect",
                             "_beginthreadex"],
    "overlapped_event": COMMON + OVERLAPPED + ["calloc", "WSACreateEvent",
                                               "WSASocketW", "_beginthreadex"],
    "overlapped_routine": COMMON + OVERLAPPED + ["accept", "WSAEventSelect"],
    "iocp": COMMON + OVERLAPPED + ["WSASocketW", "CreateIoCompletionPort"],
}
STARTING = {
    "select": ["ioctlsocket", "WSASocketW", "listen", "setsockopt"],
    "asyncselect": ["CreateWindowExW", "WSAAsyncSelect", "WSASocketW"],
    "eventselect": ["WSACreateEvent", "WSAEventSelect", "calloc", "realloc"],
    "overlapped_event": ["WSACreateEvent", "HeapAlloc", "WSASocketW", "calloc"],
    "overlapped_routine": ["calloc", "WSACreateEvent", "WSAEventSelect",
                           "_beginthreadex"],
    "iocp": ["CreateIoCompletionPort", "HeapAlloc", "calloc", "WSASocketW",
             "_beginthreadex"],
}


class Failure(Exception):
    pass


def require(condition, text):
    if not condition:
        raise Failure(text)


class Server:
    def __init__(self, folder, model, **settings):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            WINE + [os.path.join(folder, model + ".exe"), "--port", "0",
                    "--stop-on-eof", "--quiet"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env={**os.environ, **settings})
        self.ready = self.process.stdout.readline().decode()
        self.port = None
        if "listening on" in self.ready:
            self.port = int(self.ready.split(",")[0].rsplit(":", 1)[1])

    def stop(self):
        """The exit code and what stood on standard error."""
        self.process.stdin.close()
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "none: it hangs"
        self.summary = self.process.stdout.readline().decode()
        self.process.stdout.close()
        self.errors.seek(0)
        return code, self.errors.read().decode(errors="replace")


def echoes(sock, text, patience):
    """True: echoed. False: turned away. None: nothing yet."""
    sock.settimeout(patience)
    got = b""
    try:
        sock.sendall(text)
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


def connect(port):
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    except OSError as error:
        raise Failure("nobody listens any more: %s" % error)


def serve_case(folder, model, call, count, every):
    server = Server(folder, model, FAULT_CALL=call, FAULT_EVERY=str(every))
    if server.port is None:
        raise Failure("did not start: " + server.stop()[1])
    held, served, away = [], 0, 0
    try:
        for number in range(count):
            sock = connect(server.port)
            answer = echoes(sock, b"client %d" % number, 0.5)
            if answer is None:
                # Out of sockets, so it left this one in the backlog. It must
                # come for it as soon as another client leaves.
                require(held, "the first client hangs")
                held.pop(0).close()
                sock.settimeout(PATIENCE)
                text = b"client %d" % number
                got = b""
                while len(got) < len(text):
                    try:
                        more = sock.recv(64)
                    except socket.timeout:
                        raise Failure("client %d hangs" % number)
                    except OSError:
                        more = b""
                    if not more:
                        break
                    got += more
                answer = got == text
            if answer:
                served += 1
                held.append(sock)
            else:
                away += 1
                sock.close()
        if call not in ("recv", "send", "WSARecv", "WSASend"):
            for number, sock in enumerate(held):
                require(echoes(sock, b"again %d" % number, PATIENCE),
                        "client %d of before is not served" % number)
    except Failure as failure:
        code, errors = server.stop()
        raise Failure("%s; exit code %s: %s" % (failure, code, errors[-400:]))
    code, errors = server.stop()
    for sock in held:
        sock.close()
    require("fault: " + call in errors, "the fault never struck")
    require(code == 0, "exit code %s: %s" % (code, errors[-400:]))
    require(served >= count / 4, "only %d of %d served" % (served, count))
    return "%d served, %d turned away" % (served, away)


def start_case(folder, model, call):
    struck = 0
    for at in range(1, 100):
        server = Server(folder, model, FAULT_CALL=call, FAULT_AT=str(at))
        code, errors = server.stop()
        if "fault: " + call not in errors:
            require(server.port and code == 0, "does not start without fault")
            require(struck > 0, "the fault never struck")
            return "%d times" % struck
        struck += 1
        lines = [l for l in errors.splitlines() if l.startswith(model + ": ")]
        if server.port and model == "iocp" and call == "WSASocketW":
            continue  # one AcceptEx() less, and a warning: it can still serve
        require(not server.port, "ready although %s failed" % call)
        require(code in (1, 3), "exit code %s after %s" % (code, call))
        require(lines, "no error line after %s: %r" % (call, errors))
    raise Failure("started a hundred times and still found the call")


def early_close_case(folder, model):
    """A client says all it has to say, then the end, and only then reads."""
    server = Server(folder, model, FAULT_CALL="FD_CLOSE")
    if server.port is None:
        raise Failure("did not start: " + server.stop()[1])
    answer = b""
    data = os.urandom(1 << 18)
    with connect(server.port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        try:
            while more := sock.recv(65536):
                answer += more
        except socket.timeout:
            server.stop()
            raise Failure("the end never came, after %d of %d bytes"
                          % (len(answer), len(data)))
    code, errors = server.stop()
    require(answer == data, "%d of %d bytes came back"
            % (len(answer), len(data)))
    require("0 reset" in server.summary, "not closed in order: "
            + server.summary)
    require(code == 0, "exit code %s: %s" % (code, errors[-400:]))
    return "%d bytes" % len(answer)


def run(title, case, *args):
    began = time.time()
    try:
        note = case(*args)
    except Failure as failure:
        print("not ok  %s: %s" % (title, failure), flush=True)
        return False
    print("ok      %s: %s (%.1f s)" % (title, note, time.time() - began),
          flush=True)
    return True


def main():
    folder = sys.argv[1]
    models = sys.argv[2:] or list(SERVING)
    results = []
    for model in models:
        for call in STARTING[model]:
            results.append(run("%s starts, %s fails" % (model, call),
                               start_case, folder, model, call))
        for call in SERVING[model]:
            # What happens once in many clients needs many of them.
            rare = call in ("_beginthreadex", "calloc")
            results.append(run("%s serves, %s fails" % (model, call),
                               serve_case, folder, model, call,
                               150 if rare else 18, 2 if rare else 3))
    for model in ("asyncselect", "eventselect"):
        if model in models:
            results.append(run(model + " hears of the close early",
                               early_close_case, folder, model))
    print("%d passed, %d failed" % (results.count(True), results.count(False)))
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
