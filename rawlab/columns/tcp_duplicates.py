"""How many duplicate ACKs each direction has sent since its ACK last moved, at any row of a window.

A run is a stretch of one direction with one ACK; it is known by the row that began it. The count of duplicates in a run
starts again, from `MANY`, where the other direction acknowledged what was not captured: what is missing may have been
duplicates, too (`attribution.tcp_analysis`). Such rows are told to `restart`, in order, before anything is asked.
"""

from __future__ import annotations

import numpy as np

from rawlab.attribution.tcp_side import MANY
from rawlab.columns.tcp_rows import Index, Rows
from rawlab.columns.tcp_sides import Sides
from rawlab.columns.window import Bool, Int32, Int64


class Duplicates:
    """`at(place, until)`: of row `place` (virtual ones count) of a direction, the number as row `until` finds it."""

    def __init__(self, rows: Rows, sides: Sides, duplicate: Bool, moved: Bool) -> None:
        """`duplicate`: the rows that are; `moved`: those whose ACK is not that of the row before."""
        latest = rows.latest(moved)
        self._run: Int32 = np.concatenate(
            (np.arange(rows.v, dtype=np.int32), np.where(rows.forward, latest[0], latest[1]))
        )
        counts = [np.cumsum(duplicate & goes, dtype=np.int32) for goes in (rows.forward, ~rows.forward)]
        virtual = np.zeros(rows.v, np.int32)
        for direction in (0, 1):
            virtual[direction::2] = np.where(rows.first > 0, counts[direction][rows.first - 1], 0)
        self._count: Int32 = np.concatenate((virtual, np.where(rows.forward, counts[0], counts[1])))
        carried = sides.duplicates[rows.entries]
        self._many: Bool = carried == MANY
        self._carried: Int64 = np.where(self._many, 0, carried)
        self._v = rows.v
        self._restarts: Int64 = np.zeros(0, np.int64)
        self._restart_counts: Int64 = np.zeros(0, np.int64)

    def in_run(self, place: Index) -> Int64:
        """Duplicates of the run so far, restarted or not."""
        run = self._run[place]
        found = self._count[place].astype(np.int64) - self._count[run]
        old = run < self._v
        found[old] += self._carried[run[old]]
        return found

    def restart(self, place: Index, row: Index) -> Bool:
        """At the rows, ascending, whose other direction stood at `place`; returns which are the first that can be told.

        That is: no duplicate, and no restart, came before them in the run.
        """
        run = self._run[place].astype(np.int64)
        first = np.zeros(len(run), np.bool_)
        first[np.unique(run, return_index=True)[1]] = True
        old = run < self._v
        first[old] &= ~self._many[run[old]]
        key = run << 32 | row
        order = np.argsort(key)
        counts = self.in_run(place)
        self._restarts, self._restart_counts = key[order], counts[order]
        alone: Bool = first & (counts == 0)
        return alone

    def at(self, place: Index, until: Index) -> Int64:
        """`MANY`: not known."""
        run = self._run[place].astype(np.int64)
        count = self.in_run(place)
        again = np.zeros(len(run), np.bool_)
        old = run < self._v
        again[old] = self._many[run[old]]
        if len(self._restarts):
            found = np.searchsorted(self._restarts, run << 32 | until, side="right") - 1
            same = (found >= 0) & (self._restarts[found] >> 32 == run)
            count[same] -= self._restart_counts[found[same]]
            again |= same
        return np.where(again & (count == 0), MANY, count)
