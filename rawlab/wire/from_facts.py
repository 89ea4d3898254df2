"""Facts to a description: which of scapy's layers a line of tcpdump's notation stands for.

What the line does not say is left out, and becomes the layer's default; what a payload said is not in the line, so it
is filled up to its length. What does not belong here: reading the line (`wire.packets`), octets (`wire.craft`).
"""

from __future__ import annotations

from collections.abc import Iterator

from rawlab.model.facts import (
    ArpMessage,
    Facts,
    IcmpMessage,
    IpHeader,
    Other,
    Quoted,
    TcpOption,
    TcpSegment,
    UdpDatagram,
)
from rawlab.wire.description import Part, Value

_FILLER = b"the quick brown fox jumps over the lazy dog; "
_NOBODY = "00:00:00:00:00:00"
_FLAGS = str.maketrans("We", "CN")
"scapy's letters for CWR and AE"
_OPTIONS = {0: "EOL", 1: "NOP", 2: "MSS", 3: "WScale", 4: "SAckOK", 5: "SAck", 8: "Timestamp"}
_ICMP_HEADER = 8
_IP_HEADERS = {"IPerror": 20, "IPerror6": 40}
_PORTED = (6, 17)
_ERRORS = (3, 4, 5, 11, 12)
"ICMP messages that quote a packet"
_EXPERIMENT = 253
"the protocol of a quoted packet of which the line tells nothing (RFC 3692)"
# ICMPv6's messages: the layer, and what of its 8 octets and more is fixed.
_ICMP6 = {
    1: ("ICMPv6DestUnreach", 8),
    2: ("ICMPv6PacketTooBig", 8),
    3: ("ICMPv6TimeExceeded", 8),
    4: ("ICMPv6ParamProblem", 8),
    128: ("ICMPv6EchoRequest", 8),
    129: ("ICMPv6EchoReply", 8),
    133: ("ICMPv6ND_RS", 8),
    134: ("ICMPv6ND_RA", 16),
    135: ("ICMPv6ND_NS", 24),
    136: ("ICMPv6ND_NA", 24),
}
_ECHO6 = (128, 129)
_TUNNELS = (4, 41, 47)
"IP protocols of what carries packets: IPv4, IPv6, GRE"


def layers(facts: Facts) -> tuple[Part, ...]:
    """The layers of a packet with these facts. Raises ValueError for what can't be made of a line."""
    carries = facts.ip is not None and facts.ip.protocol in _TUNNELS
    if facts.outer or carries:
        raise ValueError("a packet in a tunnel: say it in scapy's notation, as IP()/GRE()/IP()/UDP()")
    match facts.transport, facts.ip:
        case ArpMessage() as message, None:
            return (Part(layer="Ether"), _arp(message))
        case Other() as other, IpHeader() as ip:
            return (*_ip(ip, explicit=True), *_filler(other.length))
        case TcpSegment() as segment, IpHeader() as ip:
            return (*_ip(ip), _tcp(segment), *_filler(segment.length))
        case UdpDatagram(source_port=source, destination_port=destination, length=length), IpHeader() as ip:
            return (*_ip(ip), _part("UDP", sport=source, dport=destination), *_filler(length))
        case IcmpMessage() as message, IpHeader() as ip:
            return (*_ip(ip), *(_icmp(message) if message.version == 4 else _icmp6(message)))
    hint = "say it in scapy's notation, as IP()/SCTP()/SCTPChunkInit()"
    raise ValueError(f"a line of tcpdump's does not tell enough to make such a packet of it; {hint}")


def _part(layer: str, **fields: Value) -> Part:
    return Part(layer=layer, fields=tuple(fields.items()))


def _filler(length: int) -> Iterator[Part]:
    if length > 0xFFFF:
        raise ValueError(f"length {length}: 65535 at most expected")
    if length > 0:
        yield _part("Raw", load=(_FILLER * (length // len(_FILLER) + 1))[:length])


def _arp(message: ArpMessage) -> Part:
    given: dict[str, Value] = {"op": message.operation}
    macs, addresses = ("hwsrc", message.sender_mac), ("psrc", message.sender)
    given |= {name: mac for name, mac in (macs, ("hwdst", message.target_mac)) if mac != _NOBODY}
    given |= {name: address for name, address in (addresses, ("pdst", message.target)) if address != "0.0.0.0"}
    return _part("ARP", **given)


def _ip(ip: IpHeader, *, explicit: bool = False) -> Iterator[Part]:
    """The IP header, and what makes a fragment of it; its protocol, if what follows does not say it."""
    if ip.version == 6:
        given: dict[str, Value] = {"src": ip.source, "dst": ip.destination}
        yield _part("IPv6", **given, **({"nh": ip.protocol} if explicit and not ip.is_fragment else {}))
        if ip.is_fragment:
            offset, more = ip.fragment_offset // 8, int(ip.more_fragments)
            yield _part("IPv6ExtHdrFragment", nh=ip.protocol, offset=offset, m=more, id=ip.identification)
        return
    given = {"src": ip.source, "dst": ip.destination}
    if ip.is_fragment:
        given |= {"id": ip.identification, "flags": "MF" if ip.more_fragments else 0, "frag": ip.fragment_offset // 8}
    yield _part("IP", **given, **({"proto": ip.protocol} if explicit or ip.is_fragment else {}))


def _tcp(segment: TcpSegment) -> Part:
    given: dict[str, Value] = {"sport": segment.source_port, "dport": segment.destination_port}
    given |= {"seq": segment.seq.value, "ack": segment.ack.value, "flags": segment.flags.translate(_FLAGS)}
    given |= {"window": segment.window, "urgptr": segment.urgent}
    if segment.options:
        given["options"] = [_option(option) for option in segment.options]
    return _part("TCP", **given)


def _option(option: TcpOption) -> Value:
    """As scapy names it and takes its value; an unknown one by its number and octets."""
    name = _OPTIONS.get(option.kind)
    match option.kind, option.values:
        case 0 | 1, _:
            return (name, None)
        case 2 | 3, (number,):
            return (name, number)
        case 4, _:
            return (name, b"")
        case 5 | 8, numbers:
            return (name, tuple(numbers))
    return (option.kind, bytes(option.values))


def _icmp(message: IcmpMessage) -> Iterator[Part]:
    given: dict[str, Value] = {"type": message.type, "code": message.code}
    given |= {"id": message.identifier} if message.identifier is not None else {}
    given |= {"seq": message.sequence} if message.sequence is not None else {}
    given |= {"nexthopmtu": message.mtu} if message.mtu else {}
    given |= {"gw": message.target} if message.type == 5 and message.target else {}
    yield _part("ICMP", **given)
    if message.quoted is not None:
        yield from _quoted(message.quoted, "IPerror", message.length - _ICMP_HEADER)
    elif message.type in _ERRORS and message.length >= _ICMP_HEADER + _IP_HEADERS["IPerror"]:
        yield _part("IPerror", proto=_EXPERIMENT)
        yield from _filler(message.length - _ICMP_HEADER - _IP_HEADERS["IPerror"])
    else:
        yield from _filler(message.length - _ICMP_HEADER)


def _icmp6(message: IcmpMessage) -> Iterator[Part]:
    if message.type not in _ICMP6:
        raise ValueError(f"ICMPv6 type {message.type}: say it in scapy's notation")
    layer, header = _ICMP6[message.type]
    given: dict[str, Value] = {"code": message.code} if message.code else {}
    given |= {"mtu": message.mtu} if message.type == 2 and message.mtu is not None else {}
    given |= {"tgt": message.target} if message.type in (135, 136) and message.target else {}
    if message.type in _ECHO6:
        given |= {"id": message.identifier or 0, "seq": message.sequence or 0}
        filler = next(_filler(message.length - header), None)
        given["data"] = filler.fields[0][1] if filler else b""
        yield _part(layer, **given)
        return
    yield _part(layer, **given)
    if message.quoted is not None:
        yield from _quoted(message.quoted, "IPerror6", message.length - header)
    else:
        yield from _filler(message.length - header)


def _quoted(quoted: Quoted, layer: str, octets: int) -> Iterator[Part]:
    """The packet that an error quotes, as far as the line tells; so many octets of it in all."""
    given: dict[str, Value] = {"src": quoted.ip.source} if quoted.ip.source else {}
    given |= {"dst": quoted.ip.destination, "proto" if layer == "IPerror" else "nh": quoted.ip.protocol}
    yield _part(layer, **given)
    left = octets - _IP_HEADERS[layer]
    if quoted.ip.protocol in _PORTED and quoted.destination_port is not None:  # eight octets, as RFC 792 has it
        ports = bytes(2) + quoted.destination_port.to_bytes(2, "big") + b"\0\x08\0\0"  # as UDP's length
        yield _part("Raw", load=ports[: max(left, 4)])
        left -= len(ports)
    yield from _filler(left)
