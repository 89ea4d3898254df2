"""Where a packet comes from and goes to: an endpoint, and the flow between two of them.

An `Endpoint` is written as in a browser's address bar: `10.0.0.2:7`, `[fd00::2]:7`. Addresses are the
strings that inet_ntop(3) makes, so that two equal addresses are equal strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address and a port: what a `struct sockaddr_in` or `sockaddr_in6` holds."""

    address: str
    "as inet_ntop(3) writes it"
    port: int
    "0 to 65535; 0 where the protocol has no ports"

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """The endpoint that `str()` wrote. Raises ValueError."""
        address, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or int(port) > 0xFFFF:
            raise ValueError(f"{text!r}: expected address:port, as 10.0.0.2:7 or [fd00::2]:7")
        bracketed = address.startswith("[") and address.endswith("]")
        if bracketed != (":" in address):
            raise ValueError(f"{text!r}: an IPv6 address stands in brackets, as [fd00::2]:7, no other does")
        return cls(address.strip("[]"), int(port))


@dataclass(frozen=True, slots=True, order=True)
class Flow:
    """One direction of a conversation: who sends to whom, by which protocol."""

    protocol: str
    "tcp, udp, sctp, …"
    source: Endpoint
    destination: Endpoint

    def __hash__(self) -> int:
        ends = self.source, self.destination
        return hash((self.protocol, ends[0].address, ends[0].port, ends[1].address, ends[1].port))

    @property
    def reverse(self) -> Flow:
        """The other direction."""
        source, destination = self.source, self.destination
        return flow(self.protocol, destination.address, destination.port, source.address, source.port)

    @property
    def conversation(self) -> Flow:
        """The same value for both directions: the one whose source sorts first."""
        return _conversation(self)


@lru_cache(maxsize=1 << 14)
def flow(protocol: str, source: str, source_port: int, destination: str, destination_port: int) -> Flow:
    """That direction; asked of each packet again and again, while a capture has few, so each is made once."""
    return Flow(protocol, Endpoint(source, source_port), Endpoint(destination, destination_port))


@lru_cache(maxsize=1 << 14)
def _conversation(one: Flow) -> Flow:
    return min(one, one.reverse)
