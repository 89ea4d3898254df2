"""What was captured at the other end, held against what was to be sent: octet by octet, in order, and how well in time.

How it works: the packets of one side arrive in the order in which they were sent, so each captured frame is the next
one of its side, or one behind it where some were lost. Frames of both sides are put into the places that their packets
have in the plan; when a part of the plan is complete, its times are looked at. What was compared is forgotten, but for
how far each packet was off, and that of the first MOST_TIMED packets only: memory is bounded however long it takes.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.model.event import Frame
from rawlab.model.replay import HEADS, Replayed, Spread

MOST_TIMED = 1 << 20
_LOOKED_AHEAD = 64
"rows of one side that may have been lost before the one that arrived"
_GIVEN_UP = 256
"frames in a row that are none of those: more was lost than is looked ahead, and nothing more is compared"


@dataclass(slots=True, kw_only=True)
class Part:
    """Rows of the plan that were handed to the sender at once."""

    rows: npt.NDArray[Any]
    at_ns: npt.NDArray[np.int64]
    "when each was captured; 0: not yet"
    waiting: int
    "how many have not been captured"


class _Awaited:
    """The rows of one side that are still to come."""

    def __init__(self) -> None:
        self._parts: deque[tuple[Part, npt.NDArray[np.int64]]] = deque()
        self._at = 0
        "how many of the first part have come"

    def add(self, part: Part, indexes: npt.NDArray[np.int64]) -> None:
        if indexes.size:
            self._parts.append((part, indexes))

    def following(self) -> Iterator[tuple[Part, int]]:
        """The next ones, as far as is looked ahead."""
        at, left = self._at, _LOOKED_AHEAD
        for part, indexes in self._parts:
            for index in indexes[at : at + left]:
                yield part, int(index)
            left -= indexes.size - at
            at = 0
            if left <= 0:
                return

    def drop(self, count: int) -> None:
        """The first so many have come, or will not."""
        while count:
            part, indexes = self._parts[0]
            now = min(count, indexes.size - self._at)
            part.waiting -= now
            count -= now
            self._at += now
            if self._at == indexes.size:
                self._parts.popleft()
                self._at = 0


class Comparison:
    """Takes rows as they are planned and frames as they are captured."""

    def __init__(self, octets: memoryview) -> None:
        self.equal = self.strange = self.overtaken = 0
        self._missed = 0
        "frames that were not found, since the last one that was"
        self._octets = octets
        self._parts: deque[Part] = deque()
        self._awaited = _Awaited(), _Awaited()
        "by side"
        self._gaps, self._schedule = array("q"), array("q")
        self._first: tuple[int, int] | None = None
        "when the first packet was captured, and due"
        self._last: tuple[int, int] | None = None
        self._latest = 0

    def plan(self, rows: npt.NDArray[Any]) -> None:
        """Rows that are about to be sent."""
        if self._missed >= _GIVEN_UP:
            return
        part = Part(rows=rows, at_ns=np.zeros(rows.size, np.int64), waiting=rows.size)
        self._parts.append(part)
        for side, awaited in enumerate(self._awaited):
            awaited.add(part, np.flatnonzero(rows["side"] == side))

    def see(self, frame: Frame) -> None:
        """A frame that came in at an end: the server's, point 1, if the client sent it."""
        awaited = self._awaited[1 - frame.point]
        if self._missed >= _GIVEN_UP:
            self.strange += 1
            return
        for ahead, (part, index) in enumerate(awaited.following()):
            if self._is(part.rows[index], frame):
                awaited.drop(ahead + 1)
                part.at_ns[index] = frame.at_ns
                self.equal += 1
                self._missed = 0
                self._settle()
                return
        self.strange += 1
        self._missed += 1

    def _is(self, row: Any, frame: Frame) -> bool:
        begin, length = int(row["offset"]), int(row["length"])
        head = HEADS[row["head"] - 1] if row["head"] else b""
        if len(frame.data) != len(head) + length:
            return False
        return bytes(frame.data) == head + bytes(self._octets[begin : begin + length])

    def _settle(self) -> None:
        """Looks at the times of the parts that are complete."""
        while self._parts and not self._parts[0].waiting:
            self._time(self._parts.popleft())

    def _time(self, part: Part) -> None:
        there = part.at_ns > 0
        at_ns, due_ns = part.at_ns[there], part.rows["due_ns"][there]
        if not at_ns.size:
            return
        latest = np.maximum.accumulate(np.concatenate([[self._latest], at_ns]))
        self.overtaken += int(np.count_nonzero(at_ns < latest[:-1]))
        self._latest = int(latest[-1])
        self._first = self._first or (int(at_ns[0]), int(due_ns[0]))
        if len(self._schedule) < MOST_TIMED:
            off = (at_ns - self._first[0]) - (due_ns - self._first[1])
            before = self._last or (int(at_ns[0]), int(due_ns[0]))
            gaps = np.diff(at_ns, prepend=before[0]) - np.diff(due_ns, prepend=before[1])
            self._schedule.extend(np.abs(off).tolist())
            self._gaps.extend(np.abs(gaps[0 if self._last else 1 :]).tolist())
        self._last = int(at_ns[-1]), int(due_ns[-1])

    def end(self, replayed: Replayed, *, timed: bool) -> None:
        """All has been captured that was: what it came to."""
        for part in self._parts:
            self._time(part)
        replayed.equal, replayed.strange, replayed.overtaken = self.equal, self.strange, self.overtaken
        replayed.unseen = max(sum(replayed.sent) - self.equal, 0)
        if timed:
            replayed.gaps, replayed.schedule = _spread(self._gaps), _spread(self._schedule[1:])


def _spread(errors: array[int]) -> Spread | None:
    if not errors:
        return None
    ordered = np.sort(np.frombuffer(errors, np.int64))
    return Spread(
        median_ns=int(ordered[ordered.size // 2]),
        most_ns=int(ordered[min(ordered.size * 99 // 100, ordered.size - 1)]),
        of=ordered.size,
    )
