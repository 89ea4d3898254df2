"""What becomes of each packet on a wire with faults: lost, doubled, late, behind the next, or none of these.

The relay (`live.link`) asks in the order in which packets come; the answers depend on nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from rawlab.model.facts import Facts, TcpSegment, UdpDatagram
from rawlab.model.faults import AnyFault, Chance, Cut, Delay, Drop, Duplicate, Fault, Reorder
from rawlab.model.sctp import SctpData, SctpPacket
from rawlab.wire import symbols
from rawlab.wire.decode import decode

_REORDER_MS = 200
_TRANSPORTS = frozenset({1, 6, 17, 58, 132})  # what chance may strike; ARP and neighbour discovery are the wire's own
_NEIGHBOURS = range(133, 138)  # ICMPv6's types (RFC 4861)


@dataclass(slots=True, kw_only=True)
class Passage:
    """How a frame passes."""

    copies: int = 1
    "0: not at all"
    late_ms: int = 0
    behind_ms: int = 0
    "behind the next one of its way and path, if it comes within so many ms; 0: in its order"


class Faults:
    """The faults of one run, and how many packets have fitted each of them so far."""

    def __init__(self, faults: Sequence[AnyFault]) -> None:
        self._named = [fault for fault in faults if isinstance(fault, Fault)]
        self._seen = [0] * len(self._named)
        self._chances = [fault for fault in faults if isinstance(fault, Chance)]
        self._series = [
            {way: random.Random(f"{chance.seed} {way}") for way in ("client>", "server>")} for chance in self._chances
        ]
        self._dead: set[int] = set()

    def passage(self, way: str, path: int, frame: bytes) -> Passage:
        """What becomes of a frame, sent this way ('client>', 'server>') on this path."""
        passage = Passage()
        if not self._dead.isdisjoint((0, path)):
            passage.copies = 0
            return passage
        if not (self._named or self._chances):
            return passage
        facts = decode(frame)
        for number, fault in enumerate(self._named):
            if fits(fault, way, path, facts):
                self._seen[number] += 1
                if fault.number in (0, self._seen[number]):
                    self._befall(passage, fault)
        if self._chances and _is_the_labs(facts):
            for chance, series in zip(self._chances, self._series, strict=True):
                _strike(passage, chance, series[way])
        return passage

    def _befall(self, passage: Passage, fault: Fault) -> None:
        match fault:
            case Drop():
                passage.copies = 0
            case Duplicate():
                passage.copies *= 2
            case Delay(ms=ms):
                passage.late_ms += ms
            case Reorder(ms=ms):
                passage.behind_ms = ms
            case Cut(path=path):
                self._dead.add(path)


def fits(fault: Fault, way: str, path: int, facts: Facts) -> bool:
    """Whether all that the fault says of its packets is true of this one."""
    transport = facts.transport
    if facts.ip is None or fault.way not in ("", way) or fault.path not in (0, path):
        return False
    if symbols.protocol(facts.ip.protocol) != fault.protocol if fault.protocol else facts.flow is None:
        return False
    if fault.flags is not None and not (isinstance(transport, TcpSegment) and transport.flags == fault.flags):
        return False
    chunks = transport.chunks if isinstance(transport, SctpPacket) else ()
    if fault.chunk is not None and fault.chunk not in (symbols.sctp_chunk(chunk.type) for chunk in chunks):
        return False
    data = [chunk for chunk in chunks if isinstance(chunk, SctpData)]
    if fault.stream is not None and fault.stream not in (chunk.stream for chunk in data):
        return False
    length = transport.length if isinstance(transport, TcpSegment | UdpDatagram) else len(data)
    return not fault.data or length > 0


def _is_the_labs(facts: Facts) -> bool:
    """Whether chance may strike it: a transport's packet or a fragment of one, and no neighbour discovery."""
    ip = facts.ip
    return ip is not None and ip.protocol in _TRANSPORTS and getattr(facts.transport, "type", None) not in _NEIGHBOURS


def _strike(passage: Passage, chance: Chance, series: random.Random) -> None:
    """Three draws for each packet, so that one kind of fault does not move the others."""
    dropped, doubled, behind = (series.random() * 100 for _ in range(3))
    if dropped < chance.drop:
        passage.copies = 0
    if doubled < chance.duplicate:
        passage.copies *= 2
    if behind < chance.reorder:
        passage.behind_ms = _REORDER_MS
