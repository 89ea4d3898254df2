"""Every frame as a line of text, or as columns for other programs: what `model.columns.ROW` and `FRAMES` say.

A window and what following its connections told of it go in, with no Python step for each frame. Numbers are relative
as Wireshark has them: the SYN's is 0; where none was seen, the first octet's is 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.batch import Batch, Coded, Words
from rawlab.columns.lines import Cell, Number, Seconds, Text, lines, part
from rawlab.columns.names import Names
from rawlab.columns.window import Bool, Int64, Uint16, Window
from rawlab.model.analysis import Mark, words
from rawlab.wire.symbols import TCP_FLAGS, tcp_flags

_TCP, _UDP, _SYN, _ACK = 6, 17, 0x02, 0x10
_CIRCLE = 0xFFFF_FFFF
_MOST = 1 << 14
"rows of a step: their text stays in the processor's cache"
TSV = ("number", "time", "who", "length", "flags", "seq", "ack", "window", "payload", "marks")
"`ROW`'s columns; `who` is flow, source, destination and protocol, with tabs"


class Bases:
    """Each end's number from which relative ones are counted, flow by flow; entry 2·f is A's, 2·f + 1 is B's."""

    def __init__(self) -> None:
        self._base: Int64 = np.full(0, -1, np.int64)

    def relative(self, window: Window, flows: int) -> tuple[Int64, Int64]:
        """Relative sequence and acknowledgment numbers of a window's TCP segments; -1: it has none."""
        if flows * 2 > len(self._base):
            self._base = np.concatenate((self._base, np.full(flows * 4 - len(self._base), -1, np.int64)))
        tcp = (window.protocol == _TCP) & (window.payload_at > 0)
        acks = tcp & ((window.flags & np.uint16(_ACK)) != 0)
        side = window.flow.astype(np.int64) * 2 + ~window.forward
        self._learn(window, side, tcp, acks)
        seq = np.where(tcp, (window.seq - self._base[side]) & _CIRCLE, -1)
        ack = np.where(acks, (window.ack - self._base[side ^ 1]) & _CIRCLE, -1)
        return seq, ack

    def _learn(self, window: Window, side: Int64, tcp: Bool, acks: Bool) -> None:
        """An end's base is told by its own first segment, or by what acknowledges it before that is seen."""
        own = np.flatnonzero(tcp & (self._base[side] < 0))
        other = np.flatnonzero(acks & (self._base[side ^ 1] < 0))
        if not len(own) and not len(other):
            return
        syn = (window.flags[own] & np.uint16(_SYN)) != 0
        sides = np.concatenate((side[own], side[other] ^ 1))
        values = np.concatenate((window.seq[own].astype(np.int64) - ~syn, window.ack[other].astype(np.int64) - 1))
        order = np.argsort(np.concatenate((own * 2, other * 2 + 1)))[::-1]
        self._base[sides[order]] = values[order] & _CIRCLE  # of several to one place, the last is kept: the earliest


class MarkTable:
    """The words for the marks that came up so far."""

    def __init__(self) -> None:
        self._codes: npt.NDArray[np.int32] = np.full(1 << 16, -1, np.int32)
        self._codes[0] = 0
        self.words = Words([None])

    def coded(self, marks: Uint16) -> Coded:
        """Each one's words."""
        codes = self._codes[marks]
        if (new := codes < 0).any():
            for mark in np.unique(marks[new]).tolist():
                self._codes[mark] = len(self.words.texts)
                self.words.texts.append(", ".join(words(Mark(mark))))
            codes = self._codes[marks]
        return Coded(codes, self.words)


def _flag_words() -> list[str | None]:
    letters = ["".join(letter for bit, letter in enumerate(TCP_FLAGS) if flags >> bit & 1) for flags in range(512)]
    return [*map(tcp_flags, letters), None]


class Frames:
    """What is said of the frames of a capture, window by window, in order."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._bases = Bases()
        self._marks = MarkTable()
        self._flags = Words(_flag_words())
        self._start_ns: int | None = None

    def batch(self, window: Window, marks: Uint16) -> dict[str, Any]:
        """The window by the names of `FRAMES` and `ROW`."""
        self._names.introduce()
        if self._start_ns is None:
            self._start_ns = int(window.at_ns[0])
        there = window.payload_at > 0
        tcp = (window.protocol == _TCP) & there
        seq, ack = self._bases.relative(window, len(self._names))
        side = window.flow.astype(np.int64) * 2 + ~window.forward
        return {
            "number": window.number,
            "at_ns": window.at_ns,
            "time": window.at_ns - self._start_ns,
            "flow": window.flow.astype(np.int64) + 1,
            "forward": window.forward,
            "who": Coded(side, self._names.who),
            "source": Coded(side, self._names.source),
            "destination": Coded(side, self._names.destination),
            "protocol": Coded(side, self._names.protocol),
            "length": window.length,
            "captured": window.captured,
            "flags": Coded(np.where(tcp, window.flags & 511, 512), self._flags),
            "seq": seq,
            "ack": ack,
            "seq_absolute": np.where(tcp, window.seq.astype(np.int64), -1),
            "ack_absolute": np.where(ack >= 0, window.ack.astype(np.int64), -1),
            "window": np.where(tcp, window.window, -1),
            "payload": np.where(tcp | (window.protocol == _UDP) & there, window.payload, -1),
            "marks": self._marks.coded(marks),
            "point": window.point,
        }


def cells(batch: Batch, names: Sequence[str]) -> list[Cell]:
    """Columns as what `lines` lays out."""
    return [_cell(name, batch[name]) for name in names]


def _cell(name: str, values: Any) -> Cell:
    if isinstance(values, Coded):
        return Text(codes=values.codes, table=values.words.encoded())
    return Seconds(ns=values) if name == "time" else Number(values=values)


def text(cells: Sequence[Cell], *, separator: bytes = b"\t", end: bytes = b"\n") -> Iterator[bytes | bytearray]:
    """The rows as lines, some thousand at a time."""
    count = len(cells[0].values) if isinstance(cells[0], Number) else 0
    for begin in range(0, count, _MOST):
        yield lines([part(cell, begin, begin + _MOST) for cell in cells], separator=separator, end=end)
