"""What each TCP segment of a window turns out to be: the marks of `attribution.tcp_analysis`, many rows at once.

`Analysis` takes the windows of a capture in order, and carries over what it must know of each flow (`tcp_sides`). In a
window, nearly every rule is an expression over a row, the rows before it (`tcp_rows`) and three things that take a
walk, each over few rows: up to where nothing is missing (`tcp_gaps`), how many duplicate ACKs there were
(`tcp_duplicates`), how windows are scaled (`tcp_scaling`).

Where one mark hangs on another (a window probe, which does not move its direction on; a SYN amid a connection; …), the
flow is odd: its rows around there are followed one by one, by `TcpAnalysis` itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rawlab.attribution.tcp_side import UNKNOWN
from rawlab.columns.holes import Holes
from rawlab.columns.tcp_again import InitialRtts, sent_again, times_of
from rawlab.columns.tcp_duplicates import Duplicates
from rawlab.columns.tcp_gaps import Gaps
from rawlab.columns.tcp_rows import Index, Rows
from rawlab.columns.tcp_rtts import RoundTrips
from rawlab.columns.tcp_scaling import Scaling
from rawlab.columns.tcp_sides import Sides
from rawlab.columns.window import Bool, Int64, Uint16, Window
from rawlab.model.analysis import Mark

TCP = 6
_LOST = np.uint16(Mark.LOST_SEGMENT)
_FEW = 300
"rows of an odd flow are followed one by one; where it has more, the window is cut, until the odd place stands alone"


class Analysis:
    """The connections of a capture, a window at a time."""

    def __init__(self, flows: Any, *, rtts: bool = False) -> None:
        """`flows`: its `reused`, if it has that, says of each flow whether its ends had one before.

        `rtts`: find `rtt_ns`, too, which takes half as long again.
        """
        self._flows = flows
        self._sides = Sides()
        self.holes = Holes()
        self._expected: dict[int, int] = {}
        "of the window's rows before which octets are missing, the number that was to come"
        self._trips = RoundTrips() if rtts else None
        self.rtt_ns: Int64 = np.zeros(0, np.int64)
        "of each row of the last window, since the segment that it acknowledges; -1: none. Empty without `rtts`"

    def marks(self, window: Window) -> Uint16:
        """Of each row its `Mark`, as a number; 0 for what is no TCP."""
        marks = np.zeros(len(window), np.uint16)
        self.rtt_ns = np.full(len(window) if self._trips else 0, -1, np.int64)
        chosen = np.flatnonzero((window.protocol == TCP) & (window.payload_at > 0))
        if len(chosen):
            self._sides.grow(int(window.flow[chosen].max()) + 1)
            self._expected.clear()
            self._follow(window, chosen, marks)
            if self._expected or len(self.holes):
                self.holes.see(window, marks, self._expected)
        return marks

    def _follow(self, window: Window, chosen: Index, marks: Uint16) -> None:
        rows = Rows(window, chosen, self._sides)
        found = _Found(rows, self._sides, self._reused(rows))
        odd = sorted(found.odd) if rows.within else list(range(len(rows.first)))
        if len(chosen) > 2 * _FEW and (rows.last - rows.first)[odd].max(initial=0) > _FEW:
            half = len(chosen) // 2
            self._follow(window, chosen[:half], marks)
            self._follow(window, chosen[half:], marks)
            return
        if self._trips is not None:
            self.rtt_ns[rows.order] = self._trips.find(rows, self._sides, found.own_ack)
        alone = [(group, self._sides.take_out(int(rows.flows[group]), found.reused(group))) for group in odd]
        found.carry_over(self._sides)
        for group, one in alone:
            for row in range(rows.first[group], rows.last[group] + 1):
                expected = (one.forward if rows.forward[row] else one.backward).next_seq
                found.marks[row] = one.see(**_segment(rows, row)).marks
                if found.marks[row] & _LOST:
                    self._expected[int(rows.order[row])] = expected
            self._sides.put_back(int(rows.flows[group]), one)
        marks[rows.order] = found.marks
        for row in np.flatnonzero(found.marks & _LOST).tolist():
            self._expected.setdefault(int(rows.order[row]), int(rows.before[row]))

    def _reused(self, rows: Rows) -> Index:
        """The flows that begin here, between ends that had one before."""
        reused = getattr(self._flows, "reused", None)
        if reused is None:
            return np.zeros(0, np.intp)
        return np.flatnonzero(~self._sides.begun[rows.flows] & np.asarray(reused)[rows.flows])


def _segment(rows: Rows, row: int) -> dict[str, Any]:
    """A row, as `TcpAnalysis.see` takes it."""
    scale = int(rows.wscale[row])
    return {
        "number": 0,
        "at_ns": int(rows.at_ns[row]),
        "forward": bool(rows.forward[row]),
        "seq": int(rows.seq[row]),
        "ack": int(rows.ack[row]),
        "flags": int(rows.flags[row]),
        "window": int(rows.window[row]),
        "length": int(rows.length[row]),
        "wscale": None if scale < 0 else scale,
    }


class _Found:
    """What is found of the rows of a window, and what is to be carried over to the next."""

    def __init__(self, rows: Rows, sides: Sides, reused: Index) -> None:
        self.rows = rows
        self.marks: Uint16 = np.zeros(len(rows), np.uint16)
        self.odd: set[int] = set()
        "of the window's flows, by their places in it, those that are followed one segment at a time"
        self._reused = set(reused.tolist())
        self._set(rows.first[reused], Mark.REUSED_PORTS)
        self._sides = sides
        self.own_ack = np.concatenate((sides.ack[rows.entries], rows.ack))[rows.own]
        self._scaling = Scaling(rows, sides)
        self._as_it_stands(rows, sides)
        self._initial = InitialRtts(rows, sides)
        self._gaps = Gaps(rows, sides)
        self._find_duplicates(rows, sides)
        chosen, marks = sent_again(rows, sides, self._kept_alive, self.duplicates, self._initial)
        self.marks[chosen] |= marks
        self._find_bases(rows, sides)
        self._find_odd(rows, sides)

    def reused(self, group: int) -> bool:
        return group in self._reused

    def _set(self, which: Index | Bool, mark: Mark) -> None:
        self.marks[which] |= np.uint16(mark)

    def _as_it_stands(self, rows: Rows, sides: Sides) -> None:
        """What follows from a row's place in the sequence and from the windows."""
        self._set(rows.plain & (rows.window == 0), Mark.ZERO_WINDOW)
        lost = (rows.before != 0) & ((rows.before - rows.seq).view(np.int32) < 0) & ~rows.rst
        self._set(lost, Mark.LOST_SEGMENT)
        self._kept_alive = (rows.length < 2) & rows.plain & (rows.seq == rows.before - np.uint32(1))
        self._set(self._kept_alive, Mark.KEEP_ALIVE)
        data = np.flatnonzero(rows.plain & (rows.length > 0))
        full = rows.data_end[data] == self._scaling.edge[rows.other[data]]
        full &= self._scaling.scale[rows.side[data] ^ 1] != UNKNOWN
        self._set(data[full], Mark.WINDOW_FULL)
        self._repetitions(rows, sides)

    def _repetitions(self, rows: Rows, sides: Sides) -> None:
        """Rows without data and with the numbers of the row before."""
        chosen = np.flatnonzero((rows.length == 0) & rows.plain & (rows.seq == rows.before))
        chosen = chosen[rows.ack[chosen] == self.own_ack[chosen]]
        window = rows.window[chosen]
        same = window == np.concatenate((sides.window[rows.entries], rows.window))[rows.own[chosen]]
        self._set(chosen[~same & (window != 0)], Mark.WINDOW_UPDATE)
        probes = sides.marks[rows.entries] & np.uint16(Mark.ZERO_WINDOW_PROBE) != 0
        probed = np.concatenate((probes, np.zeros(len(rows), np.bool_)))[rows.other[chosen]]
        self._set(chosen[same & (window == 0) & probed], Mark.ZERO_WINDOW_PROBE_ACK)
        alive = np.concatenate((sides.marks[rows.entries] & np.uint16(Mark.KEEP_ALIVE) != 0, self._kept_alive))
        kept = alive[rows.other[chosen]]
        self._set(chosen[same & (window != 0) & kept], Mark.KEEP_ALIVE_ACK)
        self._set(chosen[same & (window != 0) & ~kept], Mark.DUPLICATE_ACK)

    def _find_duplicates(self, rows: Rows, sides: Sides) -> None:
        """Duplicate ACKs are counted; and ACKs of what was not captured begin the count anew."""
        duplicate = self.marks & np.uint16(Mark.DUPLICATE_ACK) != 0
        self.duplicates = Duplicates(rows, sides, duplicate, rows.ack != self.own_ack)
        telling = np.array(self._gaps.telling, np.intp)
        self._set(telling, Mark.ACK_LOST_SEGMENT)
        only = np.zeros(len(self.marks), np.bool_)  # np.setdiff1d would import a twentieth of a second's modules
        only[np.array(self._gaps.ahead, np.intp)] = True
        only[telling] = False
        ahead = np.flatnonzero(only)
        if len(ahead):
            first = self.duplicates.restart(rows.other[ahead], ahead)
            self._set(ahead[first], Mark.ACK_LOST_SEGMENT)

    def _find_bases(self, rows: Rows, sides: Sides) -> None:
        """Initial sequence numbers, of directions in which they were not known."""
        self._base: Int64 = sides.base[rows.entries]
        self._base_row = np.full(rows.v, -1)
        "from this row on it is known"
        unknown = np.flatnonzero(self._base < 0)
        if not len(unknown):
            return
        none = len(rows)
        place = np.arange(none)
        own = [np.minimum.reduceat(np.where(goes, place, none), rows.first) for goes in (rows.forward, ~rows.forward)]
        acked = [np.where(goes & rows.acks, place, none) for goes in (~rows.forward, rows.forward)]
        told = [np.minimum.reduceat(rows_, rows.first) for rows_ in acked]
        sent, acks = np.empty(rows.v, np.intp), np.empty(rows.v, np.intp)
        sent[0::2], sent[1::2], acks[0::2], acks[1::2] = *own, *told
        first = np.minimum(sent, acks)[unknown]
        unknown, first = unknown[first < none], first[first < none]
        by_own = sent[unknown] == first
        seq = rows.seq[first].astype(np.int64) - ~rows.syn[first]
        self._base[unknown] = np.where(by_own, seq, rows.ack[first].astype(np.int64) - 1) & 0xFFFF_FFFF
        self._base_row[unknown] = first

    def _find_odd(self, rows: Rows, sides: Sides) -> None:
        """Flows in which a mark hangs on another mark."""
        self.odd |= self._scaling.odd | self._initial.odd | self._gaps.odd
        lone = np.flatnonzero((rows.length == 1) & (rows.seq == rows.before))
        window = np.concatenate((sides.window[rows.entries], rows.window))
        odd = [lone[window[rows.other[lone]] == 0]]  # window probes
        odd.append(np.flatnonzero((rows.before == 0) & (rows.own >= rows.v)))  # went to 0, which is no number yet
        syns = np.flatnonzero(rows.syn)
        later = self._base_row[rows.side[syns]] < syns
        answers = rows.acks[syns]
        odd.append(syns[later & answers & (rows.seq[syns].astype(np.int64) != self._base[rows.side[syns]])])
        again = syns[later & ~answers].tolist()
        sides_again = rows.side[again].tolist()
        odd.append(
            np.array(
                [
                    row
                    for row, side in zip(again, sides_again, strict=True)
                    if any(at == side and begin < row <= end for at, begin, end in self._gaps.open)
                ],
                np.intp,
            )
        )
        for found in odd:
            self.odd.update(rows.group[found].tolist())

    def carry_over(self, sides: Sides) -> None:
        """What the next window must know."""
        rows = self.rows
        entries, final = rows.entries, rows.final
        at = np.arange(rows.v)
        spoke = final >= rows.v
        row = final[spoke] - rows.v
        mine = entries[spoke]
        sides.next_at_ns[entries] = times_of(rows, sides, final, at)
        sides.next_seq[entries] = rows.next_seq[final]
        sides.covered[entries] = self._gaps.covered
        sides.duplicates[entries] = self.duplicates.at(final, np.full(rows.v, len(rows)))
        sides.window[mine], sides.ack[mine] = rows.window[row], rows.ack[row]
        sides.ack_at_ns[mine], sides.marks[mine] = rows.at_ns[row], self.marks[row]
        sides.scale[entries], sides.answered[entries] = self._scaling.scale, self._scaling.answered
        sides.base[entries] = self._base
        sides.rtt_ns[rows.flows], sides.syn_at_ns[rows.flows] = self._initial.after, self._initial.syn_at_ns
        sides.sent[entries] += np.bincount(rows.side[rows.control | (rows.length > 0)], minlength=rows.v)
        sides.begun[rows.flows] = True
