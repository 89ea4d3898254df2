"""Up to where nothing is missing in a direction, and which ACKs are of octets that were not captured.

Mostly a direction is covered as far as it has sent. A gap opens with a row that goes on beyond where the furthest
ended. It ends with the row that begins just where it opened, or with an ACK of the other direction beyond that: this
ACK is the surprise that tells of it, and then all is taken as covered. So only the rows at which gaps open are walked
one by one, and where each ends is looked up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from rawlab.attribution.tcp_side import CIRCLE, HALF
from rawlab.columns.tcp_rows import REACH, Index, Rows
from rawlab.columns.tcp_sides import Sides
from rawlab.columns.window import Int64, Uint32

_STEPS = 100
"rows in which an ACK is looked for one by one, where an earlier one had gone further"
_LOWEST = -(1 << 32)


class Gaps:
    """What is found of a window's rows."""

    def __init__(self, rows: Rows, sides: Sides) -> None:
        self._rows = rows
        covered, known = sides.covered[rows.entries], sides.next_seq[rows.entries]
        seq, before = rows.seq, rows.before
        going_on = (rows.next_seq[rows.v :] != before) & (before != 0)
        self._opening: Index = np.flatnonzero(going_on & (seq != before))
        self._left_open: Index = np.flatnonzero(covered != known)
        "virtual rows"
        self._left_at: Uint32 = covered[self._left_open]
        ahead = rows.acks & (rows.beyond != 0) & ((rows.beyond - rows.ack).view(np.int32) < 0)
        self.ahead: Index = np.flatnonzero(ahead)
        "ACKs beyond what was ever sent: while no gap is open, each is a surprise of its own"
        self.telling: list[int] = []
        "ACKs beyond an open gap"
        self.covered: Uint32 = rows.next_seq[rows.final]
        "of each virtual row, at the end"
        self._acks: list[list[int]] = []
        "of each direction, the rows of the other one that acknowledge"
        self.odd: set[int] = set()
        "flows that are better followed one segment at a time"
        left, sent = self._left_at, known[self._left_open]
        strange = (sent == 0) | ((left - sent).view(np.int32) >= 0)  # beyond the furthest: it cannot be told from there
        self.odd.update((self._left_open[strange] // 2).tolist())
        self.open: list[tuple[int, int, int]] = []
        "virtual row, first and last row of the time that a gap was open"
        if len(self._opening) or len(self._left_open):
            self._walk()

    def _walk(self) -> None:
        """Gap by gap, in the order of rows."""
        rows = self._rows
        side = np.concatenate((self._left_open, rows.side[self._opening]))
        begins = np.concatenate((rows.first[self._left_open // 2] - 1, self._opening))
        number = np.concatenate((self._left_at, rows.before[self._opening]))
        fillers = self._fillers(side, number)
        first_acks = self._first_acks(side, number).tolist()
        ends = rows.last[side // 2].tolist()
        closed: dict[int, int] = {}
        order = np.argsort(begins, kind="stable").tolist()
        sides, starts, numbers = side.tolist(), begins.tolist(), number.tolist()
        for event in order:
            at, begin, end = sides[event], starts[event], ends[event]
            if begin <= closed.get(at, -2):
                continue
            filled = fillers(event, begin)
            told = self._told(first_acks[event], begin, end, at, numbers[event])
            if told < min(filled, end + 1):
                self.telling.append(told)
            closed[at] = until = min(filled, told, end + 1)
            self.open.append((at, begin, until))
            if until > end:
                self.covered[at] = numbers[event]

    def _fillers(self, side: Index, number: Uint32) -> Callable[[int, int], int]:
        """Looks up, for an event and a row, the first row after it that begins where the event's gap opened."""
        rows = self._rows
        behind = np.flatnonzero((rows.before != 0) & ((rows.seq - rows.before).view(np.int32) < 0))
        keys = rows.side[behind].astype(np.int64) << 32 | rows.seq[behind]
        order = np.argsort(keys, kind="stable")
        keys, places = keys[order], behind[order].tolist()
        wanted = side.astype(np.int64) << 32 | number
        low = np.searchsorted(keys, wanted, side="left").tolist()
        high = np.searchsorted(keys, wanted, side="right").tolist()
        none = len(rows)

        def filler(event: int, begin: int) -> int:
            found = bisect_right(places, begin, low[event], high[event])
            return places[found] if found < high[event] else none

        return filler

    def _first_acks(self, side: Index, number: Uint32) -> Int64:
        """Of each event, the first row by which an ACK of the other direction beyond its number had come."""
        rows = self._rows
        found = np.empty(len(side), np.int64)
        for direction, goes in enumerate((rows.forward, ~rows.forward)):
            mine = np.flatnonzero(side % 2 == direction)
            self._acks.append(np.flatnonzero(rows.acks & ~goes).tolist() if len(mine) else [])
            if not len(mine):
                continue
            group, asked = side[mine] // 2, np.zeros(len(rows.first), np.bool_)
            asked[group] = True
            says = rows.acks & ~goes & asked[rows.group]
            step = (rows.ack - rows.reference[direction::2][rows.group]).view(np.int32).astype(np.int64)
            gone = (number[mine] - rows.reference[side[mine]]).view(np.int32).astype(np.int64)
            self.odd.update(rows.group[says & (np.abs(step) >= REACH)].tolist())
            self.odd.update(group[np.abs(gone) >= REACH].tolist())
            reach = np.maximum.accumulate(np.where(says, rows.key + step, rows.key + _LOWEST))
            wanted = rows.key[rows.first[group]] + gone
            found[mine] = np.searchsorted(reach, wanted, side="right")
        return found

    def _told(self, first: int, begin: int, end: int, side: int, number: int) -> int:
        """The first row behind `begin` with an ACK of the other direction beyond the number; beyond `end`: none."""
        if first > begin:
            return first
        rows, acks = self._rows, self._acks[side % 2]
        for place in range(bisect_right(acks, begin), len(acks)):
            row = acks[place]
            if row > end:
                break
            if (number - int(rows.ack[row])) % CIRCLE >= HALF:
                return row
            if row > begin + _STEPS:
                self.odd.add(side // 2)
                break
        return end + 1
