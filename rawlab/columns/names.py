"""What flows are called: their protocol and ends, as words, made once a flow, as they come up."""

from __future__ import annotations

from typing import Any

import numpy as np

from rawlab.columns.batch import Words
from rawlab.columns.ends import PORTS
from rawlab.columns.lines import Cell, Number, Text, lines
from rawlab.columns.reading import Reading
from rawlab.columns.totals import Totals
from rawlab.columns.window import ARP
from rawlab.wire.link_types import link_type
from rawlab.wire.symbols import protocol

_PORT = 0xFFFF
"the bits of an end's number that hold its port"


class Names:
    """Of each flow: entry 2·f is of what its A sends, 2·f + 1 of what its B sends."""

    def __init__(self, reading: Reading, totals: Totals | None = None) -> None:
        """`totals`: tells which link type a flow without IP has; if there is none, that goes without a name."""
        self._reading, self._totals = reading, totals
        self.source, self.destination, self.protocol = Words(), Words(), Words()
        self.who = Words()
        "flow, source, destination and protocol, with tabs; after `introduce`"
        self._begins: dict[int, str | None] = {}
        "of an end's number without the port: what its text begins with, '10.0.0.1:'; all of it, if it has no port"
        self._words: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.source.texts) // 2

    def learn(self) -> None:
        """The flows that came since the last time."""
        flows, known = self._reading.flows, len(self)
        if known == len(flows):
            return
        a, b = (self._texts(numbers[known:]) for numbers in flows.end_numbers)
        words = [
            self._words.get(number) or self._word(number, flow)
            for flow, number in enumerate(flows.protocol[known:].tolist(), known)
        ]
        for texts, first, second in (
            (self.source.texts, a, b),
            (self.destination.texts, b, a),
            (self.protocol.texts, words, words),
        ):
            pairs: list[str | None] = [None] * (2 * len(first))
            pairs[::2], pairs[1::2] = first, second
            texts += pairs

    def introduce(self) -> None:
        """`who`, of the flows that came since the last time."""
        self.learn()
        known = len(self.who.texts)
        each = zip(self.source.texts[known:], self.destination.texts[known:], self.protocol.texts[known:], strict=True)
        self.who.texts += [
            f"{side // 2 + 1}\t{a or ''}\t{b or ''}\t{word}" for side, (a, b, word) in enumerate(each, known)
        ]

    def addresses(self) -> tuple[list[str | None], list[str | None]]:
        """The address of each flow's A, and of its B; none for what has none."""
        a, b = ((numbers & np.uint64(~(PORTS | _PORT) & (1 << 64) - 1)) for numbers in self._reading.flows.end_numbers)
        return self._texts(a), self._texts(b)

    def ports(self) -> tuple[Any, Any]:
        """The port of each flow's A, and of its B; -1 for what has none."""
        a, b = (
            np.where(numbers & np.uint64(PORTS) > 0, (numbers & np.uint64(_PORT)).astype(np.int64), -1)
            for numbers in self._reading.flows.end_numbers
        )
        return a, b

    def _texts(self, numbers: Any) -> list[str | None]:
        """Ends in words."""
        if bool((numbers >> np.uint64(60) == PORTS >> 60).all()):  # IPv4 with ports, as most are
            return [*_dotted(numbers)]
        has_port = PORTS >> 16
        hosts, ports = (numbers >> np.uint64(16)).tolist(), (numbers & np.uint64(_PORT)).tolist()
        begins = self._begins
        for host in {*hosts}.difference(begins):
            begins[host] = self._begin(host << 16)
        return [
            f"{begins[host]}{port}" if host & has_port else begins[host]
            for host, port in zip(hosts, ports, strict=True)
        ]

    def _begin(self, number: int) -> str | None:
        address = self._reading.flows.addresses.end(number & ~PORTS)[1]
        if not number & PORTS:
            return None if address is None else str(address)
        return f"[{address}]:" if ":" in str(address) else f"{address}:"

    def _word(self, number: int, flow: int) -> str:
        """The protocol's name; IP's are kept, of others it is the link type's, which a flow has by itself."""
        if number >= 0:
            return self._words.setdefault(number, protocol(number))
        if number == ARP or self._totals is None:
            return "arp" if number == ARP else ""
        name = link_type(self._reading.points[self._totals.first_point[flow]].linktype)
        return f"link:{name}" if name.isdecimal() else name


def _dotted(numbers: Any) -> list[str]:
    """Ends of IPv4 with ports, '10.0.0.1:80', all at once."""
    tables = [np.array([b"%d%b" % (octet, behind) for octet in range(256)]) for behind in (b".", b":")]
    cells: list[Cell] = [
        Text(codes=(numbers >> np.uint64(shift) & np.uint64(255)).astype(np.int64), table=tables[shift == 16])
        for shift in (40, 32, 24, 16)
    ]
    cells.append(Number(values=(numbers & np.uint64(_PORT)).astype(np.int64)))
    return lines(cells, separator=b"").decode().splitlines()
