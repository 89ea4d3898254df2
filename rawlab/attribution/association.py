"""An SCTP association: its two ends, and what each has sent, received and acknowledged so far.

TSNs here are relative: an end's initial TSN is number 0 (so that its first DATA chunk is number 0, as Wireshark
counts). They do not wrap: an end's numbers grow past 2^32. An end may have several addresses; its port is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rawlab.attribution.conversation import Conversation
from rawlab.attribution.lanes import SctpLane
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sockets import NumberedCall, Socket
from rawlab.model.ranges import RangeSet
from rawlab.model.sctp import SctpChunk, SctpData, SctpPacket, SctpSack
from rawlab.model.serial import Serial


@dataclass(slots=True, kw_only=True)
class Message:
    """One user message, from the fragment that begins it to the one that ends it."""

    first: int
    "the TSN of its first fragment"
    stream: int
    unordered: bool
    call: NumberedCall | None = None
    "the call that sent it"
    offsets: list[int] = field(default_factory=lambda: [0])
    "where each fragment begins in it, and where the last one seen ends: octets"
    whole: bool = False
    "its last fragment was seen"
    data: bytearray = field(default_factory=bytearray)
    "its octets, as far as they were captured"

    @property
    def tsns(self) -> range:
        """The TSNs of its fragments."""
        return range(self.first, self.first + len(self.offsets) - 1)

    @property
    def size(self) -> int:
        """Octets, of all fragments seen."""
        return self.offsets[-1]

    def part(self, tsn: int) -> tuple[int, int]:
        """Which octets of it [first, end) that fragment carries."""
        return self.offsets[tsn - self.first], self.offsets[tsn - self.first + 1]


@dataclass(slots=True, kw_only=True)
class SctpEnd:
    """One end of an association."""

    addresses: set[str]
    port: int
    host: str
    sockets: list[Socket] = field(default_factory=list)
    "those whose calls may concern it: its own, or a one-to-many socket that it shares"
    opener: NumberedCall | None = None
    "the connect, or the send to an address, that set it up"
    listener: NumberedCall | None = None
    "the listen call on whose behalf it was set up"
    recorded: bool = True
    "the capture has calls"
    lane: SctpLane = field(default_factory=SctpLane)
    told_ns: int | None = 0
    "from when on its state is told"
    tags: set[int] = field(default_factory=set)
    "its Initiate Tag (two, where it answered another INIT since): the verification tag of what it is sent"
    base: Serial | None = None
    "the TSN that stands for 0"

    messages: list[Message] = field(default_factory=list)
    "what it has sent, in order of TSN"
    message_of: dict[int, Message] = field(default_factory=dict)
    "by TSN"
    sent: dict[int, list[Draft]] = field(default_factory=dict)
    "by TSN, the packets that carried it, in order"
    sent_end: int = 0
    "one past the highest TSN sent"
    firsts: dict[int, Draft] = field(default_factory=dict)
    "by chunk type, the first packet that it sent with such a chunk"
    lasts: dict[int, Draft] = field(default_factory=dict)
    "by chunk type, the last packet that it sent with such a chunk"
    heartbeats: dict[str, Draft] = field(default_factory=dict)
    heartbeat_acks: dict[str, Draft] = field(default_factory=dict)
    "the last one that came, by the address that it came from"
    "by address, the last HEARTBEAT that it sent there"
    last_arrivals: dict[int, Draft] = field(default_factory=dict)
    "by chunk type, the last packet with such a chunk that it received"
    last_arrival: Draft | None = None
    last_sack: SctpSack | None = None
    "the last that it sent"
    peer_ack: int = -1
    "the highest cumulative TSN that it was told"
    peer_acks: list[tuple[Draft, int, tuple[tuple[int, int], ...]]] = field(default_factory=list)
    "(packet, cumulative TSN, gap blocks) of each SACK that it received"
    peer_window: int | None = None
    "octets that the peer said it has room for"
    arrived: RangeSet = field(default_factory=RangeSet)
    "TSNs of the other end's that have arrived"
    brought: dict[int, Draft] = field(default_factory=dict)
    "by the other end's TSN, the packet that first brought it"
    told: RangeSet = field(default_factory=RangeSet)
    "TSNs of the other end's that it has acknowledged"
    unacknowledged: list[Draft] = field(default_factory=list)
    "what arrived with DATA since it last sent a SACK"
    blue: list[Draft] = field(default_factory=list)
    "what arrived while it had no association, and was not answered yet (out of the blue)"
    has_spoken: bool = False
    denies: dict[int, int] = field(default_factory=dict)
    "by chunk type, its last packet with such a chunk, which it sends only while none of the other end's has come"
    aborted: bool = False
    "it sent or received ABORT"
    _calls: dict[tuple[str, ...], list[NumberedCall]] = field(default_factory=dict)

    def calls(self, *names: str) -> Sequence[NumberedCall]:
        """The calls of those names on its sockets, in order of entry."""
        if (found := self._calls.get(names)) is None:
            named = (found for socket in self.sockets for found in socket.named(*names))
            found = self._calls[names] = sorted(named, key=lambda numbered: numbered[0])
        return found

    def relative(self, tsn: Serial, near: int | None = None) -> int:
        """A TSN as a relative one: of all that it may stand for, the one nearest to `near` (what was sent last)."""
        if self.base is None:
            self.base = tsn
        near = self.sent_end if near is None else near
        return near + (tsn - (self.base + near))

    def bringers(self, message: Message) -> list[Draft]:
        """The packets that first brought it that message of the other end's."""
        return [self.brought[tsn] for tsn in message.tsns if tsn in self.brought]

    @property
    def acknowledged(self) -> int:
        """One past the last of the other end's TSNs without a gap before it."""
        return self.arrived.end_from(0)


class Association(Conversation[SctpEnd]):
    """An SCTP association: two ends, the first of which sent the first INIT."""

    __slots__ = ()


def packet_of(draft: Draft) -> SctpPacket:
    """The packet's SCTP header and chunks."""
    assert isinstance(draft.facts.transport, SctpPacket)
    return draft.facts.transport


def chunk_of(draft: Draft, type: int) -> SctpChunk | None:
    """The first chunk of that type in the packet."""
    return next((chunk for chunk in packet_of(draft).chunks if chunk.type == type), None)


def data_chunks(draft: Draft) -> list[SctpData]:
    """The DATA and I-DATA chunks of the packet."""
    return [chunk for chunk in packet_of(draft).chunks if isinstance(chunk, SctpData)]
