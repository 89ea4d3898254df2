"""A set of integers kept as ranges [first, last + 1): which bytes of a stream have arrived.

>>> arrived = RangeSet()
>>> arrived.add(5, 9); arrived.add(0, 2); arrived.add(2, 5)
>>> arrived
RangeSet(0-9)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class RangeSet:
    """Ranges that neither overlap nor touch, in order."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, end: int) -> None:
        """Adds [first, end); an empty range adds nothing."""
        if first >= end:
            return
        if self._ends and first == self._ends[-1]:  # it goes on where all ended
            self._ends[-1] = end
            return
        low = bisect_left(self._ends, first)
        high = bisect_right(self._firsts, end)
        if low < high:
            first = min(first, self._firsts[low])
            end = max(end, self._ends[high - 1])
        self._firsts[low:high] = [first]
        self._ends[low:high] = [end]

    def covers(self, first: int, end: int) -> bool:
        """Whether all of [first, end) is in the set."""
        at = bisect_right(self._firsts, first) - 1
        return first >= end or (at >= 0 and self._ends[at] >= end)

    def missing(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of [first, end) that are not in the set, in order."""
        for at in range(bisect_right(self._ends, first), len(self._firsts)):
            if first >= end:
                return
            if first < self._firsts[at]:
                yield first, min(self._firsts[at], end)
            first = self._ends[at]
        if first < end:
            yield first, end

    def end_from(self, first: int) -> int:
        """The end of the unbroken run that begins at or covers `first`; `first` itself if it is not in the set."""
        at = bisect_right(self._firsts, first) - 1
        return max(first, self._ends[at]) if at >= 0 else first

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._ends, strict=True))

    def __repr__(self) -> str:
        return f"RangeSet({', '.join(f'{first}-{end}' for first, end in self)})"
