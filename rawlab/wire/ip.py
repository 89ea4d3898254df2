"""IP headers to facts: addresses, IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200).

`wire.decode` calls these for a frame's own packet, `wire.icmp` for the packet that an error quotes. Each
reads a header at an offset in the frame and says three things: the header if it can be read, what is wrong
if something is, and how many octets follow by the header's own word. What follows is no matter of this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

from rawlab.model.facts import IpHeader, Undecoded
from rawlab.wire.mould import mould

MAX_LAYERS = 64
"IPv6 extension headers, or VLAN tags, that are followed in one frame; more than any honest one has"

FRAGMENT, AUTHENTICATION = 44, 51
EXTENSIONS = frozenset({0, 43, 60, 135, 139, 140, FRAGMENT, AUTHENTICATION})
"IPv6 extension headers (IANA ipv6-parameters), but for ESP, behind which nothing can be read"

Header = tuple[IpHeader | None, Undecoded | None, int]
"a header that can be read, why what follows it can't be, and how many octets follow"

_ipv4_header = Struct("!BxHHHBBxx8s").unpack_from
_ipv6_header = Struct("!IHBB16s16s").unpack_from
_ipv6_fragment = Struct("!HI").unpack_from
_new_ip = mould(IpHeader)


def short(place: str, expected: int, there: int) -> Undecoded:
    """What is to be said of bytes that end too early."""
    return Undecoded(why=f"{place} of {expected} octets expected, {there} there")


@lru_cache(maxsize=4096)
def address4(octets: bytes) -> str:
    return ".".join(map(str, octets))


@lru_cache(maxsize=4096)
def _addresses4(pair: bytes) -> tuple[str, str]:
    """Source and destination: most packets of a capture belong to a few pairs."""
    return address4(pair[:4]), address4(pair[4:])


@lru_cache(maxsize=4096)
def address6(octets: bytes) -> str:
    """RFC 5952 section 4: the first longest run of two or more zero groups is `::`, hex is lower case.

    As in glibc, an address whose first 96 bits are zero, or are those of an IPv4-mapped one, ends in dotted
    form (section 5).
    """
    groups = [f"{high << 8 | low:x}" for high, low in zip(octets[::2], octets[1::2], strict=True)]
    first, run = _longest_zeros(groups)
    if first == 0 and (run == 6 or (run == 5 and groups[5] == "ffff")):
        groups[6:] = [address4(octets[12:])]
    if run < 2:
        return ":".join(groups)
    return ":".join(groups[:first]) + "::" + ":".join(groups[first + run :])


def _longest_zeros(groups: list[str]) -> tuple[int, int]:
    """Where the first longest run of "0" begins, and its length."""
    best = (0, 0)
    begin = 0
    for place, group in enumerate(groups):
        if group != "0":
            begin = place + 1
        elif place + 1 - begin > best[1]:
            best = (begin, place + 1 - begin)
    return best


def ipv4(octets: bytes, at: int, wire: int, limit: int) -> Header:
    """RFC 791 section 3.1. `limit`: where the captured octets of this packet end."""
    if limit - at < 20:
        return None, short("IPv4: header", 20, limit - at), 0
    first, total, identification, fragment, ttl, protocol, addresses = _ipv4_header(octets, at)
    header = (first & 15) * 4
    if first >> 4 != 4 or header < 20:
        what = "version 4 and 5 words or more of header"
        return None, Undecoded(why=f"IPv4: {what} expected, {first >> 4} and {first & 15} there"), 0
    # Linux writes 0 for a packet that the interface is still to cut (TSO of more than 65,535 octets).
    length = total or wire - at
    begin, end = at + header, at + length
    if end > limit:
        end = limit
    if begin > end:
        begin = end = min(begin, limit)
    ip = _new_ip(
        4,
        *_addresses4(addresses),
        protocol,
        ttl,
        length,
        (begin, end),
        identification,
        (fragment & 0x1FFF) * 8,
        fragment & 0x2000 != 0,
        fragment & 0x4000 != 0,
        at,
    )
    ip.__class__ = IpHeader
    if at + header > limit:
        return ip, short("IPv4: header", header, limit - at), 0
    if length < header:
        return ip, Undecoded(why=f"IPv4: total length of {header} or more expected, {length} there"), 0
    return ip, None, length - header


def ipv6(octets: bytes, at: int, wire: int, limit: int) -> Header:
    """RFC 8200 section 3, and the extension headers up to the first that is none, or that is a fragment."""
    if limit - at < 40:
        return None, short("IPv6: header", 40, limit - at), 0
    first, payload, protocol, ttl, source, destination = _ipv6_header(octets, at)
    if first >> 28 != 6:
        return None, Undecoded(why=f"IPv6: version 6 expected, {first >> 28} there"), 0
    # 0 is a jumbogram's (RFC 2675), or one's that the interface is still to cut.
    length = 40 + payload if payload else wire - at
    end = min(at + length, limit)
    chain = _extensions(octets, protocol, at + 40, end)
    ip = IpHeader(
        version=6,
        source=address6(source),
        destination=address6(destination),
        protocol=chain.kind,
        ttl=ttl,
        length=length,
        payload=(chain.at, end),
        identification=chain.identification,
        fragment_offset=chain.offset,
        more_fragments=chain.more,
        start=at,
    )
    return ip, chain.fault, at + length - chain.at


@dataclass(slots=True)
class _Chain:
    """IPv6's extension headers, passed one by one: the next one, where it begins, what a fragment's said."""

    kind: int
    at: int
    offset: int = 0
    more: bool = False
    identification: int = 0
    fault: Undecoded | None = None


def _extensions(octets: bytes, kind: int, at: int, end: int) -> _Chain:
    """Passes over all extension headers; ends at one that is cut, and behind one of a later fragment."""
    chain = _Chain(kind, at)
    for _ in range(MAX_LAYERS):
        if chain.kind not in EXTENSIONS or chain.offset:
            return chain
        chain.fault = _pass(octets, chain, end - chain.at)
        if chain.fault:
            return chain
    chain.fault = Undecoded(why=f"IPv6: {MAX_LAYERS} extension headers at most expected, more there")
    return chain


def _pass(octets: bytes, chain: _Chain, there: int) -> Undecoded | None:
    """Moves the chain over one header, of which `there` octets can be read; or says why it can't."""
    if there < 8:
        return short("IPv6: extension header", 8, there)
    following, words = octets[chain.at], octets[chain.at + 1]
    if chain.kind == FRAGMENT:
        size = 8
        place, chain.identification = _ipv6_fragment(octets, chain.at + 2)
        chain.offset, chain.more = place & 0xFFF8, place & 1 == 1
    elif chain.kind == AUTHENTICATION:  # in words of 4 octets, less two (RFC 4302 section 2.2)
        size = max((words + 2) * 4, 8)
    else:  # RFC 6564 section 4
        size = (words + 1) * 8
    if size > there:
        return short("IPv6: extension header", size, there)
    chain.kind, chain.at = following, chain.at + size
    return None
