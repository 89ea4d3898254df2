"""What an end of a TCP connection has shown on the wire, for captures without calls: what the rules there ask for.

Numbers are relative, as in `connection`. What is known with and without calls (spans, acknowledgments, states) is the
end's own; this is what only `tcp_seen` and its neighbours need.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rawlab.attribution.pairing import Draft
from rawlab.model.facts import TcpSegment
from rawlab.model.ranges import RangeSet
from rawlab.model.states import TcpState

_SACK, _SCALE = 5, 3
TWINS = 8  # packets back that one which was captured twice is looked for
LARGEST_SHIFT = 14  # RFC 7323 section 2.3


@dataclass(slots=True, kw_only=True)
class Sight:
    """What one end has shown so far."""

    sent: RangeSet = field(default_factory=RangeSet)
    "its numbers that were seen"
    gaps: list[tuple[int, int, Draft]] = field(default_factory=list)
    "(first, end, packet) of its numbers that had not been seen when that packet, which lies behind them, came"
    acked_by: Draft | None = None
    "the packet that brought it the highest acknowledgment"
    sacked: Sequence[tuple[int, ...]] = ()
    "its numbers that the last acknowledgment names as arrived (RFC 2018)"
    sacked_by: Draft | None = None
    again: dict[int, tuple[int, Draft, int]] = field(default_factory=dict)
    "by its first number (SYN, FIN alone: -1 less that), what was sent again: how often, its last time, the wait (ns)"
    last_again: tuple[int, Draft] | None = None
    "one past the last number of what it sent again last, and that packet"
    ttls: set[int] = field(default_factory=set)
    "of the packets that it sent, resets left out"
    scale: int | None = None
    "its window's shift; -1: its SYN has none; None: its SYN was not seen"
    zero_since: Draft | None = None
    "the packet with which its window became zero"
    last_sent: Draft | None = None
    recent: deque[Draft] = field(default_factory=lambda: deque(maxlen=TWINS))
    "what it sent last"
    whole: int | None = None
    "octets of a whole segment, by both SYNs; None: not asked yet, or they were not seen"
    sights: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=TWINS))
    "IP identification, sequence and acknowledgment number of each of `recent`"
    reset_by: Draft | None = None
    "the reset that it was sent, until it speaks again"
    reset_sent: Draft | None = None
    "the reset that was sent in its name, until it speaks again"
    before_reset: TcpState | None = None
    "the state in which either found it"
    sends: bool = False
    "it has sent data or FIN"
    part_end: int = 0
    "one past what it sent last, where a write may go on"
    part_pushed: bool = False
    "that has PSH"
    largest: int = 0
    "octets of its largest segment"
    denies_syn: int = 0
    "the last packet of its own that shows that no SYN-ACK had come to it, though one had passed"
    denies_fin: int = 0
    "the last packet of its own that shows that no FIN had come to it, though one had passed"


def blocks(segment: TcpSegment) -> Sequence[tuple[int, int]]:
    """The edges of its SACK blocks (RFC 2018), as absolute numbers."""
    for option in segment.options:
        if option.kind == _SACK:
            return list(zip(option.values[::2], option.values[1::2], strict=False))
    return ()


def shift(segment: TcpSegment) -> int:
    """What its window scale option says; -1 where it has none (RFC 7323 section 2.2)."""
    found = (option.values for option in segment.options if option.kind == _SCALE and option.values)
    return min(next(found, (-1,))[0], LARGEST_SHIFT)
