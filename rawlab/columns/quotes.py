"""Which flow an ICMP error is about: it quotes the packet that provoked it (RFC 792, RFC 4443).

An error is of no usual form (`Window.slow`), so only those few frames are decoded here, one at a time. The quoted
packet went either way; of two connections between the same ends it is the later one's that was seen so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rawlab.columns.names import Names
from rawlab.columns.reading import Reading
from rawlab.columns.window import Window
from rawlab.model.address import Endpoint

if TYPE_CHECKING:
    from rawlab.model.facts import Quoted

_ICMP, _ICMP6 = 1, 58
_Key = tuple[int, str, str]


class Quotes:
    """Finds them, window by window."""

    def __init__(self, octets: memoryview, reading: Reading, names: Names) -> None:
        self._octets, self._reading, self._names = octets, reading, names
        self._flows: dict[_Key, int] = {}
        self._known = 0

    def of(self, window: Window) -> Iterator[tuple[int, int]]:
        """(row, flow that it quotes) of a window's errors; those about a flow that was not seen are left out."""
        chosen = window.slow & ((window.protocol == _ICMP) | (window.protocol == _ICMP6))
        return self._read(window, chosen.nonzero()[0].tolist()) if chosen.any() else iter(())

    def _read(self, window: Window, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
        from rawlab.model.facts import IcmpMessage  # with all of wire.decode: most windows have no error in them
        from rawlab.wire.decode import decode

        for row in rows:
            at = int(window.offset[row])
            data = self._octets[at : at + int(window.captured[row])]
            message = decode(data, self._reading.points[window.point[row]].linktype, int(window.length[row])).transport
            if isinstance(message, IcmpMessage) and message.quoted is not None:
                self._learn()
                if (flow := self._flows.get(_key_of(message.quoted))) is not None:
                    yield row, flow

    def _learn(self) -> None:
        """The flows that came since the last time."""
        self._names.learn()
        names, numbers = self._names, self._reading.flows.protocol
        for flow in range(self._known, len(names)):
            a, b = names.source.texts[2 * flow], names.destination.texts[2 * flow]
            self._flows[int(numbers[flow]), *_sorted(a or "", b or "")] = flow
        self._known = len(names)


def _key_of(quote: Quoted) -> _Key:
    ends = [(quote.ip.source, quote.source_port), (quote.ip.destination, quote.destination_port)]
    texts = [address if port is None else str(Endpoint(address, port)) for address, port in ends]
    return quote.ip.protocol, *_sorted(*texts)


def _sorted(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
