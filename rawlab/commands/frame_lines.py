"""Every frame of a capture in a line: `--table frames`, and `--format tsv` of many flows.

Window by window, each written before the next is read: however long the capture, the memory stays the same. As `tsv`
the text is made by `columns.lines`, as fast as it is read; the other formats take a Python step a row.
"""

from __future__ import annotations

import sys
from collections import deque

from rawlab.commands import listing, progress
from rawlab.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any, Protocol

    from rawlab.columns.batch import Batch
    from rawlab.store import Opened

    class Writer(Protocol):
        """What takes the rows, batch after batch."""

        def write(self, batch: Batch) -> None: ...

        def end(self) -> None: ...


_MOST_DRAWN = 100_000
"rows of a table that is drawn as a whole"


def show(opened: Opened, arguments: argparse.Namespace, *, may_tell: bool = False) -> bool:
    """Prints them; False: there is one conversation, which is to be told, nothing is printed. Raises RawlabError."""
    from rawlab.columns.batch import select
    from rawlab.columns.frames import Frames
    from rawlab.columns.survey import Survey

    wanted = _wanted(opened, arguments) if arguments.where else None
    survey = Survey(opened.octets)
    frames, writer = Frames(survey.names), _writer(arguments)
    held: list[Batch] = []
    with progress.shown(opened.name) as tell:
        for window, marks in survey.windows(tell):
            batch: Batch = frames.batch(window, marks)
            held.append(batch if wanted is None else select(batch, wanted[window.flow]))
            may_tell = may_tell and survey.totals.frames <= listing.TOLD_AT_ONCE and survey.conversations() < 2
            if not may_tell:
                while held:
                    writer.write(held.pop(0))
    if may_tell and listing.is_told(survey):
        return False
    for batch in held:
        writer.write(batch)
    writer.end()
    listing.complain_of_damage(opened, survey.reading, survey.totals.frames)
    return True


def _wanted(opened: Opened, arguments: argparse.Namespace) -> Any:
    """Of each flow, whether --where leaves it."""
    table = listing.surveyed(opened).table()
    wanted = table.values("flow") < 0
    wanted[listing.chosen(table, arguments)] = True
    return wanted


def _writer(arguments: argparse.Namespace) -> Writer:
    """What prints them in the format that was asked for."""
    kinds: dict[str, Callable[[argparse.Namespace], Writer]] = {"tsv": _Tsv, "json": _Json, "simple": _Lines}
    return kinds.get(arguments.format, _Drawn)(arguments)


class _Tsv:
    """One line a frame, tabs between; the first line names the columns."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from rawlab.model.columns import ROW

        sys.stdout.flush()
        self._file = sys.stdout.buffer
        self._head = "\t".join(column.name for column in ROW).encode() + b"\n"

    def write(self, batch: Batch) -> None:
        from rawlab.columns.frames import TSV, cells, text

        self._begin()
        for piece in text(cells(batch, TSV)):
            self._file.write(piece)

    def _begin(self) -> None:
        self._file.write(self._head)
        self._head = b""

    def end(self) -> None:
        self._begin()
        self._file.flush()


class _Json:
    """A list of objects, one a line."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._before = "[\n "

    def write(self, batch: Batch) -> None:
        import json

        from rawlab.columns.batch import rows
        from rawlab.model.columns import FRAMES

        names = [column.name for column in FRAMES]
        for row in rows(batch, FRAMES):
            sys.stdout.write(f"{self._before}{json.dumps(dict(zip(names, row, strict=True)))}")
            self._before = ",\n "

    def end(self) -> None:
        print("\n]" if self._before[0] == "," else "[]")


class _Lines:
    """Columns of fixed widths; on a terminal the middle of too many is left out."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from rawlab.views.frame_rows import FrameRows

        self._style = listing.style(arguments)
        self._rows = FrameRows(self._style)
        self._left = None if self._style.most is None else self._style.most // 2
        self._last: deque[tuple[Any, ...]] = deque(maxlen=self._style.most and self._style.most - self._style.most // 2)
        self._count = 0

    def write(self, batch: Batch) -> None:
        from rawlab.columns.batch import rows
        from rawlab.model.columns import ROW

        if self._left is None or self._left > 0:
            for row in rows(batch, ROW):
                self._take(row)
        else:
            self._count += self._skim(batch)

    def _skim(self, batch: Batch) -> int:
        """Only the last rows of it can be shown."""
        from rawlab.columns.batch import rows, select
        from rawlab.model.columns import ROW

        count = len(batch["number"])
        self._last.extend(rows(select(batch, slice(-(self._last.maxlen or 1), None)), ROW))
        return count

    def _take(self, row: tuple[Any, ...]) -> None:
        if not self._count:
            print(self._rows.header())
        self._count += 1
        if self._left is None or self._left > 0:
            print(self._rows.row(row))
            self._left = None if self._left is None else self._left - 1
        else:
            self._last.append(row)

    def end(self) -> None:
        if not self._count:
            print("no packet")
        if (out := self._count - (self._style.most or self._count)) > 0:
            print(f"… {out} rows left out; --full shows them")
        for row in self._last:
            print(self._rows.row(row))


class _Drawn:
    """A table of tabulate's, drawn as a whole."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._style = listing.style(arguments)
        self._body: list[list[str]] = []

    def write(self, batch: Batch) -> None:
        from rawlab.columns.batch import rows
        from rawlab.model.columns import ROW
        from rawlab.views.frame_rows import cells

        if len(self._body) + len(batch["number"]) > _MOST_DRAWN:
            raise UsageError(
                f"--format {self._style.format}: a table of more than {_MOST_DRAWN:,} frames; "
                "take --format tsv, or choose with --where or --flow"
            )
        self._body += [cells(row) for row in rows(batch, ROW)]

    def end(self) -> None:
        from rawlab.views.frame_rows import TITLES
        from rawlab.views.table import draw

        print(draw(TITLES, self._body, self._style))
