"""The places of a packet's fields by the RFCs' own names, without scapy: for pages that show each packet of a file.

How it works: a header is a list of fields, each a name, its bits and how its value is written; one walk from the link
header in reads them off. It gives the same `Layer`s as `wire.fields`, which knows far more protocols, and whose scapy
takes longer to import than a whole page to make. What no list here knows is octets: `Raw`, or `Padding` behind the end
of the IP packet. A header that was cut short is given as far as it goes.

What does not belong here: facts (`wire.decode`), SCTP's fields (`wire.sctp_fields`), layout (`views`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rawlab.model.facts import Facts
from rawlab.model.sctp import SctpPacket
from rawlab.wire import icmp_places, symbols
from rawlab.wire.decode import ARP, IPV4, IPV6, decode
from rawlab.wire.fields import MAX_LAYERS, MAX_OCTETS, MAX_PARTS, Field, Layer
from rawlab.wire.ip import AUTHENTICATION, EXTENSIONS, FRAGMENT, address4, address6
from rawlab.wire.sctp_fields import sctp_parts

Show = Callable[[int], str]
"how a field's bits, as an unsigned number, are written"

Header = tuple[tuple[str, int, Show], ...]
"(name, bits, how it is written) of each field"

SHOWN = 48
"octets of a field of octets that its value shows"


def _mac(number: int) -> str:
    return number.to_bytes(6, "big").hex(":")


def _ip4(number: int) -> str:
    return address4(number.to_bytes(4, "big"))


def _ip6(number: int) -> str:
    return address6(number.to_bytes(16, "big"))


def _hex(number: int) -> str:
    return f"0x{number:x}"


def _sum(number: int) -> str:
    return f"0x{number:04x}"


def _named(names: Callable[[int], str]) -> Show:
    def show(number: int) -> str:
        name = names(number)
        return name if name.endswith(str(number)) or name.startswith("0x") else f"{number} ({name})"

    return show


def _ethertype(number: int) -> str:
    name = symbols.ethertype(number)
    return name if name.startswith("0x") else f"0x{number:04x} ({name})"


_EXTENSIONS = {0: "hop-by-hop", 43: "routing", 44: "fragment", 51: "authentication", 60: "destination"}
_protocol = _named(lambda number: _EXTENSIONS.get(number) or symbols.protocol(number))
_operation = _named(lambda number: {1: "request", 2: "reply"}.get(number, str(number)))
_words = _named(lambda number: f"{number * 4} octets")
_eighths = _named(lambda number: f"{number * 8} octets")

_ETHERNET: Header = (("Destination", 48, _mac), ("Source", 48, _mac), ("EtherType", 16, _ethertype))
_VLAN: Header = (
    ("Priority Code Point", 3, str),
    ("Drop Eligible Indicator", 1, str),
    ("VLAN Identifier", 12, str),
    ("EtherType", 16, _ethertype),
)
_COOKED: Header = (
    ("Packet type", 16, str),
    ("ARPHRD type", 16, str),
    ("Address length", 16, str),
    ("Address", 64, _hex),
    ("Protocol", 16, _ethertype),
)
_COOKED_2: Header = (
    ("Protocol", 16, _ethertype),
    ("Reserved", 16, str),
    ("Interface index", 32, str),
    ("ARPHRD type", 16, str),
    ("Packet type", 8, str),
    ("Address length", 8, str),
    ("Address", 64, _hex),
)
_FAMILY: Header = (("Address family", 32, _hex),)
_ARP: Header = (
    ("Hardware Type", 16, _named(lambda number: {1: "Ethernet"}.get(number, str(number)))),
    ("Protocol Type", 16, _ethertype),
    ("Hardware Address Length", 8, str),
    ("Protocol Address Length", 8, str),
    ("Operation", 16, _operation),
    ("Sender Hardware Address", 48, _mac),
    ("Sender Protocol Address", 32, _ip4),
    ("Target Hardware Address", 48, _mac),
    ("Target Protocol Address", 32, _ip4),
)
_IPV4: Header = (
    ("Version", 4, str),
    ("IHL", 4, _words),
    ("DSCP", 6, str),
    ("ECN", 2, _named(lambda number: ("Not-ECT", "ECT(1)", "ECT(0)", "CE")[number])),
    ("Total Length", 16, str),
    ("Identification", 16, _sum),
    ("Reserved", 1, str),
    ("Don't Fragment", 1, str),
    ("More Fragments", 1, str),
    ("Fragment Offset", 13, _eighths),
    ("Time to Live", 8, str),
    ("Protocol", 8, _protocol),
    ("Header Checksum", 16, _sum),
    ("Source Address", 32, _ip4),
    ("Destination Address", 32, _ip4),
)
_IPV6: Header = (
    ("Version", 4, str),
    ("Traffic Class", 8, _hex),
    ("Flow Label", 20, _hex),
    ("Payload Length", 16, str),
    ("Next Header", 8, _protocol),
    ("Hop Limit", 8, str),
    ("Source Address", 128, _ip6),
    ("Destination Address", 128, _ip6),
)
_FRAGMENT: Header = (
    ("Next Header", 8, _protocol),
    ("Reserved", 8, str),
    ("Fragment Offset", 13, _eighths),
    ("Reserved", 2, str),
    ("More Fragments", 1, str),
    ("Identification", 32, _hex),
)
_EXTENSION: Header = (("Next Header", 8, _protocol), ("Header Length", 8, str))
_TCP: Header = (
    ("Source Port", 16, str),
    ("Destination Port", 16, str),
    ("Sequence Number", 32, str),
    ("Acknowledgment Number", 32, str),
    ("Data Offset", 4, _words),
    ("Reserved", 3, str),
    *((name, 1, str) for name in reversed(tuple(symbols.TCP_FLAGS.values()))),
    ("Window", 16, str),
    ("Checksum", 16, _sum),
    ("Urgent Pointer", 16, str),
)
_UDP: Header = (
    ("Source Port", 16, str),
    ("Destination Port", 16, str),
    ("Length", 16, str),
    ("Checksum", 16, _sum),
)

_OPTIONS = {
    0: "End of Option List",
    1: "No-Operation",
    2: "Maximum Segment Size",
    3: "Window Scale",
    4: "SACK Permitted",
    5: "SACK",
    8: "Timestamps",
    34: "Fast Open Cookie",
}

_LINKS: dict[int, tuple[str, Header, int | None]] = {
    0: ("loopback", _FAMILY, None),
    1: ("Ethernet", _ETHERNET, 2),
    108: ("loopback", _FAMILY, None),
    113: ("Linux cooked", _COOKED, 4),
    276: ("Linux cooked v2", _COOKED_2, 0),
}
"by link type: a name, the header, and which of its fields is an EtherType"


class _Frame:
    """A frame being walked: its octets, and the layers so far."""

    def __init__(self, octets: bytes, facts: Facts) -> None:
        self.octets, self.facts = octets, facts
        self.layers: list[Layer] = []

    def take(self, name: str, header: Header, at: int, end: int) -> dict[str, int] | None:
        """Adds the header that begins at `at`; its fields' numbers, None if it was cut short at `end`."""
        found, bit = [], at * 8
        numbers: dict[str, int] = {}
        for label, bits, show in header:
            if bit + bits > end * 8:
                break
            number = _bits(self.octets, bit, bits)
            numbers[label] = number
            found.append(Field(name=label, offset_bits=bit, length_bits=bits, value=show(number), raw=number))
            bit += bits
        while bit % 8:  # cut short within an octet
            bit -= found.pop().length_bits
        if found:
            self.layers.append(Layer(name=name, offset=at, length=bit // 8 - at, fields=tuple(found)))
        return numbers if len(found) == len(header) else None

    def append(self, fields: list[Field], end: int) -> None:
        """More fields of the last layer, which ends at `end`."""
        last = self.layers[-1]
        self.layers[-1] = Layer(
            name=last.name, offset=last.offset, length=end - last.offset, fields=(*last.fields, *fields)
        )

    def octets_field(self, name: str, at: int, end: int, value: str | None = None) -> Field:
        load = self.octets[at:end]
        text = repr(load[:SHOWN])[2:-1] + (" …" if len(load) > SHOWN else "")
        return Field(name=name, offset_bits=at * 8, length_bits=len(load) * 8, value=value or text, raw=load)

    def load(self, name: str, at: int, end: int) -> None:
        """What is octets only."""
        if at < end:
            field = self.octets_field("octets", at, end)
            self.layers.append(Layer(name=name, offset=at, length=end - at, fields=(field,)))

    @property
    def end(self) -> int:
        """Where what was placed so far ends."""
        return self.layers[-1].offset + self.layers[-1].length if self.layers else 0


def places(data: bytes | memoryview, linktype: int = 1) -> tuple[Layer, ...]:
    """The layers of a frame, from the link header in; their lengths add up to the frame's. Never raises."""
    octets = bytes(data)[:MAX_OCTETS]
    frame = _Frame(octets, decode(octets, linktype))
    if linktype in _LINKS:
        name, header, kind = _LINKS[linktype]
        numbers = frame.take(name, header, 0, len(octets))
        if numbers is not None:
            _network(frame, _version(frame) if kind is None else numbers[header[kind][0]])
    elif frame.facts.ip is not None:
        _network(frame, _version(frame))
    frame.load("Raw", frame.end, len(octets))
    return tuple(frame.layers)


def _version(frame: _Frame) -> int:
    return {4: IPV4, 6: IPV6}.get(frame.facts.ip.version if frame.facts.ip else 0, 0)


def _network(frame: _Frame, kind: int) -> None:
    for _ in range(MAX_LAYERS):
        if kind not in symbols.VLAN_TYPES:
            break
        numbers = frame.take("802.1Q", _VLAN, frame.end, len(frame.octets))
        if numbers is None:
            return
        kind = numbers["EtherType"]
    if kind == ARP:
        if frame.take("ARP", _ARP, frame.end, len(frame.octets)) is not None:
            frame.load("Padding", frame.end, len(frame.octets))
    elif kind in (IPV4, IPV6):
        _internet(frame, kind, len(frame.octets), "")
        frame.load("Padding", frame.end, len(frame.octets))


def _internet(frame: _Frame, kind: int, limit: int, what: str) -> None:
    """An IP packet that begins here and was captured up to `limit`; `what` goes behind its headers' names."""
    at = frame.end
    read = _ipv4 if kind == IPV4 else _ipv6
    found = read(frame, at, limit, what)
    if found is None:
        return
    protocol, end = found
    if protocol is not None:
        _transport(frame, 4 if kind == IPV4 else 6, protocol, end, what)
    frame.load("Raw", frame.end, end)


def _ipv4(frame: _Frame, at: int, limit: int, what: str) -> tuple[int | None, int] | None:
    """(what follows, None for a later fragment; where the packet ends)."""
    numbers = frame.take(f"IPv4{what}", _IPV4, at, limit)
    if numbers is None or numbers["Version"] != 4:
        return None
    first = min(at + max(numbers["IHL"], 5) * 4, limit)
    if first > frame.end:
        frame.append([frame.octets_field("Options", frame.end, first)], first)
    end = max(min(at + (numbers["Total Length"] or limit), limit), first)
    return (None if numbers["Fragment Offset"] else numbers["Protocol"]), end


def _ipv6(frame: _Frame, at: int, limit: int, what: str) -> tuple[int | None, int] | None:
    """The header and its extension headers, as `_ipv4`."""
    numbers = frame.take(f"IPv6{what}", _IPV6, at, limit)
    if numbers is None or numbers["Version"] != 6:
        return None
    end = min(at + 40 + numbers["Payload Length"], limit) if numbers["Payload Length"] else limit
    following: int | None = numbers["Next Header"]
    for _ in range(MAX_LAYERS):
        if following not in EXTENSIONS:
            break
        begin = frame.end
        header = _FRAGMENT if following == FRAGMENT else _EXTENSION
        found = frame.take(f"IPv6 {_EXTENSIONS.get(following, 'extension')}{what}", header, begin, end)
        if found is None:
            return None, end
        if following != FRAGMENT:
            octets = (found["Header Length"] + 2) * 4 if following == AUTHENTICATION else found["Header Length"] * 8 + 8
            stop = min(begin + octets, end)
            if stop > frame.end:
                frame.append([frame.octets_field("Data", frame.end, stop)], stop)
        following = None if found.get("Fragment Offset") else found["Next Header"]
    return following, end


def _transport(frame: _Frame, version: int, protocol: int, end: int, what: str) -> None:
    at = frame.end
    if protocol == 6:
        if (numbers := frame.take(f"TCP{what}", _TCP, at, end)) is not None:
            _options(frame, frame.end, min(at + numbers["Data Offset"] * 4, end))
    elif protocol == 17:
        frame.take(f"UDP{what}", _UDP, at, end)
    elif protocol == 132 and not what and isinstance(frame.facts.transport, SctpPacket):
        _sctp(frame, frame.facts.transport)
    elif protocol in (1, 58) and at + 4 <= end:
        kind, code = frame.octets[at : at + 2]
        name = "ICMP" if protocol == 1 else "ICMPv6"
        frame.take(f"{name}{what}", icmp_places.header(version, kind, code), at, end)
        if (version, kind) in icmp_places.QUOTING and not what:
            _internet(frame, IPV4 if version == 4 else IPV6, end, ", quoted")


def _sctp(frame: _Frame, packet: SctpPacket) -> None:
    if frame.end != packet.data[0] - 12:
        return
    for _, (name, at, length, parts) in zip(range(MAX_PARTS), sctp_parts(frame.octets, packet), strict=False):
        fields = tuple(frame.octets_field(label, first, first + size, text) for label, first, size, text in parts)
        frame.layers.append(Layer(name=name, offset=at, length=length, fields=fields))


def _options(frame: _Frame, at: int, end: int) -> None:
    """TCP's options, each one field, up to what is none (RFC 9293 section 3.2)."""
    if at < end:
        frame.append(list(_option_fields(frame, at, end)), end)


def _option_fields(frame: _Frame, at: int, end: int) -> Iterator[Field]:
    octets = frame.octets
    while at < end:
        kind = octets[at]
        size = 1 if kind < 2 else octets[at + 1] if at + 1 < end else 0
        if size < 1 or (kind > 1 and size < 2) or at + size > end:
            break
        name = _OPTIONS.get(kind, symbols.tcp_option(kind))
        yield frame.octets_field(f"Option: {name}", at, at + size, _option(kind, octets[at + 2 : at + size]))
        at += size
        if kind == 0:
            break
    if at < end:
        yield frame.octets_field("Padding", at, end)


def _option(kind: int, body: bytes) -> str:
    numbers = [int.from_bytes(body[at : at + 4], "big") for at in range(0, len(body), 4)]
    match kind, len(body):
        case 2, 2:
            return str(int.from_bytes(body, "big"))
        case 3, 1:
            return f"{body[0]} (windows are times {1 << min(body[0], 14)})"
        case 8, 8:
            return f"val {numbers[0]}, ecr {numbers[1]}"
        case 5, size if size % 8 == 0:
            return ", ".join(f"{left}:{right}" for left, right in zip(numbers[::2], numbers[1::2], strict=True))
    return body.hex() or "–"


def _bits(octets: bytes, bit: int, bits: int) -> int:
    first, last = bit // 8, (bit + bits + 7) // 8
    return int.from_bytes(octets[first:last], "big") >> last * 8 - bit - bits & (1 << bits) - 1
