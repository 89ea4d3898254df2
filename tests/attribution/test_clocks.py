"""How far a clock is ahead: the truth lies within what is told, whatever the delays."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.attribution.clocks import NoClock, Point, compare

SECOND = 10**9
T0 = 1_700_000_000 * SECOND

delays = st.integers(0, 50_000_000)
times = st.integers(0, 3600 * SECOND)
packets = st.lists(st.tuples(times, delays), min_size=1, max_size=40)


def seen(sent: list[tuple[int, int]], ahead_ns: int, drift: float, *, forth: bool) -> list[Point]:
    """(when by A's clock, B's stamp less A's) of packets that left at a time after T0 and took so long."""

    def stamp(at_ns: int) -> int:  # what B's clock shows when A's shows that
        return at_ns + ahead_ns + round(drift * (at_ns - T0))

    both = [(T0 + at, T0 + at + took) for at, took in sent]
    if forth:
        return [(left, stamp(came) - left) for left, came in both]
    return [(came, stamp(left) - came) for left, came in both]


@given(packets, packets, st.integers(-(10**15), 10**15))
def test_the_true_offset_lies_in_the_told_interval(
    forth: list[tuple[int, int]], back: list[tuple[int, int]], ahead_ns: int
) -> None:
    """Of clocks that do not drift, whatever the delays: and every packet then took no less than no time."""
    points = seen(forth, ahead_ns, 0, forth=True), seen(back, ahead_ns, 0, forth=False)
    told = compare(*points)
    assert told.low_ns is not None
    assert told.high_ns is not None
    assert told.slope == 0
    assert told.ahead_ns - told.low_ns <= ahead_ns <= told.ahead_ns + told.high_ns
    assert all(by - told.at(at) >= 0 for at, by in points[0])
    assert all(told.at(at) - by >= 0 for at, by in points[1])


@pytest.mark.parametrize("drift", [-5e-4, -5e-5, 2e-5, 3e-4])
@pytest.mark.parametrize("seed", range(5))
def test_a_drift_is_found_and_the_truth_lies_within_its_bounds(drift: float, seed: int) -> None:
    """Over an hour with delays from 0.1 ms on: the drift lies between those told, the offset at each time as well."""
    chance = random.Random(seed)
    sent = [(at * SECOND, 100_000 + int(chance.expovariate(1 / 500_000))) for at in range(3600)]
    forth = seen(sent[::2], 7 * SECOND, drift, forth=True)
    told = compare(forth, seen(sent[1::2], 7 * SECOND, drift, forth=False))
    assert told.least_slope <= drift <= told.most_slope
    assert told.most_slope - told.least_slope < 1e-6
    assert told.low_ns is not None
    assert told.high_ns is not None
    assert max(told.low_ns, told.high_ns) < 1_000_000
    for at_ns in (T0, T0 + 1800 * SECOND, T0 + 3599 * SECOND):
        truth = 7 * SECOND + drift * (at_ns - T0)
        assert told.at(at_ns) - told.low_ns - 2_000 <= truth <= told.at(at_ns) + told.high_ns + 2_000
        theirs = at_ns + round(truth)
        assert abs(told.corrected(theirs) - at_ns) <= max(told.low_ns, told.high_ns) + 2_000


def test_one_direction_gives_one_bound() -> None:
    """Packets from A to B alone: B's clock is ahead by no more than the least difference, by how much less is open."""
    told = compare([(T0, 5_000_000), (T0 + SECOND, 3_000_000)], [])
    assert (told.ahead_ns, told.high_ns, told.low_ns, told.margin_ns) == (3_000_000, 0, None, None)
    told = compare([], [(T0, 5_000_000), (T0 + SECOND, 3_000_000)])
    assert (told.ahead_ns, told.low_ns, told.high_ns, told.margin_ns) == (5_000_000, 0, None, None)


def test_a_clock_that_was_set_is_found() -> None:
    """A step of a second in the middle of the capture: no line fits, and no offset is told."""
    points = [(T0 + at * SECOND, 1_000_000 + (at >= 50) * SECOND) for at in range(100)]
    with pytest.raises(NoClock, match="one of the clocks was set"):
        compare(points, [(at, by - 2_000_000) for at, by in points])


def test_nothing_in_common_is_no_clock() -> None:
    """No packet, no offset."""
    with pytest.raises(NoClock, match="no packet is in both"):
        compare([], [])


def test_stamps_that_are_cut_have_their_slack() -> None:
    """Of microseconds, a delay of 200 ns may look negative: with the slack it does not contradict."""
    with pytest.raises(NoClock):
        compare([(T0, 0), (T0 + 1, 0)], [(T0, 1000), (T0 + 1, 1000)])
    assert compare([(T0, 0), (T0 + 1, 0)], [(T0, 1000), (T0 + 1, 1000)], 1000).slope == 0
