"""RFC 6298, by its numbers."""

from __future__ import annotations

from rawlab.endpoints.tcp import Settings
from rawlab.endpoints.tcp.rtt import Rtt

MS, SECOND = 1_000_000, 1_000_000_000


def test_the_formulas() -> None:
    """Section 2: the first measurement, then an eighth and a quarter."""
    rtt = Rtt(Settings(rto_min=0))
    assert rtt.rto == SECOND
    rtt.measured(100 * MS)
    assert (rtt.srtt, rtt.rttvar, rtt.rto) == (100 * MS, 50 * MS, 300 * MS)
    rtt.measured(180 * MS)
    assert (rtt.srtt, rtt.rttvar) == (110 * MS, 57_500_000)
    assert rtt.rto == 340 * MS


def test_the_bounds() -> None:
    """Never below the minimum, never above the maximum, however often it doubles."""
    rtt = Rtt(Settings(rto_min=200 * MS, rto_max=5 * SECOND))
    rtt.measured(MS)
    assert rtt.rto == 200 * MS
    for _ in range(500):
        rtt.expired()
    assert rtt.rto == 5 * SECOND
    assert rtt.backoff < 10
    rtt.measured(MS)
    assert rtt.rto == 200 * MS


def test_after_a_lost_syn() -> None:
    """3 s where nothing was measured (section 5.7)."""
    rtt = Rtt(Settings())
    rtt.expired()
    rtt.syn_was_lost()
    assert rtt.rto == 3 * SECOND
    rtt.measured(MS)
    rtt.syn_was_lost()
    assert rtt.rto == 200 * MS
