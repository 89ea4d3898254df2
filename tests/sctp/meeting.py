"""Our endpoint and a kernel's SCTP in one process, over a wire: what the cases are made of.

The kernel's sockets do not block; the wire turns until what is waited for is there.
"""

from __future__ import annotations

import ctypes
import select
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

from rawlab.endpoints.sctp import Association, Down, Event, Message, Settings, Up
from rawlab.live import libc, sctp_api
from rawlab.live.network import Network
from rawlab.model import sctp as m
from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.sctp import SndRcvInfo
from rawlab.wire import sctp_notification, sndrcvinfo
from rawlab.wire.sctp import parse
from tests.sctp.wire import KERNEL, OURS, PORT, SETTINGS, Wire, payload

SOL_SCTP = 132
_SECONDS = 10
_NOTIFICATION = 0x8000
_E = TypeVar("_E", bound=Event)


class Meeting:
    """A wire, our endpoint with an open port, and the kernel's sockets."""

    def __init__(self, network: Network, addresses: tuple[str, ...] = (OURS,), settings: Settings = SETTINGS) -> None:
        self.network = network
        self.wire = Wire(network, 1, addresses=addresses, settings=settings)
        self.local = self.wire.host.open(PORT)
        self.seen: list[Event] = []

    @property
    def now(self) -> int:
        return time.monotonic_ns()

    def kernel(
        self, kind: int = socket.SOCK_STREAM, at: Endpoint | None = None, family: int = socket.AF_INET
    ) -> socket.socket:
        """A socket of the kernel's, that tells all and does not block."""
        with self.network.inside("client"):
            made = socket.socket(family, kind, socket.IPPROTO_SCTP)
        made.setblocking(False)
        self.option(made, "SCTP_EVENTS", (1, 1, 1, 1, 1, 1))
        self.option(made, "SCTP_RTOINFO", (0, 200, 1000, 50))
        if at:
            made.bind((at.address, at.port))
        return made

    def listener(self, port: int = PORT, kind: int = socket.SOCK_STREAM, address: str = KERNEL) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self.kernel(kind, Endpoint(address, port), family)
        made.listen(5)
        return made

    def option(self, kernels: socket.socket, name: str, value: sctp_api.Optval) -> None:
        kernels.setsockopt(SOL_SCTP, libc.number(name), sctp_api.pack(name, value))

    def path(self, kernels: socket.socket, address: str) -> Value:
        """Its state, by the kernel's word."""
        asked = sctp_api.question("SCTP_GET_PEER_ADDR_INFO", (0, Endpoint(address, PORT)))
        level, number = SOL_SCTP, libc.number("SCTP_GET_PEER_ADDR_INFO")
        room, size = ctypes.create_string_buffer(asked, len(asked)), ctypes.c_uint(len(asked))
        libc.check(libc.libc.getsockopt(kernels.fileno(), level, number, room, ctypes.byref(size)), "getsockopt")
        answer = sctp_api.unpack("SCTP_GET_PEER_ADDR_INFO", room.raw)
        assert isinstance(answer, tuple)
        return answer[2]

    def until(self, true: Callable[[], Any], what: str) -> Any:
        """Turns the wire until it is true; what it gave."""
        deadline = time.monotonic() + _SECONDS
        while not (got := true()):
            self.wire.turn()
            self.seen += self.local.events
            self.local.events.clear()
            assert time.monotonic() < deadline, f"waited for {what}; seen: {[type(one).__name__ for one in self.seen]}"
        return got

    def event(self, kind: type[_E]) -> _E:
        """The next event of that kind; those before it are forgotten."""

        def first() -> _E | None:
            for index, one in enumerate(self.seen):
                if isinstance(one, kind):
                    del self.seen[: index + 1]
                    return one
            return None

        found: _E = self.until(first, kind.__name__)
        return found

    def accept(self, listener: socket.socket) -> socket.socket:
        self.until(lambda: select.select([listener], [], [], 0)[0], "accept")
        connection, _ = listener.accept()
        connection.setblocking(False)
        return connection

    def receive(self, kernels: socket.socket, notified: bool = False) -> tuple[bytes, SndRcvInfo | None]:
        """A whole message of the kernel's socket, or (`notified`) a notification; those of the other kind are lost."""
        parts: list[bytes] = []
        while True:
            self.until(lambda: select.select([kernels], [], [], 0)[0], "a message")
            data, control, flags, _ = kernels.recvmsg(1 << 18, 256)
            if bool(flags & _NOTIFICATION) != notified:
                self.wire.turn()  # a socket whose peer has shut down is readable for ever
                continue
            parts.append(data)
            if flags & socket.MSG_EOR or not data:
                return b"".join(parts), sndrcvinfo.unpack(control[0][2]) if control else None

    def told(self, kernels: socket.socket, start: str) -> str:
        """The next notification that begins with these words."""
        while not (words := sctp_notification.words(self.receive(kernels, notified=True)[0]) or "").startswith(start):
            pass
        return words

    def connected(self) -> tuple[Association, socket.socket]:
        """We are the client."""
        listener = self.listener()
        association = self.local.associate(Endpoint(KERNEL, PORT), self.now)
        self.event(Up)
        connection = self.accept(listener)
        listener.close()
        return association, connection

    def both_ways(self, association: Association, connection: socket.socket) -> None:
        """A message each way."""
        association.send(b"from us", now_ns=self.now)
        assert self.receive(connection)[0] == b"from us"
        connection.send(b"from the kernel")
        assert self.event(Message).data == b"from the kernel"

    def ended(self, association: Association, connection: socket.socket) -> None:
        """In good order."""
        association.shutdown(self.now)
        assert self.event(Down).errno is None
        connection.close()


def writable(kernels: socket.socket) -> bool:
    return bool(select.select([], [kernels], [], 0)[1])


def chunk_types(packet: bytes) -> list[int]:
    facts = parse(payload(packet))
    return [chunk.type for chunk in facts.chunks] if isinstance(facts, m.SctpPacket) else []
