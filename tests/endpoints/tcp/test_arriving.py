"""Segments of a blind attacker, an old connection or a broken peer: RFC 9293 section 3.10.7, RFC 5961, RFC 7323."""

from __future__ import annotations

import pytest

from rawlab.endpoints.tcp import Data, Down, Settings, TcpState
from rawlab.wire import tcp_build as build
from tests.endpoints.tcp.network import MS, SECOND, Pair, craft, give, pair, received, state, told

S = TcpState


@pytest.fixture
def made() -> Pair:
    """Established, some data acknowledged both ways."""
    made = pair()
    made.near.send(b"hello", made.network.now)
    made.far.send(b"hello", made.network.now)
    made.settle()
    return made


def answers(made: Pair, packet: bytes) -> list[str]:
    """The flags of what the client answers."""
    return [segment.flags for segment in give(made.client, made.near, packet, made.network.now)]


def test_a_blind_rst(made: Pair) -> None:
    """Only the exact number resets; another one in the window is challenged, outside it is nothing (RFC 5961 3.2)."""
    near = made.near
    assert answers(made, craft(near, "R", seq=1)) == ["A"]
    assert answers(made, craft(near, "R", seq=near.rcv_wnd - 1)) == ["A"]
    assert answers(made, craft(near, "R", seq=near.rcv_wnd)) == []
    assert answers(made, craft(near, "R", seq=-1)) == []
    assert state(near) is S.ESTABLISHED
    assert answers(made, craft(near, "R")) == []
    assert state(near) is S.CLOSED
    assert [event.errno for event in told(near, Down)] == ["ECONNRESET"]


def test_the_peer_answers_a_challenge(made: Pair) -> None:
    """A peer that did reset, and whose RST was a little off, sends the right one."""
    near = made.near
    (challenge,) = give(made.client, near, craft(near, "R", seq=5), made.network.now)
    assert challenge.ack.value == near.inbound.next & 0xFFFFFFFF
    assert answers(made, craft(near, "R")) == []
    assert state(near) is S.CLOSED


@pytest.mark.parametrize("seq", [-70_000, -1, 0, 1, 5000, 2_000_000])
@pytest.mark.parametrize("flags", ["S", "SA"])
def test_a_blind_syn(made: Pair, seq: int, flags: str) -> None:
    """Challenged whatever its number (RFC 5961 section 4.2)."""
    near = made.near
    assert answers(made, craft(near, flags, seq=seq)) == ["A"]
    assert state(near) is S.ESTABLISHED


@pytest.mark.parametrize("ack", [1, 70_000, 1 << 30, -(1 << 30), -1_200_000])
def test_blind_data(made: Pair, ack: int) -> None:
    """Data in the window with an ACK of what was never sent, or long ago: challenged, not taken (section 5.2)."""
    near = made.near
    before = near.inbound.next
    assert answers(made, craft(near, "PA", ack=ack, data=b"evil")) == ["A"]
    assert near.inbound.next == before


def test_an_old_ack_in_the_window_brings_its_data(made: Pair) -> None:
    """An ACK that was overtaken is no reason to drop data."""
    near = made.near
    answers(made, craft(near, "PA", ack=-3, data=b"good"))
    assert received(near) == b"hellogood"


def test_challenges_are_rationed(made: Pair) -> None:
    """Ten in five seconds (section 7); then again."""
    near = made.near
    count = sum(len(answers(made, craft(near, "S", seq=step))) for step in range(500))
    assert count == 10
    made.network.run(6 * SECOND)
    assert answers(made, craft(near, "S")) == ["A"]


def test_without_ack_nothing_is_read(made: Pair) -> None:
    """Each segment of a connection has ACK."""
    before = len(made.near.events)
    for flags in ("", "P", "F", "U"):
        assert answers(made, craft(made.near, flags, data=b"data")) == []
    assert len(made.near.events) == before
    assert state(made.near) is S.ESTABLISHED


def test_data_outside_of_the_window(made: Pair) -> None:
    """Not taken, but acknowledged; what reaches out of it is cut."""
    near = made.near
    window, before = near.rcv_wnd, near.inbound.next
    assert answers(made, craft(near, "A", seq=window, data=b"x")) == ["A"]
    assert not near.inbound.gaps
    assert answers(made, craft(near, "A", seq=window - 2, data=b"xyz")) == ["A"]
    assert near.inbound.gaps.end == before + window
    assert answers(made, craft(near, "A", seq=-5, data=b"hello")) == ["A"]
    assert answers(made, craft(near, "A", seq=-5, data=b"hello there")) == ["A"]
    assert received(near) == b"hello there"


def test_overlapping_segments_do_not_change_what_came_first() -> None:
    """Out of order, in every overlap: the first word counts."""
    made = pair()
    near = made.near
    for seq, data in ((4, b"EF"), (8, b"IJ"), (2, b"cdefghi"), (3, b"xxxxxxx")):
        answers(made, craft(near, "A", seq=seq, data=data))
    answers(made, craft(near, "A", data=b"AB"))
    assert received(near) == b"ABcdEFghIJ"


def test_too_many_holes() -> None:
    """So many runs are kept; what would be one more comes again."""
    made = pair(settings=Settings(max_gaps=10))
    near = made.near
    for step in range(1, 30):
        answers(made, craft(near, "A", seq=10 * step, data=b"01234"))
    assert len(near.inbound.gaps.starts) == 10
    answers(made, craft(near, "A", data=b"abcdefghij"))
    assert received(near)[:15] == b"abcdefghij01234"


def test_old_timestamps() -> None:
    """PAWS: a number in the window with an old timestamp is an old segment (RFC 7323 section 5.3)."""
    made = pair(settings=Settings(ack_every=1))
    near, now = made.near, made.network.now
    recent = near.ts_recent
    fresh = build.timestamps(recent + 100, 0)
    assert answers(made, craft(near, "PA", data=b"new", options=fresh)) == ["A"]
    assert near.ts_recent == recent + 100
    assert answers(made, craft(near, "PA", data=b"old", options=build.timestamps(recent, 0))) == ["A"]
    assert answers(made, craft(near, "PA", data=b"none", options=b"")) == []
    assert received(near) == b"new"
    (answer,) = give(made.client, near, craft(near, "PA", data=b"er", options=build.timestamps(recent + 101, 0)), now)
    assert answer.options[-1].values[1] == recent + 101
    assert answers(made, craft(near, "R", options=build.timestamps(recent, 0))) == []
    assert state(near) is S.CLOSED, "an RST is not asked for its timestamp"


def test_a_timestamp_of_a_later_segment_is_not_echoed() -> None:
    """Of what came out of order the echo stays that of the last one in order (RFC 7323 section 4.3)."""
    made = pair()
    near, recent = made.near, made.near.ts_recent
    later = build.timestamps(recent + 9, 0)
    (answer,) = give(made.client, near, craft(near, "A", seq=5, data=b"x", options=later), made.network.now)
    assert answer.options[2].values[1] == recent


def test_the_window_of_an_old_segment_does_not_count(made: Pair) -> None:
    """SND.WL1 and SND.WL2 (section 3.10.7.4)."""
    near = made.near
    answers(made, craft(near, "PA", data=b"abc", window=5))
    assert near.snd_wnd == 5 << near.outbound.shift
    answers(made, craft(near, "A", seq=-1, window=9))
    assert near.snd_wnd == 5 << near.outbound.shift
    answers(made, craft(near, "A", window=9))
    assert near.snd_wnd == 9 << near.outbound.shift


def test_an_older_segment_in_the_window_does_not_set_the_window(made: Pair) -> None:
    """One that was overtaken: its number is in the window, its word on ours is old."""
    near = made.near
    answers(made, craft(near, "A", seq=20, data=b"later", window=5))
    assert near.snd_wnd == 5 << near.outbound.shift
    answers(made, craft(near, "A", data=b"earlier", window=9))
    assert near.snd_wnd == 5 << near.outbound.shift


def test_window_updates_are_no_duplicate_acks(made: Pair) -> None:
    """Of the same ACK three times only the same window tells a loss (RFC 5681 section 2)."""
    near = made.near
    near.send(b"x" * 4000, made.network.now)
    for window in (500, 501, 502, 503, 504):
        answers(made, craft(near, "A", window=window))
    assert near.outbound.congestion.duplicates == 0
    for _ in range(3):
        answers(made, craft(near, "A", window=504))
    assert near.outbound.congestion.recovering


def test_nothing_comes_behind_a_fin(made: Pair) -> None:
    """What lies beyond it is not taken; a FIN before what came is none."""
    near, far = made.near, made.far
    answers(made, craft(near, "FA", seq=5))
    answers(made, craft(near, "A", data=b"0123456789"))
    assert received(near) == b"hello01234"
    assert near.state is S.CLOSE_WAIT
    give(made.server, far, craft(far, "A", seq=10, data=b"x"), made.network.now)
    give(made.server, far, craft(far, "FA", seq=5), made.network.now)
    assert far.inbound.fin is None


def test_wrong_checksums_and_cut_headers_are_dropped(made: Pair) -> None:
    """Without a word."""
    near = made.near
    packet = craft(near, "PA", data=b"data")
    for bad in (packet[:-1], packet[:19], b"", packet[:12] + b"\xf0" + packet[13:], packet[:-1] + b"b"):
        assert answers(made, bad) == []
    assert not told(near, Data)[0].data.endswith(b"data")


def test_a_segment_for_nobody() -> None:
    """RST, as RFC 9293 section 3.10.7.1 forms it; none for an RST, none for another's address."""
    made = pair()
    host, now = made.server, made.network.now
    ends = build.pseudo("10.0.0.9", "10.0.0.2")

    def ask(
        flags: str, data: bytes = b"", to: str = "10.0.0.2", source: str = "10.0.0.9"
    ) -> list[tuple[str, int, int]]:
        packet = build.segment(
            5, 6, 100, 200, build.flag_bits(flags), 0, ends=build.pseudo(source, to), payload=data
        )
        host.receive(packet, source, to, now)
        found = []
        for out in host.take():
            assert build.is_right(out.packet, ends)
            found.append((out.packet[13], *(int.from_bytes(out.packet[at : at + 4]) for at in (4, 8))))
        return [("RA" if bits & build.ACK else "R", seq, ack) for bits, seq, ack in found]

    assert ask("A", b"xyz") == [("R", 200, 0)]
    assert ask("S") == [("RA", 0, 101)]
    assert ask("FP", b"xyz") == [("RA", 0, 104)]
    assert ask("R") == ask("RA") == []
    assert ask("S", to="10.0.0.3") == []
    assert ask("S", source="224.0.0.1") == []
    assert not host.deadline_ns or host.deadline_ns > now + 10 * MS
