"""Where exported tables go: Parquet and CSV, a file a table; JSON, all in one.

What stands in a cell of a .csv is inert (`views.escape`): none begins a formula, none moves a cursor.
"""

from __future__ import annotations

import csv
import io
import json
from typing import BinaryIO

from rawlab.model.columns import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from rawlab.columns.batch import Batch

    class Sink(Protocol):
        """A table, open for its rows."""

        def write(self, batch: Batch) -> None: ...

        def close(self) -> None: ...


class Csv:
    """Comma-separated values (RFC 4180), in UTF-8; the first line names the columns."""

    def __init__(self, file: BinaryIO, table: str) -> None:
        self._file, self._columns = file, TABLES[table]
        self._names = [column.name for column in self._columns]
        file.write(",".join(self._names).encode() + b"\r\n")

    def write(self, batch: Batch) -> None:
        if any(isinstance(batch[name], list) for name in self._names):
            self._write_rows(batch)
            return
        from rawlab.columns.frames import cells, text

        for piece in text(cells(batch, self._names), separator=b",", end=b"\r\n"):
            self._file.write(piece)

    def _write_rows(self, batch: Batch) -> None:
        from rawlab.columns.batch import rows

        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\r\n")
        writer.writerows([_cell(value) for value in row] for row in rows(batch, self._columns))
        self._file.write(lines.getvalue().encode())

    def close(self) -> None:
        self._file.flush()


def _cell(value: object) -> str:
    from rawlab.views.escape import spreadsheet, terminal

    if isinstance(value, str):
        return spreadsheet(terminal(value))
    return "" if value is None else str(int(value)) if isinstance(value, bool) else str(value)


class Json:
    """One object: each table's name, and its rows, an object a line. Tables come one after the other."""

    def __init__(self, file: BinaryIO, table: str, *, first: bool) -> None:
        self._file, self._columns, self._begun = file, TABLES[table], False
        self._names = [column.name for column in self._columns]
        file.write((b"{" if first else b",\n") + json.dumps(table).encode() + b": [")

    def write(self, batch: Batch) -> None:
        from rawlab.columns.batch import rows

        lines = [json.dumps(dict(zip(self._names, row, strict=True))) for row in rows(batch, self._columns)]
        if lines:
            self._file.write((b",\n " if self._begun else b"\n ") + ",\n ".join(lines).encode())
            self._begun = True

    def close(self) -> None:
        """Ends the table; the object is ended by whoever knows that it was the last."""
        self._file.write(b"]")
        self._file.flush()
