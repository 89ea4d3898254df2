"""IP packets with their fragments put together (RFC 791 section 3.2, RFC 8200 section 4.5), in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rawlab.attribution.pairing import Draft
from rawlab.model.facts import IpHeader, UdpDatagram


@dataclass(slots=True, kw_only=True)
class Datagram:
    """One IP packet as its sender's transport made it: one frame, or several fragments."""

    parts: list[Draft]
    "in order of their octets"
    payload: bytearray = field(default_factory=bytearray)
    "the IP payload, as far as it was seen, in order from its beginning"
    whole: bool = True
    "no fragment is missing"

    @property
    def first(self) -> Draft:
        """The part with the beginning."""
        return self.parts[0]

    @property
    def at_ns(self) -> int:
        """When its first part was seen."""
        return min(part.at_ns for part in self.parts)

    @property
    def ip(self) -> IpHeader:
        """Its first part's header."""
        return ip_of(self.first)

    @property
    def udp(self) -> UdpDatagram | None:
        """Its UDP header."""
        transport = self.first.facts.transport
        return transport if isinstance(transport, UdpDatagram) else None

    @property
    def arrived_ns(self) -> int | None:
        """When its last part arrived; None if one was lost, or never sent."""
        if not self.whole or any(part.lost for part in self.parts):
            return None
        return max(part.arrival_ns for part in self.parts)


def ip_of(draft: Draft) -> IpHeader:
    """The IP header of a packet that has one, as its host wrote it: of a tunnel's packet the tunnel's."""
    assert draft.facts.ip is not None
    return draft.facts.outer[0].ip if draft.facts.outer else draft.facts.ip


def alone(draft: Draft) -> Datagram:
    """A packet as it is, be it a fragment or not."""
    first, end = ip_of(draft).payload
    return Datagram(parts=[draft], payload=bytearray(memoryview(draft.data)[first:end]))


def datagrams(drafts: Sequence[Draft]) -> Iterator[Datagram]:
    """What the receivers' IP puts together; of what stays incomplete, that which has its beginning.

    Fragments that overlap make no datagram (RFC 5722 section 4; Linux holds IPv4 to that, too).
    """
    waiting: dict[tuple[str | None, str, str, int, int], _Pieces] = {}
    for draft in drafts:
        ip = draft.facts.ip
        if ip is None:
            continue
        if not ip.is_fragment:
            yield alone(draft)
            continue
        key = draft.sender, ip.source, ip.destination, ip.protocol, ip.identification
        pieces = waiting.setdefault(key, _Pieces())
        pieces.add(draft)
        if pieces.octets == pieces.end and (found := pieces.joined()).whole:
            del waiting[key]
            yield found
    yield from (pieces.joined() for pieces in waiting.values() if 0 in pieces.parts)


@dataclass(slots=True)
class _Pieces:
    """The fragments of one datagram, so far."""

    parts: dict[int, Draft] = field(default_factory=dict)
    "by their offset; of one that came twice, the first"
    octets: int = 0
    "of all of them"
    end: int | None = None
    "where the datagram ends, once its last fragment was seen"

    def add(self, draft: Draft) -> None:
        ip = ip_of(draft)
        size = ip.payload[1] - ip.payload[0]
        if size == 0 or ip.fragment_offset in self.parts:
            return
        self.parts[ip.fragment_offset] = draft
        self.octets += size
        if not ip.more_fragments:
            self.end = ip.fragment_offset + size

    def joined(self) -> Datagram:
        """The parts in order; whole, if each follows the one before, from the beginning to the end."""
        found = Datagram(parts=[self.parts[offset] for offset in sorted(self.parts)], whole=False)
        for part in found.parts:
            ip = ip_of(part)
            if ip.fragment_offset != len(found.payload):
                break
            found.payload += memoryview(part.data)[ip.payload[0] : ip.payload[1]]
            found.whole = not ip.more_fragments
        return found
