"""The first and the last blocks of a stream, however it comes."""

from __future__ import annotations

import struct

import pytest

from rawlab.live.sample import Sample


def block(number: int) -> bytes:
    """A pcapng block: its length at both ends, and a number."""
    length = 16 + 4 * (number % 3)
    return struct.pack("=III", 6, length, number).ljust(length - 4, b"\0") + struct.pack("=I", length)


def kept(count: int, most: int, runs: int) -> list[int]:
    """The numbers of those that are kept of so many, coming in so many at once."""
    sample = Sample(most)
    for first in range(0, count, runs):
        sample.add([memoryview(b"".join(map(block, range(first, min(first + runs, count)))))])
    return [struct.unpack_from("=I", found, 8)[0] for found in sample.blocks()]


@pytest.mark.parametrize("runs", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 9, 10, 11, 50])
def test_the_first_and_the_last(count: int, runs: int) -> None:
    """None twice, none out of order; all, where they are few."""
    numbers = list(range(count))
    assert kept(count, 5, runs) == (numbers if count <= 10 else [*numbers[:5], *numbers[-5:]])
