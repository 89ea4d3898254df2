"""A story: a timeline in which every packet has its cause, and every call the packets it sent and awaited.

Packets and calls are numbered from 1, each in order of time; `Packet.n` and `CallStory.n` are what causes,
tables and the JSON (`n`) speak of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rawlab.model.event import Call, Frame
from rawlab.model.facts import Facts
from rawlab.model.timeline import Timeline

Confidence = Literal["exact", "inferred", "unknown"]
"""exact: bytes, flags or the kernel's word prove it; inferred: order in time suggests it; unknown: neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a packet exists."""

    kind: Literal["call", "kernel", "unknown"]
    reason: str
    "one sentence"
    confidence: Confidence
    calls: tuple[int, ...] = ()
    "numbers of the calls that caused it, or on whose behalf the kernel sent it"
    packets: tuple[int, ...] = ()
    "numbers of the packets that provoked it"
    bytes: tuple[tuple[int, int, int], ...] = ()
    "(call, first, last + 1): which octets of that call's data it carries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet, seen where it left, where it arrived, or both."""

    n: int
    facts: Facts
    data: bytes | memoryview
    "its octets, from the link header on"
    frames: tuple[int, ...]
    "record numbers in the file"
    sent_ns: int | None
    arrived_ns: int | None
    lost: bool
    "it left and never arrived, although the capture lost nothing at the other end"
    sender: str | None
    receiver: str | None
    seq: int | None = None
    "TCP: relative to the initial sequence number; SCTP: the first DATA chunk's TSN, relative to the initial one"
    ack: int | None = None
    "TCP: relative acknowledgment number; SCTP: SACK's relative cumulative TSN, the last that it acknowledges"
    cause: Cause
    states: tuple[tuple[str, str | None], ...] = ()
    "each host's state when it was sent, after the sender's transition (RFC 9293)"
    notes: tuple[str, ...] = ()
    "the lecturer's, on any of its frames"
    marks: tuple[str, ...] = ()
    "TCP, where no calls were recorded: what it turns out to be, in the words of `model.analysis`: 'retransmission'"

    @property
    def at_ns(self) -> int:
        """When it was first seen."""
        at = self.sent_ns if self.sent_ns is not None else self.arrived_ns
        assert at is not None
        return at


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStory:
    """One system call, with the packets that it sent and those that it waited for."""

    n: int
    call: Call
    why: str
    "one sentence: what it did, or why it did nothing on the wire"
    sent: tuple[int, ...] = ()
    waited_for: tuple[int, ...] = ()
    inferred: bool = False
    states: tuple[tuple[str, str | None], ...] = ()
    "each host's state when it was entered"
    states_after: tuple[tuple[str, str | None], ...] = ()
    "each host's state when it returned"

    @property
    def label(self) -> str:
        """'c5' for the program's fifth call, 'r5' for the fifth that our endpoint made on its own socket."""
        return f"{'r' if self.call.endpoint else 'c'}{self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One end of a connection or association entered a state."""

    at_ns: int
    host: str
    state: str
    "in the RFCs' names"
    packet: int
    "number of the conversation's first packet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """Where the capture was made, as far as its packets tell."""

    place: Literal["client", "server", "host", "between", "both", "unknown"]
    "the client's host, the server's, one that is neither or both; on the way; both ends on one host; can't be told"
    address: str | None
    "the host's, where it is one's"
    reason: str
    "one sentence: what tells so, and what that hides"
    confidence: Confidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened, and why."""

    timeline: Timeline
    calls: tuple[CallStory, ...]
    packets: tuple[Packet, ...]
    endpoint_calls: tuple[CallStory, ...] = ()
    "where our own endpoint spoke the transport protocol: its calls on its raw or packet socket, numbered by themselves"
    transitions: tuple[Transition, ...] = ()
    "of each conversation that the capture saw from its start; each end's in order of time"
    heads: tuple[str, ...] = ()
    "where the timeline names no hosts, whose states are told; empty: each packet's sender's and receiver's"
    vantage: Vantage | None = None
    "None where the hosts' own captures tell, and where there is nothing to tell it by"
    remarks: tuple[str, ...] = ()
    "what is to be said of the whole capture once: what it cut off, what it misses"

    @property
    def frames(self) -> tuple[Frame, ...]:
        """Every frame, at every point of observation."""
        return self.timeline.frames

    def __iter__(self) -> Iterator[CallStory | Packet]:
        """Calls (by entry) and packets in order of time."""
        events: list[CallStory | Packet] = [*self.calls, *self.packets]
        return iter(sorted(events, key=lambda e: e.call.entered_ns if isinstance(e, CallStory) else e.at_ns))
