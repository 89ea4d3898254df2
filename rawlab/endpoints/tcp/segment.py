"""A segment that came, read once, fast: what `arriving` asks for. Numbers have the 32 bits of the wire.

What a person wants to know of a segment is `wire.decode`'s matter.
"""

from __future__ import annotations

from struct import Struct

from rawlab.wire import tcp_build as build

_header = Struct("!HHIIHHHH").unpack_from
_timestamps = Struct("!III").unpack_from
_pair = Struct("!II").unpack_from

MOST_SHIFT = 14
"RFC 7323 section 2.3"


class Segment:
    """Header, options, data."""

    source_port: int
    destination_port: int
    seq: int
    ack: int
    window: int
    urgent: int

    __slots__ = (
        "ack", "data", "destination_port", "echo", "flags", "mss", "sack_permitted", "sacks", "seq", "shift",
        "source_port", "timestamp", "urgent", "window",
    )  # fmt: skip

    def __init__(self, packet: bytes, header: int) -> None:
        (
            self.source_port, self.destination_port, self.seq, self.ack, words, self.window, _, self.urgent
        ) = _header(packet)  # fmt: skip
        self.flags = words & 0x3F
        self.data = packet[header:]
        self.timestamp: int | None = None
        "TSval"
        self.echo = 0
        "TSecr"
        self.mss: int | None = None
        self.shift: int | None = None
        "of the window, in a SYN"
        self.sack_permitted = False
        self.sacks = False
        "it tells what came out of order"
        if header == 32:
            head, value, echo = _timestamps(packet, 20)
            if head == 0x0101080A:
                self.timestamp, self.echo = value, echo
                return
        if header > 20:
            self._options(packet, header)

    def _options(self, packet: bytes, end: int) -> None:
        """An option of a wrong length is passed over, one that reaches beyond the header ends the list, as in Linux."""
        at = 20
        while at < end:
            kind = packet[at]
            if kind == build.END:
                return
            if kind == build.NOP:
                at += 1
                continue
            size = packet[at + 1] if at + 1 < end else 0
            if size < 2 or at + size > end:
                return
            if kind == build.MSS and size == 4:
                self.mss = packet[at + 2] << 8 | packet[at + 3]
            elif kind == build.WINDOW_SCALE and size == 3:
                self.shift = min(packet[at + 2], MOST_SHIFT)
            elif kind == build.TIMESTAMPS and size == 10:
                self.timestamp, self.echo = _pair(packet, at + 2)
            elif kind == build.SACK_PERMITTED and size == 2:
                self.sack_permitted = True
            elif kind == build.SACK and size > 2 and size % 8 == 2:
                self.sacks = True
            at += size

    @property
    def length(self) -> int:
        """Sequence numbers that it takes up: data, SYN, FIN."""
        size = len(self.data) + bool(self.flags & build.FIN)
        return size + bool(self.flags & build.SYN)


def parse(packet: bytes, source: str, destination: str) -> Segment | None:
    """The segment, if it is whole and its checksum right."""
    if len(packet) < 20:
        return None
    header = packet[12] >> 4 << 2
    if header < 20 or header > len(packet) or not build.is_right(packet, build.pseudo(source, destination)):
        return None
    return Segment(packet, header)
