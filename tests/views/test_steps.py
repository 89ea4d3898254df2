"""A ladder one step at a time: what has happened, no more; all of one size; words that do not tell the future."""

from __future__ import annotations

from itertools import pairwise

from rawlab.views.drawing import Ladder
from rawlab.views.ladder import layout
from rawlab.views.steps import steps
from tests.views.stories import HOSTILE, echo, hostile


def told(ladder: Ladder) -> str:
    return " ".join(label.text for label in ladder.sentence)


def test_one_for_each_row() -> None:
    """With its number, its words and why; each as large as the others; the last shows all."""
    whole = layout(echo())
    made = steps(whole)
    assert len(made) == len(whole.steps)
    assert len({(ladder.width, ladder.height) for ladder in made}) == 1
    assert told(made[5]).startswith(f"6/{len(made)}  p1  [S] seq 0")
    assert "connect (call 5) sends SYN" in told(made[5])
    assert made[-1].arrows == whole.arrows
    assert made[-1].ties == whole.ties


def test_nothing_comes_before_its_time_and_nothing_goes() -> None:
    """Each step has what the one before it has."""
    for before, after in pairwise(steps(layout(echo()))):
        assert {arrow.row for arrow in before.arrows} <= {arrow.row for arrow in after.arrows}
        assert {bar.row for bar in before.bars} <= {bar.row for bar in after.bars}
        assert {(tie.call, tie.packet) for tie in before.ties} <= {(tie.call, tie.packet) for tie in after.ties}
        assert len(before.spans) <= len(after.spans)
        assert len(before.arrows) + len(before.bars) <= len(after.arrows) + len(after.bars)


def test_a_call_under_way_does_not_tell_its_result() -> None:
    """Until the step at which it returns."""
    made = steps(layout(echo()))
    labels = [next((bar.label.text for bar in ladder.bars if bar.row == "c5"), None) for ladder in made]
    entered = labels.index("connect(3, 10.0.0.2:7 …")
    returned = labels.index("connect(3, 10.0.0.2:7) = 0")
    rows = [step.row for step in layout(echo()).steps]
    assert rows[entered] == rows[returned] == "c5"
    assert entered < returned
    assert all(not bar.returned for ladder in made[entered:returned] for bar in ladder.bars if bar.row == "c5")


def test_words_stay_within() -> None:
    """However long; and a sentence of hostile words is one of harmless."""
    for word in HOSTILE:
        for ladder in steps(layout(hostile(word * 9))):
            assert all(label.box.right <= ladder.width for label in ladder.sentence)
            assert all(label.box.bottom <= ladder.height for label in ladder.sentence)


def test_states_last_until_now() -> None:
    """A lane ends where the step is; the ESTABLISHED that a SYN-ACK brings comes with it."""
    made = steps(layout(echo()))
    rows = [step.row for step in layout(echo()).steps]
    syn = made[rows.index("p1")]
    assert [span.state for span in syn.spans if span.host == 0] == ["CLOSED", "SYN-SENT"]
    answer = made[rows.index("p2")]
    assert [span.state for span in answer.spans if span.host == 0][-1] == "ESTABLISHED"
    assert max(span.y2 for span in syn.spans) < max(span.y2 for span in answer.spans)
