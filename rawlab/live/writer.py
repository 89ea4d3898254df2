"""The capture file while it grows: whole blocks are appended, and a full disk leaves whole blocks.

One writev(2) takes all that is ready; a signal can't come between the blocks of one, and when the disk is full
the file is cut back to the end of the last block that is whole.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

_IOV_MAX = 1024
Buffer = bytes | memoryview


class Writer:
    """Appends blocks to a descriptor opened with O_APPEND."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.error: OSError | None = None
        "what ended the writing; after it nothing more is written"
        self.saved = os.fstat(descriptor).st_size
        "octets that are in the file, all in whole blocks"

    def append(self, blocks: Sequence[Buffer]) -> None:
        """Appends buffers, each of whole blocks. A failure is kept in `error`, not raised."""
        for first in range(0, len(blocks), _IOV_MAX):
            if self.error is None:
                self._append(blocks[first : first + _IOV_MAX])

    def _append(self, blocks: Sequence[Buffer]) -> None:
        wanted = sum(map(len, blocks))
        written = 0
        rest: list[Buffer] = list(blocks)
        try:
            while written < wanted:
                count = os.writev(self.descriptor, rest)
                written += count
                rest = _after(rest, count)
        except OSError as error:
            self.error = error
            written = _whole(blocks, written)
            os.ftruncate(self.descriptor, self.saved + written)
        self.saved += written


def _after(blocks: list[Buffer], count: int) -> list[Buffer]:
    """What remains when the first `count` octets are gone."""
    while blocks and count >= len(blocks[0]):
        count -= len(blocks.pop(0))
    if blocks and count:
        blocks[0] = memoryview(blocks[0])[count:]
    return blocks


def _whole(blocks: Sequence[Buffer], limit: int) -> int:
    """How many of the first `limit` octets are whole blocks."""
    end = 0
    for buffer in blocks:
        at = 0
        while at < len(buffer):
            (total,) = struct.unpack_from("=I", buffer, at + 4)
            if end + total > limit:
                return end
            end, at = end + total, at + total
    return end
