"""By how much each segment's window is shifted (RFC 7323 section 2.2): SYNs tell, so mostly two rows of a flow."""

from __future__ import annotations

import numpy as np

from rawlab.attribution.tcp_side import LARGEST_SHIFT, NOT_SCALED, UNKNOWN
from rawlab.columns.tcp_rows import Rows
from rawlab.columns.tcp_sides import Sides
from rawlab.columns.window import Bool, Int8, Int64

_MOST_SYNS = 16


class Scaling:
    """What is told by the SYNs of a window, and what was known before."""

    def __init__(self, rows: Rows, sides: Sides) -> None:
        self.scale: Int8 = sides.scale[rows.entries]
        "of each virtual row, after the last SYN"
        self.odd: set[int] = set()
        "flows with a segment before a SYN that is not their first, for which that would be wrong"
        syns = np.flatnonzero(rows.syn)
        if len(syns):
            self._read(rows, syns)
        answered = self._answered(rows, sides)
        shift = np.where(answered, np.maximum(self.scale, 0)[self._of_row(rows)], 0)
        window = np.concatenate((sides.window[rows.entries], rows.window))
        ack = np.concatenate((sides.ack[rows.entries], rows.ack))
        self.edge = ack + (window << shift).astype(np.uint32)
        "of each row, the sequence number up to which it has room"
        self.answered: Bool = answered[rows.final]
        "of each virtual row, at the end"

    def _of_row(self, rows: Rows) -> Int64:
        return np.concatenate((np.arange(rows.v), rows.side))

    def _read(self, rows: Rows, syns: np.ndarray) -> None:
        """The first SYN of each flow, then the second of each …"""
        group = rows.group[syns]
        rank = np.arange(len(syns)) - np.searchsorted(group, group)
        for turn in range(min(int(rank.max()) + 1, _MOST_SYNS)):
            self._agree(rows, syns[rank == turn])
        last_syn = np.full(len(rows.first), -1)
        last_syn[group] = syns
        count = np.bincount(group, minlength=len(rows.first))
        mixed = (last_syn >= 0) & (last_syn - rows.first + 1 > count)
        self.odd.update(np.flatnonzero(mixed | (count > _MOST_SYNS)).tolist())

    def _agree(self, rows: Rows, syns: np.ndarray) -> None:
        side, option, scale = rows.side[syns], rows.wscale[syns], self.scale
        scale[side] = np.where(option >= 0, np.minimum(option, LARGEST_SHIFT), scale[side])
        neither = scale[side] == UNKNOWN
        scale[side[neither]] = scale[side[neither] ^ 1] = NOT_SCALED
        refused = rows.acks[syns] & (scale[side ^ 1] == NOT_SCALED)
        scale[side[refused]] = NOT_SCALED

    def _answered(self, rows: Rows, sides: Sides) -> Bool:
        """Of virtual rows and rows: an ACK came after its direction's last SYN, or that SYN was not seen."""
        answered = np.concatenate((sides.answered[rows.entries], rows.acks & ~rows.syn))
        for row in np.flatnonzero(~rows.acks & ~rows.syn).tolist():
            answered[rows.v + row] = answered[rows.own[row]]
        return answered
