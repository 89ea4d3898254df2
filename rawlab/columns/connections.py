"""Where between the same two TCP endpoints a new connection begins, by Wireshark's rule.

It begins with a SYN without ACK whose sequence number is not the one that its sender's side began with. A side began
with the sequence number of its first segment (less one, where that has no SYN), or with the one that the other side
first acknowledged, less one; whichever came first; until a SYN with ACK says otherwise.

What has to be remembered of each flow is little and found for all frames of a window at once; only pairs with a second
SYN in the window are followed one segment at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.decoding import TCP, Columns
from rawlab.columns.window import Bool, Int32, Int64

_SYN, _ACK = 2, 16
_SYN_ACK = _SYN | _ACK
_UNKNOWN = -1


class Connections:
    """What each flow's two sides began with."""

    def __init__(self) -> None:
        self._began: Int64 = np.empty((0, 2), np.int64)
        "of the side whose end has the smaller number, and of the other"
        self._asked: Bool = np.empty(0, np.bool_)
        "whether it is still to be found what the side began with that did not send the first segment"
        self._row: Int64 = np.empty(0, np.int64)
        "of each flow, while rows are looked through"

    def begin(self, flows: int, rows: Int64, columns: Columns) -> None:
        """So many flows there are now; the last of them were begun by these rows."""
        new = slice(flows - len(rows), flows)
        self._began = with_room(self._began, flows)
        self._asked = with_room(self._asked, flows)
        side = (columns.source[rows] > columns.target[rows]).astype(np.int64)
        flags, every = columns.flags[rows], np.arange(len(rows))
        began = self._began[new]
        told = (columns.protocol[rows] != TCP) | (columns.payload_at[rows] > 0)
        own = columns.seq[rows] - (flags & _SYN == 0).astype(np.uint32)
        began[every, side] = np.where(told, own, np.int64(_UNKNOWN))
        began[every, 1 - side] = np.where(flags & _ACK, columns.ack[rows] - np.uint32(1), np.int64(_UNKNOWN))
        self._asked[new] = (flags & _ACK == 0) & (columns.protocol[rows] == TCP)

    def begun(self, pair: Int32, firsts: Int64, latest: Int32, columns: Columns) -> tuple[Int64, Int64]:
        """Rows of pairs that have a second SYN, and for each the row that began its connection, where that is in this
        window and not the pair's first; else -1."""
        syns = (columns.flags & _SYN_ACK == _SYN) & (columns.payload_at > 0)
        syns[firsts] = False
        if not syns.any():
            return np.empty(0, np.int64), np.empty(0, np.int64)
        chosen = np.isin(pair, pair[syns]) & (columns.protocol == TCP) & (columns.payload_at > 0)
        rows = np.flatnonzero(chosen)
        return rows, self._followed(rows, pair, set(firsts.tolist()), latest, columns)

    def _followed(self, rows: Int64, pair: Int32, firsts: set[int], latest: Int32, columns: Columns) -> Int64:
        """One segment at a time: the row that began each one's connection."""
        state: dict[int, list[int]] = {}
        began = []
        side_of = (columns.source[rows] > columns.target[rows]).tolist()
        seqs, acks, flags = columns.seq[rows].tolist(), columns.ack[rows].tolist(), columns.flags[rows].tolist()
        for row, key, side, seq, ack, flag in zip(
            rows.tolist(), pair[rows].tolist(), side_of, seqs, acks, flags, strict=True
        ):
            now = state.get(key)
            if now is None:
                now = state[key] = [_UNKNOWN, _UNKNOWN, -1] if row in firsts else self._known(int(latest[key]))
            if flag & _SYN_ACK == _SYN and now[side] not in (_UNKNOWN, seq):
                now[:] = [_UNKNOWN, _UNKNOWN, row]
            if now[side] == _UNKNOWN or flag & _SYN_ACK == _SYN_ACK:
                now[side] = seq if flag & _SYN else seq - 1 & 0xFFFFFFFF
            if flag & _ACK and now[not side] == _UNKNOWN:
                now[not side] = ack - 1 & 0xFFFFFFFF
            began.append(now[2])
        return np.array(began, np.int64)

    def _known(self, flow: int) -> list[int]:
        return [*self._began[flow].tolist(), -1]

    def follow(self, flow: Int32, forward: Bool, columns: Columns) -> None:
        """Remembers what these segments tell of their flows."""
        self._answered(flow, forward, columns)
        rows = np.flatnonzero(columns.flags & _SYN_ACK == _SYN_ACK)
        self._began[flow[rows], (columns.source[rows] > columns.target[rows]).astype(np.int64)] = columns.seq[rows]

    def _answered(self, flow: Int32, forward: Bool, columns: Columns) -> None:
        """The first segment that tells what the side began with that did not send the flow's first."""
        tells = self._asked[flow]
        tells &= (columns.flags & _ACK != 0) | ~forward
        tells &= columns.payload_at > 0
        rows = np.flatnonzero(tells)
        if not len(rows):
            return
        flows = flow[rows]
        self._row = with_room(self._row, len(self._asked))
        self._row[flows[::-1]] = rows[::-1]
        rows = rows[self._row[flows] == rows]
        flows, flags = flow[rows], columns.flags[rows]
        side = ((columns.source[rows] > columns.target[rows]) != forward[rows]).astype(np.int64)
        own = columns.seq[rows] - (flags & _SYN == 0).astype(np.uint32)
        self._began[flows, side] = np.where(forward[rows], columns.ack[rows] - np.uint32(1), own)
        self._asked[flows] = False


def with_room(column: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """The column, or a longer one that begins with it."""
    if rows <= len(column):
        return column
    longer = np.zeros((max(rows, 2 * len(column)), *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer
