"""Serial numbers of 32 bits, which wrap around (RFC 1982; RFC 9293 section 3.4, RFC 9260 section 1.6).

TCP's sequence numbers and SCTP's TSNs are compared by their distance on a circle: `a < b` says that b lies
less than half the circle ahead of a. Two numbers exactly half a circle apart have no order (RFC 1982
section 3.2): neither is less than the other.

>>> Serial(0xFFFFFFFF) < Serial(0)
True
>>> Serial(3) - Serial(0xFFFFFFFE)
5
"""

from __future__ import annotations

from typing import overload

CIRCLE = 1 << 32
HALF = 1 << 31


class Serial:
    """A number on the circle of 2^32. Adding an int moves along it; the difference of two is a signed int."""

    __slots__ = ("value",)
    value: int

    def __init__(self, value: int) -> None:
        self.value = value % CIRCLE

    def __add__(self, distance: int) -> Serial:
        return Serial(self.value + distance)

    @overload
    def __sub__(self, other: Serial) -> int: ...
    @overload
    def __sub__(self, other: int) -> Serial: ...
    def __sub__(self, other: Serial | int) -> int | Serial:
        """The distance from `other` to here, from -2^31 to 2^31 - 1; or the number `other` steps back."""
        if isinstance(other, int):
            return Serial(self.value - other)
        return (self.value - other.value + HALF) % CIRCLE - HALF

    def __lt__(self, other: Serial) -> bool:
        return 0 < (other.value - self.value) % CIRCLE < HALF

    def __le__(self, other: Serial) -> bool:
        return self.value == other.value or self < other

    def __gt__(self, other: Serial) -> bool:
        return 0 < (self.value - other.value) % CIRCLE < HALF

    def __ge__(self, other: Serial) -> bool:
        return self.value == other.value or self > other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Serial) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Serial({self.value})"
