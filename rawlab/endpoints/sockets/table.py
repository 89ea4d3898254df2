"""All sockets of one host: who has which number, and the turn that gives each what has happened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

from rawlab.endpoints.sockets.socket import BaseSocket
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.model.address import Endpoint
from rawlab.model.event import Value
from rawlab.model.sctp import SndRcvInfo

_MS = 1_000_000
_ALWAYS = {"POLLERR", "POLLHUP"}  # told without being asked for, poll(2)
AnySocket = TypeVar("AnySocket", bound=BaseSocket)
Values = tuple[Value, ...]


class Table(ABC, Generic[AnySocket]):
    """One host's sockets, of one protocol."""

    def __init__(self, first: int = 1) -> None:
        """`first`: the number of the first socket."""
        self.now_ns = 0
        self._next = first
        self._open: dict[int, AnySocket] = {}
        self._leaving: list[AnySocket] = []

    def __iter__(self) -> Iterator[AnySocket]:
        return iter([*self._open.values(), *self._leaving])

    def _number(self) -> int:
        """A new socket's."""
        self._next += 1
        return self._next - 1

    def leave(self, socket: AnySocket) -> None:
        """Nobody holds it any more; what it has begun ends by itself."""
        self._open.pop(socket.number, None)
        self._leaving.append(socket)

    def turn(self) -> None:
        """Gives the sockets what has happened."""
        for socket in self:
            socket.turn()
        self._leaving = [socket for socket in self._leaving if socket.lives]

    def poll(self, wanted: Sequence[tuple[BaseSocket, str]], timeout_ms: int) -> Wait:
        """Waits until one of the sockets is ready; the answer's value has, for each, its events ('0': none)."""
        until = None if timeout_ms < 0 else self.now_ns + timeout_ms * _MS
        while True:
            found = [_order(socket.ready() & (set(events.split("|")) | _ALWAYS)) for socket, events in wanted]
            ready = sum(events != "0" for events in found)
            if ready or (until is not None and self.now_ns >= until):
                return Answer(result=ready, value=tuple(found))
            yield until

    @abstractmethod
    def socket(self, domain: str, kind: str) -> Answer:
        """A new socket: 'AF_INET' or 'AF_INET6', 'SOCK_STREAM' or another."""

    @abstractmethod
    def send(self, socket: AnySocket, data: bytes, flags: str, to: Endpoint | None, info: SndRcvInfo | None) -> Wait:
        """What write, send, sendto and sendmsg do."""

    @abstractmethod
    def receive(self, socket: AnySocket, size: int, flags: str) -> Wait:
        """What read, recv, recvfrom and recvmsg do."""

    @abstractmethod
    def setsockopt(self, socket: AnySocket, optname: str, value: Values) -> Wait:
        """Sets an option."""

    @abstractmethod
    def getsockopt(self, socket: AnySocket, optname: str, asked: Values) -> Answer:
        """An option's value; `asked`: what its struct held before."""


def _order(events: set[str]) -> str:
    known = ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP", "POLLRDHUP")
    return "|".join(name for name in known if name in events) or "0"
