"""Waiting for a moment, to the microsecond: asleep until shortly before it, then looking at the clock.

How shortly is learnt from how late the kernel has woken us (clock_nanosleep(2) to an absolute time; timer slack 1 ns:
prctl(2), PR_SET_TIMERSLACK): looking at the clock is work, and being late can't be made up for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

MOST_NS = 300_000
"""For so long before a moment the clock is looked at, at the most."""
_LEAST_NS, _FIRST_NS = 220_000, 220_000
_SLICE_NS = 50_000_000
"no sleep is longer: whether to stop is looked at between two"


class Waiter:
    """Waits for moments on CLOCK_MONOTONIC; how long before one it wakes up is learnt."""

    def __init__(self, counts: Any, warm: Callable[[], None]) -> None:
        """`warm`: what is done after each sleep, so that the caches have the way that the packet goes."""
        self.margin_ns = _FIRST_NS
        self._counts = counts
        self._warm = warm

    def until(self, due_ns: int) -> None:
        """Returns when it is time, or when it is to stop."""
        clock = time.monotonic_ns
        if due_ns - clock() > self.margin_ns:
            self._sleep(due_ns)
            self._warm()
        while clock() < due_ns and not self._counts.stop:
            pass

    def _sleep(self, due_ns: int) -> None:
        while (ahead := due_ns - time.monotonic_ns() - self.margin_ns) > 0 and not self._counts.stop:
            time.sleep(min(ahead, _SLICE_NS) / 1e9)
            if ahead <= _SLICE_NS:
                self._learn(time.monotonic_ns() - due_ns + self.margin_ns)

    def _learn(self, late_ns: int) -> None:
        """Woken so late: next time early enough for that; else, by and by, later."""
        wanted = min(late_ns + late_ns // 2, MOST_NS)
        self.margin_ns = max(wanted, self.margin_ns - self.margin_ns // 128, _LEAST_NS)
