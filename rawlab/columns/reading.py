"""A capture of any size, read once from its first octet to its last, in windows.

    reading = Reading(octets)                   # a memoryview of the whole file, pcap or pcapng
    for window in reading.windows():            # columns.window.Window, frames in the order of the file
        …                                       # the window's flows are in reading.flows
    reading.damage                              # where the file ceases to be whole, once all windows are read

A window has some ten thousand frames, so its columns stay in the processor's cache, and what has been read of the file
can be given back: a file larger than memory is read in the memory of one window and of the flows.

What does not belong here: files (`store`), and what happened in a flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rawlab.columns.blocks import PcapngRecords
from rawlab.columns.decoding import Columns, decode
from rawlab.columns.flows import Flows
from rawlab.columns.octets import Octets
from rawlab.columns.records import PcapRecords, Records
from rawlab.columns.window import Window
from rawlab.errors import FormatError
from rawlab.wire import pcap
from rawlab.wire.pcapng import Damage, Interface

if TYPE_CHECKING:
    from rawlab.columns.single import Single

Progress = Callable[[int, int], None]
"told (octets read, octets in all) after each window"
_HEAP = (32 << 20) - (64 << 10)
"octets: once so many were given back at a time, malloc(3) takes what is smaller from its heap: M_MMAP_THRESHOLD"


class Reading:
    """One pass over a capture. Raises FormatError where the octets are neither pcap's nor pcapng's."""

    def __init__(self, octets: memoryview) -> None:
        self.flows = Flows()
        self._octets = Octets(octets)
        self._reader = _reader(self._octets)
        self._single: Single | None = None

    @property
    def damage(self) -> Damage | None:
        """Where the file ceases to be whole (`offset`) and `why`, so far as it has been read; None: it is whole."""
        return self._reader.damage

    @property
    def points(self) -> Sequence[Interface]:
        """The interfaces met so far, through all sections: `Window.point` counts in them."""
        return self._reader.points

    @property
    def records(self) -> int:
        """Packets and journal entries so far: the last one's record number."""
        return self._reader.records

    @property
    def untimed(self) -> int:
        """Frames so far that have no time stamp: each has the time of the one before."""
        return self._reader.untimed

    @property
    def at(self) -> int:
        """Octets of the file that have been passed."""
        return min(self._reader.at, len(self._octets))

    def windows(self, progress: Progress | None = None) -> Iterator[Window]:
        """Every frame, in windows; once. Raises nothing: damage ends it, and is kept."""
        np.empty(_HEAP, np.uint8)  # else each window's columns would be mapped, and unmapped, page by page
        for records in self._reader.stretches():
            yield self._window(records)
            self._octets.forget(int(records.offset[-1]))
            if progress is not None:
                progress(self.at, len(self._octets))

    def _window(self, records: Records) -> Window:
        columns = decode(self._octets, records, self.points, self.flows.addresses)
        if columns.slow.any():
            self._read_single(records, columns)
        flow, forward = self.flows.assign(records, columns)
        return Window(
            number=records.number,
            offset=records.offset,
            captured=records.captured,
            length=records.length,
            at_ns=records.at_ns,
            point=records.point,
            protocol=columns.protocol,
            flow=flow,
            forward=forward,
            seq=columns.seq,
            ack=columns.ack,
            flags=columns.flags,
            window=columns.window,
            payload=columns.payload,
            payload_at=columns.payload_at,
            wscale=columns.wscale,
            mss=columns.mss,
            slow=columns.slow,
            form=columns.form,
        )

    def _read_single(self, records: Records, columns: Columns) -> None:
        """Of the slow frames."""
        from rawlab.columns.single import Single  # all of wire.decode: most captures of many frames need none of it

        if self._single is None:
            self._single = Single(self._octets, self.points, self.flows.addresses)
        self._single.read(records, columns)


def _reader(octets: Octets) -> PcapRecords | PcapngRecords:
    beginning = bytes(octets.view[:4])
    if beginning == b"\x0a\x0d\x0d\x0a":
        return PcapngRecords(octets)
    if (layout := pcap.layout(octets.view)) is not None:
        return PcapRecords(octets, layout)
    raise FormatError(f"is no capture: expected pcapng's 0a0d0d0a or pcap's a1b2c3d4 first, {beginning.hex()} there")
