"""What nothing proves is inferred or unknown, never a guess with confidence: strange octets, captures that begin
late, at one place, or without calls, and runs that were cut off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rawlab import store
from rawlab.attribution.telling import tell
from rawlab.model.story import Story
from rawlab.wire.decode import decode
from tests.attribution.ladder import read, stands
from tests.attribution.ladders import LISTEN, OPEN
from tests.wire import frames

ECHO = f"""{OPEN}
c7  client   400-420  write(3, "hello", 5) = 5
p4  client>  410      [P.] seq 1:6, ack 1 "hello"
p5  server>  435      [.] ack 6
c8  server   440-460  write(4, "hello", 5) = 5
p6  server>  450      [P.] seq 1:6, ack 6 "hello"
p7  client>  475      [.] ack 6
c9  client   500-520  close(3) = 0
p8  client>  510      [F.] seq 6, ack 6
p9  server>  535      [R.] seq 6, ack 7
"""


def test_octets_that_are_not_the_write_s() -> None:
    """The numbers fit and the octets do not: unknown, and the call that they are not is named."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "hello", 5) = 5        | nothing
        p4  client>  410      [P.] seq 1:6, ack 1 "HELLO"     | unknown c7 ~ its bytes are not call 7's
        """
    )


def test_octets_sent_again_that_have_changed() -> None:
    """A retransmission carries the same octets; one that does not is no retransmission of the write's."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "hello", 5) = 5        | sent p4
        p4  client>  410      [P.] seq 1:6, ack 1 "hello"     | call c7[0:5]
        p5  client>  210410   [P.] seq 1:6, ack 1 "jello"     | unknown c7 ~ its bytes are not call 7's
        """
    )


def test_octets_that_nobody_wrote() -> None:
    """The socket's calls are known, and none of them wrote these."""
    stands(
        f"""{OPEN}
        p4  client>  410      [P.] seq 1:6, ack 1 "ghost"     | unknown ~ no recorded call wrote all of octets 1 to 5
        """
    )


def test_more_octets_than_were_written() -> None:
    """Of five octets, three were written: the segment is not explained by a part of it."""
    stands(
        f"""{OPEN}
        c7  client   400-420  write(3, "abc", 3) = 3          | nothing
        p4  client>  410      [P.] seq 1:6, ack 1 "abcde"     | unknown ~ no recorded call wrote all
        """
    )


def test_a_run_that_was_cut_off_in_a_write() -> None:
    """The write never returned; what it was given and what left are the same octets."""
    stands(
        f"""{OPEN}
        c7  server   300-     read(4 = ?                      | nothing
        c8  client   400-     write(3, "hello", 5) = ?        | sent p4
        p4  client>  410      [P.] seq 1:6, ack 1 "hello"     | call c8[0:5]
        """.replace("read(4 =", "read(4) =")
    )


def test_a_capture_on_loopback_sees_each_packet_once() -> None:
    """One place, both hosts: causes are as exact as with two; nothing is lost, and no direction is known."""
    story = stands(
        """
        c1  server   0        socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c2  server   10       bind(3, 0.0.0.0:7) = 0
        c3  server   20       listen(3, 10) = 0
        c4  client   30       socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
        c5  client   100-160  connect(3, 127.0.0.1:7) = 0      | sent p1 waited p2
        p1  client>  110      [S] seq 0                        | call c5       | SYN-SENT LISTEN
        p2  server>  135      [S.] seq 0, ack 1                | kernel c3 p1  | ESTABLISHED SYN-RECEIVED
        p3  client>  158      [.] ack 1                        | kernel c5 p2  | ESTABLISHED ESTABLISHED
        c6  server   200      accept(3, 127.0.0.1:40000) = 4   | waited p3
        c7  client   400-420  write(3, "hello", 5) = 5         | sent p4
        p4  client>  410      [P.] seq 1:6, ack 1 "hello"      | call c7[0:5]
        c8  server   440      read(4, "hello", 9) = 5          | waited p4
        """,
        loopback=True,
    )
    assert {(packet.arrived_ns, packet.lost, packet.frames) for packet in story.packets} == {
        (None, False, (n,)) for n in (1, 2, 3, 4)
    }


def without_calls(text: str, *, skip: int = 0) -> Story:
    """The story of a ladder's frames alone, as of anyone's capture, without the first of them."""
    timeline = read(text)
    points = tuple(replace(point, host=None, captured=None, dropped=None) for point in timeline.points[:1])
    seen = [replace(frame, outgoing=None) for frame in timeline.frames if frame.point == 0][skip:]
    return tell(replace(timeline, hosts=(), points=points, calls=(), frames=tuple(seen)), decode)


def test_without_calls_no_packet_is_a_call_s_for_certain() -> None:
    """Each says what call it implies, as inferred; numbers still prove what an acknowledgment acknowledges."""
    story = without_calls(ECHO)
    told = [(packet.cause.kind, packet.cause.confidence) for packet in story.packets]
    assert told == [
        ("call", "inferred"),
        ("kernel", "inferred"),
        ("kernel", "exact"),
        ("call", "inferred"),
        ("kernel", "exact"),
        ("call", "inferred"),
        ("kernel", "exact"),
        ("call", "inferred"),
        ("call", "inferred"),
    ]


@pytest.mark.parametrize("skip", range(1, 9))
def test_a_capture_that_begins_late_is_told_from_there(skip: int) -> None:
    """Whatever its first packet, the relative numbers begin at 1, and no data is counted twice or before it."""
    story = without_calls(ECHO, skip=skip)
    assert len(story.packets) == 9 - skip
    assert all(packet.seq is not None and packet.seq >= 0 for packet in story.packets)
    if skip >= 2:
        assert story.packets[0].seq == 1


def test_a_syn_on_a_connection_whose_beginning_was_missed_begins_another() -> None:
    """The old connection's numbers and states end there."""
    story = without_calls(
        f"""{LISTEN}
        p1  client>  110      [.] seq 500, ack 500
        p2  server>  135      [.] ack 501
        p3  client>  400      [S] seq 0 isn 900000
        p4  server>  435      [S.] seq 0, ack 1 isn 77
        p5  client>  458      [.] ack 1
        """
    )
    assert [(packet.seq, packet.ack) for packet in story.packets[2:]] == [(0, None), (0, 1), (1, 1)]
    assert {state for packet in story.packets[:2] for _, state in packet.states} == {None}
    assert dict(story.packets[4].states) == {"client": "ESTABLISHED", "server": "ESTABLISHED"}


@pytest.mark.parametrize("name", frames.NAMES)
def test_any_capture_has_a_story(name: str) -> None:
    """Anyone's capture: every frame is in one packet, every reference leads somewhere, no call is exact."""
    timeline = store.load(frames.capture(name))
    story = tell(timeline, decode)
    assert sorted(n for packet in story.packets for n in packet.frames) == [f.number for f in timeline.frames]
    assert [packet.n for packet in story.packets] == list(range(1, len(story.packets) + 1))
    for packet in story.packets:
        cause = packet.cause
        assert all(1 <= n <= len(story.packets) for n in cause.packets)
        assert cause.kind != "call" or cause.confidence != "exact"
        assert (cause.kind == "unknown") == (cause.confidence == "unknown")
        assert cause.reason
        assert len(cause.reason.splitlines()) == 1


def test_calls_without_a_packet_are_told_too() -> None:
    """A run whose capture saw nothing: no call claims a packet."""
    timeline = read(ECHO)
    story = tell(replace(timeline, frames=()), decode)
    assert [told.n for told in story.calls] == list(range(1, 10))
    assert not any(told.sent or told.waited_for for told in story.calls)
    assert "none of them left before the capture's end" in story.calls[6].why


def test_calls_with_other_arguments_than_expected_are_told_too() -> None:
    """A capture made by another tool may name arguments otherwise, or leave them out."""
    timeline = read(ECHO)
    bare = tuple(replace(call, args=()) for call in timeline.calls)
    assert len(tell(replace(timeline, calls=bare), decode).calls) == 9
