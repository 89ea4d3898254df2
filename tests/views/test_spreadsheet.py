"""Comma-separated values: read back by a reader of such, every row there, no cell a formula."""

from __future__ import annotations

import csv
import io

import pytest

from rawlab.model.story import Story
from rawlab.views import spreadsheet
from rawlab.views.rows import rows
from tests.views.noted import noted
from tests.views.stories import HOSTILE, echo, hostile


def sheet(story: Story, **options: set[str]) -> list[dict[str, str]]:
    """The lines by their columns' names."""
    text = spreadsheet.render(story, **options)
    assert text.count("\r\n") == len(text.splitlines())
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_every_row_is_a_line() -> None:
    """In the table's order, with the same words."""
    told = list(rows(echo()))
    lines = sheet(echo())
    assert [line["row"] for line in lines] == [row.label for row in told]
    assert [line["what"] for line in lines] == [row.text for row in told]
    assert [line["why"] for line in lines] == [row.why for row in told]


def test_a_packet_s_numbers_have_columns_of_their_own() -> None:
    """Relative, as in the table; what it waited for or was caused by as rows' names."""
    lines = {line["row"]: line for line in sheet(echo())}
    data = lines["p4"]
    assert (data["flags"], data["seq"], data["ack"], data["window"], data["octets"]) == ("PA", "1", "1", "502", "5")
    assert data["because of"] == "c7"
    assert lines["c7"]["sent"] == "p4"
    assert (data["client is"], data["server is"]) == ("ESTABLISHED", "ESTABLISHED")


def test_times_count_from_the_first_row_also_in_a_part() -> None:
    """In milliseconds."""
    whole = {line["row"]: line["ms"] for line in sheet(echo())}
    (line,) = sheet(echo(), shown={"p4"})
    assert line["ms"] == whole["p4"] != "0.000000"


def test_notes_and_meanings_have_columns() -> None:
    """The lecturer's beside rawlab's."""
    lines = {line["row"]: line for line in sheet(noted("see here", "and here"))}
    assert lines["p1"]["notes"] == "see here"
    assert lines["c1"]["notes"] == "and here"
    assert "RFC 9293" in lines["p1"]["means"]


@pytest.mark.parametrize("word", [*HOSTILE, "\t=1+1", "\n=1+1", "\r=1+1"])
def test_no_cell_is_a_formula(word: str) -> None:
    """Whatever stands in names, payloads, states and notes; and no control character is left."""
    for story in (hostile(word), noted(word, word)):
        for line in csv.reader(io.StringIO(spreadsheet.render(story), newline=""), strict=True):
            for cell in line:
                assert not cell.lstrip().startswith(("=", "+", "-", "@"))
                assert all(character >= " " for character in cell)
                assert not {"\x1b", "\x9b", "\u202e", "\u2066", "\x7f"} & set(cell)
