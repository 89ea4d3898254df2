"""Octets that came out of order, in runs without gaps.

Where two segments disagree about an octet, the one that came first is believed. What is kept takes the room of its
octets, however small the segments were.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Reassembly:
    """Runs in order, which neither overlap nor touch."""

    def __init__(self, most: int) -> None:
        self.starts: list[int] = []
        self._ends: list[int] = []
        self._runs: list[bytearray] = []
        self._most = most
        self.latest = 0
        "where the segment that came last begins"

    def __bool__(self) -> bool:
        return bool(self.starts)

    @property
    def end(self) -> int | None:
        """The end of the last run."""
        return self._ends[-1] if self._ends else None

    def add(self, start: int, data: bytes) -> bool:
        """Keeps what is new of it; False: there are too many runs already."""
        end = start + len(data)
        ends = self._ends
        low = bisect_left(ends, start)
        high = bisect_right(self.starts, end)
        if low == high:
            if len(ends) >= self._most:
                return False
            self.starts.insert(low, start)
            ends.insert(low, end)
            self._runs.insert(low, bytearray(data))
        elif high - low == 1 and self.starts[low] <= start:
            if end > ends[low]:
                self._runs[low] += data[ends[low] - start :]
                ends[low] = end
        else:
            self._merge(low, high, start, data)
        self.latest = start
        return True

    def _merge(self, low: int, high: int, start: int, data: bytes) -> None:
        """One run of several, and of what lies between them."""
        merged, at = bytearray(), start
        for run, first, end in zip(self._runs[low:high], self.starts[low:high], self._ends[low:high], strict=True):
            if at < first:
                merged += data[at - start : first - start]
            merged += run
            at = end
        merged += data[max(at - start, 0) :]
        first = min(start, self.starts[low])
        self.starts[low:high] = [first]
        self._ends[low:high] = [first + len(merged)]
        self._runs[low:high] = [merged]

    def take(self, start: int) -> bytes:
        """What lies from here on without a gap; it is kept no longer, nor is what lies before."""
        found = b""
        while self.starts and self.starts[0] <= start:
            run, first = self._runs.pop(0), self.starts.pop(0)
            if self._ends.pop(0) > start:
                found = bytes(run[start - first :] if first < start else run)
        return found

    def blocks(self, most: int) -> list[tuple[int, int]]:
        """(begin, end) of runs, the one of the last segment first (RFC 2018 section 4)."""
        begin = max(bisect_right(self.starts, self.latest) - 1, 0)
        places = [begin, *(place for place in range(min(len(self.starts), most)) if place != begin)]
        return [(self.starts[place], self._ends[place]) for place in places[:most]]
