"""The list of flows for a pipe: a line each, all laid out at once (`columns.lines`).

    spaces | cell | spaces | cell | …        a cell's spaces are a text of a table, too: as many as the column has room

A line ends behind its last cell. What does *not* belong here: titles, and what a terminal shows (`views.flow_list`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.flow_table import ARROWS, FlowTable
from rawlab.columns.lines import Cell, Number, Text, lines, part
from rawlab.columns.window import Int64

_GAP = 2
_MOST = 1 << 12
"rows of a step: their text stays in the processor's cache"
_POWERS = 10 ** np.arange(1, 19)
Harmless = Callable[[str], str]
_Column = tuple[Int64, list[Cell]]
"how long each row's text is, and its parts"


class FlowLines:
    """The lines of some flows, in this order."""

    def __init__(
        self, table: FlowTable, rows: Int64, titles: Sequence[str], right: Container[str], harmless: Harmless
    ) -> None:
        """`titles`: of the columns below; `right`: which of them stand there; `harmless`: `views.escape.terminal`."""
        self._table, self._rows, self._harmless = table, rows, harmless
        self._right = [title in right for title in titles]
        self._columns = self._made() if len(rows) else [(rows, []) for _ in titles]
        self.widths = [
            max(len(title), int(length.max(initial=0)))
            for title, (length, _) in zip(titles, self._columns, strict=True)
        ]

    def text(self) -> Iterator[bytearray]:
        """Some thousand lines at a time, as UTF-8."""
        cells = self._spaced()
        for begin in range(0, len(self._rows), _MOST):
            yield lines([part(cell, begin, begin + _MOST) for cell in cells], separator=b"")

    def _made(self) -> list[_Column]:
        """The columns: what `views.flow_list` draws in a wide terminal."""
        count, seconds, text = self._count, self._seconds, self._text
        return [
            *(count("flow"), text("protocol"), self._ends(), count("packets"), count("bytes_out"), count("bytes_in")),
            *(seconds("start_ns", 10**6), seconds("duration_ns", 10**6), text("opened"), text("ended")),
            *(count("tcp_retransmissions", least=1), count("tcp_missing", least=1)),
            *(seconds("handshake_rtt_ns", 10**3), text("notable")),
        ]

    def _spaced(self) -> list[Cell]:
        there = np.array([length > 0 for length, _ in self._columns])
        last = len(there) - 1 - np.argmax(there[::-1], axis=0)
        found: list[Cell] = []
        behind: Any = 0
        for index, ((length, cells), width, right) in enumerate(
            zip(self._columns, self.widths, self._right, strict=True)
        ):
            room = width - length
            before = behind + _GAP * bool(index) + room * right
            found += [_spaces(np.where(index <= last, before, 0)), *cells]
            behind = 0 if right else room
        return found

    def _count(self, name: str, least: int = 0) -> _Column:
        """A whole number; one that is smaller is left out."""
        values = self._table.values(name)[self._rows]
        values = np.where(values < least, -1, values)
        return _digits(values), [Number(values=values)]

    def _seconds(self, name: str, unit: int) -> _Column:
        """With three decimals, of units of so many ns; -1 is left out."""
        ns = self._table.values(name)[self._rows]
        past = (ns + unit // 2) // unit
        for row in np.flatnonzero(ns % unit == unit // 2).tolist():  # just between two: as Python's own words have it
            past[row] = int(f"{int(ns[row]) / (unit * 1000):.3f}".replace(".", ""))
        whole = np.where(ns < 0, -1, past // 1000)
        table = np.array([b".%03d" % n for n in range(1000)] + [b""])
        length = np.where(ns < 0, 0, _digits(whole) + 4)
        return length, [Number(values=whole), Text(codes=np.where(ns < 0, 1000, past % 1000), table=table)]

    def _text(self, name: str) -> _Column:
        """One of few texts, or none."""
        values = self._table.values(name)[self._rows].tolist()
        numbers: dict[str | None, int] = {text: number for number, text in enumerate(dict.fromkeys(values))}
        codes = np.array([numbers[text] for text in values])
        texts = [self._harmless(text or "") for text in numbers]
        return np.array([*map(len, texts)])[codes], [Text(codes=codes, table=_encoded(texts))]

    def _ends(self) -> _Column:
        """'10.0.0.1:4711 → 10.0.0.2:80'."""
        source, arrow, destination = self._table.ends
        table = np.array([text.encode() for text in ARROWS])
        a, b = (np.array([text or "" for text in texts], np.bytes_) for texts in (source, destination))
        between = np.array([len(text) for text in ARROWS])[arrow]
        length = (np.char.str_len(a) + between + np.char.str_len(b))[self._rows]
        return length, [
            Text(codes=self._rows, table=a),
            Text(codes=arrow[self._rows], table=table),
            Text(codes=self._rows, table=b),
        ]


def _encoded(texts: Sequence[str]) -> npt.NDArray[np.bytes_]:
    return np.array([text.encode() for text in texts], np.bytes_)


def _digits(values: Int64) -> Int64:
    """How many each has; none has what is below 0."""
    return np.where(values < 0, 0, np.searchsorted(_POWERS, values, "right") + 1)


def _spaces(many: Int64) -> Text:
    return Text(codes=many, table=np.array([b" " * n for n in range(int(many.max(initial=0)) + 1)]))
