"""The timeline, calls and packets, while a run goes on: its columns have their widths before the first row is known.

A saved run's own table is `table`'s, and a wire's without calls `live_table`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rawlab.views import escape
from rawlab.views.rows import Row
from rawlab.views.table import NARROW, arrow, colour_of, fold

_LABEL, _TIME, _STATE = 5, 9, 12
_GAP = "  "
_PIPE = 160  # columns, where there is no terminal
_PLAIN = "\x1b[0m"


class LiveTimeline:
    """Rows as text, one at a time."""

    def __init__(self, hosts: Sequence[str], *, width: int | None = None, colour: bool = False) -> None:
        """`hosts`: the first is shown on the left, the last on the right; `width`: the terminal's columns."""
        self._hosts = [*hosts]
        self._left, self._right = hosts[0], hosts[-1]
        self._colour = colour
        width = width or _PIPE
        self._narrow = width < NARROW
        states = [_STATE] if self._narrow else [_STATE, _STATE]
        shares = (55, 45) if self._narrow else (22, 25, 22, 31)
        room = max(width - _LABEL - _TIME - sum(states) - len(_GAP) * (1 + len(states) + len(shares)), 10 * len(shares))
        *wide, why = (room * share // 100 for share in shares)
        self._widths = [_LABEL, _TIME, *wide, *states, why]
        self._start_ns: int | None = None

    def header(self) -> str:
        """Two lines."""
        left, right = self._left, self._right
        if self._narrow:
            titles = ["#", "ms", f"{left} → wire ← {right}", "states", "why"]
        else:
            titles = ["#", "ms", f"{left}'s call", "wire", f"{right}'s call", f"{left} is", f"{right} is", "why"]
        return f"{self._folded(titles)}\n{self._line(['-' * width for width in self._widths])}"

    def row(self, row: Row) -> str:
        """One row, in as many lines as it takes."""
        if self._start_ns is None:
            self._start_ns = row.at_ns
        states = [dict(row.states).get(host, "") for host in (self._left, self._right)]
        text = arrow(row, self._hosts) if row.packet is not None else row.text
        if self._narrow:
            told = text if row.packet is not None else f"{row.host}: {text}"
            cells = [told, "\n".join(states).strip("\n")]
        else:
            place = 1 if row.packet is not None else 2 if row.host == self._right else 0
            cells = [text if number == place else "" for number in range(3)] + states
        milliseconds = f"{(row.at_ns - self._start_ns) / 1e6:.3f}"
        text = self._folded([escape.terminal(cell) for cell in (row.label, milliseconds, *cells, row.why)])
        if not self._colour or not (colour := colour_of(row, self._left)):
            return text
        return "\n".join(f"{colour}{line}{_PLAIN}" for line in text.split("\n"))

    def _folded(self, cells: Sequence[str]) -> str:
        parts = [fold(cell, width).split("\n") for cell, width in zip(cells, self._widths, strict=True)]
        return "\n".join(self._line(line) for line in zip_longest(*parts, fillvalue=""))

    def _line(self, cells: Sequence[str]) -> str:
        return _GAP.join(cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True)).rstrip()
