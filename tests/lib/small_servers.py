"""Servers for tests of clients: outside Wine, a thread for each connection.

    with Server(echo) as server:
        ... server.port ...

A function behave(conn, server) says what it does with a connection, right or
wrong.
"""

import contextlib
import heapq
import itertools
import socket
import struct
import threading
import time

# A guard against hanging, far above what any case takes on a busy machine.
LONG_S = 120


class Server:
    """Hands each connection on a free port to `behave`."""

    def __init__(self, behave, address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, 0), family=family,
                                             backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.behave = behave
        self.connections = 0
        self.accepted = threading.Event()
        self.released = threading.Event()  # set when the client has ended
        self.error = None
        self.threads = []

    def start(self, work, *args):
        thread = threading.Thread(target=work, args=args, daemon=True)
        thread.start()
        self.threads.append(thread)

    def accept(self):
        while True:
            try:
                conn = self.listener.accept()[0]
            except OSError:
                return  # the listener is closed: the server ends
            self.connections += 1
            self.start(self.serve, conn)
            self.accepted.set()

    def serve(self, conn):
        try:
            with conn:
                conn.settimeout(LONG_S)
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.behave(conn, self)
        except OSError as error:  # not always wrong: a client may leave
            self.error = error

    def __enter__(self):
        self.start(self.accept)
        return self

    def __exit__(self, *_):
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:  # the first is the one that adds others
            thread.join(LONG_S)


def received(conn):
    """The client's bytes, piece by piece until it half-closes."""
    while True:
        data = conn.recv(65536)
        if not data:
            return
        yield data


def echo(conn, _):
    for data in received(conn):
        conn.sendall(data)


def echo_through_a_straw(conn, _):
    """Pushes back: takes little at a time and has little room for echoes."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    while True:
        data = conn.recv(4096)
        if not data:
            return
        conn.sendall(data)


def echo_and_stay(conn, server):
    echo(conn, server)
    server.released.wait(LONG_S)


def echo_and_more(conn, server):
    echo(conn, server)
    conn.sendall(b"!")


def edited(place, edit):
    """Echoes, but byte `place` of the stream becomes edit(byte)."""
    def behave(conn, _):
        seen = 0
        for data in received(conn):
            if seen <= place < seen + len(data):
                at = place - seen
                seen += len(data)
                data = data[:at] + edit(data[at:at + 1]) + data[at + 1:]
            else:
                seen += len(data)
            conn.sendall(data)
    return behave


def corrupt(place):
    return edited(place, lambda byte: bytes([byte[0] ^ 0x20]))


def close_after(count):
    def behave(conn, _):
        seen = 0
        while seen < count:
            data = conn.recv(count - seen)
            if not data:
                return
            conn.sendall(data)
            seen += len(data)
        conn.shutdown(socket.SHUT_WR)
        for _unread in received(conn):  # otherwise closing would send a reset
            pass
    return behave


def reset_after(seconds):
    def behave(conn, _):
        conn.recv(1)
        time.sleep(seconds)  # Wine shows it only to a receive that is pending
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
    return behave


reset = reset_after(0.5)


def say_nothing(_, server):
    server.released.wait(LONG_S)


def places(count):
    """A pool of threads, each of which keeps its client until that one leaves:
    with one place it is the iterative server of every first lesson."""
    free = threading.Semaphore(count)

    def behave(conn, server):
        with free:
            echo(conn, server)
    return behave


def lowest_first():
    """One thread, which always serves the lowest of those that wait. Under load
    the lowest is always among them, and the others never have their turn. So
    that this does not depend on timing, it is awaited for a second."""
    waiting = []
    changed = threading.Condition()
    number = itertools.count()

    def serve():
        last = float("inf")
        while True:
            with changed:
                changed.wait_for(lambda: waiting)
                changed.wait_for(lambda: waiting[0][0] <= last, 1)
                last, _, conn, data = heapq.heappop(waiting)
            with contextlib.suppress(OSError):
                conn.sendall(data)

    threading.Thread(target=serve, daemon=True).start()

    def behave(conn, _):
        mine = next(number)
        for data in received(conn):
            with changed:
                heapq.heappush(waiting, (mine, next(number), conn, data))
                changed.notify()
    return behave


def loses_one(after):
    """Forgets its first client after some bytes, until another one has
    left."""
    first = threading.Lock()
    another_left = threading.Event()

    def behave(conn, server):
        if not first.acquire(blocking=False):
            echo(conn, server)
            another_left.set()
            return
        seen = 0
        for data in received(conn):
            seen += len(data)
            if seen > after:
                another_left.wait(LONG_S)
            conn.sendall(data)
    return behave


def refused_port():
    """A port on which nobody listens: bound, so that nobody else gets it."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder
