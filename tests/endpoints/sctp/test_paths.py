"""One path: its RTO by measurement, its congestion window by what is acknowledged and lost."""

from __future__ import annotations

import pytest

from rawlab.endpoints.sctp.paths import Path
from rawlab.endpoints.sctp.settings import MS, SECOND, Settings
from rawlab.endpoints.timers import Timer, Timers


def path(settings: Settings | None = None, address: str = "10.0.0.2") -> Path:
    """A path on its own."""
    timers = Timers()
    return Path(
        address, "10.0.0.1", settings or Settings(), Timer(timers, lambda now: None), Timer(timers, lambda now: None)
    )


def test_the_first_round_trip() -> None:
    """SRTT is it, RTTVAR half of it, RTO their sum with 4 RTTVAR (section 6.3.1 C2)."""
    one = path(Settings(rto_min=1 * MS))
    one.measured(400 * MS)
    assert (one.srtt, one.rttvar, one.rto) == (400 * MS, 200 * MS, 1200 * MS)


def test_further_round_trips() -> None:
    """An eighth of the new one, a quarter of the deviation (C3)."""
    one = path(Settings(rto_min=1 * MS))
    one.measured(400 * MS)
    one.measured(800 * MS)
    assert (one.srtt, one.rttvar) == (450 * MS, 250 * MS)
    assert one.rto == 1450 * MS


def test_the_rto_stays_within_its_bounds() -> None:
    """RTO.Min (C6), RTO.Max (C7); doubled at each timeout up to there."""
    one = path()
    assert one.rto == 1 * SECOND
    one.measured(1 * MS)
    assert one.rto == 1 * SECOND
    waits = []
    for _ in range(8):
        one.backed_off()
        waits.append(one.rto // SECOND)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    one.measured(500 * SECOND)
    assert one.rto == 60 * SECOND


@pytest.mark.parametrize(("mtu", "cwnd"), [(1500, 4404), (576, 2304), (9000, 18000), (4352, 8704)])
def test_the_window_at_the_start(mtu: int, cwnd: int) -> None:
    """min(4 MTU, max(2 MTU, 4404)), section 7.2.1."""
    assert path(Settings(mtu=mtu)).cwnd == cwnd


def test_slow_start_grows_only_where_the_window_was_used() -> None:
    """By what was acknowledged, a packet at the most; not within fast recovery, not by gap blocks alone."""
    one = path()
    one.flight = 1
    one.acknowledged(3000, 5000, advanced=True, recovering=False)
    assert one.cwnd == 4404 + 1500
    one.acknowledged(700, 6000, advanced=True, recovering=False)
    assert one.cwnd == 4404 + 1500 + 700
    before = one.cwnd
    one.acknowledged(1500, 1000, advanced=True, recovering=False)
    one.acknowledged(1500, 9000, advanced=False, recovering=False)
    one.acknowledged(1500, 9000, advanced=True, recovering=True)
    assert one.cwnd == before


def test_congestion_avoidance_grows_by_a_packet_for_each_window() -> None:
    """Section 7.2.2: partial_bytes_acked gathers a window first."""
    one = path()
    one.ssthresh = one.cwnd - 1
    one.flight = 1
    for _ in range(2):
        one.acknowledged(1500, 4404, advanced=True, recovering=False)
    assert one.cwnd == 4404
    one.acknowledged(1500, 4404, advanced=True, recovering=False)
    assert (one.cwnd, one.partial_bytes_acked) == (5904, 96)
    one.flight = 0
    one.acknowledged(10, 10, advanced=True, recovering=False)
    assert one.partial_bytes_acked == 0


def test_losses() -> None:
    """Half the window after a fast retransmit, one packet after a timeout; the threshold is four packets at least."""
    one = path()
    one.cwnd = 100_000
    one.lost(timeout=False)
    assert (one.cwnd, one.ssthresh) == (50_000, 50_000)
    one.lost(timeout=True)
    assert (one.cwnd, one.ssthresh) == (1500, 25_000)
    one.lost(timeout=True)
    assert (one.cwnd, one.ssthresh) == (1500, 6000)


@pytest.mark.parametrize(("address", "payload"), [("10.0.0.2", 1468), ("fd00::2", 1448)])
def test_octets_for_chunks(address: str, payload: int) -> None:
    """The MTU without IP's header and the common header, in whole words."""
    assert path(address=address).payload == payload
