"""A capture read once, from its first frame to its last: its flows, what following them told, and their sums.

    survey = Survey(octets)
    for window, found in survey.windows(): …     # in passing, or `survey.run()`
    survey.table(), survey.totals, survey.reading.damage
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

import numpy as np

from rawlab.columns.analysis import Analysis
from rawlab.columns.flow_table import FlowTable
from rawlab.columns.names import Names
from rawlab.columns.quotes import Quotes
from rawlab.columns.reading import Reading
from rawlab.columns.totals import Totals
from rawlab.columns.window import ARP, UNDECODED, Int64, Uint16, Window
from rawlab.wire.maker import is_own

_CHATTER = (ARP, 1, 2, 58)
"protocols that speak about others: ARP, ICMP, IGMP, ICMPv6"
Progress = Callable[[int, int], None]


class Survey:
    """One pass."""

    def __init__(self, octets: memoryview, *, rtts: bool = False) -> None:
        """`rtts`: find `rtt_ns`, too."""
        self.rtt_ns: Int64 = np.zeros(0, np.int64)
        "of each row of the last window, since the segment that it acknowledges; -1: none. Empty without `rtts`"
        self._rtts = rtts
        self.reading = Reading(octets)
        self.totals = Totals(octets)
        self.names = Names(self.reading, self.totals)
        self._quotes = Quotes(octets, self.reading, self.names)
        self._apart = is_own(octets)
        self._analyses: dict[int, Analysis] = {}
        self.opaque: dict[int, int] = {}
        "frames that are of no form that is read, by the point that saw them"

    def windows(self, progress: Progress | None = None) -> Iterator[tuple[Window, Uint16]]:
        """Each window, with the marks of its frames, once they are counted."""
        for window in self.reading.windows(progress):
            marks = self._marks(window)
            self.totals.add(window, marks, len(self.reading.flows))
            for _, flow in self._quotes.of(window):
                self.totals.icmp_errors[flow] += 1
            if (opaque := window.protocol == UNDECODED).any():
                for point, number in zip(*np.unique(window.point[opaque], return_counts=True), strict=True):
                    self.opaque[int(point)] = self.opaque.get(int(point), 0) + int(number)
            yield window, marks

    def _marks(self, window: Window) -> Uint16:
        """A run of ours sees a packet where it leaves and where it arrives: each place is followed by itself."""
        if not self._apart:
            marks = self._analysis(0).marks(window)
            self.rtt_ns = self._analysis(0).rtt_ns
            return marks
        marks = np.zeros(len(window), np.uint16)
        self.rtt_ns = np.full(len(window) if self._rtts else 0, -1, np.int64)
        for point in np.unique(window.point).tolist():
            rows = np.flatnonzero(window.point == point)
            marks[rows] = self._analysis(point).marks(part(window, rows))
            if self._rtts:
                self.rtt_ns[rows] = self._analysis(point).rtt_ns
        return marks

    def _analysis(self, point: int) -> Analysis:
        if point not in self._analyses:
            self._analyses[point] = Analysis(self.reading.flows, rtts=self._rtts)
        return self._analyses[point]

    def run(self, progress: Progress | None = None) -> Survey:
        """All of it."""
        for _ in self.windows(progress):
            pass
        return self

    def table(self) -> FlowTable:
        """The flows, as they are known by now."""
        self.totals.missing = np.zeros(self.totals.flows, np.int64)
        for analysis in self._analyses.values():
            self.totals.missing += analysis.holes.missing(self.totals.flows)
        return FlowTable(self.reading.flows, self.names, self.totals)

    def conversations(self) -> int:
        """How many flows there are by now that are no mere chatter."""
        return int(np.isin(self.reading.flows.protocol, _CHATTER, invert=True).sum())


def part(window: Window, rows: Int64) -> Window:
    """Some rows of it."""
    columns = {field.name: getattr(window, field.name) for field in fields(Window)}
    return Window(**{name: column[rows] if len(column) else column for name, column in columns.items()})
