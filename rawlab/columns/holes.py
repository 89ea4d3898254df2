"""What is missing from a connection for good: gaps before a segment (`Mark.LOST_SEGMENT`) that nothing filled later.

A gap reaches from where its direction had come to, to the segment that jumped ahead. What fills it lies behind the
furthest, and so is marked as out of order or as sent again: only those rows, and only of connections that have a gap
open, are looked at, one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rawlab.attribution.tcp_side import CIRCLE, FIN, HALF, SYN
from rawlab.columns.window import Int64, Uint16, Window
from rawlab.model.analysis import Mark

_LATE = np.uint16(Mark.RETRANSMISSION | Mark.OUT_OF_ORDER)
_MOST = 4096
"open pieces of gaps of one direction; of more the oldest are taken as never filled"


@dataclass(slots=True)
class _Direction:
    """The gaps of one; numbers are unwrapped."""

    latest: int
    "the number last heard of"
    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    "of each piece that is open, ascending: where it begins and ends, which gap it is of"
    opened: int = 0
    given_up: set[int] = field(default_factory=set)

    def unwrap(self, number: int) -> int:
        self.latest += (number - self.latest + HALF) % CIRCLE - HALF
        return self.latest

    def open(self, begin: int, end: int) -> None:
        self.opened += 1
        self._put(bisect_right(self.begins, begin), begin, end, self.opened)
        if len(self.begins) > _MOST:
            self.given_up.add(self.gaps[0])
            self._take(0)

    def fill(self, begin: int, end: int) -> None:
        """Takes these numbers out of what is open."""
        at = bisect_right(self.ends, begin)
        while at < len(self.begins) and self.begins[at] < end:
            first, last, gap = self._take(at)
            if last > end:
                self._put(at, end, last, gap)
            if first < begin:
                self._put(at, first, begin, gap)
                at += 1
            if last > end:
                return

    def missing(self) -> int:
        """How many gaps are open, be it in part."""
        return len(self.given_up.union(self.gaps))

    def _put(self, at: int, begin: int, end: int, gap: int) -> None:
        self.begins.insert(at, begin)
        self.ends.insert(at, end)
        self.gaps.insert(at, gap)

    def _take(self, at: int) -> tuple[int, int, int]:
        return self.begins.pop(at), self.ends.pop(at), self.gaps.pop(at)


class Holes:
    """Of the connections of a capture."""

    def __init__(self) -> None:
        self._directions: dict[int, _Direction] = {}
        "by 2 · flow, + 1 for the way back"

    def __len__(self) -> int:
        return len(self._directions)

    def see(self, window: Window, marks: Uint16, expected: Mapping[int, int]) -> None:
        """A window. `expected`: of the rows before which octets are missing, the number that was to come."""
        late = np.flatnonzero(marks & _LATE)
        side = (window.flow[late] * np.int64(2) + ~window.forward[late]).tolist()
        at = dict(zip(late.tolist(), side, strict=True))
        at.update((row, int(window.flow[row]) * 2 + (not window.forward[row])) for row in expected)
        for row in sorted(at):
            one = self._directions.get(at[row])
            if one is None and row in expected:
                one = self._directions[at[row]] = _Direction(expected[row])
            if one is not None:
                self._take(window, row, one, expected.get(row))

    def _take(self, window: Window, row: int, one: _Direction, expected: int | None) -> None:
        if expected is not None:
            begin = one.unwrap(expected)
            one.open(begin, one.unwrap(int(window.seq[row])))
        elif one.begins:
            begin = one.unwrap(int(window.seq[row]))
            one.fill(begin, begin + int(window.payload[row]) + bool(window.flags[row] & (SYN | FIN)))

    def missing(self, flows: int) -> Int64:
        """Of each flow, how many gaps nothing filled so far."""
        found = np.zeros(flows, np.int64)
        for side, one in self._directions.items():
            found[side // 2] += one.missing()
        return found
