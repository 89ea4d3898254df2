"""The quiz: the same seed asks the same, what is right is right, and what a page saved is read with suspicion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rawlab.api import load
from rawlab.errors import FormatError
from rawlab.views import quiz
from rawlab.views.page import exam
from rawlab.views.page.markup import lines
from tests.views.stories import echo

CAPTURES = Path(__file__).parents[2] / "captures"


def ask(hide: str = "seq,ack,state,cause", seed: int = 7) -> dict[str, quiz.Question]:
    return {one.id: one for one in quiz.questions(echo(), lines(echo()), hide.split(","), seed)}


def saved(**changes: Any) -> str:
    """What a page saves: nothing answered, but for the changes."""
    blank = dict.fromkeys(ask(), "")
    whole = {"rawlab quiz": 1, "capture": quiz.fingerprint(echo()), "hide": list(quiz.KINDS), "seed": 7}
    return json.dumps(whole | {"rows": None, "name": "Ada", "attempt": 1, "answers": blank} | changes)


def test_the_seed_alone_says_what_is_asked() -> None:
    """The same again and again; another seed asks others."""
    assert ask() == ask()
    assert len({tuple(ask(seed=seed)) for seed in range(8)}) > 1


def test_what_is_asked_is_what_was_to_be_hidden() -> None:
    """Half of the cells of each kind, and a choice holds the right one."""
    assert {one.kind for one in ask("seq,cause").values()} == {"seq", "cause"}
    for one in ask().values():
        assert not one.choices or set(one.answers) <= {value for value, _ in one.choices}


def test_what_is_right() -> None:
    """Numbers as the table has them, the first or all of it; a state in any case; each call that caused a packet."""
    everything: dict[str, quiz.Question] = {}
    for seed in range(20):
        everything |= ask(seed=seed)
    assert quiz.right(everything["p4.seq"], " 1:6 ")
    assert quiz.right(everything["p4.seq"], "1")
    assert not quiz.right(everything["p4.seq"], "6")
    assert quiz.right(everything["p1.state.0"], "syn-sent")
    assert quiz.right(everything["p4.cause"], "c7")
    assert everything["p2.cause"].answers == ("kernel",)
    assert quiz.right(everything["p5.ack"], "6")


def test_no_hidden_number_stands_in_its_row() -> None:
    """Nor, for a state, in the rows after it."""
    story = load(CAPTURES / "tcp-echo.pcapng")
    told = lines(story)
    for one in quiz.questions(story, told, ("seq", "ack"), 3):
        row = quiz.masked(told[one.step - 1], [one.kind])
        assert f"{one.kind} ?" in row
        assert f"{one.kind} {one.answers[0]}" not in row


def test_the_page_shows_no_answer_at_a_glance() -> None:
    """No reason stands in it as it is, for reasons tell the cause."""
    page = exam.render(echo(), quiz.KINDS, 7)
    for one in ask().values():
        assert one.why not in page
        assert f'data-id="{one.id}"' in page


def test_grades() -> None:
    """Right, wrong, and none."""
    one, other, *rest = ask().values()
    given = {one.id: one.answers[0], other.id: "wrong"} | dict.fromkeys((it.id for it in rest), " ")
    told = quiz.grade(echo(), quiz.read(saved(answers=given), "a.json"), "a.json")
    assert [verdict for _, verdict in told] == [True, False] + [None] * len(rest)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "is missing"),
        ("{}", "is missing"),
        (saved(seed="7"), "seed"),
        (saved(seed=True), "seed"),
        (saved(hide=["all"]), "hide"),
        (saved(hide="seq"), "hide"),
        (saved(name=None), "name"),
        (saved(rows=[1]), "rows"),
        (saved(answers=["a"]), "answers"),
        (saved(answers={"p1.seq": 1}), "answers"),
    ],
)
def test_damaged_answers_are_told_in_a_line(text: str, told: str) -> None:
    """Which file, and what is not as a quiz saves it."""
    with pytest.raises(FormatError, match=told) as error:
        quiz.read(text, "ada.json")
    assert str(error.value).startswith("ada.json: ")
    assert "\n" not in str(error.value)


def test_answers_to_another_capture_are_not_graded() -> None:
    """A quiz is of one run, and no other."""
    other = quiz.read(saved(capture="0123456789abcdef"), "ada.json")
    with pytest.raises(FormatError, match="another capture's"):
        quiz.grade(echo(), other, "ada.json")
