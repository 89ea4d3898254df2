"""What a TCP segment turns out to be when the connection is followed: the words that Wireshark made common.

One `Mark` is one of Wireshark's `tcp.analysis.*` fields, with its meaning; `wire.symbols` has no part in it, since no
bit of the packet says so. What finds them is `attribution.tcp_analysis`, one segment at a time, and `columns.analysis`,
many at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag


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


_NONE = Mark(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What following the connection told of one segment."""

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
