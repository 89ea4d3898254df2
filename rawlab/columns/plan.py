"""A capture as a plan: which of its packets are sent again, by which side, and when.

    windows ─▶ the frames that were asked for ─▶ each packet once ─▶ side, header, when it is due ─▶ rows

`columns.sides` tells who sends. rawlab's own recordings show each packet where it was sent and where it came in: there,
the sender's view is taken, and of a lab with a router the link of the client. Frames of other links than Ethernet get
a header of the lab's, where the link-layer header says what kind of packet follows. Packets stand in the order of the
file; a packet that the file has behind later ones is due at once, as with tcpreplay.

What does not belong here: sending, and any descriptor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.reading import Reading
from rawlab.columns.sides import Sides
from rawlab.columns.window import Window
from rawlab.model.replay import MOST_OCTETS, ROW, TYPES, Planned
from rawlab.wire import pcapng
from rawlab.wire.link_types import link_type
from rawlab.wire.maker import is_own
from rawlab.wire.pcapng import Damage

Rows = npt.NDArray[Any]
_ROW = np.dtype(list(ROW.items()))
_KEPT = 1 << 20
"rows that are kept for the next time round"
_ETHERNET, _LEAST_OCTETS = 1, 14
_NULL, _PPP, _RAW, _LOOP, _SLL, _SLL2 = (0,), (9, 50), (12, 14, 101, 228, 229), (108,), (113,), (276,)
_FAMILIES = {2: 0x0800, **dict.fromkeys((10, 24, 28, 30), 0x86DD)}
"AF_INET and AF_INET6, as different systems number them"
_PROTOCOLS = {0x0021: 0x0800, 0x0057: 0x86DD}
"of PPP (RFC 1332, RFC 5072)"


class Planner:
    """Makes rows of a capture. `planned` counts, `damage` says where the capture ceased to be whole."""

    def __init__(self, octets: memoryview, *, flow: int | None = None, longest: int = MOST_OCTETS) -> None:
        """`flow`: the number of the only flow that is wanted, from 1; `longest`: octets that the wire takes."""
        self.planned = Planned()
        self.damage: Damage | None = None
        self.flow_seen = flow is None
        self._octets = octets
        self._bytes = np.frombuffer(octets, np.uint8)
        self._flow = flow
        self._longest = longest
        self._own = _senders(octets)

    def anew(self) -> Planner:
        """One that has counted nothing yet."""
        return Planner(self._octets, flow=self._flow, longest=self._longest)

    def windows(self, progress: Callable[[int, int], None] | None = None) -> Iterator[Rows]:
        """Rows, a window at a time; due is the time since the first packet, not yet any faster."""
        reading = Reading(self._octets)
        sides = Sides(self._octets, reading)
        began, last = None, 0
        for window in reading.windows(progress):
            rows, at_ns = self._rows(window, reading, sides.of(window))
            if rows.size:
                began = int(at_ns[0]) if began is None else began
                due = at_ns - began
                latest = np.maximum.accumulate(np.maximum(due, last))
                self.planned.backwards += int(np.count_nonzero(due < latest))
                rows["due_ns"] = latest
                last = int(latest[-1])
                yield rows
        self.damage = reading.damage
        self.planned.span_ns = last

    def _rows(
        self, window: Window, reading: Reading, sides: npt.NDArray[np.uint8]
    ) -> tuple[Rows, npt.NDArray[np.int64]]:
        """Those of the window's frames that are sent; when each was captured."""
        chosen = np.ones(len(window), np.bool_)
        if self._flow is not None:
            chosen = window.flow == self._flow - 1
            self.flow_seen = self.flow_seen or bool(chosen.any())
        if self._own is not None:
            sender = self._own[np.where(window.number < self._own.size, window.number, 0)]
            self.planned.seen_twice += int(np.count_nonzero(chosen & (sender < 0)))
            chosen &= sender >= 0
            sides = np.maximum(sender, 0).astype(np.uint8)
        rows = np.zeros(len(window), _ROW)
        rows["offset"], rows["length"], rows["side"] = window.offset, window.captured, sides
        linktypes = np.array([point.linktype for point in reading.points], np.int64)[window.point]
        for linktype in np.unique(linktypes[chosen]).tolist():
            if linktype != _ETHERNET:
                self._put_heads(rows, chosen, linktypes == linktype, linktype)
        size = rows["length"] + np.where(rows["head"] > 0, np.uint32(14), np.uint32(0))
        self._leave_out(chosen, size < _LEAST_OCTETS, "shorter than an Ethernet header")
        self._leave_out(chosen, size > self._longest, f"longer than the wire takes ({self._longest:,} octets)")
        self._count(rows[chosen], size[chosen], window, chosen)
        return rows[chosen], window.at_ns[chosen]

    def _leave_out(self, chosen: npt.NDArray[np.bool_], which: npt.NDArray[np.bool_], why: str) -> None:
        if count := int(np.count_nonzero(chosen & which)):
            self.planned.left_out[why] = self.planned.left_out.get(why, 0) + count
            chosen &= ~which

    def _count(self, rows: Rows, size: npt.NDArray[Any], window: Window, chosen: npt.NDArray[np.bool_]) -> None:
        planned = self.planned
        planned.packets += rows.size
        planned.octets += int(size.sum())
        planned.sides[1] += (servers := int(rows["side"].sum()))
        planned.sides[0] += rows.size - servers
        planned.cut += int(np.count_nonzero(chosen & (window.captured < window.length)))
        planned.headed += int(np.count_nonzero(rows["head"]))

    # ---- links that are not Ethernet

    def _put_heads(self, rows: Rows, chosen: npt.NDArray[np.bool_], mine: npt.NDArray[np.bool_], linktype: int) -> None:
        """Takes the link-layer header off these rows, and says which of HEADS takes its place."""
        which = np.flatnonzero(chosen & mine)
        ether_types, skipped = self._below(rows[which], linktype)
        for index, ether_type in enumerate(TYPES, 1):
            rows["head"][which[ether_types == ether_type]] = index
        headed = rows["head"][which] > 0
        rows["head"][which[headed]] += rows["side"][which[headed]] * np.uint8(len(TYPES))
        rows["offset"][which[headed]] += skipped[headed]
        rows["length"][which[headed]] -= skipped[headed].astype(np.uint32)
        rest = np.zeros(rows.size, np.bool_)
        rest[which[~headed]] = True
        self._leave_out(chosen, rest, f"{link_type(linktype)} frames of which no Ethernet frame can be made")

    def _below(self, rows: Rows, linktype: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """By frame, the EtherType of what follows its link-layer header (0: unknown), and that header's octets."""
        if linktype in _RAW:
            versions = {4: 0x0800, 6: 0x86DD}
            return _translated(self._word(rows, 0, 1) >> 4, versions), np.zeros(rows.size, np.int64)
        if linktype in _NULL + _LOOP:
            big, little = self._word(rows, 0, 4), self._word(rows, 0, 4, little=True)
            return _translated(np.minimum(big, little), _FAMILIES), np.full(rows.size, 4)
        if linktype in _SLL:
            return self._word(rows, 14, 2), np.full(rows.size, 16)
        if linktype in _SLL2:
            return self._word(rows, 0, 2), np.full(rows.size, 20)
        if linktype in _PPP:
            skipped = np.where(self._word(rows, 0, 2) == 0xFF03, 2, 0)
            protocols = np.where(skipped == 2, self._word(rows, 2, 2), self._word(rows, 0, 2))
            return _translated(protocols, _PROTOCOLS), skipped + 2
        return np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64)

    def _word(self, rows: Rows, at: int, size: int, *, little: bool = False) -> npt.NDArray[np.int64]:
        """A number in the frames' octets; 0 where the frame ends before."""
        there = rows["length"] >= at + size
        places = np.where(there, rows["offset"] + at, 0)
        value = np.zeros(rows.size, np.int64)
        for octet in range(size):
            place = places + (size - 1 - octet if little else octet)
            value = value << 8 | self._bytes[np.minimum(place, self._bytes.size - 1)]
        return np.where(there, value, 0)


def _translated(values: npt.NDArray[np.int64], to: dict[int, int]) -> npt.NDArray[np.int64]:
    found = np.zeros(values.size, np.int64)
    for value, ether_type in to.items():
        found[values == value] = ether_type
    return found


# ------------------------------------------------------------------------------------------ when


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When the packets leave, and how many of them."""

    speed: float = 1.0
    loops: int = 1
    count: int | None = None
    "packets in all, at most"
    rate: float | None = None
    "packets a second, at most"


def paced(planner: Planner, pace: Pace, progress: Callable[[int, int], None] | None = None) -> Iterator[Rows]:
    """The planner's rows, as often as is wanted; the next time begins when the last packet is due."""
    kept: list[Rows] | None = []
    began, left = 0, pace.count
    due = 0 if pace.rate is None else -int(1e9 / pace.rate)
    for loop in range(pace.loops):
        again = planner if loop == 0 else planner.anew()
        for rows in kept if loop and kept is not None else again.windows(progress):
            if loop == 0 and kept is not None:
                kept = [*kept, rows] if sum(map(len, kept)) < _KEPT else None
            rows = rows[:left].copy()
            rows["due_ns"] = _due(rows["due_ns"], pace, began, due)
            due = int(rows["due_ns"][-1])
            yield rows
            left = None if left is None else left - rows.size
            if left == 0:
                return
        began = due


def _due(times: npt.NDArray[np.int64], pace: Pace, began: int, last: int) -> npt.NDArray[np.int64]:
    """When rows are due that stood so long after the first packet; `last`: when the one before them is."""
    due = (times / pace.speed).astype(np.int64) + began if pace.speed != 1 else times + began
    if pace.rate is None:
        return np.maximum(due, last)
    steps = (np.arange(1, times.size + 1) * (1e9 / pace.rate)).astype(np.int64)
    return np.maximum.accumulate(np.maximum(due - steps, last)) + steps


# ------------------------------------------------------------------------------------------ our recordings


def _senders(octets: memoryview) -> npt.NDArray[np.int8] | None:
    """Of a recording of rawlab's that shows each packet twice, by record number: the side that sent it; -1: it came in.

    None for every other capture. Of a lab with a router, the client's link alone is told.
    """
    if not is_own(octets):
        return None
    hosts: list[str | None] = []
    found = [-1]
    try:
        for block in pcapng.blocks(octets):
            if block.type == pcapng.INTERFACE:
                hosts.append(_host(pcapng.read_interface(block).name))
            elif block.type == pcapng.ENHANCED_PACKET:
                found.append(_sender(block, hosts))
            elif block.type in (pcapng.JOURNAL, pcapng.SIMPLE_PACKET, pcapng.PACKET_OBSOLETE):
                found.append(-1)
    except Damage:
        pass  # `Reading` tells it
    if "client" not in hosts or len(hosts) < 2:
        return None
    return np.array(found, np.int8)


def _host(interface: str | None) -> str | None:
    """'client' for client2; 'router' for the router's link to the client only."""
    name = (interface or "").rstrip("0123456789")
    return name if name != "router" or interface == "router" else None


def _sender(block: pcapng.Block, hosts: list[str | None]) -> int:
    """0 where the client's interface sent the frame, 1 where the other end of that link did, else -1."""
    record = pcapng.read_packet(block, [pcapng.Interface(linktype=_ETHERNET, snaplen=0)] * len(hosts))
    if record.direction != pcapng.OUTBOUND or (host := hosts[record.interface]) is None:
        return -1
    if host == "client":
        return 0
    return 1 if host == ("router" if "router" in hosts else "server") else -1
