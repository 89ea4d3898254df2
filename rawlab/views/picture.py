"""The ladder as PNG and PDF: typst draws our SVG, with the fonts that it brings along, none of the system's.

Nothing is read from or written to a disk, nothing is fetched: the picture goes in as a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import typst

from rawlab.errors import UsageError
from rawlab.views.drawing import Ladder
from rawlab.views.svg import GROUNDS, draw

_POINT = 0.75  # a typographic point, of which an inch has 72, for our 96
_MOST_PIXELS = 120_000_000
_AT_ONCE = 8
_LONGEST_PAGE = 14_400  # points: PDF's own limit (ISO 32000-1, annex C)

_PAGE = """
#set page(width: {width}pt, height: {height}pt, margin: 0pt, fill: rgb("{ground}"))
#image(bytes(sys.inputs.at("{number}")), format: "svg", width: {wide}pt, height: {high}pt, fit: "stretch")
"""
_LESS = 0.1  # points: typst rounds a picture's pixels up, and one too many would cost a line of another's


def png(ladder: Ladder, *, theme: str | None = None, scale: float = 2.0) -> bytes:
    """The picture, `scale` pixels a point. Raises UsageError where that is more than anyone could open."""
    return pngs([ladder], theme=theme, scale=scale)[0]


def pngs(ladders: Sequence[Ladder], *, theme: str | None = None, scale: float = 2.0) -> list[bytes]:
    """One for each. Raises UsageError."""
    for ladder in ladders:
        across, down = round(ladder.width * scale), round(ladder.height * scale)
        if across * down > _MOST_PIXELS:
            raise UsageError(
                f"a .png of {across} × {down} pixels is too large; "
                "choose a part of it with --rows, a smaller --scale, or .svg or .pdf"
            )
    made: list[bytes] = []
    for first in range(0, len(ladders), _AT_ONCE):  # ^C is heard between
        found = _compile(ladders[first : first + _AT_ONCE], theme, "png", scale)
        made += found if isinstance(found, list) else [found]
    return made


def pdf(ladders: Sequence[Ladder], *, theme: str | None = None) -> bytes:
    """A page for each; one that is longer than a page may be is made smaller."""
    longest = max(max(ladder.height, ladder.width) for ladder in ladders)
    made = _compile(ladders, theme, "pdf", min(_POINT, _LONGEST_PAGE / longest))
    assert isinstance(made, bytes)
    return made


def _compile(
    ladders: Sequence[Ladder], theme: str | None, kind: Literal["png", "pdf"], scale: float
) -> bytes | list[bytes]:
    pages, pictures = [], {}
    for number, ladder in enumerate(ladders):
        width, height = max(round(ladder.width * scale), 1), max(round(ladder.height * scale), 1)
        drawn = draw(ladder, theme=theme or "light")
        own = f'width="{ladder.width:.0f}" height="{ladder.height:.0f}"'
        fitted = f'width="{width}" height="{height - _LESS}" preserveAspectRatio="none"'
        pictures[str(number)] = drawn.replace(own, fitted, 1)
        ground = GROUNDS[theme or "light"]
        wide, high = width - _LESS, height - 2 * _LESS
        pages.append(_PAGE.format(number=number, width=width, height=height, ground=ground, wide=wide, high=high))
    compiler = typst.Compiler(
        "#pagebreak(weak: true)".join(pages).encode(), ignore_system_fonts=True, sys_inputs=pictures
    )
    made = compiler.compile(format=kind, ppi=72)
    assert made is not None
    return made
