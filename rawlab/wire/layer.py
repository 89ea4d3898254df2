"""The values of a field tree: a frame's layers, and their fields with their exact places.

`wire.fields` and `wire.places` make them, each its way.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LAYERS = 64
"layers that are given of one frame"

MAX_PARTS = 1024
"an SCTP packet's chunks, user data and padding that are given"

MAX_VALUE = 1000
"characters of a field's value; the raw value has all"

MAX_OCTETS = 1 << 18
"octets of a frame that are read, the largest packet that a capture may hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a header, by its RFC's name or close to it."""

    name: str
    offset_bits: int
    "where it begins, in bits from the frame's first"
    length_bits: int
    value: str
    "as people read it: '10.0.0.1', 'SA', '64'; at most MAX_VALUE characters, unescaped"
    raw: int | bytes
    "its bits as an unsigned number where they are 64 or fewer, else its octets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One header, or what is left: payload as 'Raw', link-layer padding as 'Padding'."""

    name: str
    offset: int
    "where it begins, in octets from the frame's first"
    length: int
    "octets of the header itself, without what it carries"
    fields: tuple[Field, ...]
