"""Cells folded to the width of a terminal: how wide each column becomes, and where a line breaks.

wcwidth is asked how wide a text is only where that isn't plain: printable ASCII and our own arrows take a column each.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

_LEAST = 6
_WORD = 12  # a word of so many letters is broken only where nothing else helps
_PLAIN = re.compile("[ -~→←–—…×]*")


def fit(lines: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths for the columns: as wide as they want, and where that is too much, the widest give way first."""
    columns = list(zip(*lines, strict=True))
    wanted = [max(map(_width, column), default=0) for column in columns]
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    least = [min(want, max(_LEAST, min(word, _WORD))) for want, word in zip(wanted, words, strict=True)]
    widths = list(wanted)
    while sum(widths) > room and widths != least:
        widest = max(range(len(widths)), key=lambda index: (widths[index] > least[index], widths[index]))
        widths[widest] -= 1
    return widths


def _width(cell: str) -> int:
    return max(map(columns_of, cell.split("\n")))


def columns_of(line: str) -> int:
    """Columns of a terminal that a line takes."""
    if _PLAIN.fullmatch(line):
        return len(line)
    from wcwidth import wcswidth

    return wcswidth(line)


def fold(cell: str, width: int) -> str:
    """The cell in lines of that width, broken between words where that can be."""
    if len(cell) <= width and _PLAIN.fullmatch(cell):
        return cell
    if _width(cell) > width and _width(cell) != max(map(len, cell.split("\n"))):
        return _fold_wide(cell, width)
    lines = [
        part
        for line in cell.split("\n")
        for part in (_wrapped(line, max(width, 1)) if len(line) > width else [line])
    ]
    return "\n".join(lines)


def _wrapped(line: str, width: int) -> list[str]:
    """As textwrap breaks it, which is asked only where a blank or a word is none of the usual."""
    first, *words = line.split(" ")
    if "" in (first, *words) or not line.isprintable() or max(map(len, (first, *words))) > width:
        return textwrap.wrap(line, width, break_on_hyphens=False)
    lines = [first]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def _fold_wide(cell: str, width: int) -> str:
    """A cell with characters that take no column or two, broken wherever it is full."""
    lines = [""]
    for character in cell:
        if character == "\n" or columns_of(lines[-1] + character) > width:
            lines.append("")
        lines[-1] += character.strip("\n")
    return "\n".join(lines)
