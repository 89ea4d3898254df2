"""PNG and PDF: of the right size, with words in a font that comes along, on a machine without any."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace

import pytest

from rawlab.errors import UsageError
from rawlab.views.drawing import Label, Ladder
from rawlab.views.ladder import layout
from rawlab.views.picture import pdf, png
from rawlab.views.steps import steps
from tests.views.stories import HOSTILE, echo, hostile


def ladder() -> Ladder:
    return layout(echo(), shown={"c5", "p1", "p2", "p3"})


def size(picture: bytes) -> tuple[int, int]:
    """Of a PNG (RFC 2083 section 4.1.1)."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def pixels(picture: bytes) -> bytes:
    """A PNG's own octets, inflated: equal for equal pictures."""
    found, at = b"", 8
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        if picture[at + 4 : at + 8] == b"IDAT":
            found += picture[at + 8 : at + 8 + length]
        at += length + 12
    return zlib.decompress(found)


def lines(picture: bytes) -> list[bytes]:
    """A PNG's lines, their filters undone (RFC 2083 section 6): one octet of each pixel."""
    width, height = size(picture)
    inflated = pixels(picture)
    long = len(inflated) // height - 1
    each = long // width
    found: list[bytearray] = [bytearray(long)]
    for first in range(0, len(inflated), long + 1):
        kind, now, above = inflated[first], bytearray(inflated[first + 1 : first + 1 + long]), found[-1]
        for x in range(long):
            a, b, c = (now[x - each], above[x], above[x - each]) if x >= each else (0, above[x], 0)
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            now[x] = (now[x] + (0, a, b, (a + b) // 2, nearest)[kind]) & 0xFF
        found.append(now)
    return [bytes(line[::each]) for line in found[1:]]


@pytest.mark.parametrize(("width", "height"), [(53, 409), (61, 419), (71, 449), (79, 433)])
def test_no_line_of_pixels_is_lost(width: int, height: int) -> None:
    """Words that are the same are drawn the same, from above to below, at sizes at which typst's own rounding fails."""
    bare = replace(ladder(), width=width, height=height, arrows=(), bars=(), ties=(), spans=(), ticks=(), lifelines=())
    count = height // 20
    words = tuple(Label(text="Eg|", x=10, y=20 * k, size=16) for k in range(1, count))
    drawn = lines(png(replace(bare, notes=words), scale=1))
    bands = {tuple(drawn[first : first + 20]) for first in range(20, (count - 2) * 20, 20)}
    assert len(bands) == 1


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_png_is_as_large_as_asked(scale: float) -> None:
    """So many pixels a point."""
    drawn = ladder()
    width, height = size(png(drawn, scale=scale))
    assert abs(width - drawn.width * scale) <= 1
    assert abs(height - drawn.height * scale) <= 1


@pytest.mark.parametrize("character", "→←✕…–—é#≥A")
def test_each_character_is_drawn(character: str) -> None:
    """None is left blank, and none is the box that stands for a missing one."""
    bare = replace(ladder(), arrows=(), bars=(), ties=(), spans=(), ticks=(), lifelines=())

    def of(text: str) -> bytes:
        return pixels(png(replace(bare, notes=(Label(text=text, x=40, y=60, size=16),)), scale=1))

    assert of(character) not in (of(" "), of("\U000f1234"))


def test_themes_differ() -> None:
    """Dark is dark: its first pixel."""
    light, dark = (pixels(png(ladder(), theme=theme, scale=1)) for theme in ("light", "dark"))
    assert light[1:4] == b"\xff\xff\xff"
    assert dark[1:4] == b"\x12\x12\x12"


def test_a_png_that_nobody_could_open() -> None:
    """Is refused in one line."""
    with pytest.raises(UsageError, match="pixels is too large; choose a part of it with --rows, a smaller --scale"):
        png(replace(ladder(), height=200_000))


def test_a_pdf_has_a_page_for_each() -> None:
    """Of the drawing's size, a 96th of an inch a point; with its fonts."""
    drawn = steps(ladder())
    made = pdf(drawn)
    assert made.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", made)) == len(drawn)
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox\s*\[([^]]*)\]", made)}
    ((left, top, right, bottom),) = boxes
    assert (left, top) == (0, 0)
    assert abs(right - drawn[0].width * 0.75) < 1
    assert abs(bottom - drawn[0].height * 0.75) < 1
    assert b"DejaVuSansMono" in made


def test_a_very_long_pdf_fits_a_page() -> None:
    """PDF's own limit is 14,400 points."""
    made = pdf([replace(ladder(), height=60_000)])
    (box,) = re.findall(rb"/MediaBox\s*\[([^]]*)\]", made)
    assert float(box.split()[3]) <= 14_400.5


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_are_drawn(word: str) -> None:
    """Nothing in them ends typst's or SVG's text."""
    assert size(png(layout(hostile(word)), scale=0.3))
