"""States, lane by lane: each begins at the very moment that brought it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rawlab.api import load
from rawlab.model.story import Story
from rawlab.views import lanes, time_axis
from rawlab.views.conversations import Conversations
from rawlab.views.part import shown
from rawlab.views.places import Places
from tests.views.stories import echo

CAPTURES = Path(__file__).parents[2] / "captures"


def told(story: Story, part: frozenset[str] | None = None) -> dict[tuple[int, int], list[str]]:
    """'p3 SYN-SENT' of each lane; 'p5' arrived is 'p5>'."""
    calls = {one.n: one for one in story.calls if part is None or one.label in part}
    packets = {one.n: one for one in story.packets if part is None or f"p{one.n}" in part}
    moments = time_axis.moments(list(calls.values()), list(packets.values()))
    found: dict[tuple[int, int], list[str]] = {}
    places = Places(story, list(packets.values()))
    for change in lanes.changes(story, moments, calls, packets, Conversations(story), places):
        kind, n, end = change.key
        found.setdefault((change.host, change.conversation), []).append(f"{kind}{n}{'>' * end} {change.state}")
    return found


def test_states_begin_where_they_are_brought_about() -> None:
    """A SYN's departure, a SYN-ACK's arrival; the listening socket's before."""
    assert told(echo()) == {
        (0, 1): ["c4 CLOSED", "p1 SYN-SENT", "p2> ESTABLISHED", "p8 FIN-WAIT-1"],
        (1, 1): ["c1 CLOSED", "c3> LISTEN", "p2 SYN-RECEIVED", "p3> ESTABLISHED", "p8> CLOSE-WAIT"],
    }


def test_each_conversation_has_lanes_of_its_own() -> None:
    """Where two overlap, none's states are in the other's lane; each server's lane begins as the listening socket."""
    found = told(load(CAPTURES / "tcp-concurrent.pcapng"))
    assert set(found) == {(0, 1), (0, 2), (1, 1), (1, 2)}
    for number in (1, 2):
        client = [one.split()[1] for one in found[0, number]]
        server = [one.split()[1] for one in found[1, number]]
        assert client == ["CLOSED", "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]
        assert server == ["CLOSED", "LISTEN", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "TIME-WAIT"]


def test_the_last_arrival_ends_an_association() -> None:
    """Though nothing that happens later tells of it: SHUTDOWN COMPLETE has arrived."""
    found = told(load(CAPTURES / "sctp-many.pcapng"))
    assert all(lane[-1].endswith(" CLOSED") for lane in found.values())


def test_a_part_begins_with_the_state_of_then() -> None:
    """What is left out has brought it about."""
    story = load(CAPTURES / "tcp-echo.pcapng")
    found = told(story, shown(story, phases=("close",)))
    assert found[0, 1][0] == "c11 ESTABLISHED"
    assert found[0, 1][1:] == ["p10 FIN-WAIT-1", "p11> TIME-WAIT"]
    assert found[1, 1] == ["c11 ESTABLISHED", "p10> CLOSE-WAIT", "p11 LAST-ACK", "p12> CLOSED"]


def test_a_conversation_that_is_not_shown_has_no_lane() -> None:
    """Of two, the second alone."""
    story = load(CAPTURES / "tcp-concurrent.pcapng")
    assert set(told(story, shown(story, flow=2))) == {(0, 2), (1, 2)}


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcapng")), ids=lambda path: path.stem)
def test_no_state_comes_back(path: Path) -> None:
    """No other socket's or connection's states are mixed in: but CLOSED and LISTEN, a lane has each once."""
    for lane in told(load(path)).values():
        states = [one.split()[1] for one in lane]
        assert all(states.count(state) == 1 for state in states if state not in ("CLOSED", "LISTEN")), states
        assert all(states.count(state) < 3 for state in states), states
