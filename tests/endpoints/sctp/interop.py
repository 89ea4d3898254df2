"""Our endpoint on a raw socket against usrsctp, each on a host of its own, joined by a veth pair.

`python -m tests.endpoints.sctp.interop ROLE …` makes both hosts, runs usrsctp on one and us on the other, with losses,
duplicates and reordering on our side if asked for, and prints what both saw as a line of JSON. It is a process of its
own, since making hosts moves a process to other networks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush
from pathlib import Path
from random import Random

from rawlab.endpoints.sctp import Down, Event, Host, Message, PeerShutdown, Settings, Up
from rawlab.model.address import Endpoint
from tests.endpoints.sctp.usrsctp import PORT, PPIDS, message

OURS, THEIRS = "10.0.0.1", "10.0.0.2"
MS, SECOND = 1_000_000, 1_000_000_000
PATIENCE = 300
SO_RCVBUFFORCE = 33


class Wire:
    """A raw socket of protocol 132, and what goes wrong on it."""

    def __init__(self, host: Host, share: float, seed: int) -> None:
        self.host = host
        self.share = share
        self.random = Random(seed)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.late: list[tuple[int, int, Callable[[], None]]] = []
        self.count = 0
        self.packets = 0

    def _fate(self, act: Callable[[], None]) -> None:
        """Does it now, twice, later, or not at all."""
        chance = self.random.random() if self.share else 1.0
        if chance < self.share:
            return
        if chance < 2 * self.share:
            act()
        if chance > 1 - self.share and self.share:
            self.count += 1
            heappush(self.late, (time.monotonic_ns() + self.random.randrange(1, 20) * MS, self.count, act))
            return
        act()

    def _receive(self, octets: bytes) -> None:
        header = (octets[0] & 15) * 4
        source, destination = socket.inet_ntoa(octets[12:16]), socket.inet_ntoa(octets[16:20])
        self.packets += 1
        self.host.receive(octets[header:], source, destination, time.monotonic_ns())

    def _send(self, packet: bytes, destination: str) -> None:
        with contextlib.suppress(BlockingIOError):
            self.socket.sendto(packet, (destination, 0))

    def turn(self) -> None:
        """Waits for what comes first, and does it."""
        self.flush()
        due = [self.late[0][0]] if self.late else []
        if (deadline := self.host.deadline_ns) is not None:
            due.append(deadline)
        wait = min(max(min(due, default=SECOND) - time.monotonic_ns(), 0) if due else SECOND, SECOND)
        ready, _, _ = select.select([self.socket], [], [], wait / SECOND)
        for _ in range(64 if ready else 0):
            try:
                octets = self.socket.recv(65535)
            except BlockingIOError:
                break
            self._fate(lambda octets=octets: self._receive(octets))  # type: ignore[misc]
            self.flush()
        now = time.monotonic_ns()
        while self.late and self.late[0][0] <= now:
            heappop(self.late)[2]()
        self.host.wake(now)
        self.flush()

    def flush(self) -> None:
        """Sends what is there."""
        for out in self.host.take():
            self._fate(lambda out=out: self._send(out.packet, out.destination))  # type: ignore[misc]


class Program:
    """Ours: what happens on the associations of one endpoint."""

    def __init__(self, share: float, seed: int) -> None:
        settings = Settings(rto_min=100 * MS, rto_initial=100 * MS) if share else Settings()
        self.host = Host([OURS], os.urandom, time.monotonic_ns(), settings)
        self.wire = Wire(self.host, share, seed)
        self.endpoint = self.host.open(PORT)

    def until(self, done: Callable[[], bool], take: Callable[[Event], None]) -> None:
        """Turns until it is so; raises TimeoutError where it never is."""
        end = time.monotonic() + PATIENCE
        while not done():
            self.wire.turn()
            while self.endpoint.events:
                take(self.endpoint.events.popleft())
            if time.monotonic() > end:
                raise TimeoutError(f"{self.host._associations}")

    def linger(self) -> None:
        """Answers what is still repeated."""
        end = time.monotonic() + 1
        while time.monotonic() < end and (self.host.busy or self.wire.share):
            self.wire.turn()


def now() -> int:
    """The clock's time."""
    return time.monotonic_ns()


def serve_echo(program: Program, count: int) -> dict[str, object]:
    """We serve `count` associations."""
    ends: list[str | None] = []

    def take(event: Event) -> None:
        if isinstance(event, Message):
            event.association.consumed(len(event.data), now())
            event.association.send(event.data, stream=event.stream, ppid=event.ppid, now_ns=now())
        elif isinstance(event, Down):
            ends.append(event.errno)

    program.endpoint.listen()
    program.until(lambda: len(ends) == count, take)
    return {"ended": ends.count(None), "others": [end for end in ends if end]}


def ask_echo(program: Program, count: int) -> dict[str, object]:
    """We connect `count` times; each time one message and its echo."""
    good, ends, number = 0, 0, 0
    want = b""

    def take(event: Event) -> None:
        nonlocal good, ends
        if isinstance(event, Message):
            good += (event.data, event.stream, event.ppid) == (want, number % 10, PPIDS + number)
            event.association.shutdown(now())
        elif isinstance(event, Down):
            ends += event.errno is None

    for number in range(count):
        want = message(1, number, 3000)
        program.endpoint.close()
        program.endpoint = program.host.open()
        association = program.endpoint.associate(Endpoint(THEIRS, PORT), now())
        association.send(want, stream=number % 10, ppid=PPIDS + number, now_ns=now())
        program.until(lambda: association.is_over, take)  # noqa: B023
    return {"good": good, "ended": ends}


def send_all(program: Program, seed: int, count: int, largest: int) -> dict[str, object]:
    """We send all messages on one association."""
    ends: list[str | None] = []

    def take(event: Event) -> None:
        if isinstance(event, Down):
            ends.append(event.errno)

    association = program.endpoint.associate(Endpoint(THEIRS, PORT), now())
    octets = 0
    for number in range(count):
        data = message(seed, number, largest)
        program.until(lambda: association.room >= len(data) or bool(ends), take)  # noqa: B023
        association.send(data, stream=number % 8, ppid=PPIDS + number, now_ns=now())
        octets += len(data)
    association.shutdown(now())
    program.until(lambda: bool(ends), take)
    return {"octets": octets, "ended": ends == [None]}


def take_all(program: Program, seed: int, count: int, largest: int) -> dict[str, object]:
    """We receive all messages on one association."""
    ends: list[str | None] = []
    last: dict[int, int] = {}
    wrong, came, octets = 0, 0, 0

    def take(event: Event) -> None:
        nonlocal wrong, came, octets
        if isinstance(event, Message):
            event.association.consumed(len(event.data), now())
            number = event.ppid - PPIDS
            after = last.get(event.stream, number % 8 - 8)
            right = event.data == message(seed, number, largest) and event.stream == number % 8
            wrong += not right or number != after + 8
            last[event.stream] = number
            came += 1
            octets += len(event.data)
        elif isinstance(event, Down):
            ends.append(event.errno)
        elif not isinstance(event, (Up, PeerShutdown)):
            raise AssertionError(f"unexpected: {event}")

    program.endpoint.listen()
    program.until(lambda: bool(ends), take)
    return {"messages": came, "wrong": wrong, "octets": octets, "ended": ends == [None]}


def main() -> None:
    """Hosts, peer, us."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["serve", "ask", "send", "take"])
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--largest", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.0, help="of packets lost, doubled, and late, each way")
    parser.add_argument("--capture", help="a file for tcpdump")
    options = parser.parse_args()
    from rawlab.live.network import Network

    seed, count, largest = options.seed, options.count, options.largest
    theirs: dict[str, list[object]] = {
        "serve": ["ask", OURS, count],
        "ask": ["echo", count],
        "send": ["sink", seed, count, largest],
        "take": ["source", OURS, seed, count, largest],
    }
    network = Network()
    command = [sys.executable, "-m", "tests.endpoints.sctp.usrsctp", *map(str, theirs[options.role])]
    with network.inside("client"):
        program = Program(options.share, seed)
        dump = _tcpdump(options.capture) if options.capture else None
        program.wire.flush()
    with network.inside("server"):
        peer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert peer.stdout
    try:
        if options.role in ("ask", "send"):
            peer.stdout.readline()
        took = time.monotonic()
        run = {
            "serve": lambda: serve_echo(program, count),
            "ask": lambda: ask_echo(program, count),
            "send": lambda: send_all(program, seed, count, largest),
            "take": lambda: take_all(program, seed, count, largest),
        }
        ours = run[options.role]()
        took = time.monotonic() - took
        program.linger()
        said = [line for line in peer.stdout if line.startswith("{")]
    finally:
        peer.kill()
        peer.wait()
        if dump:
            time.sleep(1)
            dump.terminate()
            dump.wait()
    print(json.dumps({"ours": ours, "theirs": json.loads(said[-1]) if said else None, "seconds": round(took, 2)}))


def _tcpdump(path: str) -> subprocess.Popen[str]:
    command = ["tcpdump", "-i", "client", "-w", path, "-U", "--immediate-mode", "-B", "65536", "ip proto 132"]
    dump = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert dump.stderr
    for line in dump.stderr:
        if "listening on" in line:
            break
    return dump


if __name__ == "__main__":
    main()
