"""Where the frames of a pcapng file lie: its blocks as columns (`columns.records` has what pcap shares with it).

Enhanced Packet blocks are read all at once; `wire.pcapng` reads the others, one at a time, and says what is wrong
where a block does not pass. A new section ends a stretch, for its octets may be ordered the other way round.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from rawlab.columns.chain import Heads
from rawlab.columns.octets import Octets, Places
from rawlab.columns.records import AHEAD, LANES, Reader, Records, lengths, rows_of
from rawlab.columns.window import Bool, Int64, Uint32
from rawlab.wire import pcapng
from rawlab.wire.pcapng import MAX_BLOCK, MAX_PACKET, Block, Damage, Interface

_HEADER = 28
"octets of an Enhanced Packet block before the frame's"
_COUNTED = sorted(pcapng.RECORDS - pcapng.PACKETS)
"of other blocks, those that Wireshark numbers as well"
_READ_ALONE = (pcapng.INTERFACE, pcapng.STATISTICS, pcapng.SIMPLE_PACKET, pcapng.PACKET_OBSOLETE)
_LATEST = (1 << 63) - 1
"a time that no 64 bits hold is given as this"


class PcapngRecords(Reader):
    """The blocks of a pcapng file."""

    head = 12

    def __init__(self, octets: Octets) -> None:
        super().__init__(octets)
        self._order: Any = "<"
        self._section = -1
        self._interfaces: list[Interface] = []
        "the present section's"
        self._now_ns: int | None = None
        "the last frame's time"

    def _look(self, places: Places) -> Heads:
        return self.octets.heads(places, _HEADER + AHEAD)

    def _size(self, heads: Heads) -> Int64:
        return np.maximum(self._words(heads)[:, 1], np.uint32(12)).astype(np.int64)

    def _words(self, heads: Heads) -> Uint32:
        """The words of each block up to the frame, if it has one."""
        words: Uint32 = rows_of(heads)[:, :_HEADER].view(f"{self._order}u4")
        return words

    def _guesses(self, stop: int) -> Places:
        """Places of what looks like an Enhanced Packet block: its type, and its length at both ends."""
        apart, size = self._searched(stop, 4)
        if size < 64:
            return np.empty(0, np.int64)
        words = np.ndarray((LANES, size // 4), f"{self._order}u4", self.octets.bytes, self.at, (apart, 4))
        lane, place = np.divmod(np.flatnonzero(words == pcapng.ENHANCED_PACKET), words.shape[1])
        at = self.at + lane * apart + place * 4
        good = self._whole(at) & (lane > 0)
        lane, at = lane[good], at[good]
        first: Places = at[np.diff(lane, prepend=0) > 0]
        return first

    def _whole(self, places: Places) -> Bool:
        """Whether a block's length is one, and stands at its end again."""
        sizes = self.octets.words(places + 4, self._order).astype(np.int64)
        good: Bool = (sizes >= 12) & (sizes % 4 == 0) & (sizes <= MAX_BLOCK)
        good &= places + sizes <= len(self.octets)
        again = self.octets.words(np.where(good, places + sizes - 4, 0), self._order)
        good &= again == sizes
        return good

    def _next(self) -> Records:
        if bytes(self.octets.view[self.at : self.at + 4]) == b"\x0a\x0d\x0d\x0a":
            self._begin_section()
            return nothing()
        places, heads, end = self._follow()
        if not len(places):
            self._damaged(end)
            return nothing()
        kinds = self._words(heads)[:, 0]
        stops = np.flatnonzero(~self._whole(places) | (kinds == pcapng.SECTION_HEADER))
        if len(stops):
            end = int(places[stops[0]])
        count = int(stops[0]) if len(stops) else len(places)
        found = self._blocks(places[:count], kinds[:count], heads[:count])
        if self.damage is None:
            self.at = end
            section = bytes(self.octets.view[end : end + 4]) == b"\x0a\x0d\x0d\x0a"
            if not section and (len(stops) or end > len(self.octets) - 12):
                self._damaged(end)
        return found

    # ---- what is read one at a time

    def _begin_section(self) -> None:
        """Its byte order and length; raises nothing: damage is kept."""
        try:
            block = next(pcapng.blocks(self.octets.view[self.at : self.at + MAX_BLOCK + 12]))
            pcapng.check_section(block)
        except Damage as damage:
            self.damage = moved(damage, self.at)
            return
        self._order, self._section, self._interfaces = block.order, self._section + 1, []
        self.at += 12 + len(block.body)

    def _damaged(self, at: int) -> None:
        """Keeps what wire.pcapng says of the block there; the file's end is none."""
        if at >= len(self.octets):
            self.at = at
            return
        head = pcapng.block(
            pcapng.SECTION_HEADER, struct.pack(f"{self._order}IHHq", pcapng.BYTE_ORDER_MAGIC, 1, 0, -1), self._order
        )
        try:
            for _ in pcapng.blocks(head + bytes(self.octets.view[at : at + MAX_BLOCK + 12])):
                pass
        except Damage as damage:
            self.damage = moved(damage, at - len(head))

    def _block(self, at: int, kind: int) -> Block:
        """A block that is known to be whole."""
        (size,) = struct.unpack_from(f"{self._order}I", self.octets.view, at + 4)
        body = self.octets.view[at + 8 : at + size - 4]
        return Block(type=kind, offset=at, order=self._order, body=body, section=self._section)

    # ---- what is read all at once

    def _blocks(self, places: Places, kinds: Uint32, heads: Heads) -> Records:
        """The frames of whole blocks; up to the first that says what can't be."""
        enhanced = kinds == pcapng.ENHANCED_PACKET
        table = _Table(len(places))
        declared = len(self._interfaces) + np.cumsum(kinds == pcapng.INTERFACE)
        base = len(self.points) - len(self._interfaces)
        count = self._others(places, kinds, np.flatnonzero(np.isin(kinds, _READ_ALONE)), table)
        rows = np.flatnonzero(enhanced[:count])
        if len(rows) == len(places):
            table.ahead = rows_of(heads)[:, _HEADER:]
        else:
            heads = heads[rows]
        count = self._enhanced(places[rows], self._words(heads), rows, declared[rows], table, count)
        counted = np.isin(kinds[:count], _COUNTED)
        table.packet[count:] = False
        numbers = self.records + np.cumsum(table.packet[:count] | counted)
        self._give_times(table, count)
        if count:
            self.records = int(numbers[-1])
        return table.records(numbers, base, count)

    def _give_times(self, table: _Table, count: int) -> None:
        """To frames without one that of the frame before; to those before the first that has one, its."""
        rows = np.flatnonzero(table.packet[:count])
        if not len(rows):
            return
        untimed = table.untimed[rows]
        if untimed.any():
            self.untimed += int(untimed.sum())
            if self._now_ns is None:
                self._now_ns = max(min(pcapng.first_time(self.octets.view), _LATEST), -_LATEST)
            last = np.maximum.accumulate(np.where(untimed, -1, np.arange(len(rows))))
            table.at_ns[rows] = np.where(last < 0, self._now_ns, table.at_ns[rows][last])
        self._now_ns = int(table.at_ns[rows[-1]])

    def _others(self, places: Places, kinds: Uint32, rows: Int64, table: _Table) -> int:
        """Reads what is no Enhanced Packet block; how many blocks there are up to the first that can't be read."""
        for row in rows.tolist():
            try:
                self._other(self._block(int(places[row]), int(kinds[row])), row, table)
            except Damage as damage:
                self.damage = damage
                return int(row)
        return len(places)

    def _other(self, block: Block, row: int, table: _Table) -> None:
        if block.type == pcapng.INTERFACE:
            interface = pcapng.read_interface(block)
            self._interfaces.append(interface)
            self.points.append(interface)
        elif block.type == pcapng.STATISTICS:
            pcapng.read_statistics(block)
        elif block.type in (pcapng.SIMPLE_PACKET, pcapng.PACKET_OBSOLETE):
            record = pcapng.read_packet(block, self._interfaces)
            table.packet[row] = True
            table.point[row] = record.interface
            table.offset[row] = block.offset + 8 + (4 if block.type == pcapng.SIMPLE_PACKET else 20)
            table.captured[row] = len(record.data)
            table.length[row] = min(record.length, 0x7FFFFFFF)
            table.at_ns[row] = max(min(record.at_ns, _LATEST), -_LATEST)
            table.untimed[row] = not record.is_timed

    def _enhanced(
        self, places: Places, heads: Uint32, rows: Int64, declared: Int64, table: _Table, count: int
    ) -> int:
        """Reads Enhanced Packet blocks into the table; how many blocks there are up to the first bad one."""
        if not len(rows):
            return count
        room = heads[:, 1].astype(np.int64) - 32
        bad = (room < 0) | (heads[:, 2] >= declared) | (heads[:, 5] > np.minimum(room, MAX_PACKET))
        if bad.any():
            first = int(bad.argmax())
            self._refused(int(places[first]), int(declared[first]))
            count, rows, places, heads = int(rows[first]), rows[:first], places[:first], heads[:first]
        table.packet[rows] = True
        table.point[rows] = heads[:, 2]
        table.offset[rows] = places + _HEADER
        table.captured[rows] = heads[:, 5]
        table.length[rows] = lengths(heads[:, 6])
        table.at_ns[rows] = self._times(heads)
        return count

    def _refused(self, at: int, declared: int) -> None:
        try:
            pcapng.read_packet(self._block(at, pcapng.ENHANCED_PACKET), self._interfaces[:declared])
        except Damage as damage:
            self.damage = damage

    def _times(self, heads: Uint32) -> Int64:
        """Nanoseconds since the epoch; those of rare resolutions one at a time."""
        ticks = heads[:, 3].astype(np.uint64) << np.uint64(32) | heads[:, 4]
        scales = np.array([_scale(interface) for interface in self._interfaces], np.int64).reshape(-1, 3)
        factor, offset_ns, most = scales[heads[:, 2]].T
        at_ns: Int64 = ticks.astype(np.int64) * factor + offset_ns
        for row in np.flatnonzero(ticks > most.astype(np.uint64)).tolist():
            interface = self._interfaces[heads[row, 2]]
            exact = int(ticks[row]) * 1_000_000_000 // interface.ticks_per_second + interface.offset_s * 1_000_000_000
            at_ns[row] = max(min(exact, _LATEST), -_LATEST)
        return at_ns


def _scale(interface: Interface) -> tuple[int, int, int]:
    """(ns a tick, ns to add, up to how many ticks that fits 64 bits)."""
    if 1_000_000_000 % interface.ticks_per_second or abs(interface.offset_s) >= 1 << 32:
        return 0, 0, 0
    factor = 1_000_000_000 // interface.ticks_per_second
    return factor, interface.offset_s * 1_000_000_000, (1 << 62) // factor


class _Table:
    """A row for each block; those of frames are filled."""

    def __init__(self, blocks: int) -> None:
        self.packet = np.zeros(blocks, np.bool_)
        self.untimed = np.zeros(blocks, np.bool_)
        self.offset, self.at_ns = np.empty(blocks, np.int64), np.empty(blocks, np.int64)
        self.captured, self.length = np.empty(blocks, np.int32), np.empty(blocks, np.int32)
        self.point = np.empty(blocks, np.int32)
        self.ahead = np.empty((blocks, 0), np.uint8)

    def records(self, numbers: Int64, base: int, count: int) -> Records:
        """The frames among the first `count` blocks; `base`: their section's first interface."""
        packet = self.packet[:count]
        return Records(
            number=numbers[packet],
            offset=self.offset[:count][packet],
            captured=self.captured[:count][packet],
            length=self.length[:count][packet],
            at_ns=self.at_ns[:count][packet],
            point=self.point[:count][packet] + np.int32(base),
            ahead=self.ahead[:count] if packet.all() else self.ahead[:count][packet],
        )


def nothing() -> Records:
    """No frame."""
    return _Table(0).records(np.empty(0, np.int64), 0, 0)


def moved(damage: Damage, by: int) -> Damage:
    """The same, in a file of which only what follows octet `by` was read."""
    return Damage(damage.offset + by, damage.why)
