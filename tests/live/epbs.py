"""Enhanced Packet Blocks, read strictly: what the tests of the ring hold its output against."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from rawlab.live.ring import FILLER


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What one Enhanced Packet Block says."""

    data: bytes
    original: int
    stamp: int
    flags: int | None


def walk(run: bytes) -> Iterator[Packet]:
    """Every EPB of a run; fails on any byte that is not what pcapng wants, or that we can't account for."""
    at = 0
    while at < len(run):
        kind, length, _interface, high, low, captured, original = struct.unpack_from("=7I", run, at)
        assert kind == 6
        assert length % 4 == 0
        assert struct.unpack_from("=I", run, at + length - 4) == (length,)
        padded = at + 28 + (captured + 3 & ~3)
        assert not any(run[at + 28 + captured : padded])
        options = dict(walk_options(run[padded : at + length - 4]))
        assert not any(options.pop(FILLER, b"")), "stale bytes in the filler"
        flags = options.pop(2, None)
        assert not options
        yield Packet(
            data=run[at + 28 : at + 28 + captured],
            original=original,
            stamp=high << 32 | low,
            flags=struct.unpack("=I", flags)[0] if flags else None,
        )
        at += length
    assert at == len(run)


def walk_options(area: bytes) -> Iterator[tuple[int, bytes]]:
    """The options of a block, which must end in opt_endofopt and fill the area."""
    at = 0
    while True:
        code, length = struct.unpack_from("=HH", area, at)
        if code == 0:
            assert (length, at + 4) == (0, len(area))
            return
        yield code, area[at + 4 : at + 4 + length]
        assert not any(area[at + 4 + length : at + 4 + (length + 3 & ~3)])
        at += 4 + (length + 3 & ~3)
