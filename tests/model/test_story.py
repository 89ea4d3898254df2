"""The order in which a story is told."""

from __future__ import annotations

from rawlab.attribution.telling import tell
from rawlab.model.story import CallStory, Story
from rawlab.wire.decode import decode
from tests.attribution.ladder import read
from tests.attribution.ladders import OPEN


def story() -> Story:
    return tell(read(OPEN), decode)


def test_calls_and_packets_are_told_in_order_of_time() -> None:
    """A call by its entry, a packet by when it was first seen; on equal times, the call first."""
    told = [f"c{event.n}" if isinstance(event, CallStory) else f"p{event.n}" for event in story()]
    assert told == ["c1", "c2", "c3", "c4", "c5", "p1", "p2", "p3", "c6"]


def test_calls_and_packets_are_numbered_from_one_each() -> None:
    """As causes, tables and the JSON speak of them."""
    assert [call.n for call in story().calls] == [1, 2, 3, 4, 5, 6]
    assert [packet.n for packet in story().packets] == [1, 2, 3]


def test_a_story_keeps_every_frame() -> None:
    """Each packet's frames are numbers of them, one where it left and one where it arrived."""
    told = story()
    assert [frame.number for frame in told.frames] == [1, 2, 3, 4, 5, 6]
    assert [packet.frames for packet in told.packets] == [(1, 2), (3, 4), (5, 6)]


def test_a_packet_is_as_old_as_its_first_sight() -> None:
    """When it left; where that was not seen, when it arrived."""
    from dataclasses import replace

    first = story().packets[0]
    assert first.at_ns == first.sent_ns
    assert replace(first, sent_ns=None).at_ns == first.arrived_ns
