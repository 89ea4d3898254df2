"""The tables: as golden files at given widths, harmless in every format, and never wider than asked."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth

from rawlab.views.explanations import explanations
from rawlab.views.folding import fit, fold
from rawlab.views.rendering import render
from rawlab.views.style import Style
from rawlab.views.table import FORMATS, draw, labels, octets_sent
from tests.views.noted import noted
from tests.views.stories import HOSTILE, echo, hostile

GOLDEN = Path(__file__).parent / "golden"
ROW_SEPARATED = ("github", "pipe", "mediawiki", "moinmoin", "jira", "textile", "orgtbl", "youtrack")
"formats that a program reads, whose cells end at a bar"


@pytest.mark.parametrize(
    ("name", "tables", "width"),
    [
        ("timeline-160", "timeline", 160),
        ("timeline-100", "timeline", 100),
        ("timeline-70", "timeline", 70),
        ("timeline", "timeline", None),
        ("calls-140", "calls", 140),
    ],
)
def test_the_fixed_story_s_tables(name: str, tables: str, width: int | None) -> None:
    """Byte for byte as in golden/; RAWLAB_GOLDEN=write writes them anew, to be looked at before they are kept."""
    drawn = render(echo(), tables=tables, style=Style(width=width)) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RAWLAB_GOLDEN") == "write":
        path.write_text(drawn)
    assert drawn == path.read_text()


def test_a_narrow_table_puts_hosts_and_states_into_one_column_each() -> None:
    """Below 130 columns; each call then says whose it is."""
    narrow, wide = (render(echo(), tables="timeline", style=Style(width=width)) for width in (129, 130))
    assert narrow.split("\n")[0].split() == ["#", "ms", "client", "→", "wire", "←", "server", "states", "why"]
    assert "client: close(3" in narrow
    words = ["#", "ms", "client's", "call", "wire", "server's", "call", "client", "is", "server", "is", "why"]
    assert wide.split("\n")[0].split() == words


@pytest.mark.parametrize("width", [100, 120, 130, 160, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Whatever the layout, from 100 columns on."""
    for line in render(echo(), style=Style(width=width)).split("\n"):
        assert wcswidth(line) <= width


def test_colour_says_nothing_that_the_text_does_not() -> None:
    """Without its colours a coloured table is the plain one; what was lost says so."""
    plain = render(echo(), style=Style(width=160))
    coloured = render(echo(), style=Style(width=160, colour=True))
    assert coloured != plain
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain
    assert "— lost" in render(echo())


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_draws_both_tables(format: str) -> None:
    """Each of tabulate's, with every call and packet in it."""
    drawn = render(echo(), format=format)
    for label in [f"c{n}" for n in range(1, 11)] + [f"p{n}" for n in range(1, 9)]:
        assert re.search(rf"\b{label}\b", drawn), label


@pytest.mark.parametrize("word", HOSTILE)
@pytest.mark.parametrize("format", FORMATS)
def test_hostile_text_is_inert(format: str, word: str) -> None:
    """As payload, host, errno and state: no control, no bidi mark, and what else its sink must not get."""
    drawn = render(hostile(word), format=format)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", drawn)
    if format in ("html", "unsafehtml", *ROW_SEPARATED):
        assert not re.search(r"<(script|img|/td><img)", drawn)
    if format in ROW_SEPARATED:
        assert "a|b" not in drawn
        assert "cmd()|" not in drawn
    if format == "tsv":
        cells = [cell.strip(" ") for line in drawn.split("\n") for cell in line.split("\t")]
        assert not [cell for cell in cells if cell[:1] and cell[:1] in "=+-@"]
    if format.startswith("latex"):
        assert "\\input{" not in drawn


def test_a_long_table_leaves_out_its_middle_and_says_so() -> None:
    """`most` rows, half at the beginning and half at the end, and one that says how many are missing."""
    drawn = draw(["#", "a", "b"], [[str(n), "x", "y"] for n in range(100)], Style(most=10), [""] * 100)
    lines = drawn.split("\n")[2:]
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3", "4", "…", "95", "96", "97", "98", "99"]
    assert "90 rows left out" in drawn


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "p3"),
        ([3, 4], "p3 p4"),
        ([3, 4, 5], "p3–p5"),
        ([1, 3, 5], "p1 p3 p5"),
        ([1, 2, 3, 7, 8, 10, 11, 12, 13], "p1–p3 p7 p8 p10–p13"),
    ],
)
def test_packets_are_listed_with_runs_shortened(numbers: list[int], text: str) -> None:
    """Runs of three or more."""
    assert labels(numbers) == text


def test_the_octets_that_a_call_sent_are_counted() -> None:
    """Those of its own that its packets carried."""
    story = echo()
    assert [octets_sent(call, story) for call in story.calls] == [0, 0, 0, 0, 0, 0, 5, 5, 0, 0]


TEXT = st.text(alphabet="abc -,()", max_size=60)


@given(TEXT, st.integers(1, 30))
def test_a_folded_cell_is_as_wide_as_asked_and_says_the_same(cell: str, width: int) -> None:
    """Only blanks at the breaks are lost."""
    folded = fold(cell, width)
    assert all(len(line) <= width for line in folded.split("\n"))
    assert re.sub(r"\s", "", folded) == re.sub(r"\s", "", cell)


@given(TEXT, st.integers(1, 30))
def test_a_cell_that_fits_is_left_alone(cell: str, extra: int) -> None:
    """Blanks and all."""
    assert fold(cell, len(cell) + extra) == cell


LINES = st.integers(1, 6).flatmap(
    lambda columns: st.lists(st.lists(TEXT, min_size=columns, max_size=columns), min_size=1, max_size=5)
)


@given(LINES, st.integers(0, 200))
def test_columns_are_fitted_into_the_room(lines: list[list[str]], room: int) -> None:
    """None wider than it wants; in all no more than there is room for, unless each is at its least."""
    widths = fit(lines, room)
    wanted = [max(map(len, column)) for column in zip(*lines, strict=True)]
    assert all(width <= want for width, want in zip(widths, wanted, strict=True))
    columns = list(zip(*lines, strict=True))
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    least = [min(want, max(6, min(word, 12))) for want, word in zip(wanted, words, strict=True)]
    assert sum(widths) <= room or widths == least
    if sum(wanted) <= room:
        assert widths == wanted


@pytest.mark.parametrize("width", [70, 100, 160, None])
def test_notes_stand_beneath_their_row_across_the_table(width: int | None) -> None:
    """The lecturer's always; without them, the table is as ever."""
    drawn = render(noted("the first of three steps", "no packet"), tables="timeline", style=Style(width=width))
    lines = drawn.split("\n")
    beneath = [line for line in lines if line.startswith("      note: ")]
    assert beneath == ["      note: no packet", "      note: the first of three steps"]
    at = lines.index(beneath[1])
    row = next(line for line in reversed(lines[:at]) if line[:1].strip())
    assert row.startswith("p1 ")
    assert [line for line in lines if line not in beneath] == render(
        echo(), tables="timeline", style=Style(width=width)
    ).split("\n")


@pytest.mark.parametrize("width", [60, 100, 160])
def test_what_rows_mean_is_folded_to_the_terminal(width: int) -> None:
    """With --notes, beneath each row that has a meaning; a call's at its return."""
    drawn = render(echo(), tables="timeline", style=Style(width=width, notes=True))
    means = explanations(echo())
    for said in means.values():
        words = said.split()
        assert " ".join(words[:3]) in drawn
    assert all(wcswidth(line) <= width for line in drawn.split("\n") if line.startswith("      "))
    assert render(echo(), tables="timeline", style=Style(width=width)) != drawn


@pytest.mark.parametrize("format", ["github", "html", "tsv", "latex"])
def test_in_other_formats_notes_are_a_column(format: str) -> None:
    """And there is none where there are no notes."""
    assert "notes" in render(noted("x", "y"), format=format)
    assert "notes" not in render(echo(), format=format)


def test_of_a_table_cut_in_its_middle_the_notes_go_with_their_rows() -> None:
    """The line that says so has none."""
    style = Style(most=4, notes=True)
    drawn = render(echo(), tables="timeline", style=style)
    assert "rows left out" in drawn
    assert drawn.count("RFC 9293 section 3.4.1") == 0


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_note_is_inert(word: str) -> None:
    """In a terminal no control character is left, in HTML no tag."""
    plain = render(noted(word, word), style=Style(width=120))
    assert not {"\x1b", "\x9b", "\r", "\u202e", "\u2066", "\x7f"} & set(plain)
    assert "<script" not in render(noted(word, word), format="html")
