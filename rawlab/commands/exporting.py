"""What `rawlab export` does: a capture's frames, flows, calls and edges as tables for other programs.

    the capture ─▶ windows of columns ─▶ frames, window by window ─▶ a file
                ─▶ sums over the windows ─▶ flows                ─▶ a file
                ─▶ its story, if it is not too large ─▶ calls, edges

What each column means is `model.columns.TABLES`. The files are new ones, mode 0600, the user's own; if one can't be
written whole, none is left.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from rawlab.commands import threads
from rawlab.errors import OutputError, UsageError
from rawlab.model.columns import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from rawlab.columns.batch import Batch
    from rawlab.columns.survey import Survey
    from rawlab.commands.sinks import Sink
    from rawlab.model.story import Story
    from rawlab.store import Opened

MOST_TOLD = 50_000
"packets of a capture whose calls and edges are told, unless rawlab recorded it"
_ENDINGS = (".parquet", ".csv", ".json")
_OF_A_STORY = ("calls", "edges")


def export(arguments: argparse.Namespace, read: Callable[[str, str], Opened]) -> int:
    """The command's exit code. Raises RawlabError. `read`: as in `annotating`."""
    if arguments.columns:
        print(documentation())
        return 0
    threads.only_one()
    ending, wanted = _check(arguments), (arguments.table,) if arguments.table else tuple(TABLES)
    files = _Files(Path(arguments.output), ending, wanted, arguments.file, force=arguments.force)
    opened = read(arguments.file, os.path.dirname(arguments.output) or ".")
    from rawlab.commands import listing

    listing.check_is_capture(opened)
    try:
        survey = _export_columns(opened, wanted, files)
        left_out = _export_story(opened, survey, wanted, files)
        files.close()
    except BaseException as error:
        files.discard()
        if isinstance(error, OSError):
            why = f"can't be written whole: {error.strerror}; nothing is left of it"
            raise OutputError(f"{arguments.output}: {why}") from None
        raise
    if len(files.written) > 1:
        print(f"rawlab: wrote {', '.join(map(str, files.written))}", file=sys.stderr)
    if left_out:
        print(f"rawlab: {arguments.file}: {left_out}", file=sys.stderr)
    listing.complain_of_damage(opened, survey.reading, survey.totals.frames)
    return 0


def _check(arguments: argparse.Namespace) -> str:
    """The output's ending. Raises UsageError."""
    if arguments.file is None or arguments.output is None:
        raise UsageError("export: a capture and -o OUT expected; or --columns, which tells what the columns mean")
    ending = Path(arguments.output).suffix.lower()
    if ending not in _ENDINGS or arguments.output.endswith("/"):
        raise UsageError(f"-o {arguments.output}: the ending says what it becomes; there are: {', '.join(_ENDINGS)}")
    if ending == ".parquet":
        from rawlab.columns import export_parquet

        if not export_parquet.available():
            install = f"{sys.executable} -m pip install pyarrow"
            raise UsageError(f"a .parquet needs pyarrow: {install}; or take .csv or .json")
    return ending


def documentation() -> str:
    """Every column of every table: its name, type, unit and meaning."""
    told = []
    for table, columns in TABLES.items():
        told.append(table)
        for column in columns:
            kind = f"{'text' if column.type == 'host' else column.type}{' or none' if column.may_lack else ''}"
            told.append(f"  {column.name:<29}{kind:<15}{column.unit:<9}{column.meaning}")
        told.append("")
    return "\n".join(told[:-1])


# ------------------------------------------------------------------------------------------------ tables


def _export_columns(opened: Opened, wanted: tuple[str, ...], files: _Files) -> Survey:
    """Frames and flows; what reading them told."""
    from rawlab.columns.frames import Frames
    from rawlab.columns.survey import Survey
    from rawlab.commands import progress

    survey = Survey(opened.octets)
    frames = Frames(survey.names)
    sink = files.open("frames") if "frames" in wanted else None
    with progress.shown(opened.name) as tell:
        for window, marks in survey.windows(tell):
            if sink is not None:
                sink.write(frames.batch(window, marks))
    if sink is not None:
        sink.close()
    if "flows" in wanted:
        names = [column.name for column in TABLES["flows"]]
        _write_all(files, "flows", survey.table().lists(names))
    return survey


def _export_story(opened: Opened, survey: Survey, wanted: tuple[str, ...], files: _Files) -> str:
    """Calls and edges; why they are left out, or ''. Raises UsageError where nothing else was asked for."""
    from rawlab import store
    from rawlab.api import explain
    from rawlab.wire.maker import is_own

    asked = [table for table in _OF_A_STORY if table in wanted]
    if not asked:
        return ""
    if survey.totals.frames > MOST_TOLD and not is_own(opened.octets):
        what = f"{survey.totals.frames:,} packets: calls and edges are told of up to {MOST_TOLD:,}"
        if len(wanted) == 1:
            raise UsageError(f"{opened.name}: {what}; take --table frames or --table flows")
        return f"{what}, and are left out"
    story = explain(store.parse(opened, opened.name))
    makers = {"calls": _calls, "edges": _edges}
    for table in asked:
        _write_all(files, table, makers[table](story))
    return ""


def _write_all(files: _Files, table: str, batch: Batch) -> None:
    sink = files.open(table)
    sink.write(batch)
    sink.close()


def _turned(table: str, rows: list[tuple[Any, ...]]) -> Batch:
    """Rows as columns."""
    names = [column.name for column in TABLES[table]]
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return {name: list(values) for name, values in zip(names, columns, strict=True)}


def _calls(story: Story) -> Batch:
    from rawlab.wire.strace import format_call

    rows: list[tuple[Any, ...]] = []
    for told in story.calls:
        call = told.call
        did = (told.n, call.host, call.pid, call.name, call.fd, call.result, call.errno)
        when = (call.entered_ns, call.returned_ns)
        rows.append((*did, *when, format_call(call, 64), call.state, told.why, told.inferred))
    return _turned("calls", rows)


def _edges(story: Story) -> Batch:
    rows: list[tuple[Any, ...]] = []
    for packet in story.packets:
        cause, frame = packet.cause, packet.frames[0]
        kind = {"call": "sent" if cause.calls else "implied"}.get(cause.kind, cause.kind)
        octets: dict[int, list[tuple[int | None, int | None]]] = {}
        for call, begin, end in cause.bytes:
            octets.setdefault(call, []).append((begin, end - 1))
        for whose in dict.fromkeys((*cause.calls, *octets)) or (None,):
            for first, last in octets.get(whose or 0, [(None, None)]):
                rows.append((packet.n, frame, whose, kind, first, last, cause.confidence, cause.reason))
    for told in story.calls:
        for n in told.waited_for:
            frame = story.packets[n - 1].frames[0]
            confidence = "inferred" if told.inferred else "exact"
            rows.append((n, frame, told.n, "awaited", None, None, confidence, told.why))
    return _turned("edges", sorted(rows, key=lambda row: (row[0], row[2] or 0)))


# ------------------------------------------------------------------------------------------------- files


class _Files:
    """The files that are made: new ones, each when its first row comes."""

    def __init__(self, output: Path, ending: str, wanted: tuple[str, ...], source: str, *, force: bool) -> None:
        """Raises OutputError where one is in the way, or is the `source`."""
        from rawlab import store

        self._ending, self._force = ending, force
        self._paths = {table: _place(output, ending, table, index) for index, table in enumerate(wanted)}
        self._open: dict[Path, BinaryIO] = {}
        self._sinks: list[Sink] = []
        for path in self._paths.values():
            store.refuse_input(path, (source,))
            if not force and os.path.lexists(path):
                raise OutputError(f"{path}: exists; nothing is overwritten without --force")

    def open(self, table: str) -> Sink:
        """Raises OutputError."""
        self._sinks.append(sink := self._sink(table))
        return sink

    def _sink(self, table: str) -> Sink:
        from rawlab import store
        from rawlab.commands import sinks

        path = self._paths[table]
        first = path not in self._open
        if first:
            descriptor = store.create(path, force=self._force)
            self._open[path] = os.fdopen(descriptor, "wb", 1 << 20)
        file = self._open[path]
        if self._ending == ".json":
            return sinks.Json(file, table, first=first)
        if self._ending == ".csv":
            return sinks.Csv(file, table)
        from rawlab.columns.export_parquet import ParquetTable

        return ParquetTable(file, TABLES[table])

    @property
    def written(self) -> tuple[Path, ...]:
        """The files that there are by now."""
        return tuple(self._open)

    def close(self) -> None:
        """Raises OSError."""
        for file in self._open.values():
            if self._ending == ".json":
                file.write(b"}\n")
            file.close()

    def discard(self) -> None:
        """Takes away what was made; what the disk says to that was told already."""
        for sink in self._sinks:
            with contextlib.suppress(OSError, ValueError):
                sink.close()
        for path, file in self._open.items():
            with contextlib.suppress(OSError):
                file.close()
            path.unlink(missing_ok=True)


def _place(output: Path, ending: str, table: str, index: int) -> Path:
    """OUT for the first table and for all of a .json, else OUT-flows.csv beside it."""
    return output if index == 0 or ending == ".json" else output.with_name(f"{output.stem}-{table}{output.suffix}")
