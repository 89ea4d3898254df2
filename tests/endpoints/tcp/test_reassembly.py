"""Runs of octets out of order, held against a dict of octets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawlab.endpoints.tcp.reassembly import Reassembly

ADDS = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), max_size=30)


@given(ADDS, st.integers(0, 90))
def test_octets_are_where_they_were_put_and_the_first_one_counts(adds: list[tuple[int, bytes]], start: int) -> None:
    """Property: `take` gives what lies without a gap from `start` on, `blocks` all runs."""
    gaps, octets = Reassembly(1000), dict[int, int]()
    for at, data in adds:
        assert gaps.add(at, data)
        for place, octet in enumerate(data, at):
            octets.setdefault(place, octet)
    begins = sorted(place for place in octets if place - 1 not in octets)
    ends = sorted(place + 1 for place in octets if place + 1 not in octets)
    if adds:
        assert sorted(gaps.blocks(1000)) == list(zip(begins, ends, strict=True))
        assert gaps.blocks(1)[0][0] <= adds[-1][0] < gaps.blocks(1)[0][1], "the last one's run comes first"
    expected = bytearray()
    while start + len(expected) in octets:
        expected.append(octets[start + len(expected)])
    assert gaps.take(start) == expected
    assert all(first > start for first in gaps.starts)


def test_runs_are_counted() -> None:
    """One too many is refused; what touches a run is none."""
    gaps = Reassembly(2)
    assert gaps.add(10, b"ab")
    assert gaps.add(20, b"ab")
    assert not gaps.add(30, b"ab")
    assert gaps.add(22, b"c")
    assert gaps.add(12, b"01234567")
    assert gaps.add(30, b"ab")
    assert gaps.end == 32
