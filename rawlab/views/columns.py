"""Rows in columns that have their widths before the first row is known; a table that is whole is `table`'s."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rawlab.views.folding import fold

GAP = "  "
"between two columns"


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells of one line each, side by side; one that is too long moves what stands behind it."""
    return GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def folded(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells side by side, each in as many lines as its column's width asks for."""
    parts = [fold(cell, width).split("\n") for cell, width in zip(cells, widths, strict=True)]
    return "\n".join(line(row, widths) for row in zip_longest(*parts, fillvalue=""))
