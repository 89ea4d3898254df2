"""Which segments were sent again, which came out of order: the rules of `attribution.tcp_analysis`, for many rows.

Only rows are looked at that do not go on where their direction's furthest ended: few, mostly.
"""

from __future__ import annotations

import numpy as np

from rawlab.attribution.tcp_analysis import FAST_DUPLICATES, FAST_NS, REORDERING_NS
from rawlab.columns.tcp_duplicates import Duplicates
from rawlab.columns.tcp_rows import Index, Rows
from rawlab.columns.tcp_sides import NEVER, Sides
from rawlab.columns.window import Bool, Int64, Uint16
from rawlab.model.analysis import Mark

_SPURIOUS = np.uint16(Mark.RETRANSMISSION | Mark.SPURIOUS_RETRANSMISSION)
_FAST = np.uint16(Mark.RETRANSMISSION | Mark.FAST_RETRANSMISSION)


class InitialRtts:
    """From a flow's last SYN to the first ACK after it."""

    def __init__(self, rows: Rows, sides: Sides) -> None:
        flows = rows.flows
        self.before: Int64 = sides.rtt_ns[flows]
        self.after: Int64 = self.before.copy()
        self._row = np.full(len(flows), len(rows))
        "from behind this row on, it is known"
        self.odd: set[int] = set()
        syns = np.flatnonzero(rows.syn & ~rows.acks)
        self._find(rows, sides.syn_at_ns[flows], syns)
        self.syn_at_ns: Int64 = sides.syn_at_ns[flows]
        self.syn_at_ns[rows.group[syns]] = rows.at_ns[syns]  # of several, the last

    def _find(self, rows: Rows, syn_at_ns: Int64, syns: Index) -> None:
        first_syn = np.full(len(rows.first), -1)
        first_syn[rows.group[syns[::-1]]] = syns[::-1]
        begin = np.where(syn_at_ns != NEVER, rows.first, first_syn)
        wanted = np.flatnonzero((self.before == 0) & (begin >= 0))
        if not len(wanted):
            return
        acks = np.flatnonzero(rows.acks & ~rows.syn)
        place = np.searchsorted(acks, begin[wanted])
        there = place < len(acks)
        wanted, row = wanted[there], acks[place[there]]
        inside = row <= rows.last[wanted]
        wanted, row = wanted[inside], row[inside]
        last_syn = np.searchsorted(syns, row) - 1
        seen = (last_syn >= 0) & (syns[last_syn] >= rows.first[wanted]) if len(syns) else np.zeros(len(row), np.bool_)
        syn_at = syn_at_ns[wanted]
        syn_at[seen] = rows.at_ns[syns[last_syn[seen]]]
        self.after[wanted] = rows.at_ns[row] - syn_at
        self._row[wanted] = row
        self.odd.update(wanted[(self.after[wanted] == 0) & (row < rows.last[wanted])].tolist())

    def at(self, rows: Rows, chosen: Index) -> Int64:
        """As these rows find it."""
        group = rows.group[chosen]
        return np.where(chosen > self._row[group], self.after[group], self.before[group])


def sent_again(
    rows: Rows, sides: Sides, kept_alive: Bool, duplicates: Duplicates, initial: InitialRtts
) -> tuple[Index, Uint16]:
    """Rows, and the mark of each."""
    other_ack = np.concatenate((sides.ack[rows.entries], rows.ack))[rows.other]
    behind = (rows.before != 0) & ((rows.seq - rows.before).view(np.int32) < 0)
    known = (rows.length > 0) & (other_ack != 0) & ((rows.data_end - other_ack).view(np.int32) <= 0)
    chosen = np.flatnonzero((known | (behind & (rows.control | (rows.length > 0)))) & ~kept_alive)
    known, behind, seq, before = known[chosen], behind[chosen], rows.seq[chosen], rows.before[chosen]
    last_ns = np.concatenate((sides.ack_at_ns[rows.entries], rows.at_ns))[rows.other[chosen]]
    repeats = ~((rows.length[chosen] > 1) & (seq == before - np.uint32(1))) & behind
    asked = (duplicates.at(rows.other[chosen], chosen) >= FAST_DUPLICATES) & (other_ack[chosen] == seq)
    fast = asked & _sooner(rows.at_ns[chosen] - last_ns, np.full(len(chosen), FAST_NS))
    limit = initial.at(rows, chosen)
    limit[limit == 0] = REORDERING_NS
    late = (rows.end[chosen] != before) & _sooner(rows.at_ns[chosen] - _furthest_at(rows, sides, chosen), limit)
    marks = np.where(late, np.uint16(Mark.OUT_OF_ORDER), np.uint16(Mark.RETRANSMISSION))
    marks = np.where(known, _SPURIOUS, np.where(repeats, np.where(fast, _FAST, marks), np.uint16(0)))
    return chosen, marks.astype(np.uint16)


def _sooner(age: Int64, limit: Int64) -> Bool:
    """As unsigned numbers: see `attribution.tcp_analysis`."""
    return age.view(np.uint64) < limit.view(np.uint64)


def _furthest_at(rows: Rows, sides: Sides, chosen: Index) -> Int64:
    """When the segment was seen that had gone furthest before, in the same direction."""
    return times_of(rows, sides, rows.own[chosen], rows.side[chosen])


def times_of(rows: Rows, sides: Sides, place: Index, side: Index) -> Int64:
    """When the directions `side` were first seen to have sent as far as they had at `place`."""
    reach = rows.extended_reach[place]
    found = np.empty(len(place), np.int64)
    for direction in (0, 1):
        mine = side % 2 == direction
        found[mine] = np.searchsorted(rows.reach[direction], reach[mine], side="left")
    old = reach <= rows.floor[side]
    found[old] = 0
    return np.where(old, sides.next_at_ns[rows.entries[side]], rows.at_ns[found])
