"""The ladder in characters: as wide as asked, no wider; harmless; what stands where."""

from __future__ import annotations

from pathlib import Path

import pytest
from wcwidth import wcswidth

from rawlab.api import load
from rawlab.views.unicode_ladder import blocks, draw
from tests.views.stories import HOSTILE, anyones, echo, hostile, routed

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))

HANDSHAKE = """\
       ms             client                                 server
    0.100       CLOSED ┏ ├ connect(3, 10.0.0.2:7 …              │   LISTEN
    0.110     SYN-SENT ┃ ├── [S] seq 0, win 502 ───────────────▶│
    0.135  ESTABLISHED ┃ │◀╌╌╌╌╌╌╌╌ [S.] seq 0 ack 1, win 502 ╌╌┤   SYN-RECEIVED
    0.158              ┃ ├╌╌ [.] ack 1, win 502 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌▶│   ESTABLISHED
    0.160              ┗ ├ <... connect resumed>) = 0           │
    0.200                │        accept(3, 10.0.0.1:40000) = 4 ┤ ╸
lines: solid: sent by a call; dashed: sent by a kernel itself
"""


def test_a_handshake() -> None:
    """Times, states where they begin, bars as long as calls block, a kernel's own packets dashed."""
    part = {"c5", "c6", "p1", "p2", "p3"}
    assert draw(echo(), shown=part, width=80) == HANDSHAKE


def test_a_lost_packet_breaks_off() -> None:
    """In a cross, on its way, no head."""
    (line,) = (line for line in draw(echo(), width=100).splitlines() if "✕" in line)
    assert "[.] ack 6" in line
    assert "◀" not in line


@pytest.mark.parametrize("width", [60, 80, 131, 200])
@pytest.mark.parametrize("file", CAPTURES, ids=lambda file: file.stem)
def test_no_line_is_wider(file: Path, width: int) -> None:
    """Of any capture; each row has its line."""
    story = load(file)
    lines = draw(story, width=width).splitlines()
    assert max(wcswidth(line) for line in lines) <= width
    heads = sum("▶" in line or "◀" in line or "✕" in line for line in lines)
    assert heads == len(story.packets)


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_words_stay_words(word: str) -> None:
    """Nothing reaches the terminal that moves its cursor, and no line is torn."""
    text = draw(hostile(word), width=120)
    assert len(text.splitlines()) == len(draw(hostile("x"), width=120).splitlines())
    assert all(character == "\n" or wcswidth(character) > 0 for character in text)


def test_three_hosts_and_none() -> None:
    """A packet of the second wire does not touch the first; addresses name hosts that have no names."""
    lines = draw(routed(), width=120).splitlines()
    assert lines[0].split() == ["ms", "client", "router", "server"]
    assert [line.count("│") for line in lines if "├╌╌ [S] seq 0" in line] == [2]
    assert "10.0.0.1" in draw(anyones()).splitlines()[0]
    assert "inferred from the packets alone: the capture holds no calls\n" in draw(anyones())


def test_blocks() -> None:
    """A head, then one for each row: together they are the whole."""
    story = echo()
    made = blocks(story, width=100)
    assert "".join(made) == draw(story, width=100)
    assert len(made) == 1 + 22
