"""Notes in a capture's octets: which record bears which, and the file with others in their place.

A packet's note is a comment of its block (opt_comment, draft-ietf-opsawg-pcapng section 3.5), as Wireshark shows and
edits it; a call's is a field of its journal entry (`wire.journal`), for such a block has no options. Records are
numbered as Wireshark does: packets and journal entries, from 1. Only the blocks whose notes change are written anew;
all else, and what follows where a file is damaged, is handed on octet for octet.

What does not belong here: files (`store`), and what a note is about (`noting`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rawlab.wire import journal, pcapng
from rawlab.wire.pcapng import COMMENT, JOURNAL, SIMPLE_PACKET, Block, Damage

MOST = 65_535
"octets of one comment: an option's length has 16 bits"
_HEADER = 20  # octets before the packet's, in both kinds of block that have options
_PIECE = 1 << 20
_OURS = pcapng.PACKETS | {JOURNAL}

Whose = tuple[str, int, int]
"""(host, pid, when it was entered): which call an entry is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A packet's block or a journal entry's."""

    number: int
    "as Wireshark counts"
    block: Block

    @property
    def is_packet(self) -> bool:
        return self.block.type != JOURNAL

    @property
    def has_room(self) -> bool:
        """Whether notes can stand in it: in a Simple Packet Block they can't."""
        return self.block.type != SIMPLE_PACKET

    @property
    def notes(self) -> tuple[str, ...]:
        """Its notes, in order; none where it is damaged."""
        if not self.is_packet:
            try:
                return journal.notes_of(bytes(self.block.body))
            except ValueError:
                return ()
        return pcapng.texts(self._options(), COMMENT)

    @property
    def call(self) -> Whose | None:
        """Of a journal entry: the call that it tells of."""
        try:
            told = json.loads(journal.parse(bytes(self.block.body))["RAWLAB_CALL"])
            host, pid, entered_ns = told["host"], told["pid"], told["entered_ns"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        known = isinstance(host, str) and isinstance(pid, int) and isinstance(entered_ns, int)
        return (host, pid, entered_ns) if known else None

    def with_notes(self, notes: Sequence[str]) -> bytes:
        """The block with these in place of its own. Raises ValueError where it is damaged or has no room."""
        body, order = self.block.body, self.block.order
        if not self.is_packet:
            return pcapng.block(JOURNAL, journal.with_notes(bytes(body), notes), order)
        items = [(COMMENT, note.encode()) for note in notes]
        items += [item for item in self._options() if item[0] != COMMENT]
        return pcapng.block(self.block.type, bytes(body[: self._end()]) + pcapng.options(items, order), order)

    def _end(self) -> int:
        """Where the packet's octets end and the options begin. Raises ValueError."""
        if not self.has_room or len(self.block.body) < _HEADER:
            raise ValueError(f"record {self.number} has no place for a note")
        captured: int = struct.unpack_from(self.block.order + "I", self.block.body, 12)[0]
        return min(_HEADER + captured + -captured % 4, len(self.block.body))

    def _options(self) -> list[tuple[int, bytes]]:
        try:
            return pcapng.read_options(self.block.body, self._end(), self.block.order)
        except ValueError:
            return []


def records(data: bytes | memoryview) -> Iterator[Record]:
    """Every record, as far as the file is whole."""
    number = 0
    for block in _whole(data):
        number += block.type in pcapng.RECORDS
        if block.type in _OURS:
            yield Record(number=number, block=block)


def _whole(data: bytes | memoryview) -> Iterator[Block]:
    try:
        yield from pcapng.blocks(data)
    except Damage:
        return


def rewritten(data: bytes | memoryview, notes: Mapping[int, Sequence[str]]) -> Iterator[bytes | memoryview]:
    """The file in pieces, with these notes on those records. Raises ValueError for a record that has no room."""
    view, anew = memoryview(data), _anew(data, notes)
    at = 0
    for offset, (end, octets) in sorted(anew.items()):
        yield from _pieces(view[at:offset])
        yield octets
        at = end
    yield from _pieces(view[at:])


def _pieces(view: memoryview) -> Iterator[memoryview]:
    for at in range(0, len(view), _PIECE):
        yield view[at : at + _PIECE]


def _anew(data: bytes | memoryview, notes: Mapping[int, Sequence[str]]) -> dict[int, tuple[int, bytes]]:
    """What is written anew: (where it ends, its new octets) by where it begins."""
    anew: dict[int, tuple[int, bytes]] = {}
    headers: dict[int, Block] = {}
    grown: dict[int, int] = {}
    number, last = 0, max(notes, default=0)
    for block in _whole(data):
        if block.type == pcapng.SECTION_HEADER:
            headers[block.section] = block
        number += block.type in pcapng.RECORDS
        if block.type in _OURS and number in notes:
            octets = Record(number=number, block=block).with_notes(notes[number])
            end = block.offset + 12 + len(block.body)
            anew[block.offset] = end, octets
            grown[block.section] = grown.get(block.section, 0) + len(octets) - (end - block.offset)
        if number >= last:
            break
    for section, octets_more in grown.items():
        if section in headers and octets_more:
            anew |= _longer(headers[section], octets_more)
    return anew


def _longer(header: Block, octets: int) -> dict[int, tuple[int, bytes]]:
    """The length in a section's header, where it says one, so many octets more."""
    if len(header.body) < 16:
        return {}
    (length,) = struct.unpack_from(header.order + "q", header.body, 8)
    at = header.offset + 16
    return {} if length == -1 else {at: (at + 8, struct.pack(header.order + "q", length + octets))}
