"""The first and the last packets of a capture that is too long to keep: whole pcapng blocks, cut by their lengths.

A block's length stands at its beginning and at its end, so that the first ones are found from the front and the last
ones from the back; of the many between nothing is looked at.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence

_LENGTH = struct.Struct("=I")


class Sample:
    """What was seen of a stream of blocks: at most `most` from the front, and as many from the back."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._first: list[bytes] = []
        self._last: deque[bytes] = deque(maxlen=most)

    def add(self, runs: Sequence[memoryview]) -> None:
        """Takes the next blocks, each run of whole ones; nothing of them is needed afterwards."""
        for run in runs:
            at = 0
            while len(self._first) < self.most and at < len(run):
                (length,) = _LENGTH.unpack_from(run, at + 4)
                self._first.append(bytes(run[at : at + length]))
                at += length
            last: list[bytes] = []
            end = len(run)
            while len(last) < self.most and end > at:
                (length,) = _LENGTH.unpack_from(run, end - 4)
                last.append(bytes(run[end - length : end]))
                end -= length
            self._last.extend(reversed(last))

    def blocks(self) -> list[bytes]:
        """What was kept, in order."""
        return [*self._first, *self._last]
