"""The ladder as a Mermaid sequence diagram: only statements that its grammar has, and words that stay words.

Mermaid itself is no package of Python's; its own parser has read what this makes of every capture, by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.views.mermaid import draw, text
from tests.views.stories import HOSTILE, anyones, echo, hostile

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))

WORDS = r"(?:[\w ,.()/=+*?!'\[\]|~^@…→←—–-]|#\d+;)+"
STATEMENT = re.compile(
    rf"    (?:title: {WORDS}|participant h\d as {WORDS}|(?:de)?activate h\d|h\d--?(?:>>|x)h\d: {WORDS}"
    rf"|Note (?:over h\d(?:,h\d)?|left of h\d|right of h\d): {WORDS})"
)

HANDSHAKE = """\
sequenceDiagram
    title: ladder#58; calls and packets of client and server
    participant h0 as client
    participant h1 as server
    Note over h0: CLOSED
    Note over h1: LISTEN
    activate h0
    Note left of h0: c5 connect(3, 10.0.0.2#58;7 …
    h0->>h1: p1 [S] seq 0, win 502
    Note over h0: SYN-SENT
    h1-->>h0: p2 [S.] seq 0 ack 1, win 502
    Note over h1: SYN-RECEIVED
    Note over h0: ESTABLISHED
    h0-->>h1: p3 [.] ack 1, win 502
    Note left of h0: c5 connect(3, 10.0.0.2#58;7) = 0
    deactivate h0
"""


def test_a_handshake() -> None:
    """A call is active while it blocks; a kernel's packet is dashed; states are notes."""
    drawn = draw(echo(), shown={"c5", "p1", "p2", "p3"})
    assert sorted(drawn.splitlines()) == sorted([*HANDSHAKE.splitlines(), "    Note over h1: ESTABLISHED"])
    assert drawn.index("SYN-SENT") < drawn.index("p2 [S.]") < drawn.index("SYN-RECEIVED") < drawn.index("p3 [.]")


def test_a_lost_packet() -> None:
    """Ends in a cross, and says so."""
    assert "    h1--xh0: p5 [.] ack 6, win 502 — lost" in draw(echo()).splitlines()


@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_each_line_is_a_statement(file: Path) -> None:
    """Of any capture; none is deactivated that is not active, and none is left so."""
    active: Counter[str] = Counter()
    head, *lines = draw(load(file)).splitlines()
    assert head == "sequenceDiagram"
    for line in lines:
        assert STATEMENT.fullmatch(line), line
        word, _, host = line.strip().partition(" ")
        active[host] += {"activate": 1, "deactivate": -1}.get(word, 0)
        assert active[host] >= 0
    assert not any(active.values())


@pytest.mark.parametrize("word", [*HOSTILE, "end", "%%{init: {}}%%", "x; style: a#b;", "$$x$$", "&lt;b&gt;"])
def test_hostile_words_stay_words(word: str) -> None:
    """As names and payloads: no statement more, nothing that HTML or KaTeX would take for its own."""
    lines = draw(hostile(word)).splitlines()
    assert len(lines) == len(draw(hostile("x")).splitlines())
    assert all(STATEMENT.fullmatch(line) for line in lines[1:])


def test_entities() -> None:
    """By the character's number."""
    assert text('a:b;#<"') == "a#58;b#59;#35;#60;#34;"


def test_what_is_inferred_is_said() -> None:
    """Below all else."""
    assert draw(anyones()).endswith("Note over h0,h1: inferred from the packets alone#58; the capture holds no calls\n")
