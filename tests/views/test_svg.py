"""The ladder as SVG: well-formed whatever a capture holds, each part marked with its row, no script."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from rawlab.views.ladder import layout
from rawlab.views.svg import draw, render
from tests.views.stories import HOSTILE, echo, hostile

NAME = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_words(word: str) -> None:
    """As a host's name, an errno, a payload and a state: the elements are those of a harmless story."""
    tree = ElementTree.fromstring(render(hostile(word)))
    known = {f"{NAME}{name}" for name in ("svg", "title", "style", "defs", "marker", "path", "rect", "g", "text")}
    assert {element.tag for element in tree.iter()} <= known
    assert not [key for element in tree.iter() for key in element.attrib if key.startswith("on") or "href" in key]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", render(hostile(word)))


def test_each_part_bears_its_row() -> None:
    """Packets, calls, and what ties them."""
    story = echo()
    tree = ElementTree.fromstring(render(story))
    rows = {element.get("data-row") for element in tree.iter() if element.get("data-row")}
    assert rows == {f"p{packet.n}" for packet in story.packets} | {told.label for told in story.calls}
    ties = {(element.get("data-call"), element.get("data-packet")) for element in tree.iter()} - {(None, None)}
    assert ("c5", "p1") in ties


def test_a_lost_packet_ends_in_a_cross() -> None:
    """And has no head."""
    tree = ElementTree.fromstring(render(echo()))
    (lost,) = (group for group in tree.iter(f"{NAME}g") if group.get("data-row") == "p5")
    lines = lost.findall(f"{NAME}path")
    assert [line.get("class") for line in lines] == ["line", "line cross"]
    assert not any(line.get("marker-end") for line in lines)


@pytest.mark.parametrize(("theme", "ground"), [("light", "#ffffff"), ("dark", "#121212")])
def test_themes(theme: str, ground: str) -> None:
    """One for good has no other's; without any, the reader's setting decides."""
    drawn = draw(layout(echo()), theme=theme)
    assert drawn.rindex(".ground") == drawn.rindex(f".ground {{ fill: {ground}")
    assert "prefers-color-scheme" not in drawn
    assert "prefers-color-scheme: dark" in draw(layout(echo()))


def test_within_a_page_it_brings_no_style() -> None:
    """Nor any attribute of style, which a page's Content-Security-Policy forbids."""
    drawn = draw(layout(echo()), whole=False)
    assert "<style>" not in drawn
    assert "style=" not in drawn
