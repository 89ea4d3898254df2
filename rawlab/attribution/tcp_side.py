"""One direction of a TCP connection as a capture has shown it so far: how far it sent, and what is not acknowledged.

Numbers are plain ints on the circle of 2^32, and compared as tshark compares them (`beyond`, `within`): there, of two
numbers exactly half a circle apart each is beyond the other, which `model.serial.Serial` denies. What a segment turns
out to be is decided in `tcp_analysis`; nothing is decided here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIN, SYN, RST, ACK = 1, 2, 4, 16
CIRCLE = 1 << 32
HALF = 1 << 31

UNKNOWN, NOT_SCALED = -1, -2
"of `Side.scale`: no SYN seen; SYNs that did not agree on it (RFC 7323 section 2.2)"
LARGEST_SHIFT = 14
MOST_UNACKNOWLEDGED = 10_000
"segments of one direction that are remembered until they are acknowledged"
MANY = CIRCLE - 1
"of `Side.duplicates`: after an ACK of octets that were not captured, how many came is not known"


def beyond(a: int, b: int) -> bool:
    """Is a later than b, on the circle of sequence numbers (RFC 9293 section 3.4)?"""
    return (b - a) % CIRCLE >= HALF


def within(a: int, b: int) -> bool:
    """Is a not later than b?"""
    return a == b or (a - b) % CIRCLE >= HALF


@dataclass(slots=True)
class Segment:
    """One segment as its header has it, with absolute numbers; not frozen, since that takes thrice as long to make."""

    number: int
    "of the record in the capture"
    at_ns: int
    seq: int
    ack: int
    flags: int
    "FIN 1, the lowest, to AE 256"
    window: int
    "not scaled"
    length: int
    "octets of data"

    @property
    def end(self) -> int:
        """The sequence number after its data; SYN and FIN are not counted."""
        return (self.seq + self.length) % CIRCLE

    @property
    def opens_or_closes(self) -> bool:
        """SYN or FIN is set, which takes a sequence number."""
        return bool(self.flags & (SYN | FIN))


@dataclass(slots=True)
class Sent:
    """A segment that takes sequence numbers and is not yet acknowledged."""

    number: int
    at_ns: int
    seq: int
    end: int


@dataclass(slots=True)
class Side:
    """What one direction has shown so far. A sequence number of 0 is none yet."""

    base: int | None = None
    "its initial sequence number, or what is taken for it"
    next_seq: int = 0
    "after the furthest octet"
    next_number: int = 0
    "record number of the segment that went so far"
    next_at_ns: int = 0
    covered: int = 0
    "up to here nothing is missing: no ACK of it is a surprise"
    window: int | None = None
    "of its last segment, not scaled"
    ack: int = 0
    "of its last segment"
    ack_at_ns: int = 0
    ack_number: int = 0
    "record number of the first segment that had this ACK"
    duplicates: int = 0
    "duplicate ACKs since then; or MANY"
    marks: int = 0
    "of its last segment, as the value of a `Mark`"
    scale: int = UNKNOWN
    "its window's shift count; or UNKNOWN, NOT_SCALED"
    answered: bool = True
    "False from its SYN to its first ACK: until then its window is that of the SYN, which is never scaled"
    flight_known: bool = True
    "False from a gap to the next ACK of the other direction"
    unacknowledged: deque[Sent] = field(default_factory=deque)
    ordered: bool = True
    "of `unacknowledged`: each begins where the one before ended, or later"
    span: tuple[int, int] | None = None
    "of `unacknowledged`, where that is not ordered: lowest and highest relative number; None: to be looked for"
    settled: int | None = None
    "an ACK that would change nothing of `unacknowledged`"
    sacked: int = 0
    "octets that its last segment's SACK blocks name"
    remembers: bool = True
    "False: of no segment is noted whether it is acknowledged; no mark depends on that"

    @property
    def shift(self) -> int:
        """By how much its window is shifted now."""
        return self.scale if self.scale > 0 and self.answered else 0

    def remember(self, segment: Segment) -> int:
        """Note what was sent, and return the sequence number after it."""
        opens_or_closes = segment.opens_or_closes
        if (not segment.length and not opens_or_closes) or self.full:
            return segment.end
        end = (segment.end + opens_or_closes) % CIRCLE
        if not self.remembers:
            return end
        if self.unacknowledged:
            last, reach = self.unacknowledged[-1].end, (end - self.unacknowledged[0].seq) % CIRCLE
            self.ordered = self.ordered and not beyond(last, segment.seq) and reach < HALF
        if self.span is not None:
            self.span = min(self.span[0], self._relative(segment.seq)), max(self.span[1], self._relative(end))
        if self.settled is not None and (within(end, self.settled) or beyond(self.settled, segment.seq)):
            self.settled = None
        self.unacknowledged.append(Sent(segment.number, segment.at_ns, segment.seq, end))
        return end

    @property
    def full(self) -> bool:
        """Nothing more is remembered."""
        return len(self.unacknowledged) >= MOST_UNACKNOWLEDGED

    def advance(self, segment: Segment, end: int) -> None:
        """Move the furthest octet, and how far nothing is missing."""
        if not self.next_seq or beyond(end, self.next_seq):
            self.next_seq, self.next_number, self.next_at_ns = end, segment.number, segment.at_ns
        if not self.covered or segment.seq == self.covered:
            self.covered = self.next_seq

    def acknowledge(self, ack: int) -> Sent | None:
        """Forget what is acknowledged; return the eldest segment that ends exactly there."""
        if ack == self.settled:
            return None
        exact, self.settled, self.span = None, ack, None
        waiting = self.unacknowledged
        kept: deque[Sent] = deque()
        while waiting:
            sent = waiting[0]
            if sent.end == ack:
                exact = exact or sent
            elif beyond(sent.end, ack):
                if beyond(ack, sent.seq):
                    sent.seq = ack
                if self.ordered and beyond(waiting[-1].end, ack):
                    return exact
                kept.append(sent)
            waiting.popleft()
        self.unacknowledged = kept
        self.ordered = not kept
        return exact

    def eldest(self) -> tuple[int, int]:
        """Record number and time of the eldest segment that is not acknowledged; of the furthest if all are."""
        if self.unacknowledged:
            return self.unacknowledged[0].number, self.unacknowledged[0].at_ns
        return self.next_number, self.next_at_ns

    def in_flight(self) -> int:
        """Octets from the first that is not acknowledged to the furthest."""
        waiting = self.unacknowledged
        first, last = self._relative(waiting[0].seq), self._relative(waiting[-1].end)
        if self.ordered and first <= last:
            return last - first
        if self.span is None:
            starts = min(self._relative(sent.seq) for sent in waiting)
            self.span = starts, max(self._relative(sent.end) for sent in waiting)
        return self.span[1] - self.span[0]

    def _relative(self, number: int) -> int:
        return (number - (self.base or 0)) % CIRCLE
