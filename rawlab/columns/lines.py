"""Columns made into lines of text, all rows of a window at once.

Each row is first laid out in a matrix, every cell as wide as its widest may be, what it does not need filled with NUL
octets; taking these out leaves the lines. A number is written four digits at a time, from a table of all 10,000 of
those; a text, by its number in a table of texts. No text that is laid out holds a NUL.
What does *not* belong here: which columns there are (`columns.frames`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.integer]
Matrix = npt.NDArray[np.void]
_BASE = 10_000
_NONE = 2 * _BASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Whole numbers."""

    values: Numbers
    "-1: an empty cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """Times, written in seconds to the nanosecond."""

    ns: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Texts of a table, by number."""

    codes: Numbers
    table: npt.NDArray[np.bytes_]
    "UTF-8, without NUL, the sink's separators and newlines"


Cell = Number | Seconds | Text


@cache
def _digits(*, lowest: bool) -> npt.NDArray[np.uint32]:
    """Four characters for each of: a leading group 0–9999, the same within a number, none."""
    numbers, places = np.arange(_BASE)[:, np.newaxis], np.array([1000, 100, 10, 1])
    within = (numbers // places % 10 + ord("0")).astype(np.uint8)
    leading = np.where(numbers < places, 0, within).astype(np.uint8)
    leading[0, 3] = ord("0") if lowest else 0
    return np.concatenate((leading, within, np.zeros((1, 4), np.uint8))).view(np.uint32)[:, 0]


def _groups(values: Numbers, *, leading: bool = True, most: int | None = None) -> list[npt.NDArray[np.uint32]]:
    """The numbers' groups of four characters, the highest first; `leading`: zeros in front are left out."""
    there = values >= 0
    rest, found = values.astype(np.int64, copy=False), []
    all_there = bool(there.all())
    top = int(values.max(initial=0)) if most is None else most
    if top < 1 << 31:
        rest = rest.astype(np.int32)
    count = max((len(str(top)) + 3) // 4, 1)
    for place in range(count):
        higher = rest // _BASE if place + 1 < count else np.zeros(1, np.int64)
        code = rest - higher * _BASE
        code = code + (higher > 0) * _BASE if leading else code + _BASE
        if not all_there:
            code = np.where(there, code, _NONE)
        found.append(_digits(lowest=place == 0)[code])
        rest = higher
    return found[::-1]


def part(cell: Cell, begin: int, end: int) -> Cell:
    """Some of the rows."""
    match cell:
        case Number():
            return Number(values=cell.values[begin:end])
        case Seconds():
            return Seconds(ns=cell.ns[begin:end])
        case Text():
            return Text(codes=cell.codes[begin:end], table=cell.table)


def lines(cells: Sequence[Cell], *, separator: bytes = b"\t", end: bytes = b"\n") -> bytearray:
    """The rows as text, cells between separators."""
    parts: list[npt.NDArray[np.generic] | bytes] = []
    for index, cell in enumerate(cells):
        parts += [separator] if index else []
        parts += _parts(cell)
    parts.append(end)
    rows = next(len(part) for part in parts if not isinstance(part, bytes))
    return _laid_out(parts, rows)


def _parts(cell: Cell) -> list[npt.NDArray[np.generic] | bytes]:
    match cell:
        case Number():
            return [*_groups(cell.values)]
        case Text():
            return [cell.table[cell.codes]]
        case Seconds():
            past = np.abs(cell.ns)
            sign = np.where(cell.ns < 0, ord("-"), 0).astype(np.uint8)
            whole, tens = past // 10**9, past // 10
            last = (past - tens * 10 + ord("0")).astype(np.uint8)
            part_of = _groups(tens - whole * 10**8, leading=False, most=10**8 - 1)
            return [sign, *_groups(whole), b".", *part_of, last]


def _laid_out(parts: Sequence[npt.NDArray[np.generic] | bytes], rows: int) -> bytearray:
    """All parts side by side, row by row, without the NULs."""
    sizes = [len(part) if isinstance(part, bytes) else part.dtype.itemsize for part in parts]
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    kinds = [f"S{size}" if isinstance(part, bytes) else part.dtype for part, size in zip(parts, sizes, strict=True)]
    names = [f"f{index}" for index in range(len(parts))]
    layout = np.dtype({"names": names, "formats": kinds, "offsets": starts, "itemsize": sum(sizes)})
    octets = bytearray(rows * layout.itemsize)
    matrix = np.frombuffer(octets, layout)
    for name, part in zip(names, parts, strict=True):
        matrix[name] = part
    return octets.translate(None, b"\0")
