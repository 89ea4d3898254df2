"""Our endpoint and a kernel's SCTP, each as client and as server.

    python -m tests.sctp.interop ASSOCIATIONS MESSAGES SEED FOLDER

To be run where the kernel has SCTP. Four runs, one after the other: so many associations (each with a message and its
echo, ended by either side in turn), then so many messages (of 1 octet to 200 KB over 8 streams, some unordered, on a
bad wire, every octet compared), each with us as the client (of messages: the sender) and as the server. Each prints
what was seen as a line of JSON, and leaves its first packets in FOLDER.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from rawlab.endpoints.sctp import Association, Down, LocalEndpoint, Message, SctpError, Up
from rawlab.live import libc, sctp_api
from rawlab.live.network import Network
from rawlab.model.address import Endpoint
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sndrcvinfo
from tests.sctp.wire import KERNEL, OURS, PORT, Wire

STREAMS = 8
LOSS = 0.05
LONGEST = 200_000
SECONDS = 900
PPID = 1 << 24  # a message's number is told by its protocol identifier; from here on, none is anyone's
_SOL_SCTP, _SNDRCV = 132, 1
_BLOCK = random.Random(2026).randbytes(1 << 20)


def message(number: int, seed: int) -> bytes:
    """The message of that number: as many short as long ones, on a scale of powers."""
    chance = random.Random(seed * 1_000_003 + number)
    size = max(round(LONGEST ** chance.random()), 1)
    at = chance.randrange(len(_BLOCK) - size)
    return _BLOCK[at : at + size]


def unordered(number: int) -> bool:
    """Whether it goes unordered."""
    return number % 10 == 9


Ready = Callable[[], object]


class Reader:
    """Compares what comes with what was sent: all of it, each once, ordered ones in their stream's order."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.seen: set[int] = set()
        self.octets = 0
        self.wrong: list[str] = []
        self._last = dict.fromkeys(range(STREAMS), -1)

    def take(self, data: bytes, stream: int, ppid: int, is_unordered: bool) -> None:
        number = ppid - PPID
        if data != message(number, self.seed):
            self.wrong.append(f"message {number}: {len(data)} octets differ from those sent")
        if number in self.seen or stream != number % STREAMS or is_unordered != unordered(number):
            self.wrong.append(f"message {number}: twice, or on stream {stream}, or unordered is {is_unordered}")
        if not is_unordered:
            if number < self._last[stream]:
                self.wrong.append(f"message {number}: after {self._last[stream]} of stream {stream}")
            self._last[stream] = number
        self.seen.add(number)
        self.octets += len(data)


Role = Callable[[int, int, Ready], Reader | None]


# ---------------------------------------------------------------- the kernel's side: a process of its own


def kernel_socket() -> socket.socket:
    """A one-to-one socket that tells streams, with timers that suit a wire of no length."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    for name, value in (
        ("SCTP_RTOINFO", (0, 100, 1000, 20)),
        ("SCTP_ASSOCINFO", (0, 50)),
        ("SCTP_INITMSG", (STREAMS, STREAMS)),
        ("SCTP_EVENTS", (1,)),
        ("SCTP_NODELAY", 1),
    ):
        made.setsockopt(_SOL_SCTP, libc.number(name), sctp_api.pack(name, value))
    for option in (32, 33):  # SO_SNDBUFFORCE, SO_RCVBUFFORCE
        made.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
    return made


def kernel_echoes(count: int, seed: int, ready: Ready) -> None:
    """A server: echoes one message of each association; every second one it ends itself."""
    with listening(ready) as listener:
        for number in range(count):
            connection, _ = listener.accept()
            with connection:
                connection.send(connection.recv(1000))
                if number % 2 == 0:
                    assert connection.recv(1000) == b""


def kernel_asks(count: int, seed: int, ready: Ready) -> None:
    """A client: one message of each association, and its echo; every second one it waits for the server to end."""
    ready()
    for number in range(count):
        with kernel_socket() as client:
            client.connect((OURS, PORT))
            client.send(b"message %d" % number)
            assert client.recv(1000) == b"message %d" % number
            if number % 2:
                assert client.recv(1000) == b""


def kernel_sends(count: int, seed: int, ready: Ready) -> None:
    """A client that sends all messages."""
    ready()
    with kernel_socket() as client:
        client.connect((OURS, PORT))
        for number in range(count):
            flags = "SCTP_UNORDERED" if unordered(number) else "0"
            info = SndRcvInfo(stream=number % STREAMS, ppid=PPID + number, flags=flags)
            data = message(number, seed)
            assert client.sendmsg([data], [(_SOL_SCTP, _SNDRCV, sndrcvinfo.pack(info))]) == len(data)


def kernel_reads(count: int, seed: int, ready: Ready) -> Reader:
    """A server that reads all messages."""
    reader = Reader(seed)
    with listening(ready) as listener:
        connection, _ = listener.accept()
        with connection:
            parts: list[bytes] = []
            while True:
                data, control, flags, _ = connection.recvmsg(1 << 18, 256)
                if not data:
                    return reader
                parts.append(data)
                if flags & socket.MSG_EOR:
                    info = sndrcvinfo.unpack(control[0][2])
                    reader.take(b"".join(parts), info.stream, info.ppid, info.flags == "SCTP_UNORDERED")
                    parts = []


@contextlib.contextmanager
def listening(ready: Ready) -> Iterator[socket.socket]:
    with kernel_socket() as listener:
        listener.bind((KERNEL, PORT))
        listener.listen(50)
        ready()
        yield listener


def start_kernel(network: Network, role: Role, count: int, seed: int) -> int:
    """The kernel's side as a process that listens by now, if it is to; a pipe on which it says what was wrong."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _kernel_side(network, role, count, seed, writing)
    os.close(writing)
    os.read(reading, 1)
    return reading


def _kernel_side(network: Network, role: Role, count: int, seed: int, writing: int) -> NoReturn:
    told: list[str] = []
    octets = 0
    try:
        libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
        network.enter("client")
        if (reader := role(count, seed, lambda: os.write(writing, b"."))) is not None:
            octets = reader.octets
            told += reader.wrong
            told += [f"{count - len(reader.seen)} messages never came"] if len(reader.seen) != count else []
    except BaseException as error:
        told.append(f"the kernel's side: {error!r}")
    os.write(writing, json.dumps({"wrong": told[:20], "octets": octets}).encode())
    os._exit(0)


# ---------------------------------------------------------------- our side


class Ours:
    """The program on our endpoint."""

    def __init__(self, wire: Wire, count: int, seed: int) -> None:
        self.wire = wire
        self.count = count
        self.seed = seed
        self.wrong: list[str] = []
        self.ended = 0
        self.reader = Reader(seed)
        self._next = 0

    def run(self, role: Callable[[], bool]) -> None:
        """Turns until `role` says that all is done, or the time is over."""
        deadline = time.monotonic() + SECONDS
        while not role():
            self.wire.turn()
            if time.monotonic() > deadline:
                self.wrong.append(f"not done after {SECONDS} s: {self.ended} ended, message {self._next}")
                return

    def asks(self) -> Callable[[], bool]:
        """A client: `kernel_asks`, on our side."""
        host = self.wire.host
        local: LocalEndpoint | None = None
        number = 0

        def step() -> bool:
            nonlocal local, number
            now = time.monotonic_ns()
            if local is None:
                local = host.open()
                local.associate(Endpoint(KERNEL, PORT), now, streams=STREAMS).send(b"message %d" % number, now_ns=now)
                return False
            for event in _taken(local):
                match event:
                    case Message(data=data):
                        event.association.consumed(len(data), now)
                        if data != b"message %d" % number:
                            self.wrong.append(f"association {number}: {data!r} came")
                        if number % 2 == 0:
                            event.association.shutdown(now)
                    case Down(errno=errno):
                        self._down(errno)
                        local.close()
                        local, number = None, number + 1
                        return number == self.count or step()
            return False

        return step

    def echoes(self) -> Callable[[], bool]:
        """A server: `kernel_echoes`, on our side."""
        local = self.wire.host.open(PORT)
        local.listen()
        messages = 0

        def step() -> bool:
            nonlocal messages
            for event in _taken(local):
                now = time.monotonic_ns()
                match event:
                    case Message(data=data):
                        event.association.consumed(len(data), now)
                        event.association.send(data, now_ns=now)
                        if messages % 2:
                            event.association.shutdown(now)
                        messages += 1
                    case Down(errno=errno):
                        self._down(errno)
            return self.ended == self.count

        return step

    def sends(self) -> Callable[[], bool]:
        """A client that sends all messages."""
        local = self.wire.host.open()
        association = local.associate(Endpoint(KERNEL, PORT), time.monotonic_ns(), streams=STREAMS)
        up = False

        def step() -> bool:
            nonlocal up
            for event in _taken(local):
                up = up or isinstance(event, Up)
                if isinstance(event, Down):
                    self._down(event.errno)
            if up and self._next < self.count:
                self._offer(association)
            return self.ended == 1

        return step

    def _offer(self, association: Association) -> None:
        """As much as the send buffer takes."""
        now = time.monotonic_ns()
        while self._next < self.count:
            number = self._next
            data, ppid, stream = message(number, self.seed), PPID + number, number % STREAMS
            try:
                association.send(data, stream=stream, ppid=ppid, unordered=unordered(number), now_ns=now)
            except SctpError as error:
                if error.errno != "EAGAIN":
                    self.wrong.append(f"message {number}: {error}")
                    self.ended = 1
                return
            self._next += 1
        association.shutdown(now)

    def reads(self) -> Callable[[], bool]:
        """A server that reads all messages."""
        local = self.wire.host.open(PORT)
        local.listen()

        def step() -> bool:
            for event in _taken(local):
                match event:
                    case Message():
                        event.association.consumed(len(event.data), time.monotonic_ns())
                        self.reader.take(event.data, event.stream, event.ppid, event.unordered)
                    case Down(errno=errno):
                        self._down(errno)
            return self.ended == 1

        return step

    def _down(self, errno: str | None) -> None:
        self.ended += 1
        if errno is not None:
            self.wrong.append(f"association {self.ended - 1}: {errno}")


def _taken(local: LocalEndpoint) -> Iterator[object]:
    while local.events:
        yield local.events.popleft()


ROLES = {
    ("associations", "client"): (Ours.asks, kernel_echoes),
    ("associations", "server"): (Ours.echoes, kernel_asks),
    ("messages", "client"): (Ours.sends, kernel_reads),
    ("messages", "server"): (Ours.reads, kernel_sends),
}


def main(what: str, role: str, count: int, seed: int, pcap: str) -> None:
    """One run."""
    network = Network()
    wire = Wire(network, seed, loss=LOSS if what == "messages" else 0.0, pcap=pcap, keep=20_000)
    ours, kernels = ROLES[what, role]
    program = Ours(wire, count, seed)
    step = ours(program)
    began = time.monotonic()
    told = start_kernel(network, kernels, count, seed)
    program.run(step)
    report = json.loads(_last_words(wire, told) or '{"wrong": ["the kernel\'s side did not end"], "octets": 0}')
    wrong = [*program.wrong, *program.reader.wrong, *report["wrong"]]
    if (what, role) == ("messages", "server") and len(program.reader.seen) != count:
        wrong.append(f"{count - len(program.reader.seen)} messages never came")
    wire.close()
    print(
        json.dumps(
            {
                "what": what,
                "role": role,
                "count": count,
                "ended": program.ended,
                "wrong": wrong[:20],
                "octets": program.reader.octets or report["octets"],
                "seconds": round(time.monotonic() - began, 1),
                **wire.counts(),
            }
        ),
        flush=True,
    )


def _last_words(wire: Wire, told: int) -> bytes:
    """What the kernel's side says at its end; the wire goes on until then, for its last packets."""
    os.set_blocking(told, False)
    deadline = time.monotonic() + 20
    words = b""
    while time.monotonic() < deadline:
        wire.turn()
        with contextlib.suppress(BlockingIOError):
            part = os.read(told, 65_536)
            words += part
            if not part:
                break
    return words


if __name__ == "__main__":
    _, associations, messages, seed, folder = sys.argv
    counts = {"associations": int(associations), "messages": int(messages)}
    for what, role in ROLES:
        main(what, role, counts[what], int(seed), f"{folder}/{what}-{role}.pcap")
