"""The sums behind a SACK: gap ack blocks as ranges, and what one SACK says that the last did not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rawlab.endpoints.sctp.acknowledging import Ranges, _absolute, _without


def ranges(numbers: set[int]) -> Ranges:
    """Numbers as ranges, ascending and apart."""
    found: Ranges = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found


def numbers(of: Ranges) -> list[int]:
    """Ranges as numbers."""
    return [number for first, end in of for number in range(first, end)]


@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_what_one_has_and_the_other_has_not(these: set[int], those: set[int]) -> None:
    """Property: as with sets."""
    assert numbers(_without(ranges(these), ranges(those))) == sorted(these - those)


@given(
    blocks=st.lists(st.tuples(st.integers(0, 65535) | st.integers(0, 30), st.integers(0, 65535) | st.integers(0, 30))),
    sent=st.integers(1, 40),
)
def test_blocks_of_any_kind_give_ranges_of_what_was_sent(blocks: list[tuple[int, int]], sent: int) -> None:
    """Property: ascending, behind the first hole, before the next TSN to be sent, whatever a peer says."""
    found = _absolute(blocks, 1000, 1000 + sent)
    flat = numbers(found)
    assert flat == sorted(set(flat))
    assert all(1002 <= number < 1000 + sent for number in flat)
    assert all(first < end for first, end in found)


def test_blocks_in_order_are_taken_as_they_are() -> None:
    """RFC 9260 section 3.3.4's own figure: 12 is acknowledged, 14 and 15, and 17 came behind holes."""
    assert _absolute([(2, 3), (5, 5)], 12, 20) == [(14, 16), (17, 18)]
