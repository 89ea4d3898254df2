"""One packet seen on two machines: what is the same of it, whatever lies between them.

A router takes one from the TTL (hop limit), may mark congestion in the traffic class (RFC 3168), counts the header's
checksum anew and writes link-layer addresses and VLAN tags of its own; a network card may fill in the transport's
checksum after the capture saw the packet leave. All else of the innermost IP packet stays: that is what `same` gives.
An address translator (NAT) changes more: `untranslated` is what it leaves alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from rawlab.model.event import Frame
from rawlab.model.facts import Facts, IpHeader, TcpSegment, UdpDatagram

Same = tuple[int, bytes] | bytes | memoryview
_CHANGED = {4: ((1, 2), (8, 9), (10, 12)), 6: ((0, 2), (7, 8))}
"""The octets of the IP header that may change: [first, last + 1)."""
_CHECKSUM = {6: 16, 17: 6, 33: 6, 58: 2}
"""Where the transport's checksum stands, by IP protocol: TCP, UDP, DCCP, ICMPv6 (which a card may fill in, too)."""


def same(data: bytes | memoryview, facts: Facts, limit: int | None = None) -> Same:
    """(length, octets) of the IP packet without what may change; of what is no IP packet its octets.

    `limit`: octets of it that are compared, where one of the captures was cut.
    """
    ip = facts.ip
    if ip is None:
        return bytes(data)
    packet = bytearray(data[ip.start : min(ip.payload[1], len(data))])
    for first, end in _CHANGED[ip.version]:
        packet[first:end] = bytes(len(packet[first:end]))
    checksum = _checksum(ip, facts)
    if checksum is not None:
        packet[checksum : checksum + 2] = bytes(len(packet[checksum : checksum + 2]))
    return ip.length, bytes(packet[:limit])


def shortest(packets: Iterable[tuple[Frame, Facts]]) -> int | None:
    """How many octets of IP the shortest packet has that was cut; None: none was."""
    cut = (
        len(frame.data) - facts.ip.start
        for frame, facts in packets
        if facts.ip is not None and len(frame.data) < frame.length
    )
    return min(cut, default=None)


def _checksum(ip: IpHeader, facts: Facts) -> int | None:
    """Where the transport's checksum stands in the packet, if it is in this one."""
    if ip.fragment_offset or ip.protocol not in _CHECKSUM or facts.transport is None:
        return None
    return ip.payload[0] - ip.start + _CHECKSUM[ip.protocol]


def untranslated(data: bytes | memoryview, facts: Facts) -> tuple[object, ...] | None:
    """What an address translator leaves of a packet that carries data; None of any other."""
    match facts.transport:
        case TcpSegment(seq=seq, data=(first, end)) if end > first:
            return "tcp", seq.value, bytes(data[first:end])
        case UdpDatagram(data=(first, end)) if end > first:
            return "udp", 0, bytes(data[first:end])
    return None
