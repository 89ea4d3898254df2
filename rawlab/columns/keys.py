"""Keys of 128 bits and their numbers, many at once: what a dict is for one key.

A table of open addressing: a key's place follows from its bits, and where another key stands there, the next place is
tried. All keys of a call go through that together; of those that find a free place, the first row claims it. Keys are
numbered in the order of their first rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rawlab.columns.window import Int32, Int64

Uint64 = npt.NDArray[np.uint64]
_MIX, _MIX_AGAIN = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


class Keys:
    """Numbered keys, each of two 64-bit halves."""

    def __init__(self, bits: int = 12) -> None:
        self.count = 0
        self._bits = bits
        self._high, self._low = np.zeros(1 << bits, np.uint64), np.zeros(1 << bits, np.uint64)
        self._slots: Int32 = np.full(1 << bits, -1, np.int32)

    def __len__(self) -> int:
        return self.count

    @property
    def high(self) -> Uint64:
        """The keys' first halves, by number."""
        return self._high[: self.count]

    @property
    def low(self) -> Uint64:
        return self._low[: self.count]

    def numbers(self, high: Uint64, low: Uint64) -> tuple[Int32, Int64]:
        """Each row's number, and the rows at which a new key came first, in the order of the new numbers."""
        while (found := self._numbers(high, low)) is None:
            self._grow()
        return found

    def numbers_of_runs(self, high: Uint64, low: Uint64) -> tuple[Int32, Int64]:
        """The same, quick where a key often stands in several rows one after the other."""
        begins = high[1:] != high[:-1]
        begins |= low[1:] != low[:-1]
        starts = np.concatenate(([0], np.flatnonzero(begins) + 1)) if len(high) else np.empty(0, np.int64)
        number, firsts = self.numbers(high[starts], low[starts])
        return np.repeat(number, np.diff(starts, append=len(high))), starts[firsts]

    def _places(self, high: Uint64, low: Uint64) -> Int64:
        mixed = high * _MIX
        mixed ^= low
        mixed *= _MIX_AGAIN
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
        mixed >>= np.uint64(64 - self._bits)
        return mixed.view(np.int64)

    def _numbers(self, high: Uint64, low: Uint64) -> tuple[Int32, Int64] | None:
        """None where the table would become too full; it is then as it was."""
        before, place = self.count, self._places(high, low)
        number = self._slots[place]
        same = self._low[number] == low
        same &= self._high[number] == high
        same &= number >= 0
        pending = np.flatnonzero(~same)
        firsts: list[Int64] = []
        while len(pending):
            first = self._claim(pending, place, before)
            if first is None:
                self._forget(np.concatenate(firsts) if firsts else pending[:0], place, before)
                return None
            self._high[self.count : self.count + len(first)] = high[first]
            self._low[self.count : self.count + len(first)] = low[first]
            self.count += len(first)
            firsts.append(first)
            there = self._slots[place[pending]]
            number[pending] = there
            other = (self._low[there] != low[pending]) | (self._high[there] != high[pending])
            pending = pending[other]
            place[pending] += 1
            place[pending] &= (1 << self._bits) - 1
        if not firsts:
            return number, np.empty(0, np.int64)
        return self._in_order(number, np.concatenate(firsts), place, before)

    def _claim(self, pending: Int64, place: Int64, before: int) -> Int64 | None:
        """Numbers the keys that stand before a free place: the first row of those before it. None: too full."""
        rows = pending[self._slots[place[pending]] < 0]
        if not len(rows):
            return rows
        wanted = place[rows]
        self._slots[wanted[::-1]] = -2 - rows[::-1]
        first: Int64 = rows[self._slots[wanted] == -2 - rows]
        if 2 * (self.count + len(first)) > len(self._slots):
            self._slots[wanted] = -1
            return None
        self._slots[place[first]] = np.arange(self.count, self.count + len(first), dtype=np.int32)
        return first

    def _forget(self, firsts: Int64, place: Int64, before: int) -> None:
        self._slots[place[firsts]] = -1
        self.count = before

    def _in_order(self, number: Int32, firsts: Int64, place: Int64, before: int) -> tuple[Int32, Int64]:
        """The new keys numbered anew, by their first rows."""
        order = np.argsort(firsts)
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(before, self.count, dtype=np.int32)
        new = np.flatnonzero(number >= before)
        number[new] = rank[number[new] - before]
        firsts = firsts[order]
        self._slots[place[firsts]] = number[firsts]
        for half in (self._high, self._low):
            half[before : self.count] = half[before : self.count][order]
        return number, firsts

    def _grow(self) -> None:
        """Four times the room, and all keys placed anew."""
        self._bits += 2
        high, low, count = self.high, self.low, self.count
        self._slots = np.full(1 << self._bits, -1, np.int32)
        self._high, self._low = _with_room(high, 1 << self._bits), _with_room(low, 1 << self._bits)
        place, pending = self._places(high, low), np.arange(count)
        while len(pending):
            free = pending[self._slots[place[pending]] < 0]
            self._slots[place[free]] = free
            pending = pending[self._slots[place[pending]] != pending]
            place[pending] += 1
            place[pending] &= (1 << self._bits) - 1


def _with_room(halves: Uint64, rows: int) -> Uint64:
    """Longer: it is whole before it takes the other's place, for another thread may read it."""
    longer = np.zeros(rows, np.uint64)
    longer[: len(halves)] = halves
    return longer
