"""The simple table: tabulate's, octet for octet; and notes beneath the row that they are of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from tabulate import tabulate

from rawlab.views import escape
from rawlab.views.simple import blocks
from rawlab.views.style import Style, paint
from rawlab.views.table import draw

WORDS = some.text(some.sampled_from("ab →–é中\u0301\n\t\\x \xa0"), max_size=9).map(escape.terminal)
CELLS = some.builds(paint, WORDS, some.sampled_from(("", "\x1b[36m", "\x1b[31m")))
TITLES = some.text(some.sampled_from("ab 中\n"), min_size=1, max_size=9).filter(lambda title: title.strip() != "")
TABLES = some.integers(1, 4).flatmap(
    lambda wide: some.tuples(
        some.lists(TITLES, min_size=wide, max_size=wide),
        some.lists(some.lists(CELLS, min_size=wide, max_size=wide).map(lambda cells: ["p1", *cells[1:]]), max_size=5),
    )
)
"each row begins with its label: of a row of blanks tabulate makes none"


@given(TABLES)
def test_it_is_tabulate_s(table: tuple[list[str], list[list[str]]]) -> None:
    """Of several lines, of letters that take no column or two, in colour, empty."""
    titles, cells = table
    mine = "\n".join(line for lines in blocks(titles, cells) for line in lines)
    assert mine == tabulate(cells, titles, tablefmt="simple", disable_numparse=True)


def test_a_note_stands_beneath_its_row() -> None:
    """Also where a cell ends with an empty line, which takes none."""
    drawn = draw(["a", "b"], [["1", "x\n"], ["2", "y"]], Style(width=40), beneath=[("first",), ("second",)])
    assert [line.strip() for line in drawn.split("\n")[2:]] == ["1    x", "first", "2    y", "second"]
