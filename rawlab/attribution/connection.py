"""A TCP connection: its two ends, and what each has sent, received and acknowledged so far.

Numbers here are relative: an end's SYN is number 0, its first octet of data number 1 (so octet k of the stream is
number k + 1), its FIN the number after its last octet. They do not wrap: an end's numbers grow past 2^32.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.attribution.conversation import Conversation
from rawlab.attribution.lanes import TcpLane
from rawlab.attribution.pairing import Draft
from rawlab.attribution.sight import Sight
from rawlab.attribution.sockets import RECEIVERS, SENDERS, NumberedCall, Ranges, Socket
from rawlab.attribution.words import KERNEL
from rawlab.model.address import Endpoint
from rawlab.model.facts import TcpSegment
from rawlab.model.ranges import RangeSet
from rawlab.model.serial import CIRCLE, HALF, Serial


@dataclass(slots=True, kw_only=True)
class End:
    """One end of a connection."""

    address: Endpoint
    host: str
    socket: Socket | None
    speaker: str = KERNEL
    "who speaks TCP there, in words"
    listener: NumberedCall | None = None
    "the listen call on whose behalf it was opened"
    listening: Socket | None = None
    "the socket that listened, where nobody accepted the connection"
    connect: NumberedCall | None = None
    "the connect call that opened it"
    port_is_connects: bool = False
    "the kernel's word on the connecting socket's port is this end's, though no connection came of it"
    recorded: bool = True
    "the capture has calls"
    lane: TcpLane = field(default_factory=TcpLane)
    told_ns: int | None = 0
    "from when on its state is told; None: never, nobody is there"
    base: Serial | None = None
    "the sequence number that stands for 0"
    written: Ranges = field(default_factory=lambda: Ranges(()))
    "which call wrote which octets of its stream"
    read: Ranges = field(default_factory=lambda: Ranges(()))
    "which call read which octets of the other end's stream"
    placed: bool = True
    "which octets its calls moved is known: False where the log begins in the middle of the connection"

    sent_end: int = 0
    "one past the highest number sent"
    spans: list[tuple[int, int, Draft]] = field(default_factory=list)
    "(first, end, packet) of what it sent for the first time, in order"
    syn: Draft | None = None
    answers: bool = False
    "it sends SYN-ACK, now or later"
    answered: bool = False
    "it has sent SYN-ACK"
    fin: Draft | None = None
    fin_number: int | None = None
    last_ack: int | None = None
    "the last acknowledgment number that it sent"
    last_window: int | None = None
    arrived: RangeSet = field(default_factory=RangeSet)
    "numbers of the other end's that have arrived"
    brought: list[tuple[int, int, Draft]] = field(default_factory=list)
    "(first, end, packet) of what arrived for the first time, by number"
    unacknowledged: list[Draft] = field(default_factory=list)
    "what arrived since it last sent an acknowledgment"
    peer_ack: int = 0
    "the highest acknowledgment number that arrived"
    duplicate_acks: list[Draft] = field(default_factory=list)
    "acknowledgments of the same number that arrived one after the other"
    again: dict[int, Draft] = field(default_factory=dict)
    "by its first number: what was sent again, its last time"
    lost_until: int = 0
    "one past the highest number sent when it last found that something was lost"
    last_arrival: Draft | None = None
    takes: dict[int, int] = field(default_factory=dict)
    "where a program speaks TCP by hand: by packet, when its call returned with it (ns since the epoch)"
    reset: bool = False
    has_spoken: bool = False
    first_syn: Serial | None = None
    "the number of the first SYN that it sent"
    asked: Serial | None = None
    "the number of the SYN that the other end's SYN-ACK answers"
    sight: Sight = field(default_factory=Sight)
    "more of what it has shown on the wire, where no calls tell"

    def bind(self, socket: Socket | None) -> None:
        """Ties it to its socket, and the socket's calls to its stream."""
        self.socket = socket
        if socket is not None:
            self.host = socket.host
            self.written = Ranges(socket.named(*SENDERS))
            self.read = Ranges(socket.named(*RECEIVERS))

    def learn_urgent(self, other: End) -> None:
        """Which of the octets that the other end wrote are urgent: the last of each send with MSG_OOB (tcp(7))."""
        ends = zip(other.written.ends, other.written.calls, strict=True)
        urgent = [end - 1 for end, (_, call) in ends if "MSG_OOB" in str(dict(call.args).get("flags"))]
        if urgent and self.socket is not None:
            self.read = Ranges(self.socket.named(*RECEIVERS), urgent)

    def socket_calls(self, *names: str) -> Iterator[NumberedCall]:
        """The calls of those names on its socket."""
        return self.socket.named(*names) if self.socket is not None else iter(())

    def relative(self, number: Serial, near: int) -> int:
        """A sequence number as a relative one: of all that it may stand for, the one nearest to `near`."""
        assert self.base is not None
        return near + (number.value - self.base.value - near + HALF) % CIRCLE - HALF

    def carriers(self, first: int, end: int) -> list[Draft]:
        """The packets that first carried its numbers [first, end)."""
        return _over(self.spans, first, end)

    def bringers(self, first: int, end: int) -> list[Draft]:
        """The packets that first brought it the other end's numbers [first, end)."""
        return _over(self.brought, first, end)

    def sends_again(self, first: int, draft: Draft) -> Draft | None:
        """It sends what begins there once more: the last packet that did; None: it lies behind a loss found before."""
        last = self.again.get(first) or next(iter(self.carriers(first, first + 1)), None)
        behind = first not in self.again and first < self.lost_until
        self.again[first] = draft
        if behind:
            return None
        self.lost_until = self.sent_end
        return last or draft

    def learn(self, first: int, end: int, draft: Draft) -> None:
        """The other end's numbers [first, end) have arrived."""
        _note(self.arrived, self.brought, first, end, draft)

    def show(self, first: int, end: int, draft: Draft) -> None:
        """It sent its numbers [first, end), which may lie between others: what was not seen before, is now."""
        _note(self.sight.sent, self.spans, first, end, draft)


def _note(known: RangeSet, spans: list[tuple[int, int, Draft]], first: int, end: int, draft: Draft) -> None:
    """Of [first, end), what is not known yet is this packet's."""
    if not spans or first >= spans[-1][1]:  # it lies behind all others, as most do
        spans.append((first, end, draft))
    else:
        for span in known.missing(first, end):
            insort(spans, (*span, draft), key=lambda found: found[0])
    known.add(first, end)


def _over(spans: Sequence[tuple[int, int, Draft]], first: int, end: int) -> list[Draft]:
    """The packets of the spans that overlap [first, end), in order of the numbers."""
    low = max(bisect_right(spans, first, key=lambda span: span[0]) - 1, 0)
    high = bisect_left(spans, end, key=lambda span: span[0])
    return [draft for begin, stop, draft in spans[low:high] if stop > first]


class Connection(Conversation[End]):
    """A TCP connection: two ends, the first of which sent the first SYN."""

    __slots__ = ()


def segment_of(draft: Draft) -> TcpSegment:
    """The packet's TCP header."""
    assert isinstance(draft.facts.transport, TcpSegment)
    return draft.facts.transport


def payload_of(draft: Draft) -> memoryview:
    """The packet's TCP data, as far as it was captured."""
    first, end = segment_of(draft).data
    return memoryview(draft.data)[first:end]
