"""What two ends said to each other, in turns: the client's side of it can be played again.

A turn is what the client sent, then what the server answered until the client spoke again. Of TCP what is sent is
octets of a stream, of UDP a datagram, of SCTP a message. Octets alone: no sequence number, no time stamp, no packet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rawlab.model.address import Endpoint

Ending = Literal["FIN", "RST", "SHUTDOWN", "ABORT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What is sent at once."""

    data: bytes
    pause_ns: int = 0
    "how long after what the same end sent before it, in the same turn"
    stream: int = 0
    "SCTP's"
    ppid: int = 0
    "SCTP's payload protocol identifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the client sent, and what was answered."""

    says: tuple[Saying, ...]
    "none: the server spoke first"
    answers: tuple[bytes, ...]
    "TCP: the octets as one; UDP and SCTP: one each"
    unknown: tuple[tuple[int, int], ...] = ()
    "TCP: which octets of the answer, [first, end), the capture does not hold"

    @property
    def octets(self) -> int:
        """How many the server's answer has."""
        return sum(map(len, self.answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A flow's turns, in order."""

    protocol: Literal["tcp", "udp", "sctp"]
    client: Endpoint
    server: Endpoint
    turns: tuple[Turn, ...]
    client_ends: Ending | None = None
    "how the client's direction ended; None: the capture does not show it"
    server_ends: Ending | None = None
    refused: bool = False
    "the server did not take the connection: RST, ABORT, or an ICMP error"
    client_first: bool = True
    "of those that ended, the client ended first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the server said now, turn by turn."""

    turns: tuple[tuple[bytes, ...] | None, ...]
    "as `Turn.answers`; None: it did not come to that turn"
    ends: Ending | None = None
    "how the server's direction ended"
    errno: str | None = None
    "of the call that failed, by which the dialogue broke off"
    call: str | None = None
    "its name"
    silent: frozenset[int] = frozenset()
    "the turns, from 0, of which all was not answered in time"


ANSWER_MS, END_MS = 3000, 1000
"how long an answer is waited for, and the server's end"
