"""Faults of the wire, as data: a lab names the packets that are lost, doubled, late or out of order.

A fault says which packets fit it, and which of those in order it is about: `Drop(flags="SA")` loses the first
SYN-ACK, `Drop(chunk="DATA", stream=1, number=2)` the second packet with DATA of stream 1. Each fault counts for
itself, and counts what leaves the sender, so a retransmission counts again. `Chance` is for tests and benches.

How they come about is `live.faults`' matter.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Which packets: those of which all is true that is said, and of them the `number`th."""

    way: str = ""
    "'client>' or 'server>': from whom; '': from either"
    protocol: str = ""
    "'tcp', 'udp', 'sctp', 'icmp', 'icmp6', 'ip:253'; '': any with ports"
    flags: str | None = None
    "TCP: exactly these, in the order 'FSRPAUEWe'"
    chunk: str | None = None
    "SCTP: with a chunk of this name, as the RFCs spell it: 'DATA', 'INIT ACK'"
    stream: int | None = None
    "SCTP: with DATA of this stream"
    data: bool = False
    "with user data"
    path: int = 0
    "on the first path (1) or the second (2); 0: on either"
    number: int = 1
    "which of the packets that fit, counted from 1; 0: each of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Fault):
    """It is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Fault):
    """It arrives twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Fault):
    """It arrives later, and what was sent behind it may overtake it."""

    ms: int
    "how much later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder(Fault):
    """It arrives behind the next packet of its way and path."""

    ms: int = 200
    "how long it waits for one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Fault):
    """It is the last that passes on its path, which is dead from then on, both ways; path 0: all paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Random faults, the same in each run that sends the same packets: each way has a series of its own."""

    seed: int
    drop: float = 0
    "per cent"
    duplicate: float = 0
    "per cent"
    reorder: float = 0
    "per cent: behind the next packet of its way and path"


AnyFault = Fault | Chance
