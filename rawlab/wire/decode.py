"""Bytes to facts: a small, fast decoder of what attribution needs, from the link header to the ports.

How it works: a frame is read from the outside in, one function a header, each a precompiled `Struct` at an
offset; nothing is copied or searched for. Every function takes the whole frame and where to read, so that
all positions in the facts are positions in the frame. Three lengths meet here and are kept apart: what the
header says (`length` of a fact; of TCP's data, as in tshark, no more than was on the wire), what was captured
(where `data` ends), and link-layer padding, which is neither. A header that cannot be read gives `Undecoded` with
the reason; no bytes raise, and every loop either moves forward or is counted.

Most frames are a packet right behind an Ethernet header, and these are read at once. All others go the long way
(`wire.way`), one header after the other: other link types, stacked tags, tunnels. A tunnel is followed as long as a
packet comes out of it; where none does, its own packet is the innermost.

Speed, since it runs on every frame of a long capture: addresses and link headers repeat, so their texts are
cached, and facts are cast in a mould (`wire.mould`).

What does not belong here: single headers (`wire.link_layers`, `wire.ieee80211`, `wire.ip`, `wire.tunnels`,
`wire.transports`); the tree of all fields (`wire.fields`), words (`wire.packets`), reassembly and anything else that
needs two frames (`attribution`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct

from rawlab.model.facts import ArpMessage, Facts, IpHeader, Other, Outer, Transport, UdpDatagram, Undecoded
from rawlab.wire import ieee80211, link_layers, symbols, tunnels, way
from rawlab.wire.ip import MAX_LAYERS, address4, ipv4, ipv6, short
from rawlab.wire.link_layers import LINKS
from rawlab.wire.link_types import link_type
from rawlab.wire.mould import mould
from rawlab.wire.transports import OVER_IPV4, OVER_IPV6
from rawlab.wire.way import ARP, IPV4, IPV6, REVERSE_ARP, Passes, Way

_ethernet = Struct("!6s6sH").unpack_from
_two_words = Struct("!HH").unpack_from
_arp = Struct("!HHBBH6s4s6s4s").unpack_from
_new_facts = mould(Facts)
_TCP, _UDP = 6, 17
_HEADERS = frozenset((IPV4, IPV6, way.GRE))
"of what a tunnel may carry, those of which a fault is told"

_PASSES: Mapping[int, Passes] = {**link_layers.PASSES, **ieee80211.PASSES, **tunnels.PASSES}


def decode(data: bytes | memoryview, linktype: int = 1, length: int | None = None) -> Facts:
    """What a frame says: `data` from its link header on, `length` octets of it on the wire (default: all).

    `linktype` is pcap's number (tcpdump.org/linktypes). Never raises: what cannot be read is `Undecoded`.
    """
    octets = bytes(data)
    wire = len(octets)
    if length is not None and length > wire:
        wire = length
    if linktype == 1 and (facts := _plain(octets, wire)) is not None:
        return facts
    return follow(octets, linktype, wire)[0]


@lru_cache(maxsize=1024)
def _macs(header: bytes) -> tuple[str, str, int]:
    destination, source, kind = _ethernet(header)
    return destination.hex(":"), source.hex(":"), kind


def _plain(octets: bytes, wire: int) -> Facts | None:
    """A packet right behind an Ethernet header, or one tag, whose transport is known; None for all else."""
    if len(octets) < 34:
        return None
    destination, source, kind = _macs(octets[:14])
    at: int = 14
    vlans: tuple[int, ...] = ()
    if kind in symbols.VLAN_TYPES:
        tag, kind = _two_words(octets, 14)
        at, vlans = 18, (tag & 0xFFF,)
    if kind == IPV4:
        (ip, why, size), readers = ipv4(octets, at, wire, len(octets)), OVER_IPV4
    elif kind == IPV6:
        (ip, why, size), readers = ipv6(octets, at, wire, len(octets)), OVER_IPV6
    else:
        return None
    if why is not None or ip is None or ip.fragment_offset or (read := readers.get(ip.protocol)) is None:
        return None
    begin, end = ip.payload
    if ip.protocol == _TCP and size > wire - begin:
        size = wire - begin
    transport = read(octets, begin, end, size, ip)
    if ip.protocol == _UDP and isinstance(transport, UdpDatagram) and tunnels.carried(transport) is not None:
        return None
    facts = _new_facts(transport, ip, source, destination, kind, vlans, ())
    facts.__class__ = Facts
    return facts


def follow(octets: bytes, linktype: int, wire: int) -> tuple[Facts, Way]:
    """The facts by the long way, and the way with every header that was passed over."""
    kind = LINKS.get(linktype)
    on = Way(octets=octets, at=0, limit=len(octets), end=wire, kind=kind or 0)
    if kind is None:
        name = link_type(linktype)
        named = name if name == str(linktype) else f"{name} ({linktype})"
        return Facts(transport=Undecoded(why=f"link type: {named} is not read")), on
    for _ in range(MAX_LAYERS):
        on.steps.append((on.kind, on.at))
        if on.kind in (IPV4, IPV6):
            found = _packet(on)
        elif on.kind in (ARP, REVERSE_ARP):
            found = _facts(on, _arp_message(on), None)
        else:
            passes = _PASSES.get(on.kind, _unknown)
            found = None if (why := passes(on)) is None else _stuck(on, why)
        if found is not None:
            return found, on
    why = Undecoded(why=f"layers: {MAX_LAYERS} at most expected, more there")
    return _facts(on, why, on.ip), on


def _packet(on: Way) -> Facts | None:
    """The IP packet that begins here; None if it carries another one, which is next."""
    read_header, readers = (ipv4, OVER_IPV4) if on.kind == IPV4 else (ipv6, OVER_IPV6)
    ip, why, size = read_header(on.octets, on.at, on.end, on.limit)
    if ip is None or (why is not None and isinstance(on.transport, UdpDatagram)):
        return _stuck(on, why or Undecoded(why="IP: header expected"))
    _enter(on)
    on.ip, wire = ip, on.end
    if why is not None:
        return _facts(on, why, ip)
    on.at, on.limit = ip.payload
    on.end = on.at + size
    on.transport = Other(protocol=ip.protocol, data=ip.payload, length=size)
    if ip.fragment_offset:
        return _facts(on, on.transport, ip)
    if (read := readers.get(ip.protocol)) is not None:
        there = min(size, wire - on.at) if ip.protocol == _TCP else size
        on.transport = read(on.octets, on.at, on.limit, there, ip)
    return None if _goes_on(on, ip) else _facts(on, on.transport, ip)


def _goes_on(on: Way, ip: IpHeader) -> bool:
    """Whether the payload is another packet's tunnel, and moves to its beginning."""
    kind = tunnels.IP_PROTOCOLS.get(ip.protocol)
    if isinstance(on.transport, UdpDatagram) and (kind := tunnels.carried(on.transport)) is not None:
        on.ends_after(tunnels.UDP_HEADER + on.transport.length)
        on.at += tunnels.UDP_HEADER
    if kind is not None:
        on.kind = kind
    return kind is not None


def _enter(on: Way) -> None:
    """Something was found in a tunnel: the packet that carries it is an outer one."""
    if on.ip is not None:
        udp = on.transport if isinstance(on.transport, UdpDatagram) else None
        ports = (udp.source_port, udp.destination_port) if udp else None
        on.outer.append(Outer(ip=on.ip, ports=ports, carrier=on.carrier))
        on.carrier = ""


def _stuck(on: Way, why: Undecoded) -> Facts:
    """Where it can't be read on: the latest packet's is what is said. A UDP datagram is one whatever it carries, and so
    is a tunnel's packet that carries what is no IP; a header that lies, or is cut, is told."""
    is_fault = on.ip is None or (on.kind in _HEADERS and not isinstance(on.transport, UdpDatagram))
    return _facts(on, why if is_fault or on.transport is None else on.transport, on.ip)


def _facts(on: Way, transport: Transport, ip: IpHeader | None) -> Facts:
    facts = _new_facts(transport, ip, on.source, on.destination, on.ethertype, on.vlans, tuple(on.outer))
    facts.__class__ = Facts
    return facts


def _unknown(on: Way) -> Undecoded:
    return Undecoded(why=f"EtherType: IPv4, IPv6 or ARP expected, {symbols.ethertype(on.kind)} there")


def _arp_message(on: Way) -> Transport:
    _enter(on)
    if on.there < 28:
        return short("ARP: message", 28, max(on.there, 0))
    hardware, kind, mac_size, size, operation, sender_mac, sender, target_mac, target = _arp(on.octets, on.at)
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
