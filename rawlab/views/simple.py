"""The table as it stands on a terminal: columns two blanks apart, a line below the titles.

It is tabulate's format 'simple', octet for octet, without what makes that slow: each cell is looked at once or twice.
What stands in the cells is harmless already, and folded; their colours take no room.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rawlab.views.folding import columns_of

PADDING = 2
"so many columns are kept free behind a title, and between two columns"
_GAP = " " * PADDING
_COLOUR = re.compile("\x1b\\[[0-9;]*m")


def blocks(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """The lines of the titles, with the one below them, then those of each row."""
    rows = [[cell.strip() for cell in line] for line in cells]
    widths = [_width(title) + PADDING for title in titles]
    for place, column in enumerate(zip(*rows, strict=True)):
        widths[place] = max(widths[place], max(map(_width, column)))
    yield [*_row(titles, widths), _GAP.join("-" * width for width in widths)]
    for row in rows:
        yield _row(row, widths)


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    if not any("\n" in cell for cell in cells):
        return [_line(cells, widths)]
    parts = [cell.split("\n") for cell in cells]
    high = max(map(len, parts))
    return [_line([part[at] if at < len(part) else "" for part in parts], widths) for at in range(high)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (width - _visible(cell)) for cell, width in zip(cells, widths, strict=True)]
    return _GAP.join(padded).rstrip()


def _width(cell: str) -> int:
    return max(map(_visible, cell.split("\n"))) if "\n" in cell else _visible(cell)


def _visible(line: str) -> int:
    return columns_of(_COLOUR.sub("", line) if "\x1b" in line else line)
