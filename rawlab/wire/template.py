"""Packets by the million: one made packet, of which some fields count up from packet to packet.

    .packet(7)                one packet's octets
    .packets(0, 4096)         a matrix of them, a packet a row

How it works: the Internet checksum is a sum (RFC 1071), so of each one only what the varied octets add is worked out
anew, and added to the sum of all that stays, which was worked out once. It is RFC 1624's incremental update, but from
what all packets have in common instead of from one packet to the next: nothing is ever taken off, so that the two
zeros of ones' complement arithmetic are never confused. UDP's 0 becomes 0xffff (RFC 768).

numpy is imported when a matrix is asked for. What does not belong here: which octets a field is (`wire.vary`).
"""

from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass
from typing import Any

MOST_OCTETS = 8
"of a field, that can vary: its last"
_ALL = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Octets that vary."""

    at: int
    length: int
    "octets, MOST_OCTETS at the most"
    low: int
    span: int
    "how many values there are"
    first: int
    "which of them packet 0 has, from 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A checksum that is kept right."""

    at: int
    fixed: int
    "the ones' complement sum of all that does not vary"
    terms: tuple[tuple[int, bool], ...]
    "places that it covers, by index, and whether each ends at an odd octet: its sum counts with the octets swapped"
    never_zero: bool
    "UDP's: 0 would say that there is none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A packet and what varies in it."""

    base: bytes
    "the packet, zeros where it varies"
    places: tuple[Place, ...] = ()
    sums: tuple[Sum, ...] = ()

    def packet(self, n: int) -> bytes:
        """Packet n, from 0."""
        made = bytearray(self.base)
        totals = []
        for place in self.places:
            value = place.low + (place.first + n) % place.span
            made[place.at : place.at + place.length] = value.to_bytes(place.length, "big")
            totals.append(sum(value >> shift & 0xFFFF for shift in range(0, 8 * place.length, 16)))
        for kept in self.sums:
            total = kept.fixed
            for index, odd in kept.terms:
                total += _swapped(folded(totals[index])) if odd else totals[index]
            right = ~folded(total) & 0xFFFF
            made[kept.at : kept.at + 2] = (right or 0xFFFF * kept.never_zero).to_bytes(2, "big")
        return bytes(made)

    def packets(self, first: int, count: int) -> Any:
        """Packets from `first` on, as numpy's array of octets, (count, len)."""
        import numpy as np

        made = np.empty((count, len(self.base)), np.uint8)
        made[:] = np.frombuffer(self.base, np.uint8)
        self.refill(made, first)
        return made

    def refill(self, made: Any, first: int) -> None:
        """Makes a matrix that `packets` gave hold other packets, from `first` on."""
        import numpy as np

        n = np.arange(first, first + len(made), dtype=np.uint64)
        totals = []
        for place in self.places:
            shifted = n + np.uint64(place.first)
            values = (shifted if place.span > _ALL else shifted % np.uint64(place.span)) + np.uint64(place.low)
            octets = values.astype(">u8").view(np.uint8).reshape(len(made), 8)
            made[:, place.at : place.at + place.length] = octets[:, 8 - place.length :]
            totals.append(_words(values, place.length))
        for kept in self.sums:
            total = np.full(len(made), kept.fixed, np.uint64)
            for index, odd in kept.terms:
                total += _swapped(_folded_all(totals[index])) if odd else totals[index]
            right = _folded_all(total) ^ np.uint64(0xFFFF)
            if kept.never_zero:
                right[right == 0] = 0xFFFF
            made[:, kept.at : kept.at + 2] = right.astype(">u2").view(np.uint8).reshape(len(made), 2)

    def made(self, data: bytes) -> bool:
        """Whether these octets may be one of its packets: the same but for what varies."""
        return len(data) == len(self.base) and self._fixed(data) == self._fixed(self.base)

    def _fixed(self, data: bytes) -> bytes:
        fixed = bytearray(data)
        for place in self.places:
            fixed[place.at : place.at + place.length] = bytes(place.length)
        for kept in self.sums:
            fixed[kept.at : kept.at + 2] = b"\0\0"
        return bytes(fixed)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return dataclasses.asdict(self) | {"base": base64.b64encode(self.base).decode()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Template:
        """The template again."""
        sums = (Sum(**{**kept, "terms": tuple((index, odd) for index, odd in kept["terms"])}) for kept in told["sums"])
        places = tuple(Place(**place) for place in told["places"])
        return cls(base=base64.b64decode(told["base"]), places=places, sums=tuple(sums))


def folded(total: int) -> int:
    """The ones' complement sum of 16-bit words, from their plain sum: 0 of zeros alone."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _folded_all(totals: Any) -> Any:
    for _ in range(3):
        totals = (totals & 0xFFFF) + (totals >> 16)
    return totals


def _swapped(word: Any) -> Any:
    return (word & 0xFF) << 8 | word >> 8


def _words(values: Any, length: int) -> Any:
    """The plain sum of each value's 16-bit words."""
    total = values & 0xFFFF
    for shift in range(16, 8 * length, 16):
        total = total + (values >> shift & 0xFFFF)
    return total
