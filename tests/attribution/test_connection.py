"""An end's numbers, which do not wrap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawlab.attribution.connection import End
from rawlab.model.address import Endpoint
from rawlab.model.serial import Serial


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 1 << 40), st.integers(-(1 << 31) + 1, (1 << 31) - 1))
def test_a_number_is_the_one_nearest_to_what_is_expected(isn: int, near: int, distance: int) -> None:
    """Octet 5,000,000,000 of a stream is no octet 705,032,704, though both have the same sequence number."""
    end = End(address=Endpoint("10.0.0.1", 1), host="client", socket=None, base=Serial(isn))
    assert end.relative(Serial(isn + near + distance), near) == near + distance
