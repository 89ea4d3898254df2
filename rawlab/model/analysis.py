"""What a TCP segment turns out to be when the connection is followed: the words that Wireshark made common.

One `Mark` is one of Wireshark's `tcp.analysis.*` fields, with its meaning; `wire.symbols` has no part in it, since no
bit of the packet says so. What finds them is `attribution.tcp_analysis`, one segment at a time, and `columns.analysis`,
many at once.
"""

from __future__ import annotations

from enum import IntFlag
from functools import cache
from typing import NamedTuple


class Mark(IntFlag):
    """What the segment is, seen from where the capture was made."""

    RETRANSMISSION = 1
    "octets that were sent before; with it one of the next two, or neither: a timer ran out"
    FAST_RETRANSMISSION = 2
    SPURIOUS_RETRANSMISSION = 4
    "of octets that were acknowledged already"
    OUT_OF_ORDER = 8
    LOST_SEGMENT = 16
    "octets before it were not captured"
    ACK_LOST_SEGMENT = 32
    "it acknowledges octets that were not captured"
    DUPLICATE_ACK = 64
    KEEP_ALIVE = 128
    KEEP_ALIVE_ACK = 256
    ZERO_WINDOW = 512
    ZERO_WINDOW_PROBE = 1024
    ZERO_WINDOW_PROBE_ACK = 2048
    WINDOW_UPDATE = 4096
    WINDOW_FULL = 8192
    "it fills what the receiver has room for"
    REUSED_PORTS = 16384


WORDS = {
    Mark.FAST_RETRANSMISSION: "fast retransmission",
    Mark.SPURIOUS_RETRANSMISSION: "spurious retransmission",
    Mark.RETRANSMISSION: "retransmission",
    Mark.OUT_OF_ORDER: "out of order",
    Mark.LOST_SEGMENT: "previous segment not captured",
    Mark.ACK_LOST_SEGMENT: "acked unseen segment",
    Mark.DUPLICATE_ACK: "duplicate ACK",
    Mark.KEEP_ALIVE: "keep-alive",
    Mark.KEEP_ALIVE_ACK: "keep-alive ACK",
    Mark.ZERO_WINDOW: "zero window",
    Mark.ZERO_WINDOW_PROBE: "zero-window probe",
    Mark.ZERO_WINDOW_PROBE_ACK: "zero-window probe ACK",
    Mark.WINDOW_UPDATE: "window update",
    Mark.WINDOW_FULL: "window full",
    Mark.REUSED_PORTS: "ports reused",
}
"what a reader is told, wherever marks are told: Wireshark's words"
_MORE_EXACT = Mark.FAST_RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION


@cache
def words(marks: Mark) -> tuple[str, ...]:
    """'zero window', 'duplicate ACK'; of two that say the same, the more exact one."""
    if marks & _MORE_EXACT:
        marks &= ~Mark.RETRANSMISSION
    return tuple(word for mark, word in WORDS.items() if marks & mark)


_NONE = Mark(0)


class Finding(NamedTuple):
    """What following the connection told of one segment; a tuple, since one is made for each."""

    marks: Mark = _NONE
    duplicate_of: int | None = None
    "of a duplicate acknowledgment: the record number of the one that it repeats"
    duplicate_number: int = 0
    "its number among those, from 1"
    acks: int | None = None
    "record number of the segment that it acknowledges"
    rtt_ns: int | None = None
    "since that segment"
    in_flight: int | None = None
    "octets sent and not yet acknowledged, with this segment's"
    rto_ns: int | None = None
    "of a retransmission: since the octets were sent"
    rto_of: int | None = None
    "record number of the segment that was sent then"
    seq: int = 0
    "relative: 0 is the SYN's, 1 the first octet of a connection that was joined later"
    ack: int = 0
    "relative; absolute without the ACK flag, where it means nothing"
    window: int = 0
    "octets: scaled, where both SYNs agreed on that (RFC 7323)"
