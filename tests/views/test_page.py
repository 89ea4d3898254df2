"""The page as a file: one style and one script, both named in its policy, and nothing of a packet but as words."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rawlab.api import load
from rawlab.model.story import Story
from rawlab.views import page
from rawlab.views.page import exam, numbers
from rawlab.views.page.data import ties
from rawlab.views.rows import rows
from tests.views.stories import HOSTILE, echo, hostile

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
EVERYTHING = ("seq", "ack", "state", "cause")


class Read(HTMLParser):
    """A page's elements, attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.raw: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.raw = self.texts.get(tag)

    def handle_endtag(self, tag: str) -> None:
        self.raw = None

    def handle_data(self, data: str) -> None:
        if self.raw is not None:
            self.raw.append(data)

    @property
    def known(self) -> dict[str, Any]:
        """What its scripts know."""
        value: dict[str, Any] = json.loads(self.texts["script"][0])
        return value


def pages(story: Story) -> list[str]:
    return [page.render(story), exam.render(story, EVERYTHING, 7)]


def check_closed(text: str) -> None:
    """Nothing is asked for from elsewhere, nothing runs but the one script that the policy names."""
    read = Read(text)
    policy = next(a["content"] or "" for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    for kind, body in (("style", read.texts["style"]), ("script", read.texts["script"][1:])):
        (one,) = body
        digest = base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'; " in policy
    assert len(read.texts["script"]) == 2
    for tag, attributes in read.elements:
        assert tag not in {"img", "link", "iframe", "object", "embed", "base", "form", "image", "use", "foreignobject"}
        for name, value in attributes.items():
            assert name != "style"
            assert not name.startswith("on")
            assert name not in {"src", "action", "srcset", "formaction", "xlink:href"}
            assert name != "href" or (value or "").startswith("#")


@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_the_page_of_each_capture_is_closed_and_complete(file: Path) -> None:
    """Each row stands in the table, each packet has its octets, and no page asks for anything."""
    story = load(file)
    for text in pages(story):
        check_closed(text)
    read = Read(page.render(story))
    assert [a["data-row"] for tag, a in read.elements if tag == "tr" and "data-row" in a] == [
        row.label for row in rows(story)
    ]
    known = read.known
    assert len(known["steps"]) == len(list(rows(story)))
    for packet in story.packets:
        told = known["packets"][f"p{packet.n}"]
        assert told["octets"] == bytes(packet.data[:512]).hex()
        assert sum(layer[2] for layer in told["layers"]) == len(packet.data)
        assert all(len(layer[4]) == len(known["shapes"][layer[0]]["fields"]) for layer in told["layers"])


@pytest.mark.parametrize("word", HOSTILE)
def test_what_packets_and_files_say_stays_words(word: str) -> None:
    """As payload, host's name, errno, state and note: no tag, no end of the script, no control or bidi character."""
    for text in pages(hostile(word)):
        check_closed(text)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", text)
        known = re.search('<script type="application/json" id="known">(.*?)</script>', text, re.DOTALL)
        assert known is not None
        assert not set("<>&\u2028\u2029") & set(known[1])
        assert known[1].isascii()


def test_a_small_capture_makes_a_small_page() -> None:
    """One that a mail carries: an echo in less than 300 KB."""
    assert len(page.render(load(CAPTURES[0].with_name("tcp-echo.pcapng"))).encode()) < 300_000


def test_a_part_of_a_story_shows_that_part() -> None:
    """Rows, packets, ties and sequence numbers of the others are left out."""
    shown = {"c5", "p1", "p2", "p3"}
    read = Read(page.render(echo(), shown=shown))
    assert {a["data-row"] for tag, a in read.elements if tag == "tr" and "data-row" in a} == shown
    assert "a part of them is shown: 1 call, 3 packets" in page.render(echo(), shown=shown)
    assert "a part of them" not in page.render(echo())
    known = read.known
    assert set(known["packets"]) == {"p1", "p2", "p3"}
    assert known["calls"]["c5"]["effects"] == ["p1", "p3"]
    assert {point[0] for way in known["conversations"][0]["ways"] for point in way["sent"]} == {"p1", "p2"}


def test_a_file_that_is_not_whole_says_so() -> None:
    """On the page, not only in the terminal where it was made."""
    story = echo()
    cut = replace(story, timeline=replace(story.timeline, complete=False))
    assert "the run was cut off" in page.render(cut)
    damaged = replace(story, timeline=replace(story.timeline, damaged_at=1234))
    assert "damaged at byte 1234" in page.render(damaged)


def test_a_tie_has_two_ends() -> None:
    """What a row was caused by counts it among its effects, and the other way round."""
    found = ties(echo())
    for label, (causes, effects) in found.items():
        assert all(label in found[cause][1] for cause in causes)
        assert len(effects) == len(set(effects))
    assert "p4" in found["c7"][1]
    assert "c8" not in found["p4"][0]


def test_the_window_is_scaled_as_both_syns_said() -> None:
    """RFC 7323: a SYN's own is not; and what a segment acknowledges is the other way's."""
    story = load(CAPTURES[0].with_name("tcp-echo.pcapng"))
    (one,) = numbers.conversations(story, {f"p{packet.n}" for packet in story.packets})
    there, back = one["ways"]
    assert (there["from"], there["to"], back["from"]) == ("client", "server", "server")
    assert [point[2:] for point in there["sent"]] == [[0, 1], [1, 6], [6, 7]]
    assert there["acked"][0][2:] == [1, 1 + 65160]
    assert there["acked"][1][2:] == [6, 6 + 64 * 1024]


def test_the_diagram_has_what_no_single_event_is() -> None:
    """RFC 9293's figure 5, note 2, and how a connection that never came about ends; note 1 is said below."""
    words = page.render(echo())
    for said in ("FIN and ACK of FIN", "RST, timeout", "back to LISTEN"):
        assert said in words
