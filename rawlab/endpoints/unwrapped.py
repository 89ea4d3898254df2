"""Sequence numbers without the circle: in an endpoint they are ints that never wrap, so that `<` and dicts just work.

A number from the wire has 32 bits; `unwrap` finds the one with these bits that lies nearest to one already known
(RFC 9260 section 1.6, RFC 9293 section 3.4). Going out, `wire` takes the lower 32 bits.

>>> hex(unwrap(0x00000002, 0x1FFFFFFFE))
'0x200000002'
"""

from __future__ import annotations

BITS = 0xFFFFFFFF
HALF = 1 << 31
FIRST = 1 << 40
"added to a first number, so that nothing that a peer says leads below 0"


def unwrap(bits: int, near: int) -> int:
    """The number with the lower 32 `bits` in [near - 2^31, near + 2^31)."""
    return near + ((bits - near + HALF) & BITS) - HALF


def wire(tsn: int) -> int:
    """The 32 bits for the wire."""
    return tsn & BITS
