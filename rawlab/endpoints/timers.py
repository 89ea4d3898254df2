"""Timers of a host: one heap for all connections or associations.

A timer that is started again and again (T3-rtx with each SACK) mostly moves further away: its place in the heap is
left as it is and put right when it comes up, so that starting one costs nothing. `due` is the truth, `queued` says
which entry of the heap is this timer's; other entries are stale.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush, heapreplace


class Timer:
    """Calls `act(now)` once it is due."""

    __slots__ = ("_act", "_timers", "due", "queued")

    def __init__(self, timers: Timers, act: Callable[[int], None]) -> None:
        self._timers = timers
        self._act = act
        self.due: int | None = None
        self.queued: int | None = None

    def start(self, due: int) -> None:
        """Sets it to this time (ns), whether it runs or not."""
        self.due = due
        if self.queued is None or due < self.queued:
            self._timers.enter(self, due)

    def stop(self) -> None:
        """Takes it off."""
        self.due = None

    def fire(self, now: int) -> None:
        """It is due."""
        self.due = None
        self._act(now)


class Timers:
    """The heap: (when, number of the entry, timer)."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._entries = 0

    def __len__(self) -> int:
        return len(self._heap)

    def enter(self, timer: Timer, due: int) -> None:
        """For `Timer` alone."""
        self._entries += 1
        timer.queued = due
        heappush(self._heap, (due, self._entries, timer))

    @property
    def next_due(self) -> int | None:
        """When the first one is due; stale entries in front of it are put right."""
        heap = self._heap
        while heap:
            when, _, timer = heap[0]
            if timer.queued != when:
                heappop(heap)
            elif timer.due is None:
                timer.queued = None
                heappop(heap)
            elif timer.due > when:
                self._entries += 1
                timer.queued = timer.due
                heapreplace(heap, (timer.due, self._entries, timer))
            else:
                return when
        return None

    def run(self, now: int) -> None:
        """Fires what is due by `now`. One that starts itself anew for the past waits for the next run."""
        due = []
        while (when := self.next_due) is not None and when <= now:
            timer = heappop(self._heap)[2]
            timer.queued = None
            due.append(timer)
        for timer in due:
            if timer.due is not None and timer.due <= now:  # else one that fired before it took it off
                timer.fire(now)

    def prune(self) -> None:
        """Throws stale entries away: called when many timers have ended for good."""
        kept = []
        for entry in self._heap:
            when, _, timer = entry
            if timer.queued == when and timer.due is None:
                timer.queued = None  # so that its next start enters it anew
            elif timer.queued == when:
                kept.append(entry)
        self._heap = kept
        heapify(self._heap)
