"""The fragments of captures without calls, put together (RFC 791 section 3.2, RFC 8200 section 4.5).

How it works: fragments of one datagram share addresses, identification, and all around them (the point of observation,
VLANs, the tunnel that carries them). Each is a stretch of the datagram's octets; which fragment brought which stretch
first shows gaps and overlaps. A datagram is whole once every octet up to its last fragment's end was there; its
transport is then decoded anew from all of it, and becomes the first fragment's, so that a TCP segment in three
fragments has its whole length.

What does not belong here: what is said of it (`fragment_words`); datagrams whose calls were recorded (`fragments`,
`datagrams`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rawlab.attribution.pairing import Decode, Draft
from rawlab.model.facts import Facts, IcmpMessage, IpHeader, TcpSegment, UdpDatagram
from rawlab.model.ranges import RangeSet
from rawlab.model.timeline import Point

LARGEST = 65_535
"octets of a datagram (RFC 791 section 3.1), or of an IPv6 packet's payload (RFC 8200 section 3)"

PATIENCE_NS = 120_000_000_000
"a receiver waits no longer for the rest of a datagram (RFC 1122 section 3.3.2)"

MAX_PIECES = LARGEST // 8 + 1
"no datagram has more fragments: each but the last carries eight octets or more"

MAX_OVERLAPS = 16
"of one fragment, that are looked at"

_FIXED_HEADER, _FRAGMENT, _AUTHENTICATION = 40, 44, 51

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Octets of a fragment that an earlier one had brought."""

    first: int
    end: int
    piece: Piece
    "the earlier one"
    differs: bool
    "not all of them are the same"


@dataclass(slots=True, kw_only=True)
class Piece:
    """A fragment: [first, end) of its datagram's octets, behind the IP header."""

    draft: Draft
    first: int
    end: int
    last: bool
    "it has no More Fragments"
    data: memoryview
    "as much of them as was captured"
    overlaps: tuple[Overlap, ...] = ()

    @property
    def again(self) -> Piece | None:
        """The fragment of which this is a copy."""
        if len(self.overlaps) != 1 or self.overlaps[0].differs:
            return None
        other = self.overlaps[0].piece
        return other if (other.first, other.end) == (self.first, self.end) else None


@dataclass(slots=True)
class Assembly:
    """A datagram and its fragments, in the order in which they came."""

    ip: IpHeader
    "of the first that came"
    depth: int
    "how many packets carry its fragments, in tunnels"
    pieces: list[Piece] = field(default_factory=list)
    end: int | None = None
    "where it ends, once its last fragment was seen"
    there: int = 0
    "how many of its octets are there"
    whole_at: Draft | None = None
    "the fragment that completed it"
    beginning: Piece | None = None
    "the fragment with its first octet"
    furthest: int = 0
    "where the fragment that reaches furthest ends"
    _brought: RangeSet = field(default_factory=RangeSet)
    _by: list[tuple[int, int, int]] = field(default_factory=list)
    "(first, end, index of the fragment) of each stretch, by who brought it first"

    @property
    def parts(self) -> list[Piece]:
        """Its fragments in order of their octets, without copies."""
        return sorted((piece for piece in self.pieces if piece.again is None), key=lambda piece: piece.first)

    def add(self, piece: Piece) -> None:
        """One more fragment; those that overlap it came before."""
        piece.overlaps = tuple(self._overlaps(piece))
        for first, end in list(self._brought.missing(piece.first, piece.end)):
            insort(self._by, (first, end, len(self.pieces)))
            self.there += end - first
        self._brought.add(piece.first, piece.end)
        self.pieces.append(piece)
        self.furthest = max(self.furthest, piece.end)
        if piece.first == 0 and self.beginning is None:
            self.beginning = piece
        if piece.last and self.end is None:
            self.end = piece.end
        if self.whole_at is None and self.there == self.end == self.furthest:
            self.whole_at = piece.draft

    def has_copy(self, piece: Piece) -> bool:
        """Whether a fragment brought the same octets in the same place."""
        by = bisect_left(self._by, (piece.first,))
        if by == len(self._by) or self._by[by][0] != piece.first:
            return False
        other = self.pieces[self._by[by][2]]
        return (other.first, other.end) == (piece.first, piece.end) and other.data == piece.data

    def _overlaps(self, piece: Piece) -> Iterator[Overlap]:
        begin = max(bisect_left(self._by, (piece.first,)) - 1, 0)
        for one, (first, end, index) in enumerate(self._by[begin : begin + MAX_OVERLAPS + 1]):
            first, end = max(first, piece.first), min(end, piece.end)
            if first >= end and one:
                return
            if first < end:
                other = self.pieces[index]
                mine = piece.data[first - piece.first : end - piece.first]
                theirs = other.data[first - other.first : end - other.first]
                common = min(len(mine), len(theirs))
                differs = mine[:common] != theirs[:common]
                yield Overlap(first=first, end=end, piece=other, differs=differs)

    def gaps(self) -> list[tuple[int, int]]:
        """The octets that are in no fragment, up to the last one's end."""
        found, at = [], 0
        for piece in self.parts:
            if piece.first > at:
                found.append((at, piece.first))
            at = max(at, piece.end)
        return found

    def octets(self) -> bytes | None:
        """All of it; None where some of it is not there, or was not captured, or came in two forms."""
        made = bytearray()
        for piece in self.parts:
            if piece.overlaps or piece.first != len(made) or len(piece.data) != piece.end - piece.first:
                return None
            made += piece.data
        return bytes(made) if self.whole_at is not None else None


def reassemble(drafts: Sequence[Draft], points: Sequence[Point], decode: Decode) -> list[Assembly]:
    """The datagrams that came in fragments; of those that are whole, the first fragment tells the whole transport."""
    found = list(assemblies(drafts))
    for assembly in found:
        _tell_whole(assembly, points, decode)
    return found


def assemblies(drafts: Sequence[Draft]) -> Iterator[Assembly]:
    """Each datagram of which there is a fragment, in order of their first one.

    What comes once a datagram is whole is a copy, or begins another one that took the same identification.
    """
    waiting: dict[Key, Assembly] = {}
    whole: dict[Key, Assembly] = {}
    made: list[Assembly] = []
    for draft in drafts:
        if draft.copy_of is not None or (told := _fragment(draft)) is None:
            continue
        key, depth, ip, piece = told
        for held in (whole, waiting):
            known = held.get(key)
            if known is not None and _is_over(known, piece):
                del held[key]
        assembly = waiting.get(key)
        if assembly is None and (known := whole.get(key)) is not None and known.has_copy(piece):
            known.add(piece)
            continue
        if assembly is None:
            assembly = waiting[key] = Assembly(ip, depth)
            made.append(assembly)
        assembly.add(piece)
        if assembly.whole_at is not None:
            whole[key] = waiting.pop(key)
    yield from made


def _is_over(assembly: Assembly, piece: Piece) -> bool:
    return piece.draft.at_ns - assembly.pieces[0].draft.at_ns > PATIENCE_NS or len(assembly.pieces) > MAX_PIECES


def _fragment(draft: Draft) -> tuple[Key, int, IpHeader, Piece] | None:
    """The outermost fragment that the frame is, with what all fragments of its datagram share."""
    facts = draft.facts
    if not facts.outer and (facts.ip is None or not facts.ip.is_fragment):
        return None
    headers = [*(outer.ip for outer in facts.outer), *((facts.ip,) if facts.ip else ())]
    depth = next((depth for depth, ip in enumerate(headers) if ip.is_fragment), None)
    if depth is None:
        return None
    ip = headers[depth]
    begin = _begin(draft.data, ip)
    size = ip.start + ip.length - begin
    if size <= 0:
        return None
    around = tuple((one.source, one.destination) for one in headers[:depth])
    protocol = ip.protocol if ip.version == 4 else None
    key = (draft.point, facts.vlans, around, ip.version, ip.source, ip.destination, protocol, ip.identification)
    first = ip.fragment_offset
    data = memoryview(draft.data)[begin : min(begin + size, ip.payload[1])]
    piece = Piece(draft=draft, first=first, end=first + size, last=not ip.more_fragments, data=data)
    return key, depth, ip, piece


def _begin(data: bytes | memoryview, ip: IpHeader) -> int:
    """Where the datagram's octets begin: behind IPv4's header, or behind IPv6's Fragment header."""
    if ip.version == 4:
        return ip.start + (data[ip.start] & 15) * 4
    return _fragment_header(data, ip) + 8


def _fragment_header(data: bytes | memoryview, ip: IpHeader) -> int:
    """Where IPv6's Fragment header lies."""
    following, at = data[ip.start + 6], ip.start + _FIXED_HEADER
    while following != _FRAGMENT and at + 8 < ip.payload[0]:
        words = data[at + 1]
        following, at = data[at], at + ((words + 2) * 4 if following == _AUTHENTICATION else (words + 1) * 8)
    return at


def _tell_whole(assembly: Assembly, points: Sequence[Point], decode: Decode) -> None:
    """Of a whole datagram, gives its first fragment the transport that all of them carry."""
    octets, beginning = assembly.octets(), assembly.beginning
    if octets is None or beginning is None:
        return
    draft, facts = beginning.draft, beginning.draft.facts
    ip = [*(outer.ip for outer in facts.outer), facts.ip][assembly.depth]
    if ip is None or (packet := _unfragmented(draft.data, ip, octets)) is None:
        return
    whole = decode(packet, points[draft.point].linktype, len(packet))
    draft.facts = _as_fragment(whole, assembly.depth, ip, len(draft.data))


def _unfragmented(data: bytes | memoryview, ip: IpHeader, octets: bytes) -> bytes | None:
    """The frame as if the datagram had never been cut; None where its length can't be written."""
    begin = _begin(data, ip)
    header = bytearray(data[:begin])
    length = begin - ip.start + len(octets) - (0 if ip.version == 4 else _FIXED_HEADER)
    if length > LARGEST:
        return None
    at = ip.start + (2 if ip.version == 4 else 4)
    header[at : at + 2] = length.to_bytes(2, "big")
    if ip.version == 4:
        header[ip.start + 6] &= 0xDF
    else:
        header[begin - 5] &= 0xFE
    return bytes(header) + octets


def _as_fragment(whole: Facts, depth: int, ip: IpHeader, there: int) -> Facts:
    """The whole's facts with the IP header of its first fragment, in whose frame the data ends."""
    transport = whole.transport
    if isinstance(transport, TcpSegment | UdpDatagram | IcmpMessage):
        first, end = transport.data
        whole = replace(whole, transport=replace(transport, data=(min(first, there), min(end, there))))
    if depth < len(whole.outer):
        outer = list(whole.outer)
        outer[depth] = replace(outer[depth], ip=ip)
        return replace(whole, outer=tuple(outer))
    return replace(whole, ip=ip)
