"""Where a capture's frames lie: its record headers as columns, a stretch of the file at a time.

pcap's records and pcapng's blocks are chains: `columns.chain` follows them from many guessed places at once, this file
makes the guesses (places that look like a header), reads the headers that were found, and checks each of their lengths
against what is there. The words for what is damaged are `wire.pcap`'s and `wire.pcapng`'s: a record that does not pass
is read again by those.

What does not belong here: pcapng's blocks (`columns.blocks`), what a frame says (`columns.decoding`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from rawlab.columns.chain import Heads, follow
from rawlab.columns.octets import Octets, Places, Rows
from rawlab.columns.window import Bool, Int32, Int64, Uint32
from rawlab.wire import pcap
from rawlab.wire.pcap import Layout
from rawlab.wire.pcapng import MAX_PACKET, Damage, Interface

FRAMES = 1 << 16
"about how many frames a stretch has"
AHEAD = 56
"octets of each frame that are gathered with its record's header: Ethernet's, IPv4's and TCP's, as they mostly are"
LANES = 480
_SEARCHED = 1 << 16
"octets in which a header is looked for, at the most"
_FIRST, _LEAST, _MOST = 1 << 20, 1 << 18, 1 << 26
"octets of a stretch: of the first one, of any, and of any"
_FAR = 1 << 16
"seconds: headers this far apart are not guessed"
_LONGEST = 1 << 20
"octets on the wire, of what is guessed"
_LARGEST = 2048
"octets of a record, to begin with"
_WORDS = ("seconds", "fraction", "captured", "length")
"of a record's header"
_REST_BIG = rb"..[\0-\x3b]...\0...\0..."
"behind the upper half of the seconds: a fraction of a second, and lengths below 2^24"
_REST_LITTLE = rb"...[\0-\x3b]...\0...\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Frames one after the other; the names are `columns.window.Window`'s."""

    number: Int64
    offset: Int64
    captured: Int32
    length: Int32
    at_ns: Int64
    point: Int32
    ahead: Rows
    "the file's octets from where each frame begins, AHEAD of them, NULs behind the file's end; or of no width"

    def __len__(self) -> int:
        return len(self.number)


def joined(parts: list[Records]) -> Records:
    """Several stretches as one."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(Records) if field.name != "ahead"]
    same = all(part.ahead.shape[1] == AHEAD for part in parts)
    ahead = np.concatenate([part.ahead for part in parts]) if same else np.empty((sum(map(len, parts)), 0), np.uint8)
    return Records(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}, ahead=ahead)


class Reader:
    """What both formats share: the state of a pass over the file."""

    head: int
    "octets of a header that are read to follow the chain"

    def __init__(self, octets: Octets) -> None:
        self.octets = octets
        self.points: list[Interface] = []
        self.damage: Damage | None = None
        self.records = 0
        "as Wireshark counts them: packets and journal entries"
        self.untimed = 0
        "frames that have no time: theirs is that of the frame before"
        self.at = 0
        "the first octet not yet passed"
        self._span = _FIRST
        self._largest = _LARGEST

    def stretches(self) -> Iterator[Records]:
        """Every frame, about FRAMES at a time, until the end or the first damage."""
        waiting: list[Records] = []
        count = 0
        while self.damage is None and self.at < len(self.octets):
            part = self._next()
            if len(part):
                waiting.append(part)
                count += len(part)
            if count >= FRAMES // 2:
                yield joined(waiting)
                waiting, count = [], 0
        if waiting:
            yield joined(waiting)

    def _next(self) -> Records:
        raise NotImplementedError

    def _guesses(self, stop: int) -> Places:
        raise NotImplementedError

    def _look(self, places: Places) -> Heads:
        """Each header, and AHEAD octets of the frame behind it."""
        raise NotImplementedError

    def _size(self, heads: Heads) -> Int64:
        """How much further on the next one lies."""
        raise NotImplementedError

    def _follow(self) -> tuple[Places, Heads, int]:
        """The places of the headers of a stretch, these, and what lies behind it."""
        last = len(self.octets) - self.head + 1
        stop = min(self.at + self._span, last)
        if stop <= self.at:
            return np.empty(0, np.int64), self._look(np.empty(0, np.int64)), self.at
        places, heads, end = follow(self.at, self._guesses(stop), stop, self._look, self._size)
        size = (end - self.at) // len(places)
        self._span = min(max(size * FRAMES, _LEAST), _MOST)
        return places, heads, end

    def _searched(self, stop: int, fits: int) -> tuple[int, int]:
        """How far apart a header is looked for, and in how many octets (a multiple of `fits`)."""
        apart = (stop - self.at) // LANES // fits * fits
        return apart, min(apart, self._largest, _SEARCHED) // fits * fits


class PcapRecords(Reader):
    """The records of a pcap file."""

    def __init__(self, octets: Octets, layout: Layout) -> None:
        super().__init__(octets)
        self.points = [layout.interface]
        self.head = layout.header
        self.at = layout.begins
        self._layout = layout
        names = ("seconds", "fraction", "length", "captured") if layout.swapped else _WORDS
        kinds = [f"{layout.order}u4"] * 4
        offsets = [0, 4, 8, 12]
        self._kind = np.dtype(
            {"names": names, "formats": kinds, "offsets": offsets, "itemsize": self.head + AHEAD}
        )

    def _look(self, places: Places) -> Heads:
        return self.octets.heads(places, self.head + AHEAD)

    def _size(self, heads: Heads) -> Int64:
        sizes: Int64 = self._lengths(heads)[0] + np.int64(self.head)
        return sizes

    def _lengths(self, heads: Heads) -> tuple[Uint32, Uint32]:
        """Octets that are there, and those on the wire."""
        words = heads.view(self._kind)
        captured, length = words["captured"], words["length"]
        if self._layout.swapped is None:
            return np.minimum(captured, length), np.maximum(captured, length)
        return captured, length

    def _guesses(self, stop: int) -> Places:
        """Places whose octets could be a header's: the time's upper half is the first record's, and sizes are small."""
        apart, size = self._searched(stop, 1)
        if size < 64:
            return np.empty(0, np.int64)
        big = self._layout.order == ">"
        high = 0 if big else 2
        now = bytes(self.octets.view[self.at + high : self.at + high + 2])
        pattern = re.compile(re.escape(now) + (_REST_BIG if big else _REST_LITTLE), re.DOTALL)
        begins = range(self.at + apart + high, self.at + LANES * apart, apart)
        found = (pattern.search(self.octets.view, begin, begin + size) for begin in begins)
        at = np.array([match.start() - high for match in found if match is not None], np.int64)
        at = at[self._plausible(at)]
        return at[self._plausible(at + self._size(self._look(at)))]

    def _plausible(self, at: Places) -> Bool:
        """Whether it looks like a header that stands there."""
        inside = at < len(self.octets) - self.head
        heads = self._look(np.where(inside, at, self.at))
        words, known = heads.view(self._kind), int(self._look(np.array([self.at])).view(self._kind)["seconds"][0])
        captured, length = self._lengths(heads)
        good: Bool = inside & (np.abs(words["seconds"].astype(np.int64) - known) < _FAR)
        good &= (words["fraction"] < 1_000_000_000) & (captured <= MAX_PACKET) & (length <= _LONGEST)
        return good

    def _next(self) -> Records:
        places, heads, end = self._follow()
        words = heads.view(self._kind)
        captured, length = self._lengths(heads)
        whole = captured <= MAX_PACKET
        whole &= places + captured <= len(self.octets) - self.head
        count = len(places) if whole.all() else int(whole.argmin())
        if count < len(places) or end > len(self.octets) - self.head:
            end = int(places[count]) if count < len(places) else end
            self.damage = self._wrong(end)
        if count:
            self._largest = max(_LARGEST, int(captured[:count].max()) + self.head)
        self.at = end
        self.records += count
        at_ns = words["seconds"][:count] * np.int64(1_000_000_000)
        at_ns += words["fraction"][:count] * np.int64(self._layout.tick_ns)
        return Records(
            number=np.arange(self.records - count + 1, self.records + 1),
            offset=places[:count] + self.head,
            captured=captured[:count].astype(np.int32),
            length=lengths(length[:count]),
            at_ns=at_ns,
            point=np.zeros(count, np.int32),
            ahead=rows_of(heads)[:count, self.head :],
        )

    def _wrong(self, at: int) -> Damage | None:
        """What wire.pcap says of what lies there: nothing at the file's end."""
        try:
            next(pcap.records(self.octets.view, replace(self._layout, begins=at)), None)
        except Damage as damage:
            return damage
        return None


def rows_of(heads: Heads) -> Rows:
    """Their octets, a row each."""
    return heads.view(np.uint8).reshape(len(heads), heads.dtype.itemsize)


def lengths(words: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> Int32:
    """Lengths on the wire; more than 2^31 - 1 octets count as that many."""
    return np.minimum(words, np.uint32(0x7FFFFFFF)).astype(np.int32)
