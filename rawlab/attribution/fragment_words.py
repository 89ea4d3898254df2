"""What is said of each fragment of a capture without calls: its datagram, its place in it, and what is odd.

The facts are `reassembly`'s. What a receiver does with overlaps differs by its system and its age: said is what the
RFCs ask, and which known attack has that form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rawlab.attribution.pairing import UNKNOWN, Draft
from rawlab.attribution.reassembly import LARGEST, Assembly, Piece
from rawlab.attribution.words import numbers, packets_in_words
from rawlab.model.story import Cause

_NAMES = {1: "ICMP message", 6: "TCP segment", 17: "UDP datagram", 58: "ICMPv6 message", 132: "SCTP packet"}
_MOST = 4
"gaps, or overlaps of one fragment, that are named one by one"


def tell(found: Sequence[Assembly]) -> None:
    """Gives every fragment its cause; to the first's own, its place is added."""
    for assembly in found:
        parts = assembly.parts
        places = {id(piece): number for number, piece in enumerate(parts, 1)}
        odd = list(_oddities(assembly))
        for piece in assembly.pieces:
            number = places.get(id(piece))
            said = [_place(assembly, piece, number, len(parts)), *_remarks(assembly, piece)]
            if piece is assembly.beginning or (assembly.beginning is None and piece is assembly.pieces[0]):
                said += odd
            _say(assembly, piece.draft, "; ".join(said), is_beginning=piece is assembly.beginning)


def _say(assembly: Assembly, draft: Draft, said: str, *, is_beginning: bool) -> None:
    if draft.cause is not UNKNOWN:
        draft.cause = replace(draft.cause, reason=f"{draft.cause.reason}; {said}")
        return
    beginning = assembly.beginning
    packets = () if is_beginning or beginning is None else numbers([beginning.draft])
    kind = beginning.draft.cause.kind if beginning is not None and not is_beginning else "kernel"
    kind = "kernel" if kind == "unknown" else kind
    draft.cause = Cause(kind=kind, reason=said, confidence="inferred", packets=packets)


def _place(assembly: Assembly, piece: Piece, number: int | None, of: int) -> str:
    """'fragment 2 of 3 of the datagram of packet 7: octets 1480 to 2959'."""
    which, beginning = "a fragment", assembly.beginning
    if piece.again is not None:
        which = f"packet {piece.again.draft.n}'s fragment again"
    elif assembly.whole_at is not None and number is not None:
        which = f"fragment {number} of {of}"
    if beginning is None:
        whose = f"a datagram whose beginning is not in the capture (identification {assembly.ip.identification})"
    elif piece is beginning:
        whose = _whole(assembly)
    else:
        whose = f"the datagram of packet {beginning.draft.n}"
    return f"{which} of {whose}: {_octets(piece.first, piece.end)}"


def _whole(assembly: Assembly) -> str:
    """'a UDP datagram of 4008 octets in packets 7–9': named by its first fragment."""
    name = _NAMES.get(assembly.ip.protocol, f"packet of IP protocol {assembly.ip.protocol}")
    article = "an" if name[0] in "IS" else "a"
    size = f" of {assembly.end} octets" if assembly.end is not None else ""
    return f"{article} {name}{size} in {packets_in_words([piece.draft for piece in assembly.pieces])}"


def _remarks(assembly: Assembly, piece: Piece) -> Iterator[str]:
    """What is odd about this one."""
    header = 20 if assembly.ip.version == 4 else 0
    if piece.end + header > LARGEST:
        yield f"it would end beyond the {LARGEST:,} octets that a packet can have (as the 'ping of death' does)"
    if not piece.last and (piece.end - piece.first) % 8:
        rfc = "RFC 791 section 3.2" if assembly.ip.version == 4 else "RFC 8200 section 4.5"
        yield f"not the last, and no multiple of 8 octets long ({rfc})"
    if assembly.end is not None and piece.last and piece.end != assembly.end:
        yield f"another last fragment has it end at octet {assembly.end - 1}"
    elif assembly.end is not None and piece.end > assembly.end:
        yield f"beyond the last fragment's end, octet {assembly.end - 1}"
    if piece.again is None:
        yield from _overlaps(assembly, piece)


def _overlaps(assembly: Assembly, piece: Piece) -> Iterator[str]:
    if not piece.overlaps:
        return
    for overlap in piece.overlaps[:_MOST]:
        alike = "and differ" if overlap.differs else "alike"
        yield f"{_octets(overlap.first, overlap.end)} are packet {overlap.piece.draft.n}'s too, {alike}"
    if len(piece.overlaps) > _MOST:
        yield "and so are more of them"
    if any(overlap.piece.first < piece.first and piece.end < overlap.piece.end for overlap in piece.overlaps):
        yield "it lies within another fragment (as 'teardrop' has it)"
    if assembly.ip.version == 6:
        yield "a receiver must drop the datagram (RFC 5722 section 4)"
    elif any(overlap.differs for overlap in piece.overlaps):
        yield "which octets count depends on the receiver (RFC 1858 section 4)"


def _oddities(assembly: Assembly) -> Iterator[str]:
    """What is odd about the whole: said where it begins."""
    gaps = assembly.gaps()
    if gaps:
        said = " and ".join(_octets(*gap) for gap in gaps[:_MOST])
        more = f" and {len(gaps) - _MOST} stretches more" if len(gaps) > _MOST else ""
        yield f"{said}{more} are not in the capture"
    if assembly.end is None:
        yield "its last fragment is not in the capture"
    beginning = assembly.beginning
    if beginning is not None and assembly.ip.protocol == 6 and beginning.end < 20:
        yield "too small for the whole TCP header (a 'tiny fragment', RFC 1858 section 3)"


def _octets(first: int, end: int) -> str:
    """'octets 1480 to 2959', counted from 0 as the fragment's offset is."""
    return f"octet {first}" if end - first == 1 else f"octets {first} to {end - 1}"
