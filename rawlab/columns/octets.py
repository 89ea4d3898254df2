"""Octets at many places at once: what `struct.unpack_from` is for one place.

`Octets` lays a view of overlapping items over a capture, one at every octet, and picks from it: a row of so many
octets for each place, all rows one behind the other in new memory, where columns of them are quick to read. Places
are not checked one by one: the caller only names places from which that many octets are there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
Rows = npt.NDArray[np.uint8]

_PIECE, _DONTNEED = 1 << 24, 4


class Octets:
    """The octets of a capture."""

    def __init__(self, octets: memoryview) -> None:
        self.view = octets
        self.bytes: Rows = np.frombuffer(octets, np.uint8)
        self._forgotten = 0
        self._items = lru_cache(maxsize=None)(self._overlapping)

    def forget(self, end: int) -> None:
        """Gives back what memory holds of a mapped file's octets before `end`, a large piece at a time.

        They can still be read: madvise(2), MADV_DONTNEED of a file's mapping.
        """
        whole: Any = self.view.obj
        if not hasattr(whole, "madvise"):
            return
        begin = self.bytes.ctypes.data - np.frombuffer(whole, np.uint8).ctypes.data
        end = (begin + end) // _PIECE * _PIECE
        if end > self._forgotten:
            whole.madvise(_DONTNEED, self._forgotten, end - self._forgotten)
            self._forgotten = end

    def __len__(self) -> int:
        return len(self.bytes)

    def _overlapping(self, size: int) -> npt.NDArray[Any]:
        return np.ndarray((max(len(self.bytes) - size + 1, 0),), f"V{size}", self.bytes, 0, (1,))

    def rows(self, places: Places, size: int) -> Rows:
        """For each place a row of `size` octets."""
        return self._items(size)[places].view(np.uint8).reshape(len(places), size)

    def heads(self, places: Places, size: int) -> npt.NDArray[np.void]:
        """For each place in the file an item of `size` octets; where the file ends before that, NULs follow."""
        try:
            return self._items(size)[places]
        except IndexError:
            begin = max(len(self.bytes) - size, 0)
        last = np.concatenate((self.bytes[begin:], np.zeros(size, np.uint8)))
        end = np.ndarray((len(last) - size + 1,), f"V{size}", last, 0, (1,))
        found, inside = np.empty(len(places), f"V{size}"), places < begin
        found[inside], found[~inside] = self._items(size)[places[inside]], end[places[~inside] - begin]
        return found

    def words(self, places: Places, order: str) -> npt.NDArray[np.uint32]:
        """For each place the 32 bits there, in the byte order `<` or `>`."""
        words: npt.NDArray[np.uint32] = self._items(4)[places].view(f"{order}u4")
        return words


def column(rows: Rows, at: int, kind: str) -> npt.NDArray[Any]:
    """The field of the numpy type `kind` that begins at octet `at` of each row."""
    wide = np.dtype(kind).itemsize
    return rows[:, at : at + wide].view(kind)[:, 0]
