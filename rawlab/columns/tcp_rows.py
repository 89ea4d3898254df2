"""The TCP segments of a window, connection by connection, each with what came before it in both directions.

Rows are sorted by flow, in a flow as they came. Before them stand two virtual rows for each flow, which hold what the
windows before left (`tcp_sides`): so the last row of a direction is always a row, and `array[rows.own]` is a value of
the segment before in the same direction, `array[rows.other]` one of the other direction, for all segments at once.

How far a direction has sent is a running maximum over sequence numbers that are unwrapped: counted from where the flow
stood when the window began. That holds as long as no flow sends more than a quarter of the circle in one window.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rawlab.attribution.tcp_side import ACK, FIN, MOST_UNACKNOWLEDGED, RST, SYN
from rawlab.columns.tcp_sides import Sides
from rawlab.columns.window import Bool, Int8, Int32, Int64, Uint16, Uint32, Window

Index = npt.NDArray[np.integer]
REACH = 1 << 30
"so far may numbers lie from where their direction stood"
_FLOW = 33
"bits below a row's flow in a key of the running maximum"
_UNSET = -(1 << 32)


class Rows:
    """Sorted columns. `v` is the number of virtual rows: the row of segment i is v + i in what `own`, `other` index."""

    def __init__(self, window: Window, chosen: Index, sides: Sides) -> None:
        flow = window.flow[chosen]
        order = chosen if (flow[1:] >= flow[:-1]).all() else chosen[by_value(flow)]
        self.order = order
        "of each row, where the window has it"
        self.flow = flow = window.flow[order]
        self.forward: Bool = window.forward[order]
        self.at_ns: Int64 = window.at_ns[order]
        self.seq: Uint32 = window.seq[order]
        self.ack: Uint32 = window.ack[order]
        self.flags: Uint16 = window.flags[order]
        self.window: Int64 = window.window[order].astype(np.int64)
        self.length: Uint32 = window.payload[order].astype(np.uint32)
        self.wscale: Int8 = window.wscale[order]
        begins = np.empty(len(flow), np.bool_)
        begins[:1] = True
        np.not_equal(flow[1:], flow[:-1], out=begins[1:])
        self.first: Index = np.flatnonzero(begins)
        "the first row of each flow"
        self.last: Index = np.append(self.first[1:], len(flow)) - 1
        self.flows: Int32 = flow[self.first]
        self.group: Index = np.repeat(np.arange(len(self.first)), self.last - self.first + 1)
        "of each row, which of these flows"
        self.key: Int64 = self.group << _FLOW
        "of each row, where its flow's running maximum begins"
        self.entries: Int64 = np.repeat(self.flows.astype(np.int64) * 2, 2)
        self.entries[1::2] += 1
        "of each virtual row, its entry in `Sides`"
        self.v = len(self.entries)
        self._find_previous()
        self._classify()
        self._advance(sides)

    def __len__(self) -> int:
        return len(self.flow)

    def _find_previous(self) -> None:
        """`own`, `other`: the last row before this one in the same direction, and in the other one."""
        self._floor: Int32 = self.first.astype(np.int32)[self.group] + np.int32(self.v)
        self._virtual = [(self.group * 2).astype(np.int32), (self.group * 2 + 1).astype(np.int32)]
        last = self.latest()
        at = []
        for direction in (0, 1):
            before = np.empty_like(last[direction])
            before[1:] = last[direction][:-1]
            before[self.first] = np.arange(direction, self.v, 2)
            at.append(before)
        self.own: Int32 = np.where(self.forward, at[0], at[1])
        self.other: Int32 = np.where(self.forward, at[1], at[0])
        self.final: Int32 = np.empty(self.v, np.int32)
        "of each virtual row, the last row of its direction"
        self.final[0::2], self.final[1::2] = last[0][self.last], last[1][self.last]

    def _classify(self) -> None:
        flags = self.flags
        self.syn: Bool = (flags & np.uint16(SYN)) != 0
        self.acks: Bool = (flags & np.uint16(ACK)) != 0
        self.rst: Bool = (flags & np.uint16(RST)) != 0
        self.control: Bool = (flags & np.uint16(SYN | FIN)) != 0
        "SYN or FIN"
        self.plain: Bool = (flags & np.uint16(SYN | FIN | RST)) == 0
        self.data_end: Uint32 = self.seq + self.length
        self.end: Uint32 = self.data_end + self.control

    def _advance(self, sides: Sides) -> None:
        """How far each row's direction had sent after it; before it (`before`), and the other one then (`beyond`)."""
        self.side = side = self.group * 2 + ~self.forward
        "of each row, its virtual row"
        self._keep_short(sides)
        known = sides.next_seq[self.entries]
        fresh = np.flatnonzero(self.own < self.v)  # the first row of each direction
        reference = known.copy()
        unset = known == 0
        reference[side[fresh]] = np.where(unset[side[fresh]], self.end[fresh], known[side[fresh]])
        self.reference = reference
        "of each virtual row, the number from which its direction's are unwrapped"
        since = reference[side]
        step = (self.end - since).view(np.int32).astype(np.int64)
        self.within = not len(step) or max(-int(step.min()), int(step.max())) < REACH
        floor = np.arange(self.v, dtype=np.int64) // 2 << _FLOW
        floor[unset] += _UNSET
        self.floor = floor
        key = np.maximum(self.key + step, floor[side])
        self.reach: list[Int64] = []
        "of each direction, its running maximum, ascending over all flows"
        for direction, goes in enumerate((self.forward, ~self.forward)):
            self.reach.append(np.maximum.accumulate(np.where(goes, key, floor[self._virtual[direction]])))
        own = np.where(self.forward, self.reach[0], self.reach[1])
        self.extended_reach: Int64 = np.concatenate((floor, own))
        self.next_seq: Uint32 = np.concatenate((known, since + own.astype(np.uint32)))
        self.before: Uint32 = self.next_seq[self.own]
        self.beyond: Uint32 = self.next_seq[self.other]

    def _keep_short(self, sides: Sides) -> None:
        """SYN and FIN take no number, where too much of what their direction sent is not acknowledged (`Side.full`).

        That is looked for only where the other direction was never seen: else what it acknowledged is forgotten.
        """
        many = sides.sent[self.entries] + np.repeat(self.last - self.first + 1, 2) > MOST_UNACKNOWLEDGED
        if not many.any():
            return
        for row in np.flatnonzero(self.control & many[self.side] & (self.other < self.v)).tolist():
            side, first = self.side[row], self.first[self.group[row]]
            before = (self.side[first:row] == side) & (self.control[first:row] | (self.length[first:row] > 0))
            sent = sides.sent[self.entries[side]] + np.count_nonzero(before)
            if sent >= MOST_UNACKNOWLEDGED and sides.window[self.entries[side ^ 1]] < 0:
                self.end[row] = self.data_end[row]

    def latest(self, chosen: Bool | None = None) -> list[Int32]:
        """Of each direction, its last row up to here (this one too), of those chosen; else its virtual row."""
        place = np.arange(self.v, self.v + len(self), dtype=np.int32)
        found = []
        for direction, goes in enumerate((self.forward, ~self.forward)):
            mine = goes if chosen is None else goes & chosen
            latest = np.maximum.accumulate(np.where(mine, place, np.int32(0)))
            found.append(np.where(latest < self._floor, self._virtual[direction], latest))
        return found


def by_value(values: Int32) -> Index:
    """A stable order by small numbers; numpy sorts 16 bits at a time in linear time, and more than these slower."""
    low = values - values.min()
    order = np.argsort(low.astype(np.uint16), kind="stable")
    if int(low.max()) >> 16:
        order = order[np.argsort((low >> 16).astype(np.uint16)[order], kind="stable")]
    return order
