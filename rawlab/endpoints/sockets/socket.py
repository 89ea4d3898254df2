"""What any socket of ours is, whatever its protocol: a number, names, and who holds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from rawlab.endpoints.host import CallError
from rawlab.endpoints.sockets.values import Answer, Wait
from rawlab.model.address import Endpoint

ANY = {4: "0.0.0.0", 6: "::"}
"""The wildcard address of each IP version."""


class BaseSocket(ABC):
    """One socket."""

    failure: ClassVar[type[CallError]] = CallError
    "what a call that can't be done raises"

    def __init__(self, number: int, family: int) -> None:
        """`number`: what stands for its inode; `family`: 4 or 6."""
        self.number, self.family = number, family
        self.bound = Endpoint(ANY[family], 0)
        self.peer: Endpoint | None = None
        self.error: str | None = None
        "of what happened since: the next call reports it, once"
        self.nonblocking = False
        self.holders = 1
        "processes"
        self.closed = False

    def getsockname(self) -> Answer:
        """The address that it is bound to: the wildcard, where it was not bound to another."""
        return Answer(address=self.bound)

    def getpeername(self) -> Answer:
        """Its peer's address, while it has one."""
        if self.peer is None:
            raise self.failure("ENOTCONN", "getpeername")
        return Answer(address=self.peer)

    def take_error(self, otherwise: str) -> CallError:
        """What has happened since, said once; else this errno."""
        error, self.error = self.error, None
        return self.failure(error or otherwise, "it happened before")

    @property
    @abstractmethod
    def state(self) -> str | None:
        """Its conversation's, in the RFC's name; None where it may be any of several."""

    @property
    @abstractmethod
    def lives(self) -> bool:
        """Whether, once closed, it still has something to do."""

    @abstractmethod
    def bind(self, address: Endpoint) -> Answer:
        """Gives it an address of its own."""

    @abstractmethod
    def listen(self, backlog: int) -> Answer:
        """From now on peers may connect to it."""

    @abstractmethod
    def accept(self) -> Wait:
        """The first of those that have connected, as a socket of its own."""

    @abstractmethod
    def connect(self, addresses: tuple[Endpoint, ...]) -> Wait:
        """Connects to the peer that has these addresses."""

    @abstractmethod
    def shutdown(self, how: str) -> Answer:
        """Ends a direction, or both."""

    @abstractmethod
    def close(self) -> Wait:
        """One process lets go of it; the last one ends it."""

    @abstractmethod
    def turn(self) -> None:
        """Takes the events that have come."""

    @abstractmethod
    def ready(self) -> set[str]:
        """Which events poll(2) would give now."""
