"""cwnd and ssthresh, step by step, as RFC 5681 has them; each step is an event."""

from __future__ import annotations

import pytest

from rawlab.endpoints.tcp import Settings, Window
from rawlab.endpoints.tcp.congestion import HIGH, WHY, Congestion
from tests.endpoints.tcp.network import MS, SECOND, Network, Pair, Seen, pair, received, told, windows

M = 1000


class Watched:
    """A congestion control alone, and what it told."""

    def __init__(self, mss: int = M, *, lost: bool = False, settings: Settings | None = None) -> None:
        self.steps: list[tuple[str, int]] = []
        self.it = Congestion(settings or Settings(), self._tell)
        self.it.open(mss, 0, lost=lost)

    def _tell(self, why: str) -> None:
        self.steps.append((why, self.it.cwnd))


@pytest.mark.parametrize(("mss", "window"), [(536, 2144), (1095, 4380), (1448, 4344), (2190, 6570), (8948, 17896)])
def test_the_initial_window(mss: int, window: int) -> None:
    """Two to four segments, by their size (section 3.1); ssthresh is as high as can be."""
    it = Watched(mss).it
    assert (it.cwnd, it.ssthresh) == (window, HIGH)


def test_linux_begins_with_ten() -> None:
    """RFC 6928, by the settings."""
    assert Watched(settings=Settings(initial_window=10)).it.cwnd == 10 * M


def test_slow_start_then_congestion_avoidance() -> None:
    """A segment more for each ACK below ssthresh, then one for each window that is acknowledged."""
    watched = Watched()
    it = watched.it
    it.ssthresh = 6 * M
    una = 0
    for _ in range(14):
        una += M
        it.acknowledged(M, una, limited=True)
    assert watched.steps[1:] == [
        ("slow start", 5 * M), ("slow start", 6 * M), ("congestion avoidance", 7 * M),
    ]  # fmt: skip
    it.acknowledged(M, una + M, limited=True)
    assert watched.steps[-1] == ("congestion avoidance", 8 * M)


def test_an_ack_for_much_counts_as_one_segment() -> None:
    """In slow start min(N, SMSS) (section 3.1 equation 2)."""
    it = Watched().it
    it.acknowledged(9 * M, 9 * M, limited=True)
    assert it.cwnd == 5 * M
    it.acknowledged(10, 9 * M + 10, limited=True)
    assert it.cwnd == 5 * M + 10


def test_a_window_that_is_not_used_does_not_grow() -> None:
    """The program has nothing more to send: nothing is learnt about the network."""
    it = Watched().it
    it.acknowledged(M, M, limited=False)
    assert it.cwnd == 4 * M


def test_fast_retransmit_and_fast_recovery() -> None:
    """Section 3.2: the third duplicate halves, each further one lets a segment out, the ACK of all ends it."""
    watched = Watched()
    it = watched.it
    it.cwnd = 20 * M
    said = [it.duplicate(20 * M, 5, 20 * M + 5) for _ in range(5)]
    assert said == [False, False, True, False, False]
    assert watched.steps[1:] == [
        ("fast retransmit", 13 * M), ("fast recovery", 14 * M), ("fast recovery", 15 * M),
    ]  # fmt: skip
    assert it.ssthresh == 10 * M
    assert it.acknowledged(3 * M, 3 * M + 5, limited=True)
    assert watched.steps[-1] == ("partial ACK", 13 * M)
    assert not it.acknowledged(17 * M, 20 * M + 5, limited=True)
    assert watched.steps[-1] == ("recovered", 10 * M)


def test_a_timeout() -> None:
    """One segment; half of what was under way; the second timeout of a segment leaves ssthresh (section 3.1)."""
    watched = Watched()
    it = watched.it
    it.cwnd = 30 * M
    it.timed_out(16 * M, 7, 16 * M + 7)
    assert (it.cwnd, it.ssthresh) == (M, 8 * M)
    it.timed_out(M, 7, 16 * M + 7)
    assert (it.cwnd, it.ssthresh) == (M, 8 * M)
    assert [it.duplicate(9 * M, 8, 17 * M) for _ in range(4)] == [False] * 4, "of what was sent again (RFC 6582)"
    it.timed_out(M, 9, 17 * M)
    assert it.ssthresh == 2 * M


def test_why_knows_every_reason() -> None:
    """A view finds words for each."""
    watched = Watched(lost=True)
    watched.it.idle()
    watched.it.cwnd = 99 * M
    watched.it.idle()
    assert [why for why, _ in watched.steps] == ["SYN lost", "idle"]
    assert {why for why, _ in watched.steps} <= WHY.keys()


# ---- on the wire


def sending(size: int, *lost: int) -> Pair:
    """The client has sent so much at once; the so-manieth segments with data got lost."""
    network = Network()
    made = pair(network, settings=Settings(ack_every=1))
    network.run(SECOND)
    seen: list[int] = []

    def chosen(place: int) -> None:
        def fits(one: Seen) -> bool:
            facts = one.facts
            if not one.from_client or not facts.length or facts.seq.value in seen:
                return False
            if len(seen) <= place:
                seen.append(facts.seq.value)
            return len(seen) == place + 1

        network.lose(fits)

    if lost:
        chosen(lost[0])
    made.near.send(b"x" * size, network.now)
    network.run(20 * SECOND)
    assert len(received(made.far)) == size
    assert {why for why, _, _ in windows(made.near)} <= WHY.keys()
    return made


def test_slow_start_doubles_the_flight_each_round_trip() -> None:
    """With an ACK for each segment: 3, 6, 12, 24 segments a round trip."""
    made = sending(45 * 1448)
    times = [seen.time for seen in made.network.log if seen.from_client and seen.facts.length]
    rounds = [(time - times[0]) // (10 * MS) for time in times]
    assert [rounds.count(number) for number in range(4)] == [3, 6, 12, 24]
    steps = windows(made.near)
    assert steps[0] == ("open", 3 * 1448, HIGH)
    assert all(why in ("open", "slow start") for why, _, _ in steps)


def test_a_lost_segment_is_sent_again_without_a_timeout() -> None:
    """The events of one loss: fast retransmit, fast recovery, recovered; the hole is filled after a round trip."""
    made = sending(200 * 1448, 20)
    steps = windows(made.near)
    whys = [why for why, _, _ in steps]
    assert whys.count("fast retransmit") == whys.count("recovered") == 1
    assert "timeout" not in whys
    at = whys.index("fast retransmit")
    _, cwnd, ssthresh = steps[at]
    assert cwnd == ssthresh + 3 * 1448
    event = told(made.near, Window)[at]
    assert abs(event.flight // 2 - ssthresh) <= 1448, "half of what was under way, without RFC 3042's two segments"
    back = whys.index("recovered")
    assert steps[back][1:] == (ssthresh, ssthresh)
    assert set(whys[at + 1 : back]) == {"fast recovery"}
    assert "congestion avoidance" in whys[back:]
    lost = next(seen for seen in made.network.log if seen.lost)
    again = [seen for seen in made.network.log if seen.facts.seq == lost.facts.seq and seen.facts.length]
    assert len(again) == 2
    assert again[1].time - lost.time < 25 * MS


def test_a_lost_last_segment_waits_for_the_timeout() -> None:
    """Nothing behind it makes duplicate ACKs."""
    made = sending(5 * 1448, 4)
    steps = windows(made.near)
    assert ("timeout", 1448, 2 * 1448) in steps


def test_idle_time_takes_the_window_back() -> None:
    """Longer than the RTO without sending: the initial window again (section 4.1)."""
    made = sending(60 * 1448)
    before = made.near.cwnd
    assert before > 3 * 1448
    made.near.send(b"x" * 10, made.network.now)
    made.network.run(SECOND)
    assert windows(made.near)[-1] == ("idle", 3 * 1448, HIGH)


def test_window_events_can_be_off() -> None:
    """Nothing is told, all is done."""
    made = pair(settings=Settings(window_events=False))
    made.near.send(b"x" * 100_000, made.network.now)
    made.settle()
    assert windows(made.near) == []
    assert made.near.cwnd > 3 * 1448
