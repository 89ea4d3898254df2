"""Sets of ranges, held against a plain set of integers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.ranges import RangeSet

END = 40
NUMBERS = st.integers(0, END)
PIECES = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12)


def made(pieces: list[tuple[int, int]]) -> tuple[RangeSet, set[int]]:
    """The same numbers in both kinds of set."""
    ranges, plain = RangeSet(), set[int]()
    for first, end in pieces:
        ranges.add(first, end)
        plain |= set(range(first, end))
    return ranges, plain


@given(PIECES)
def test_it_holds_what_was_added(pieces: list[tuple[int, int]]) -> None:
    """In ranges that neither overlap nor touch, in order; an empty range adds nothing."""
    ranges, plain = made(pieces)
    found = list(ranges)
    assert {number for first, end in found for number in range(first, end)} == plain
    assert all(first < end for first, end in found)
    assert all(end < first for (_, end), (first, _) in pairwise(found))


@given(PIECES, NUMBERS, NUMBERS)
def test_it_covers_what_is_wholly_in_it(pieces: list[tuple[int, int]], first: int, end: int) -> None:
    """An empty range is covered always."""
    ranges, plain = made(pieces)
    assert ranges.covers(first, end) == (set(range(first, end)) <= plain)


@given(PIECES, NUMBERS, NUMBERS)
def test_what_is_missing_and_what_is_there_make_the_whole(pieces: list[tuple[int, int]], first: int, end: int) -> None:
    """The missing parts are in order, none empty, none in the set."""
    ranges, plain = made(pieces)
    missing = list(ranges.missing(first, end))
    assert {n for a, b in missing for n in range(a, b)} == set(range(first, end)) - plain
    assert all(a < b for a, b in missing)
    assert missing == sorted(missing)


@given(PIECES, NUMBERS)
def test_an_unbroken_run_ends_at_the_first_number_that_is_missing(pieces: list[tuple[int, int]], first: int) -> None:
    """At `first` itself, if that is not in the set."""
    ranges, plain = made(pieces)
    assert ranges.end_from(first) == next(n for n in range(first, END + 2) if n not in plain)


def test_it_says_what_it_holds() -> None:
    """Ends are one past the last, as everywhere."""
    ranges, _ = made([(5, 9), (0, 2), (2, 5), (20, 21)])
    assert repr(ranges) == "RangeSet(0-9, 20-21)"
    assert repr(RangeSet()) == "RangeSet()"
