"""Serial numbers: distance and order on the circle of 2^32."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawlab.model.serial import CIRCLE, HALF, Serial

# Around 0 and around the far side of the circle, where mistakes live, as often as anywhere.
NUMBERS = st.one_of(
    st.integers(0, CIRCLE - 1), st.integers(0, 3), st.integers(CIRCLE - 3, CIRCLE - 1), st.integers(HALF - 3, HALF + 3)
).map(Serial)
NEAR = st.one_of(st.integers(-HALF + 1, HALF - 1), st.integers(-3, 3), st.sampled_from([-HALF + 1, HALF - 1]))


@given(NUMBERS, NEAR)
def test_a_step_and_its_distance_undo_each_other(number: Serial, step: int) -> None:
    """(a + n) - a == n for steps of less than half the circle, also across 2^32."""
    assert (number + step) - number == step
    assert (number + step) - step == number
    assert number - (number + step) == -step


@given(NUMBERS, NEAR)
def test_order_is_the_sign_of_the_distance(number: Serial, step: int) -> None:
    """a < b if b lies less than half the circle ahead."""
    other = number + step
    assert (number < other) == (step > 0) == (other > number)
    assert (number <= other) == (step >= 0) == (other >= number)
    assert (number == other) == (step == 0)


@given(NUMBERS)
def test_two_numbers_half_a_circle_apart_have_no_order(number: Serial) -> None:
    """RFC 1982 section 3.2: neither is less; their distance is -2^31 from either side."""
    far = number + HALF
    assert not number < far
    assert not far < number
    assert not number <= far
    assert far - number == number - far == -HALF


@given(NUMBERS, st.integers(-(1 << 70), 1 << 70))
def test_only_the_place_on_the_circle_counts(number: Serial, turns: int) -> None:
    """A number and one that is whole circles away are the same, and hash the same."""
    same = Serial(number.value + turns * CIRCLE)
    assert same == number
    assert hash(same) == hash(number)
    assert 0 <= same.value < CIRCLE


@pytest.mark.parametrize(("number", "following"), [(0, 1), (CIRCLE - 1, 0), (HALF - 1, HALF)])
def test_each_number_is_less_than_the_next(number: int, following: int) -> None:
    """4,294,967,295 is followed by 0."""
    assert Serial(number) < Serial(following)
    assert Serial(following) - Serial(number) == 1
    assert Serial(number) + 1 == Serial(following)


def test_a_serial_is_no_int() -> None:
    """Comparing the two would hide the wrap-around: they are never equal, and have no order."""
    assert Serial(5) != 5
    with pytest.raises((TypeError, AttributeError)):
        assert Serial(6) > 5  # type: ignore[operator]
    assert repr(Serial(5)) == "Serial(5)"
