"""Fragments of IP packets, tied together by what their headers say (RFC 791 section 3.2, RFC 8200 section 4.5).

The frame that makes a packet whole speaks for it: its row has the first fragment's transport header and all the data.
The other fragments' rows have no numbers of TCP and no data. So each segment is taken once, as tshark takes it, and
never without its end. Fragments that overlap make no packet (RFC 5722 section 4; Linux holds IPv4 to that, too).

What does not belong here: the octets themselves (`attribution.fragments` puts those together).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rawlab.model.facts import IpHeader, TcpSegment, UdpDatagram

_PACKETS = 4096
"unfinished packets that are remembered"
_PIECES = 1 << 16
"fragments that are"
_UDP_HEADER = 8
Transport = TcpSegment | UdpDatagram
_Key = tuple[str, str, int, int]


@dataclass(slots=True, kw_only=True)
class _Packet:
    """One packet so far."""

    sizes: dict[int, int] = field(default_factory=dict)
    "octets of each fragment, by its offset; of one that came twice, the first"
    octets: int = 0
    "of all of them"
    end: int | None = None
    "where the packet ends, once its last fragment was seen"
    ends: tuple[int, int] | None = None
    "its first fragment's, as numbers of `columns.ends`"
    head: Transport | None = None
    "its first fragment's TCP or UDP header"


class Fragments:
    """The packets that are not whole yet."""

    def __init__(self) -> None:
        self._packets: dict[_Key, _Packet] = {}
        self._pieces = 0

    def ends(self, ip: IpHeader, own: tuple[int, int]) -> tuple[int, int]:
        """A fragment's ends: those of its first, where that came before it, else its own."""
        packet = self._packets.get(_key(ip))
        return own if packet is None or packet.ends is None or not ip.fragment_offset else packet.ends

    def whole(self, ip: IpHeader, head: object, ends: tuple[int, int]) -> tuple[Transport, int] | None:
        """The transport header and octets of data of the packet that this fragment makes whole; None: none of TCP's
        or UDP's. `head`: the fragment's own transport header; `ends`: its ends."""
        packet = self._packet(_key(ip))
        size = ip.length - (ip.payload[0] - ip.start)
        if ip.fragment_offset in packet.sizes or size <= 0:
            return None
        packet.sizes[ip.fragment_offset] = size
        packet.octets += size
        self._pieces += 1
        if not ip.fragment_offset:
            packet.ends = ends
            packet.head = head if isinstance(head, TcpSegment | UdpDatagram) else None
        if not ip.more_fragments:
            packet.end = ip.fragment_offset + size
        if packet.octets != packet.end or not _in_order(packet):
            return None
        self._forget(_key(ip))
        self._packets[_key(ip)] = _Packet(ends=packet.ends)  # what comes once more is of the same ends
        return _told(packet)

    def _packet(self, key: _Key) -> _Packet:
        if key not in self._packets:
            self._packets[key] = _Packet()
            while len(self._packets) > _PACKETS or (self._pieces > _PIECES and len(self._packets) > 1):
                self._forget(next(iter(self._packets)))
        return self._packets[key]

    def _forget(self, key: _Key) -> None:
        self._pieces -= len(self._packets.pop(key).sizes)


def _key(ip: IpHeader) -> _Key:
    return ip.source, ip.destination, ip.identification, ip.protocol


def _in_order(packet: _Packet) -> bool:
    """Whether each fragment begins where the one before ended."""
    at = 0
    for offset in sorted(packet.sizes):
        if offset != at:
            return False
        at += packet.sizes[offset]
    return True


def _told(packet: _Packet) -> tuple[Transport, int] | None:
    if packet.head is None:
        return None
    header = packet.sizes[0] - packet.head.length if isinstance(packet.head, TcpSegment) else _UDP_HEADER
    return packet.head, max(packet.octets - header, 0)
