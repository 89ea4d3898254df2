"""The timeline, calls and packets, while a run goes on: its columns have their widths before the first row is known.

A saved run's own table is `table`'s, and a wire's without calls `live_table`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from rawlab.views import escape
from rawlab.views.columns import GAP, folded, line
from rawlab.views.rows import Row
from rawlab.views.style import NARROW, paint
from rawlab.views.table import cells, colour_of, titles

_LABEL, _TIME, _STATE = 5, 9, 12
_PIPE = 160  # columns, where there is no terminal


class LiveTimeline:
    """Rows as text, one at a time."""

    def __init__(self, hosts: Sequence[str], *, width: int | None = None, colour: bool = False) -> None:
        """`hosts`: the first is shown on the left, the last on the right; `width`: the terminal's columns."""
        self._hosts = [*hosts]
        self._colour = colour
        width = width or _PIPE
        self._narrow = width < NARROW
        states = [_STATE] if self._narrow else [_STATE, _STATE]
        shares = (55, 45) if self._narrow else (22, 25, 22, 31)
        room = max(width - _LABEL - _TIME - sum(states) - len(GAP) * (1 + len(states) + len(shares)), 10 * len(shares))
        *wide, why = (room * share // 100 for share in shares)
        self._widths = [_LABEL, _TIME, *wide, *states, why]
        self._start_ns: int | None = None

    def header(self) -> str:
        """Two lines."""
        names = titles(self._hosts, narrow=self._narrow)
        return f"{folded(names, self._widths)}\n{line(['-' * width for width in self._widths], self._widths)}"

    def row(self, row: Row) -> str:
        """One row, in as many lines as it takes."""
        if self._start_ns is None:
            self._start_ns = row.at_ns
        told = cells(row, self._start_ns, self._hosts, narrow=self._narrow)
        text = folded([escape.terminal(cell).rstrip("\n") for cell in told], self._widths)
        return paint(text, colour_of(row, self._hosts[0]) if self._colour else "")
