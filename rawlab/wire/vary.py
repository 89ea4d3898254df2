"""Which fields of a made packet vary from packet to packet, said in words: `tcp.sport`, `ip.src=10.0.0.9-10.0.0.99`.

How it works: the packet's field tree says where a field lies; from there on a `Template` is octets and sums. A field of
many octets varies in its last eight. A checksum that is wrong in the packet, or 0 for "none" (RFC 768), is meant so,
and stays. What could not be kept right, as SCTP's CRC32c, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from struct import Struct

from rawlab.errors import UsageError
from rawlab.wire.checks import Check, checks
from rawlab.wire.craft import nearest
from rawlab.wire.description import parse_name
from rawlab.wire.fields import fields
from rawlab.wire.layer import Field
from rawlab.wire.template import MOST_OCTETS, Place, Sum, Template, folded

_CLASSES = {"ethernet": "ether", "8021q": "dot1q"}
"layers whose name in scapy is not that of their class"
_MAC = re.compile(r"(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}", re.IGNORECASE)
_PLACES = {"TCP": 16, "UDP": 6, "ICMP": 2, "ICMPv6": 2}
"where a transport's checksum lies, from its header's first octet"
_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMPv6": 58}
_LENGTHS = {"IP total length": 2, "IPv6 payload length": 4}
"where they lie in IP's header"
_WORD = Struct("!H")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vary:
    """`tcp.sport`, or `ip.src=10.0.0.100-10.0.0.199`: a field that counts up, and from where to where."""

    layer: str
    field: str
    low: int | None = None
    "None: from the packet's own value, over all that the field can hold"
    high: int | None = None
    text: str = ""


def parse_vary(text: str) -> Vary:
    """`LAYER.FIELD`, or `LAYER.FIELD=LOW-HIGH`. Raises UsageError."""
    name, equals, bounds = text.partition("=")
    layer, field = parse_name(name)
    if not equals:
        return Vary(layer=layer, field=field, text=text)
    low, dash, high = bounds.partition("-")
    values = _number(low), _number(high)
    if not dash or values[0] is None or values[1] is None:
        raise UsageError(f"--vary {text}: expected LAYER.FIELD=LOW-HIGH, as tcp.sport=1024-65535")
    if values[0] > values[1]:
        raise UsageError(f"--vary {text}: {low} is above {high}; the lower one first: {name}={high}-{low}")
    return Vary(layer=layer, field=field, low=values[0], high=values[1], text=text)


def _number(text: str) -> int | None:
    """A number, an address or a MAC address as one; None if it is none of them."""
    text = text.strip()
    if _MAC.fullmatch(text):
        return int("".join(f"{int(part, 16):02x}" for part in text.split(":")), 16)
    try:
        return int(ip_address(text)) if re.search("[.:]", text) else int(text, 0)
    except ValueError:
        return None


def has_layer(data: bytes, linktype: int, vary: Vary) -> bool:
    """Whether a packet has the layer of what is to vary."""
    return any(_is_layer(layer.name, vary) for layer in fields(data, linktype))


def has_field(data: bytes, linktype: int, vary: Vary) -> bool:
    """Whether a packet has what is to vary."""
    return _found(data, linktype, vary) is not None


def template(data: bytes, linktype: int, varied: Sequence[Vary] = ()) -> Template:
    """`data`: packet 0, but for what a range makes of it. Raises UsageError."""
    places = tuple(_place(data, linktype, vary) for vary in varied)
    base = bytearray(data)
    taken: set[int] = set()
    for vary, place in zip(varied, places, strict=True):
        if not taken.isdisjoint(range(place.at, place.at + place.length)):
            raise UsageError(f"--vary {vary.text}: these octets vary already")
        taken.update(range(place.at, place.at + place.length))
        base[place.at : place.at + place.length] = bytes(place.length)
    sums = tuple(_sums(data, bytes(base), linktype, places)) if places else ()
    made = Template(base=bytes(base), places=places, sums=sums)
    _check(made, data, linktype)
    return made


def _check(made: Template, data: bytes, linktype: int) -> None:
    """What was right and would not be any more is of a kind that can't be added up. Raises UsageError."""
    meant = {check.name for check in checks(data, linktype) if not check.right}
    told = [check for n in (1, 2) if made.places for check in checks(made.packet(n), linktype)]
    if wrong := [check.name for check in told if check.checksum and not check.right and check.name not in meant]:
        raise UsageError(f"--vary: the {wrong[0]} would not stay right: what it covers can't vary")


def _plain(name: str) -> str:
    """'ether' for scapy's 'Ethernet', 'icmpv6echorequest' for 'ICMPv6 Echo Request'."""
    plain = re.sub(r"\W", "", name).casefold()
    return _CLASSES.get(plain, plain)


def _is_layer(name: str, vary: Vary) -> bool:
    return _plain(name) == vary.layer.casefold()


def _found(data: bytes, linktype: int, vary: Vary) -> Field | None:
    there = (layer for layer in fields(data, linktype) if _is_layer(layer.name, vary))
    return next((field for layer in there for field in layer.fields if field.name == vary.field), None)


def _place(data: bytes, linktype: int, vary: Vary) -> Place:
    if vary.layer.casefold().startswith("sctp"):
        raise UsageError(f"--vary {vary.text}: SCTP's checksum is a CRC32c, no sum: it would not stay right")
    found = _found(data, linktype, vary)
    if found is None:
        mine = next((layer for layer in fields(data, linktype) if _is_layer(layer.name, vary)), None)
        if mine is None:
            names = [_plain(layer.name) for layer in fields(data, linktype)]
            raise UsageError(f"--vary {vary.text}: the packet has no such layer{nearest(vary.layer, names)}")
        there = [field.name for field in mine.fields]
        raise UsageError(f"--vary {vary.text}: no such field{nearest(vary.field, there)}")
    if found.offset_bits % 8 or found.length_bits % 8:
        bits = f"has {found.length_bits} bits"
        raise UsageError(f"--vary {vary.text}: {bits}; a field of whole octets expected, as tcp.sport")
    end, length = (found.offset_bits + found.length_bits) // 8, found.length_bits // 8
    return _placed(data, end - length, end, vary)


def _placed(data: bytes, begin: int, end: int, vary: Vary) -> Place:
    """Which octets vary, of those that the field has, and how."""
    length = min(end - begin, MOST_OCTETS)
    at, bits = end - length, 8 * length
    own = int.from_bytes(data[at:end], "big")
    if vary.low is None or vary.high is None:
        return Place(at=at, length=length, low=0, span=1 << bits, first=own)
    above = int.from_bytes(data[begin:at], "big")
    most = (1 << 8 * (end - begin)) - 1
    if vary.high > most:
        raise UsageError(f"--vary {vary.text}: {most} at the most expected")
    if length < end - begin and (vary.low >> bits, vary.high >> bits) != (above, above):
        raise UsageError(f"--vary {vary.text}: only its last {length} octets can vary; the others are the packet's")
    low = vary.low & (1 << bits) - 1
    return Place(at=at, length=length, low=low, span=vary.high - vary.low + 1, first=0)


def _sums(data: bytes, base: bytes, linktype: int, places: Sequence[Place]) -> Iterator[Sum]:
    """The checksums that a place changes; not those that vary themselves, are wrong, or say that there is none."""
    found = checks(data, linktype)
    ip = next((check.offset - _LENGTHS[check.name] for check in found if check.name in _LENGTHS), 0)
    for check in found:
        at = check.offset
        if not check.checksum or not check.right or check.layer not in ("IP", *_PLACES) or _says_none(check, data):
            continue
        if any(place.at < at + 2 and at < place.at + place.length for place in places):
            continue
        if check.layer == "IP":
            regions, pseudo = [(ip, ip + (data[ip] & 15) * 4)], 0
        else:
            begin = at - _PLACES[check.layer]
            regions, pseudo = [(begin, len(data))], 0
            if check.layer != "ICMP":
                regions.append((ip + 12, ip + 20) if data[ip] >> 4 == 4 else (ip + 8, ip + 40))
                pseudo = _PROTOCOLS[check.layer] + len(data) - begin
        terms = tuple(_terms(places, regions))
        if terms:
            stays = bytearray(base)
            stays[at : at + 2] = b"\0\0"
            fixed = folded(pseudo + sum(_sum_of(bytes(stays[first:last])) for first, last in regions))
            yield Sum(at=at, fixed=fixed, terms=terms, never_zero=check.layer == "UDP")


def _says_none(check: Check, data: bytes) -> bool:
    return check.layer == "UDP" and data[check.offset : check.offset + 2] == b"\0\0"


def _terms(places: Sequence[Place], regions: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bool]]:
    for index, place in enumerate(places):
        end = place.at + place.length
        for begin, stop in regions:
            if begin <= place.at and end <= stop:
                yield index, bool((end - begin) % 2)


def _sum_of(octets: bytes) -> int:
    """The plain sum of 16-bit words; an odd last octet is the upper half of one."""
    padded = octets + b"\0" * (len(octets) % 2)
    return sum(word for (word,) in _WORD.iter_unpack(padded))
