"""The Markdown document: its picture, its table, and nothing of a capture that becomes markup."""

from __future__ import annotations

import pytest

from rawlab.views import markdown_file
from rawlab.views.rows import rows
from tests.views.noted import noted
from tests.views.stories import HOSTILE, echo, hostile


def table(document: str) -> list[str]:
    return [line for line in document.split("\n") if line.startswith("|")]


def test_it_has_a_title_a_picture_and_each_row() -> None:
    """The picture is the file beside it, by a name that a link can hold."""
    document = markdown_file.render(echo(), picture="my echo (1).svg")
    assert document.startswith("# ladder: its calls and packets\n\n")
    assert "](my%20echo%20%281%29.svg)" in document
    lines = table(document)
    assert len(lines) == 2 + len(list(rows(echo())))
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_without_a_picture_it_speaks_of_none() -> None:
    """On standard output there is no file beside it."""
    assert "![" not in markdown_file.render(echo())


def test_a_part() -> None:
    """Only the rows that are asked for."""
    assert len(table(markdown_file.render(echo(), shown={"p1", "p2"}))) == 4


def test_notes_stand_in_a_column() -> None:
    """And below the table, what each row means."""
    document = markdown_file.render(noted("see here", "x"))
    (line,) = [line for line in table(document) if line.startswith("| p1 ")]
    assert "note: see here" in line
    (meaning,) = [line for line in document.split("\n") if line.startswith("- **p1**: ")]
    assert "RFC 9293 section 3.4.1" in meaning


@pytest.mark.parametrize("word", HOSTILE)
def test_what_a_capture_says_stays_within_its_cell(word: str) -> None:
    """No tag, no further cell, no control character, no code."""
    for story in (hostile(word), noted(word, f"{word}\n| x |")):
        document = markdown_file.render(story, picture="x.svg")
        lines = table(document)
        assert len({line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines}) == 1
        assert not {"\x1b", "\x9b", "\u202e", "\u2066", "\r", "\x7f"} & set(document)
        assert "<script" not in document
        assert "<img" not in document
