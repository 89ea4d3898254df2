"""The ladder's geometry, of every capture that the repo holds: nothing covers what it should not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from rawlab.api import Story, load
from rawlab.views.drawing import Ladder
from rawlab.views.ladder import AXES, Axis, layout

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))


@pytest.fixture(params=CAPTURES, ids=lambda file: file.stem, scope="module")
def story(request: pytest.FixtureRequest) -> Story:
    """Each of them."""
    return load(request.param)


@pytest.fixture(params=AXES)
def ladder(request: pytest.FixtureRequest, story: Story) -> Ladder:
    """Its ladder, on each axis of time."""
    axis: Axis = request.param
    return layout(story, axis=axis)


def test_no_words_overlap_and_all_lie_within(ladder: Ladder) -> None:
    """Of any two labels, on any axis."""
    labels = sorted(ladder.labels, key=lambda label: label.box.top)
    clashes = [
        (label.text, other.text)
        for number, label in enumerate(labels)
        for other in labels[number + 1 :]
        if label.box.overlaps(other.box)
    ]
    assert clashes == []
    boxes = [label.box for label in labels]
    assert min(box.left for box in boxes) >= 0
    assert min(box.top for box in boxes) >= 0
    assert max(box.right for box in boxes) <= ladder.width
    assert max(box.bottom for box in boxes) <= ladder.height


def test_what_came_later_stands_lower(ladder: Ladder, story: Story) -> None:
    """Packets leave in order of time and arrive no higher than they left; each has its arrow, each call its bar."""
    assert [arrow.row for arrow in ladder.arrows] == [f"p{packet.n}" for packet in story.packets]
    assert [bar.row for bar in ladder.bars] == [told.label for told in story.calls]
    assert all(before.y1 <= after.y1 for before, after in pairwise(ladder.arrows))
    assert all(arrow.y1 <= arrow.y2 for arrow in ladder.arrows)
    assert all(bar.y1 < bar.y2 for bar in ladder.bars)


def test_packets_go_from_lifeline_to_lifeline(ladder: Ladder, story: Story) -> None:
    """From the sender's to the receiver's; a lost one ends between them."""
    at = [line.x for line in ladder.lifelines]
    names = [line.host for line in ladder.lifelines]
    for arrow, packet in zip(ladder.arrows, story.packets, strict=True):
        if packet.sender is not None:
            assert arrow.x1 == at[names.index(packet.sender)]
        if packet.lost:
            assert min(at) < arrow.x2 < max(at)
        else:
            assert arrow.x2 in at
            assert arrow.x2 != arrow.x1


def test_each_tie_joins_a_call_and_its_packet(ladder: Ladder, story: Story) -> None:
    """What the story says that a call sent and waited for is drawn, and nothing else."""
    told = {(one.label, f"p{n}", "sent") for one in story.calls for n in one.sent}
    told |= {(one.label, f"p{n}", "waited") for one in story.calls for n in one.waited_for}
    drawn = {(tie.call, tie.packet, tie.kind) for tie in ladder.ties}
    assert drawn == told


def test_each_row_of_the_table_is_a_step(ladder: Ladder) -> None:
    """In order, downwards."""
    assert ladder.steps
    assert all(before.y <= after.y for before, after in pairwise(ladder.steps))


def test_a_part_is_laid_out_by_itself() -> None:
    """Of three rows, those three, and no others' words."""
    story = load(next(file for file in CAPTURES if file.stem == "tcp-echo"))
    ladder = layout(story, shown={"c6", "p3", "p4"})
    assert [arrow.row for arrow in ladder.arrows] == ["p3", "p4"]
    assert [bar.row for bar in ladder.bars] == ["c6"]
    assert {step.row for step in ladder.steps} == {"c6", "p3", "p4"}
    assert ladder.height < layout(story).height / 2
