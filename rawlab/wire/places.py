"""The places of a packet's fields by the RFCs' own names, without scapy: for pages that show each packet of a file.

How it works: a header is a list of fields, each a name, its bits and how its value is written; one walk from the link
header in reads them off. It gives the same `Layer`s as `wire.fields`, which knows far more protocols, and whose scapy
takes longer to import than a whole page to make. What no list here knows is octets: `Raw`, or `Padding` behind the end
of the IP packet. A header that was cut short is given as far as it goes.

What does not belong here: facts (`wire.decode`), link and tunnel headers (`wire.link_places`), SCTP's fields
(`wire.sctp_fields`), layout (`views`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from rawlab.model.facts import ArpMessage, Facts
from rawlab.model.sctp import SctpPacket
from rawlab.wire import icmp_places, symbols
from rawlab.wire.decode import follow
from rawlab.wire.ip import AUTHENTICATION, EXTENSIONS, FRAGMENT
from rawlab.wire.layer import MAX_LAYERS, MAX_OCTETS, MAX_PARTS, Field, Layer
from rawlab.wire.link_places import HEADERS
from rawlab.wire.sctp_fields import sctp_parts
from rawlab.wire.shows import Header, as_hex, as_sum, ethertype, ip4, ip6, mac, named
from rawlab.wire.way import ARP, IPV4, IPV6, REVERSE_ARP

SHOWN = 48
"octets of a field of octets that its value shows"

_EXTENSIONS = {0: "hop-by-hop", 43: "routing", 44: "fragment", 51: "authentication", 60: "destination"}
_protocol = named(lambda number: _EXTENSIONS.get(number) or symbols.protocol(number))
_operation = named(lambda number: {1: "request", 2: "reply"}.get(number, str(number)))
_words = named(lambda number: f"{number * 4} octets")
_eighths = named(lambda number: f"{number * 8} octets")

_ARP: Header = (
    ("Hardware Type", 16, named(lambda number: {1: "Ethernet"}.get(number, str(number)))),
    ("Protocol Type", 16, ethertype),
    ("Hardware Address Length", 8, str),
    ("Protocol Address Length", 8, str),
    ("Operation", 16, _operation),
    ("Sender Hardware Address", 48, mac),
    ("Sender Protocol Address", 32, ip4),
    ("Target Hardware Address", 48, mac),
    ("Target Protocol Address", 32, ip4),
)
_IPV4: Header = (
    ("Version", 4, str),
    ("IHL", 4, _words),
    ("DSCP", 6, str),
    ("ECN", 2, named(lambda number: ("Not-ECT", "ECT(1)", "ECT(0)", "CE")[number])),
    ("Total Length", 16, str),
    ("Identification", 16, as_sum),
    ("Reserved", 1, str),
    ("Don't Fragment", 1, str),
    ("More Fragments", 1, str),
    ("Fragment Offset", 13, _eighths),
    ("Time to Live", 8, str),
    ("Protocol", 8, _protocol),
    ("Header Checksum", 16, as_sum),
    ("Source Address", 32, ip4),
    ("Destination Address", 32, ip4),
)
_IPV6: Header = (
    ("Version", 4, str),
    ("Traffic Class", 8, as_hex),
    ("Flow Label", 20, as_hex),
    ("Payload Length", 16, str),
    ("Next Header", 8, _protocol),
    ("Hop Limit", 8, str),
    ("Source Address", 128, ip6),
    ("Destination Address", 128, ip6),
)
_FRAGMENT: Header = (
    ("Next Header", 8, _protocol),
    ("Reserved", 8, str),
    ("Fragment Offset", 13, _eighths),
    ("Reserved", 2, str),
    ("More Fragments", 1, str),
    ("Identification", 32, as_hex),
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
    ("Checksum", 16, as_sum),
    ("Urgent Pointer", 16, str),
)
_UDP: Header = (
    ("Source Port", 16, str),
    ("Destination Port", 16, str),
    ("Length", 16, str),
    ("Checksum", 16, as_sum),
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
    facts, on = follow(octets, linktype, len(octets))
    frame = _Frame(octets, facts)
    whole = len(octets) - on.checksum
    limit = whole
    for (kind, at), following in zip_longest(on.steps, on.steps[1:]):
        if kind in (IPV4, IPV6):
            limit = _packet(frame, kind, limit, last=following is None)
        elif kind in (ARP, REVERSE_ARP):
            frame.take("ARP", _ARP, at, limit)
        else:
            _carrier(frame, kind, limit, following)
    is_read = facts.ip is not None or isinstance(facts.transport, ArpMessage)
    frame.load("Padding" if is_read else "Raw", frame.end, whole)
    frame.load("Frame Check Sequence", frame.end, len(octets))
    return tuple(frame.layers)


def _carrier(frame: _Frame, kind: int, limit: int, following: tuple[int, int] | None) -> None:
    """A link header, or a tunnel's: what lies behind its fields, up to the next header, is its too."""
    if kind in HEADERS:
        name, header = HEADERS[kind](frame.octets[:limit], frame.end)
        frame.take(name, header, frame.end, limit)
    if following is not None and frame.end < following[1]:
        frame.append([frame.octets_field("Data", frame.end, following[1])], following[1])


def _packet(frame: _Frame, kind: int, limit: int, *, last: bool) -> int:
    """The IP packet that begins here, with all it carries if no other packet is in it; where it ends."""
    if last:
        return _internet(frame, kind, limit, "")
    found = (_ipv4 if kind == IPV4 else _ipv6)(frame, frame.end, limit, "")
    if found is None:
        return limit
    if found[0] == 17:
        frame.take("UDP", _UDP, frame.end, found[1])
    return found[1]


def _internet(frame: _Frame, kind: int, limit: int, what: str) -> int:
    """An IP packet that begins here and was captured up to `limit`; where it ends. `what` goes behind its headers'
    names."""
    at = frame.end
    read = _ipv4 if kind == IPV4 else _ipv6
    found = read(frame, at, limit, what)
    if found is None:
        return limit
    protocol, end = found
    if protocol is not None:
        _transport(frame, 4 if kind == IPV4 else 6, protocol, end, what)
    frame.load("Raw", frame.end, end)
    return end


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
