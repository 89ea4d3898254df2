"""A frame in a line: number, time, flow, from whom to whom, lengths, flags, numbers, what following it told.

The widths are known before the first row, so that a million rows need no memory; a cell that is longer moves what
stands behind it. In a terminal the ends and the words fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rawlab.views import escape
from rawlab.views.columns import folded, line
from rawlab.views.style import COLOURS, NARROW, Style, paint

TITLES = (
    *("#", "s", "flow", "from", "to", "protocol", "octets", "flags", "seq", "ack", "window", "data", "what it is"),
)
_WIDTHS = (7, 12, 5, 21, 21, 8, 6, 5, 10, 10, 6, 5, 24)
_NARROW = (0, 1, 3, 4, 6, 7, 8, 9, 12)
"of a narrow terminal"
_NARROW_WIDTHS = (5, 10, 15, 15, 6, 5, 7, 7)
_LEAST = 10


def cells(row: Sequence[Any]) -> list[str]:
    """A row of `model.columns.ROW`'s values in words."""
    number, ns, flow, source, destination, protocol, length, flags, seq, ack, window, payload, marks = row
    numbers = ("" if one is None or one < 0 else str(one) for one in (seq, ack, window, payload))
    who = (str(flow), source or "", destination or "", protocol or "")
    return [str(number), f"{ns / 1e9:.6f}", *who, str(length), flags or "", *numbers, marks or ""]


class FrameRows:
    """Rows for a terminal or a pipe."""

    def __init__(self, style: Style) -> None:
        self._style = style
        narrow = style.width is not None and style.width < NARROW
        self._shown = _NARROW if narrow else tuple(range(len(TITLES)))
        self._widths = list(_NARROW_WIDTHS if narrow else _WIDTHS)
        if narrow and style.width is not None:
            taken = sum(_NARROW_WIDTHS) + 2 * len(_NARROW_WIDTHS)
            self._widths.append(max(style.width - taken, _LEAST))

    def header(self) -> str:
        titles = [TITLES[index] for index in self._shown]
        return f"{line(titles, self._widths)}\n{line(['-' * width for width in self._widths], self._widths)}"

    def row(self, values: Sequence[Any]) -> str:
        """One frame; of several lines where a terminal asks for that."""
        texts = cells(values)
        shown = [escape.terminal(texts[index]) for index in self._shown]
        placed = line(shown, self._widths) if self._style.width is None else folded(shown, self._widths)
        marked = texts[12] and self._style.colour
        return paint(placed, COLOURS["lost"]) if marked else placed
