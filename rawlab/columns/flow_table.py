"""The table of flows: what `model.columns.FLOWS` lists, from a survey's flows and sums.

A column is made when it is asked for, all rows at once: numbers as arrays (-1 for none), texts as arrays of objects
(None for none), so that `columns.expression` tests them and a list of 100,000 flows is sorted without a Python step
each. Texts are of few kinds and made once each, but for ends and what is notable.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.chunks import COOKIE_ACK, SCTP
from rawlab.columns.ends import PORTS
from rawlab.columns.flows import Flows
from rawlab.columns.names import Names
from rawlab.columns.totals import FIN, RST, SYN, SYN_ACK, TCP, Totals
from rawlab.columns.window import ARP, Bool, Int64
from rawlab.model.analysis import WORDS, Mark
from rawlab.model.columns import FLOWS, TCP_MARKS

_MARK_OF = {name: list(Mark).index(Mark[mark]) for name, mark, _ in TCP_MARKS}
_NOTABLE = (
    *(("tcp_syn_data", "data on SYN"), ("tcp_urgent", "urgent data {}×")),
    *(
        (name, f"{WORDS[Mark[mark]]} {{}}×")
        for name, mark, _ in TCP_MARKS
        if mark not in ("RETRANSMISSION", "LOST_SEGMENT", "KEEP_ALIVE_ACK", "ZERO_WINDOW_PROBE_ACK", "WINDOW_UPDATE")
    ),
    ("icmp_errors", "ICMP error about it {}×"),
    *(("fragments", "fragment {}×"), ("tunnelled", "in a tunnel"), ("cut", "cut short {}×")),
)
ARROWS = (" → ", " ← ", " – ", "")
"between the ends of a flow: A opened it, B did, nobody was seen to; it has no ends"
Texts = npt.NDArray[np.object_]


class FlowTable:
    """All flows that were seen; row f is flow f + 1."""

    def __init__(self, flows: Flows, names: Names, totals: Totals) -> None:
        names.learn()
        self._flows, self._names, self._totals = flows, names, totals
        self._count = len(flows)
        self._made: dict[str, Any] = {}

    def __len__(self) -> int:
        return self._count

    def values(self, name: str) -> Any:
        """The column, an array."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def lists(self, names: Sequence[str], rows: Int64 | None = None) -> dict[str, list[Any]]:
        """Columns as lists of Python's values, None for none, in the order of these rows."""
        found = {}
        for name in names:
            values = self.values(name)
            plain = (values if rows is None else values[rows]).tolist()
            lacks = name in _MAY_LACK and values.dtype != object and bool((values < 0).any())
            found[name] = [None if value < 0 else value for value in plain] if lacks else plain
        return found

    def sorted(self, rows: Int64, by: str) -> Int64:
        """The rows in order of columns, 'packets,-bytes': - for downwards. Raises UsageError."""
        from rawlab.columns.expression import column

        for word in reversed(by.split(",")):
            descends = word.strip().startswith("-")
            values = self.values(column(word.strip().removeprefix("-"), "--sort").name)[rows]
            if values.dtype == object:
                _, values = np.unique(np.array([text or "" for text in values]), return_inverse=True)
            rows = rows[np.argsort(-values if descends else values, kind="stable")]
        return rows

    # ------------------------------------------------------------------------------------------- columns

    def _make(self, name: str) -> Any:
        if name in _MARK_OF:
            return self._totals.marks[_MARK_OF[name]][: self._count]
        made = getattr(self, f"_{name}", None)
        if made is not None:
            return made()
        what, _, way = name.partition("_")
        if what in ("packets", "bytes", "payload"):
            both = {"payload": self._payload, "packets": self._flows.packets, "bytes": self._flows.octets}[what]
            return both[:, int(way == "in")] if way else both.sum(axis=1)
        return getattr(self._totals, _SUMS.get(name, name))[: self._count]

    def _flow(self) -> Int64:
        return np.arange(1, self._count + 1)

    def _protocol(self) -> Texts:
        return _texts(self._names.protocol.texts[: 2 * self._count : 2])

    @cached_property
    def _addresses(self) -> Sequence[Sequence[str | None]]:
        return self._names.addresses()

    def _source(self) -> Texts:
        return _texts(self._addresses[0])

    def _destination(self) -> Texts:
        return _texts(self._addresses[1])

    def _source_port(self) -> Int64:
        port: Int64 = self._names.ports()[0]
        return port

    def _destination_port(self) -> Int64:
        port: Int64 = self._names.ports()[1]
        return port

    @cached_property
    def ends(self) -> tuple[Sequence[str | None], Int64, Sequence[str | None]]:
        """Of each flow A, which of ARROWS, and B: it leads from who opened it; a dash where nobody was seen to."""
        names, end = self._names, 2 * self._count
        both = self._totals.sent[:end].reshape(-1, 2) & SYN_ACK > 0
        arrow = np.select([~self._opens, self._opener >= 0, both[:, 0], both[:, 1]], [0, self._opener, 1, 0], 2)
        source, destination = names.source.texts[:end:2], names.destination.texts[:end:2]
        for flow in np.flatnonzero(self._flows.protocol < ARP).tolist():
            if source[flow] is None and destination[flow] is None:
                linktype = (names.protocol.texts[2 * flow] or "").removeprefix("link:")
                source[flow], arrow[flow] = f"link type {linktype}", len(ARROWS) - 1
        return source, arrow, destination

    def _ends(self) -> Texts:
        """'10.0.0.1:4711 → 10.0.0.2:80'."""
        source, arrow, destination = self.ends
        ends = zip(source, arrow.tolist(), destination, strict=True)
        return _texts([f"{a or ''}{ARROWS[which]}{b or ''}" for a, which, b in ends])

    def _stream(self) -> Any:
        return self._flows.stream

    def _first_frame(self) -> Int64:
        return self._flows.first_number

    def _at_ns(self) -> Int64:
        return self._flows.first_ns

    def _start_ns(self) -> Int64:
        return self._flows.first_ns - self._totals.start_ns

    def _duration_ns(self) -> Int64:
        return self._flows.last_ns - self._flows.first_ns

    @property
    def _payload(self) -> Int64:
        return self._totals.payload[: 2 * self._count].reshape(-1, 2)

    @cached_property
    def _is_tcp(self) -> Bool:
        is_tcp: Bool = (self._flows.protocol == TCP) & self._has_ports
        return is_tcp

    @cached_property
    def _opens(self) -> Bool:
        """Whether it is of a protocol that opens and closes."""
        opens: Bool = self._is_tcp | ((self._flows.protocol == SCTP) & self._has_ports)
        return opens

    @property
    def _has_ports(self) -> Bool:
        """False: of fragments whose first is not there, and of segments cut off before their ports."""
        has: Bool = self._flows.end_numbers[0] & np.uint64(PORTS) > 0
        return has

    @cached_property
    def _opener(self) -> Any:
        return self._totals.opener[: self._count]

    @cached_property
    def _sent(self) -> tuple[Any, Any]:
        """Kinds of segments that who opened it sent, and those that the other did."""
        both = self._totals.sent[: 2 * self._count].reshape(-1, 2)
        backwards = self._opener == 1
        return np.where(backwards, both[:, 1], both[:, 0]), np.where(backwards, both[:, 0], both[:, 1])

    def _opened(self) -> Texts:
        """An association has as many flows as it has paths; only that of its INIT tells how it opened."""
        own, other = self._sent
        acks = self._totals.acks[: 2 * self._count].reshape(-1, 2).sum(axis=1) > 0
        syn, syn_ack = own & SYN > 0, other & SYN_ACK > 0
        known = [
            (~self._opens, None),
            (self._is_tcp & ~syn & ~syn_ack & (own & SYN_ACK == 0), "joined"),
            (~self._is_tcp & ~syn, None),
            (syn & (other & SYN > 0), "simultaneous"),
            (~syn, "partial"),
            (syn_ack & self._completed, "handshake"),
            (syn_ack, "unfinished"),
            (acks, "partial"),
            (other & RST > 0, "refused"),
            (self._is_tcp, "SYN only"),
            (syn, "INIT only"),
        ]
        return _choose(known)

    @property
    def _completed(self) -> Bool:
        """Whether the third packet of the handshake was seen; of SCTP's, the fourth."""
        _, other = self._sent
        sctp = (self._flows.protocol == SCTP) & (other & COOKIE_ACK > 0)
        completed: Bool = (self._totals.rtt_ns[: self._count] >= 0) | sctp
        return completed

    def _handshake_rtt_ns(self) -> Int64:
        """None where the SYN was sent again, since then it is not known which one was answered; and none where it came
        behind the SYN-ACK, since then the capture has them the wrong way round."""
        totals = self._totals
        known = (totals.syns[: self._count] == 1) & (self._opener == 0)
        return np.where(known, totals.rtt_ns[: self._count], -1)

    def _ended(self) -> Texts:
        both = self._totals.sent[: 2 * self._count].reshape(-1, 2)
        a, b = both[:, 0] & FIN > 0, both[:, 1] & FIN > 0
        reset, tcp = self._totals.reset_by[: self._count], self._is_tcp
        silent = np.isin(self.values("opened"), ("SYN only", "INIT only"))
        closed = [(a & b & tcp, "FIN both"), ((reset == 0) & tcp, "RST by A"), ((reset == 1) & tcp, "RST by B")]
        closed += [(a & tcp, "FIN by A"), (b & tcp, "FIN by B"), (tcp, "open")]
        closed += [(reset == 0, "ABORT by A"), (reset == 1, "ABORT by B"), (a | b, "SHUTDOWN")]
        return _choose([(~self._opens | silent, None), *closed])

    def _notable(self) -> Texts:
        """In words, for the few flows of which there is something to say."""
        columns = [(self.values(name), words) for name, words in _NOTABLE]
        found = _texts([""] * self._count)
        for flow in np.flatnonzero(np.logical_or.reduce([values > 0 for values, _ in columns])).tolist():
            found[flow] = ", ".join(words.format(values[flow]) for values, words in columns if values[flow] > 0)
        return found


_SUMS = {"tcp_missing": "missing", "tcp_resets": "resets"}
_MAY_LACK = {column.name for column in FLOWS if column.may_lack}


def _texts(values: Sequence[Any]) -> Texts:
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _choose(known: Sequence[tuple[Bool, str | None]]) -> Texts:
    """Of each row the first text whose truth it fulfils; None where it fulfils none."""
    words: Texts = _texts([*(word for _, word in known), None])
    place = np.select([truth for truth, _ in known], range(len(known)), len(known))
    chosen: Texts = words[place]
    return chosen
