"""Our TCP, on an address that no kernel has, against the kernel's and programs that use it.

`python -m tests.endpoints.tcp.interop ROLE …` makes two hosts joined by a veth pair, runs the peer on one and us on
the other's wire, with losses, duplicates and reordering on our side if asked for, and prints what both saw as a line of
JSON. It is a process of its own, since making hosts moves a process to other networks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rawlab.endpoints.tcp import Connection, Data, Down, Host, PeerClosed, Settings, Up, Urgent
from rawlab.model.address import Endpoint
from tests.endpoints.tcp.kernel import PORT, message, stream
from tests.endpoints.tcp.wire import MS, Wire, now

OURS, THEIRS = {4: "10.0.0.9", 6: "fd00::9"}, {4: "10.0.0.2", 6: "fd00::2"}
PATIENCE = 100
ROLES = ["serve", "ask", "meet", "wait", "urgent", "http", "get", "echo", "say", "refused"]


class App:
    """What our program does with one connection: gives `data`, keeps what comes, answers it by `answer`."""

    def __init__(
        self, connection: Connection, data: bytes = b"", *, answer: Callable[[App], None] | None = None
    ) -> None:
        self.connection = connection
        self.data = memoryview(data)
        self.came = bytearray()
        self.answer = answer
        self.ending = answer is None
        "half-close once all is given"
        self.up = False
        self.peer_closed = False
        self.errno: str | None = "not down"
        self.marks: list[int] = []
        self.urgent = False
        "all that is given is urgent"

    def turn(self, at: int) -> None:
        """Events, then data."""
        connection = self.connection
        while connection.events:
            match connection.events.popleft():
                case Data(data=data):
                    self.came += data
                    connection.consumed(len(data), at)
                case PeerClosed():
                    self.peer_closed = True
                case Urgent(mark=mark):
                    self.marks.append(mark)
                case Down(errno=errno):
                    self.errno = errno
                    return
                case Up():
                    self.up = True
        if self.answer:
            self.answer(self)
        if self.data and (room := connection.room):
            self.data = self.data[connection.send(self.data[:room], at, urgent=self.urgent) :]
        if self.up and self.ending and not self.data:
            self.ending = False
            connection.shutdown(at)

    def give(self, data: bytes) -> None:
        """Behind what is still to be given."""
        self.data = memoryview(bytes(self.data) + data)

    @property
    def is_over(self) -> bool:
        """Both directions are done, or it broke."""
        return self.errno != "not down"


def echoing(app: App) -> None:
    """What came goes back; the end, too."""
    if app.came:
        app.give(bytes(app.came))
        app.came.clear()
    if app.peer_closed and not app.connection.outbound.finishing:
        app.ending = True


def http(body: bytes) -> Callable[[App], None]:
    """Answers one request with 200 and the body."""

    def answer(app: App) -> None:
        if app.came.endswith(b"\r\n\r\n") and not app.connection.outbound.finishing:
            app.came.clear()
            app.give(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            app.ending = True

    return answer


def listening(app: App) -> None:
    """Our end stays open until the peer's is closed, as HTTP clients do."""
    if app.peer_closed and not app.connection.outbound.finishing:
        app.ending = True


class Program:
    """Ours: a host, its wire, and what runs on its connections."""

    def __init__(self, version: int, share: float, seed: int) -> None:
        fast = {"rto_initial": 300 * MS} if share else {}
        self.settings = Settings(time_wait=500 * MS, window_events=False, **fast)  # type: ignore[arg-type]
        self.host = Host([OURS[version]], os.urandom, now(), self.settings)
        self.wire = Wire(self.host, "client", share, seed)
        self.peer = THEIRS[version]
        self.apps: list[App] = []
        self.over: list[App] = []

    def until(self, done: Callable[[], bool], accept: Callable[[], None] | None = None) -> None:
        """Turns until it is so; raises TimeoutError where it never is."""
        end = time.monotonic() + PATIENCE
        while not done():
            if accept:
                accept()
            for app in self.apps:
                app.turn(now())
            if over := [app for app in self.apps if app.is_over]:
                self.over += over
                self.apps = [app for app in self.apps if not app.is_over]
                continue
            self.wire.turn()
            if time.monotonic() > end:
                raise TimeoutError(f"{self.apps[:3]} {[(app.connection, len(app.data)) for app in self.apps[:3]]}")

    def serve(self, count: int, make: Callable[[Connection], App]) -> list[App]:
        """So many connections that others begin."""
        endpoint = self.host.open(PORT)
        endpoint.listen(backlog=512)
        self.until(lambda: len(self.over) == count, lambda: self._accept(endpoint.accept, make))
        return self.over

    def _accept(self, accept: Callable[[], Connection | None], make: Callable[[Connection], App]) -> None:
        while connection := accept():
            self.apps.append(make(connection))

    def connect(self, port: int = PORT) -> Connection:
        """To the peer."""
        return self.host.open().connect(Endpoint(self.peer, port), now())

    def ask(self, count: int, make: Callable[[int, Connection], App], at_once: int = 8, port: int = PORT) -> list[App]:
        """So many connections that we begin."""
        begun = 0

        def more() -> None:
            nonlocal begun
            while begun < count and len(self.apps) < at_once:
                self.apps.append(make(begun, self.connect(port)))
                begun += 1

        self.until(lambda: len(self.over) == count, more)
        return self.over

    def linger(self) -> None:
        """TIME-WAIT: a FIN may come again."""
        end = now() + 2_000 * MS
        while self.host.connections and now() < end:
            self.wire.turn(100 * MS)


def echo_all(program: Program, count: int) -> dict[str, object]:
    """We serve."""
    over = program.serve(count, lambda connection: App(connection, answer=echoing))
    return {"graceful": sum(app.errno is None for app in over)}


def ask_all(program: Program, count: int) -> dict[str, object]:
    """We ask."""
    over = program.ask(count, lambda number, connection: App(connection, message(number)))
    right = sum(bytes(app.came) == message(number) for app in over for number in range(count) if is_for(app, number))
    return {"graceful": sum(app.errno is None for app in over), "right": right}


def is_for(app: App, number: int) -> bool:
    """The connections were begun in order, their ids count from 1."""
    return app.connection.id == number + 1


def both(program: Program, size: int, seed: int, *, serve: bool) -> dict[str, object]:
    """Much data both ways at once."""
    data = stream(size, seed)
    if serve:
        (app,) = program.serve(1, lambda connection: App(connection, data))
    else:
        (app,) = program.ask(1, lambda _, connection: App(connection, data))
    return {"octets": len(app.came), "sha256": hashlib.sha256(app.came).hexdigest(), "errno": app.errno}


def urgent(program: Program) -> dict[str, object]:
    """Urgent data both ways."""

    def make(connection: Connection) -> App:
        app = App(connection, b"xyz?")
        app.urgent = True
        return app

    (app,) = program.serve(1, make)
    return {"came": app.came.decode(), "marks": app.marks}


def main() -> None:
    """Hosts, peer, us."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--version", type=int, default=4)
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--share", type=float, default=0.0, help="of packets lost, doubled, and late, each way")
    parser.add_argument("--capture", help="a file for tcpdump")
    parser.add_argument("--command", type=json.loads, help="the peer, if it is not `kernel`: its words as JSON")
    options = parser.parse_args()
    from rawlab.live.network import Network

    size, seed, ours = options.size, options.seed, OURS[options.version]
    kernel = [sys.executable, "-m", "tests.endpoints.tcp.kernel"]
    theirs = options.command or {
        "serve": [*kernel, "ask", ours, str(options.count)],
        "ask": [*kernel, "serve", str(options.count)],
        "wait": [*kernel, "meet", ours, str(size), str(seed + 1)],
        "meet": [*kernel, "wait", str(size), str(seed + 1)],
        "urgent": [*kernel, "oob", ours],
    }.get(options.role, ["true"])
    network = Network()
    with network.inside("client"):
        program = Program(options.version, options.share, seed)
        dump = _tcpdump(options.capture) if options.capture else None
    body = stream(size, seed)
    begun = time.monotonic()
    heard: list[bytes] = []
    with network.inside("server"), tempfile.TemporaryFile() as typed:
        if options.role == "echo":
            typed.write(body)
            typed.seek(0)
        peer = subprocess.Popen(theirs, stdin=typed, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
    assert peer.stdout
    reading = threading.Thread(target=lambda: heard.append(peer.stdout.read()))  # type: ignore[union-attr]
    try:
        if options.role in ("ask", "meet"):
            peer.stdout.readline()
        elif options.role in ("get", "say"):
            _wait_for(network, options.port, options.version)
        reading.start()
        count = options.count
        told = {
            "serve": lambda: echo_all(program, count),
            "ask": lambda: ask_all(program, count),
            "wait": lambda: both(program, size, seed, serve=True),
            "meet": lambda: both(program, size, seed, serve=False),
            "urgent": lambda: urgent(program),
            "http": lambda: answered(program.serve(count, lambda connection: App(connection, answer=http(body)))),
            "echo": lambda: answered(program.serve(1, lambda connection: App(connection, answer=echoing))),
            "get": lambda: asked(program, b"GET /file HTTP/1.0\r\n\r\n", options.port, listening),
            "say": lambda: asked(program, body, options.port),
            "refused": lambda: asked(program, body, options.port),
        }[options.role]()
        program.linger()
        if options.role != "get":  # a server, without an end
            peer.wait(PATIENCE)
    finally:
        peer.kill()
        peer.wait()
        if reading.is_alive():
            reading.join()
        if dump:
            time.sleep(1)
            dump.terminate()
            dump.wait()
    said = heard[0]
    theirs_told = json.loads(said) if said.startswith(b"{") else hashlib.sha256(said).hexdigest()
    print(json.dumps({"ours": told, "theirs": theirs_told, "seconds": round(time.monotonic() - begun, 2)}))


def answered(apps: list[App]) -> dict[str, object]:
    """How connections ended that others began."""
    return {"graceful": sum(app.errno is None for app in apps)}


def asked(
    program: Program, data: bytes, port: int, answer: Callable[[App], None] | None = None
) -> dict[str, object]:
    """One connection that we begin."""
    (app,) = program.ask(1, lambda _, connection: App(connection, data, answer=answer), port=port)
    body = bytes(app.came).partition(b"\r\n\r\n")[2] if app.came.startswith(b"HTTP/1.") else bytes(app.came)
    return {"errno": app.errno, "octets": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _wait_for(network: object, port: int, version: int) -> None:
    """Until the peer listens, proc_net_tcp(5)."""
    for _ in range(400):
        with network.inside("server"):  # type: ignore[attr-defined]
            rows = "".join(Path(f"/proc/thread-self/net/{name}").read_text() for name in ("tcp", "tcp6"))
        if any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows.splitlines()):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens at port {port}")


def _tcpdump(path: str) -> subprocess.Popen[str]:
    command = ["tcpdump", "-i", "client", "-w", path, "-U", "--immediate-mode", "-B", "65536"]
    dump = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert dump.stderr
    for line in dump.stderr:
        if "listening on" in line:
            break
    return dump


if __name__ == "__main__":
    main()
