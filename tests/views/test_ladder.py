"""The ladder's geometry, of every capture that the repo holds: nothing covers what it should not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from rawlab.api import Story, load
from rawlab.attribution.telling import tell
from rawlab.model import story as story_of
from rawlab.views.drawing import Ladder
from rawlab.views.ladder import AXES, Axis, layout
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.views.stories import anyones, routed

CAPTURES = sorted((Path(__file__).parents[2] / "captures").glob("*.pcapng"))
LINES = "lines: solid: sent by a call; dashed: sent by a kernel itself; dotted: what a call waited for"


@pytest.fixture(params=CAPTURES, ids=lambda file: file.stem, scope="module")
def story(request: pytest.FixtureRequest) -> Story:
    """Each of them."""
    return load(request.param)


@pytest.fixture(params=AXES)
def ladder(request: pytest.FixtureRequest, story: Story) -> Ladder:
    """Its ladder, on each axis of time."""
    axis: Axis = request.param
    return layout(story, axis=axis)


def capture(name: str) -> Story:
    return load(next(file for file in CAPTURES if file.stem == name))


def overlaps(ladder: Ladder) -> list[tuple[str, str]]:
    """Any two labels that share more than an edge."""
    labels = sorted(ladder.labels, key=lambda label: label.box.top)
    return [
        (label.text, other.text)
        for number, label in enumerate(labels)
        for other in labels[number + 1 :]
        if label.box.overlaps(other.box)
    ]


def test_no_words_overlap_and_all_lie_within(ladder: Ladder) -> None:
    """Of any two labels, on any axis."""
    assert overlaps(ladder) == []
    labels = ladder.labels
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
        if packet.sender in names:
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
    assert next(tick.label.text for tick in ladder.ticks) == "10.722 ms"  # as the table counts, from the very first row


def test_no_words_lie_on_an_arrow_that_went_before(story: Story) -> None:
    """But for packets that crossed on the way: the next packet's words begin below the last one's arrival."""
    ladder = layout(story)
    for before, after in pairwise(ladder.arrows):
        top = min(label.box.top for label in after.labels)
        elsewhere = {before.sender, before.receiver} != {after.sender, after.receiver}  # another of several wires
        assert top >= before.y2 or after.y1 < before.y2 or elsewhere


def test_words_stand_below_the_lines_of_packets_on_their_way() -> None:
    """Of three acknowledgments sent one after the other, all on their way at once, no line crosses another's words."""
    arrows = layout(capture("tcp-backlog")).arrows
    flying = [(one, other) for one, other in pairwise(arrows) if one.sender == other.sender and one.y2 > other.y1]
    assert flying
    for one, other in flying:
        for label in other.labels:
            far = label.box.left if one.x2 < one.x1 else label.box.right
            line = one.y1 + (one.y2 - one.y1) * (far - one.x1) / (one.x2 - one.x1)
            assert line <= label.box.top + 1


def test_conversations_stand_side_by_side() -> None:
    """Each with lanes of its own, a number above them, at its packets, and in the legend below."""
    ladder = layout(capture("tcp-concurrent"))
    lanes = {(span.host, span.conversation): span.x for span in ladder.spans}
    assert set(lanes) == {(0, 1), (0, 2), (1, 1), (1, 2)}
    assert lanes[0, 2] < lanes[0, 1] < lanes[1, 1] < lanes[1, 2]
    assert sorted(head.text for head in ladder.heads) == ["#1", "#1", "#2", "#2"]
    words = {arrow.row: arrow.labels[0].text for arrow in ladder.arrows}
    assert words["p3"] == "#1 [S] seq 0"
    assert words["p6"] == "#2 [S] seq 0"
    assert words["p1"].startswith("ARP")
    assert [note.text for note in ladder.notes][1] == "#2  tcp 10.0.0.1:49380 – 10.0.0.2:7"


def test_one_conversation_needs_no_number() -> None:
    """Nor a head, nor a note but on what lines mean."""
    ladder = layout(capture("tcp-echo"))
    assert ladder.heads == ()
    assert [note.text for note in ladder.notes] == [LINES]
    assert not any("#" in label.text for label in ladder.labels)


def test_of_many_conversations_four_have_lanes() -> None:
    """How many have none, is said."""
    ladder = layout(many(6))
    assert {span.conversation for span in ladder.spans} == {1, 2, 3, 4}
    assert any("+2 more have no lane; --flow N shows one" in note.text for note in ladder.notes)
    assert overlaps(ladder) == []


def many(count: int) -> story_of.Story:
    """So many connections to one server, one after the other."""
    steps = (("client", "[S] seq 0"), ("server", "[S.] seq 0, ack 1"), ("client", "[.] ack 1"))
    lines = [
        f"p{1 + 3 * n + k} {host}:{40000 + n}> {at}-{at + 10} {what}"
        for n in range(count)
        for k, (host, what) in enumerate(steps)
        for at in [100 * n + 30 * k]
    ]
    return tell(read("\n".join(lines)), decode)


def test_three_hosts() -> None:
    """Each link is a wire of its own; nothing overlaps."""
    story = routed()
    for axis in AXES:
        ladder = layout(story, axis=axis)
        at = [line.x for line in ladder.lifelines]
        assert [line.host for line in ladder.lifelines] == ["client", "router", "server"]
        assert at == sorted(at)
        assert {abs(arrow.sender - arrow.receiver) for arrow in ladder.arrows} == {1}
        assert overlaps(ladder) == []


def test_anyones_capture() -> None:
    """Hosts by their addresses, arrows that take no time, and what is inferred is said to be."""
    ladder = layout(anyones())
    assert [line.host for line in ladder.lifelines] == ["10.0.0.1", "10.0.0.2"]
    assert all(arrow.y1 == arrow.y2 for arrow in ladder.arrows)
    assert [(arrow.sender, arrow.receiver) for arrow in ladder.arrows][:3] == [(0, 1), (1, 0), (0, 1)]
    assert [note.text for note in ladder.notes] == [
        "inferred from the packets alone: the capture holds no calls",
        "lines: solid: sent by a process; dashed: sent by a kernel itself",
    ]
    assert {"SYN-SENT", "ESTABLISHED"} <= {span.state for span in ladder.spans if span.host == 0}


def test_a_process_that_ends_blocks_nothing() -> None:
    """exit_group does not return; its bar is short all the same."""
    story = capture("tcp-concurrent")
    ladder = layout(story)
    ends = [told.label for told in story.calls if told.call.name == "exit_group"]
    bars = {bar.row: bar for bar in ladder.bars}
    assert ends
    assert all(bars[row].returned and bars[row].y2 - bars[row].y1 < 10 for row in ends)


def test_loss_is_told() -> None:
    """Of frames that the capture could not take, and of a file that breaks off."""
    story = capture("tcp-echo")
    points = tuple(replace(point, dropped=2) for point in story.timeline.points)
    lossy = replace(story, timeline=replace(story.timeline, points=points, complete=False))
    assert [note.text for note in layout(lossy).notes] == [
        "4 frames were dropped: the capture could not keep up",
        "the capture is damaged or was cut off: more happened than is shown",
        LINES,
    ]


def test_times_of_seconds_are_told_apart() -> None:
    """A moment after a second keeps its microseconds, and its column has room for them."""
    story = capture("tcp-filtered")
    ladder = layout(story)
    times = [tick.label.text for tick in ladder.ticks]
    assert len(times) == len(set(times))
    assert any(len(text) > len("1000.000") for text in times)
    assert all(text.endswith(" ms") for text in times)
    assert all(tick.label.box.left >= 0 for tick in ladder.ticks)
