"""Bytes to facts: a small, fast decoder of what attribution needs, from the link header to the ports.

How it works: a frame is read from the outside in, one function a header, each a precompiled `Struct` at an
offset; nothing is copied or searched for. Every function takes the whole frame and where to read, so that
all positions in the facts are positions in the frame. Three lengths meet here and are kept apart: what the
header says (`length` of a fact), what was captured (where `data` ends), and link-layer padding, which is
neither. A header that cannot be read gives `Undecoded` with the reason; no bytes raise, and every loop
either moves forward or is counted.

Speed, since it runs on every frame of a long capture: addresses and link headers repeat, so their texts are
cached, and facts are cast in a mould (`wire.mould`).

What does not belong here: IP headers (`wire.ip`), ICMP (`wire.icmp`) and SCTP (`wire.sctp`), which this file
calls; the tree of all fields (`wire.fields`), words (`wire.packets`), reassembly and anything else that needs
two frames (`attribution`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct

from rawlab.model.facts import (
    ArpMessage,
    Facts,
    IpHeader,
    Other,
    TcpOption,
    TcpSegment,
    Transport,
    UdpDatagram,
    Undecoded,
)
from rawlab.model.serial import Serial
from rawlab.wire import symbols
from rawlab.wire.icmp import icmp
from rawlab.wire.ip import MAX_LAYERS, address4, ipv4, ipv6, short
from rawlab.wire.mould import mould
from rawlab.wire.sctp import sctp

IPV4, ARP, REVERSE_ARP, IPV6 = 0x0800, 0x0806, 0x8035, 0x86DD


_ethernet = Struct("!6s6sH").unpack_from
_two_words = Struct("!HH").unpack_from
_sll = Struct("!4xH6sxxH").unpack_from
_sll2 = Struct("!H9xB6s").unpack_from
_arp = Struct("!HHBBH6s4s6s4s").unpack_from
_tcp_header = Struct("!HHIIBBHxxH").unpack_from
_udp_header = Struct("!HHH").unpack_from
_timestamps = Struct("!III").unpack_from


def decode(data: bytes | memoryview, linktype: int = 1, length: int | None = None) -> Facts:
    """What a frame says: `data` from its link header on, `length` octets of it on the wire (default: all).

    `linktype` is pcap's number (tcpdump.org/linktypes). Never raises: what cannot be read is `Undecoded`.
    """
    octets = bytes(data)
    wire = len(octets)
    if length is not None and length > wire:
        wire = length
    link = _LINKS.get(linktype)
    if link is None:
        name = symbols.link_type(linktype)
        return Facts(transport=Undecoded(why=f"link type: Ethernet, cooked or IP expected, {name} there"))
    return link(octets, wire)


_new_facts, _new_segment, _new_option = mould(Facts), mould(TcpSegment), mould(TcpOption)


# ---- link layers


@lru_cache(maxsize=1024)
def _macs(header: bytes) -> tuple[str, str, int]:
    destination, source, kind = _ethernet(header)
    return destination.hex(":"), source.hex(":"), kind


def _link_ethernet(octets: bytes, wire: int) -> Facts:
    if len(octets) < 14:
        return Facts(transport=short("Ethernet: header", 14, len(octets)))
    destination, source, kind = _macs(octets[:14])
    return _network(octets, 14, wire, kind, source, destination)


def _link_null(octets: bytes, wire: int) -> Facts:
    """BSD loopback: the address family as the writer's CPU orders it (NULL), or in network order (LOOP)."""
    if len(octets) < 4:
        return Facts(transport=short("loopback: header", 4, len(octets)))
    family = min(int.from_bytes(octets[:4], "big"), int.from_bytes(octets[:4], "little"))
    if family not in _FAMILIES:
        return Facts(transport=Undecoded(why=f"loopback: family of IPv4 or IPv6 expected, {family} there"))
    transport, ip = _internet(octets, 4, wire, _FAMILIES[family])
    return Facts(transport=transport, ip=ip)


def _link_raw(octets: bytes, wire: int) -> Facts:
    version = octets[0] >> 4 if octets else 0
    transport, ip = _internet(octets, 0, wire, IPV6 if version == 6 else IPV4)
    return Facts(transport=transport, ip=ip)


def _link_ipv6(octets: bytes, wire: int) -> Facts:
    transport, ip = _internet(octets, 0, wire, IPV6)
    return Facts(transport=transport, ip=ip)


def _link_sll(octets: bytes, wire: int) -> Facts:
    if len(octets) < 16:
        return Facts(transport=short("Linux cooked: header", 16, len(octets)))
    size, address, kind = _sll(octets)
    return _network(octets, 16, wire, kind, address.hex(":") if size == 6 else None, None)


def _link_sll2(octets: bytes, wire: int) -> Facts:
    if len(octets) < 20:
        return Facts(transport=short("Linux cooked v2: header", 20, len(octets)))
    kind, size, address = _sll2(octets)
    return _network(octets, 20, wire, kind, address.hex(":") if size == 6 else None, None)


_FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
"AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS"

_LINKS: dict[int, Callable[[bytes, int], Facts]] = {
    0: _link_null,
    1: _link_ethernet,
    12: _link_raw,
    14: _link_raw,
    101: _link_raw,
    108: _link_null,
    113: _link_sll,
    228: _link_raw,
    229: _link_ipv6,
    276: _link_sll2,
}


def _network(
    octets: bytes, at: int, wire: int, kind: int, source: str | None, destination: str | None
) -> Facts:
    """What follows a link header with an EtherType: VLAN tags, then a packet."""
    vlans: tuple[int, ...] = ()
    while kind in symbols.VLAN_TYPES and len(octets) >= at + 4 and len(vlans) < MAX_LAYERS:
        tag, kind = _two_words(octets, at)
        vlans += (tag & 0xFFF,)
        at += 4
    transport, ip = _internet(octets, at, wire, kind)
    facts = _new_facts(transport, ip, source, destination, kind, vlans)
    facts.__class__ = Facts
    return facts


def _internet(octets: bytes, at: int, wire: int, kind: int) -> tuple[Transport, IpHeader | None]:
    """The packet behind a link header of this EtherType."""
    if kind == IPV4:
        (ip, why, size), readers = ipv4(octets, at, wire, len(octets)), _OVER_IPV4
    elif kind == IPV6:
        (ip, why, size), readers = ipv6(octets, at, wire, len(octets)), _OVER_IPV6
    else:
        return _not_ip(octets, at, kind), None
    if why is not None or ip is None:
        return why or Undecoded(why="IP: header expected"), ip
    if ip.fragment_offset or (read := readers.get(ip.protocol)) is None:
        return Other(protocol=ip.protocol, data=ip.payload, length=size), ip
    return read(octets, *ip.payload, size, ip), ip


def _not_ip(octets: bytes, at: int, kind: int) -> Transport:
    if kind in (ARP, REVERSE_ARP):
        return _arp_message(octets, at)
    if kind in symbols.VLAN_TYPES:
        return short("802.1Q: tag", 4, len(octets) - at)
    if kind < 0x600:  # IEEE 802.3 clause 3.2.6: a length, and an LLC header follows
        return Undecoded(why=f"Ethernet: EtherType expected, 802.3 length of {kind} there")
    return Undecoded(why=f"EtherType: IPv4, IPv6 or ARP expected, {symbols.ethertype(kind)} there")


def _arp_message(octets: bytes, at: int) -> Transport:
    if len(octets) - at < 28:
        return short("ARP: message", 28, len(octets) - at)
    hardware, kind, mac_size, size, operation, sender_mac, sender, target_mac, target = _arp(octets, at)
    if (hardware, kind, mac_size, size) != (1, IPV4, 6, 4):
        there = f"hardware {hardware} ({mac_size} octets), {symbols.ethertype(kind)} ({size} octets) there"
        return Undecoded(why=f"ARP: Ethernet and IPv4 expected, {there}")
    return ArpMessage(
        operation=operation,
        sender_mac=sender_mac.hex(":"),
        sender=address4(sender),
        target_mac=target_mac.hex(":"),
        target=address4(target),
    )


# ---- transport layer: (frame, where it begins, where its captured octets end, octets by the IP header, IP)


def _tcp(octets: bytes, at: int, end: int, size: int, ip: IpHeader) -> Transport:
    """RFC 9293 section 3.1."""
    if end - at < 20:
        return short("TCP: header", 20, end - at)
    source, destination, seq, ack, offset, flags, window, urgent = _tcp_header(octets, at)
    header = offset >> 4 << 2
    if header < 20 or header > size:
        return Undecoded(why=f"TCP: header of 20 to {size} octets expected, {header} there")
    begin = at + header
    if begin > end:
        begin = end
    segment = _new_segment(
        source,
        destination,
        Serial(seq),
        Serial(ack),
        _FLAGS[(offset & 1) << 8 | flags],
        window,
        urgent,
        _tcp_options(octets, at + 20, begin) if header > 20 else (),
        (begin, end),
        size - header,
    )
    segment.__class__ = TcpSegment
    return segment


_FLAGS = [
    "".join(flag for bit, flag in enumerate(symbols.TCP_FLAGS) if bits >> bit & 1) for bits in range(512)
]
"each value of the nine flag bits as letters"

_EOL, _NOP, _MSS, _WSCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8
_SIZES = {_MSS: 4, _WSCALE: 3, _SACK_PERMITTED: 2, _TIMESTAMPS: 10}
_nop, _eol = TcpOption(kind=_NOP), TcpOption(kind=_EOL)


def _tcp_options(octets: bytes, at: int, end: int) -> tuple[TcpOption, ...]:
    """RFC 9293 section 3.2. As Linux reads them: an option of a wrong length for its kind is passed over, one
    that reaches beyond the header ends the list (as does End of Option List)."""
    if end - at == 12:  # nop, nop, TS: every segment of most connections (RFC 7323 appendix A)
        head, value, echo = _timestamps(octets, at)
        if head == 0x0101080A:
            option = _new_option(_TIMESTAMPS, (value, echo))
            option.__class__ = TcpOption
            return (_nop, _nop, option)
    options: list[TcpOption] = []
    while at < end:
        kind = octets[at]
        if kind == _EOL:
            options.append(_eol)
            break
        if kind == _NOP:
            options.append(_nop)
            at += 1
            continue
        size = octets[at + 1] if at + 1 < end else 0
        if size < 2 or at + size > end:
            break
        if _SIZES.get(kind, size) == size and (kind != _SACK or size % 8 == 2):
            options.append(TcpOption(kind=kind, values=_option_values(kind, octets[at + 2 : at + size])))
        at += size
    return tuple(options)


def _option_values(kind: int, body: bytes) -> tuple[int, ...]:
    if kind == _MSS:
        return (int.from_bytes(body, "big"),)
    if kind in (_SACK, _TIMESTAMPS):
        return Struct(f"!{len(body) // 4}I").unpack(body)
    return tuple(body)


def _udp(octets: bytes, at: int, end: int, size: int, ip: IpHeader) -> Transport:
    """RFC 768. A first fragment's length is the whole datagram's, more than it carries."""
    if end - at < 8:
        return short("UDP: header", 8, end - at)
    source, destination, length = _udp_header(octets, at)
    if length < 8 or (length > size and not ip.more_fragments):
        return Undecoded(why=f"UDP: length of 8 to {size} octets expected, {length} there")
    return UdpDatagram(
        source_port=source,
        destination_port=destination,
        data=(at + 8, min(at + length, end)),
        length=length - 8,
    )


Reader = Callable[[bytes, int, int, int, IpHeader], Transport]

_OVER_IPV4: dict[int, Reader] = {1: icmp, 6: _tcp, 17: _udp, 132: sctp}
_OVER_IPV6: dict[int, Reader] = {6: _tcp, 17: _udp, 58: icmp, 132: sctp}
"""What reads a payload, by IP protocol; ICMP belongs to IPv4, ICMPv6 to IPv6 (RFC 4443 section 1)."""
