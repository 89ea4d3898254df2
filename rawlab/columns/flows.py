"""Flows: who talked with whom, counted while a capture is read.

Every frame belongs to one flow. A flow is a TCP connection, a UDP or SCTP pair of endpoints, else a pair of IP
addresses with the IP protocol between them, else a pair that ARP spoke of, else the pair of link-layer addresses.
The innermost IP packet counts. Flows are numbered from 0 in the order of their first frames; a flow's first end is
who sent that frame.

Between one pair of TCP endpoints a new connection begins as Wireshark has it (`columns.connections`). A segment
belongs to the pair's latest connection.

What does not belong here: what happened in a flow (`columns.analysis`, `columns.totals`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rawlab.columns.connections import Connections, with_room
from rawlab.columns.decoding import TCP, UDP, Columns
from rawlab.columns.ends import PORTS, End, Ends, protocols
from rawlab.columns.keys import Keys
from rawlab.columns.records import Records
from rawlab.columns.window import Bool, Int32, Int64

_COLUMNS: dict[str, Any] = {
    "protocol": np.int16,
    "stream": np.int32,
    "reused": np.bool_,
    "first_ns": np.int64,
    "last_ns": np.int64,
    "first_number": np.int64,
    "packets": (np.int64, 2),
    "octets": (np.int64, 2),
    "_source": np.uint64,
    "_target": np.uint64,
}


class Flows:
    """All flows so far, as columns: index a property with a flow's number, or take all. They grow with each window."""

    def __init__(self) -> None:
        self.addresses = Ends()
        self._count = 0
        self._pairs = Keys()
        self._latest: Int32 = np.zeros(16, np.int32)
        "the latest flow of each pair"
        self._connections = Connections()
        self._now_ns = -(1 << 63)
        "the latest time of any frame"
        self._streams = {TCP: 0, UDP: 0}
        self._table = {name: _empty(kind, 16) for name, kind in _COLUMNS.items()}

    def __len__(self) -> int:
        return self._count

    @property
    def protocol(self) -> npt.NDArray[np.int16]:
        """IP's number for the protocol; or ARP, NO_IP of `columns.window`."""
        return self._table["protocol"][: self._count]

    @property
    def stream(self) -> Int32:
        """Wireshark's tcp.stream or udp.stream; -1 for the others."""
        return self._table["stream"][: self._count]

    @property
    def reused(self) -> Bool:
        """Its ends had a TCP connection before, in the same capture."""
        return self._table["reused"][: self._count]

    @property
    def first_ns(self) -> Int64:
        """The earliest time of its frames, since the epoch."""
        return self._table["first_ns"][: self._count]

    @property
    def last_ns(self) -> Int64:
        """The latest time of its frames."""
        return self._table["last_ns"][: self._count]

    @property
    def first_number(self) -> Int64:
        """The record number of its first frame."""
        return self._table["first_number"][: self._count]

    @property
    def packets(self) -> Int64:
        """Frames, a row a flow: from its first end to its second, and back."""
        return self._table["packets"][: self._count]

    @property
    def octets(self) -> Int64:
        """The same of frames' lengths on the wire."""
        return self._table["octets"][: self._count]

    def ends(self, flow: int) -> tuple[End, End]:
        """Who sent its first frame, and to whom: each an Endpoint; an address; None where the frame names none."""
        source, target = self._table["_source"][flow], self._table["_target"][flow]
        return self.addresses.end(int(source))[1], self.addresses.end(int(target))[1]

    @property
    def end_numbers(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Both ends of all flows, as numbers of `addresses`."""
        return self._table["_source"][: self._count], self._table["_target"][: self._count]

    def assign(self, records: Records, columns: Columns) -> tuple[Int32, Bool]:
        """(flow, whether from its first end to its second) of each frame; counts them."""
        source, target = columns.source, columns.target
        pair, firsts = self._pairs.numbers_of_runs(np.maximum(source, target), np.minimum(source, target))
        self._latest = with_room(self._latest, len(self._pairs))
        rows, began = self._connections.begun(pair, firsts, self._latest, columns)
        again = rows[rows == began]
        begun = np.sort(np.concatenate((firsts, again))) if len(again) else firsts
        number = self._begin(begun, records, columns)
        self._latest[pair[firsts]] = number[np.searchsorted(begun, firsts)]
        flow: Int32 = self._latest[pair]
        anew = began >= 0
        flow[rows[anew]] = number[np.searchsorted(begun, began[anew])]
        self._latest[pair[again]] = flow[again]
        self._table["reused"][flow[again]] = True
        forward: Bool = self._table["_source"][flow] == source
        self._connections.follow(flow, forward, columns)
        self._count_frames(flow, forward, records)
        return flow, forward

    def _begin(self, rows: Int64, records: Records, columns: Columns) -> Int32:
        """New flows, begun by these rows; their numbers."""
        first, self._count = self._count, self._count + len(rows)
        self._connections.begin(self._count, rows, columns)
        table = self._table
        for name, column in table.items():
            table[name] = with_room(column, self._count)
        new = slice(first, self._count)
        table["_source"][new] = source = columns.source[rows]
        table["_target"][new] = columns.target[rows]
        table["first_ns"][new] = table["last_ns"][new] = records.at_ns[rows]
        table["first_number"][new] = records.number[rows]
        table["stream"][new] = -1
        table["protocol"][new] = protocol = protocols(source)
        for kind in self._streams:
            mine = (protocol == kind) & (source & np.uint64(PORTS) != 0)
            table["stream"][new][mine] = self._streams[kind] + np.arange(np.count_nonzero(mine))
            self._streams[kind] += int(np.count_nonzero(mine))
        return np.arange(first, self._count, dtype=np.int32)

    def _count_frames(self, flow: Int32, forward: Bool, records: Records) -> None:
        """A window's frames are counted for the flows from its least to its greatest."""
        table, at_ns = self._table, records.at_ns
        place = flow * np.int64(2)
        place += ~forward
        length = np.maximum(records.length, records.captured)
        least, most = int(place.min()), int(place.max()) + 1
        if most - least <= 4 * len(flow):
            place -= least
            table["packets"].reshape(-1)[least:most] += np.bincount(place, minlength=most - least)
            octets = np.bincount(place, length, most - least)
            table["octets"].reshape(-1)[least:most] += octets.astype(np.int64)
        else:
            np.add.at(table["packets"].reshape(-1), place, 1)
            np.add.at(table["octets"].reshape(-1), place, length)
        if at_ns[0] >= self._now_ns and (at_ns[1:] >= at_ns[:-1]).all():
            table["last_ns"][flow] = at_ns
        else:
            np.maximum.at(table["last_ns"], flow, at_ns)
            np.minimum.at(table["first_ns"], flow, at_ns)
        self._now_ns = max(self._now_ns, int(at_ns.max()))


def _empty(kind: Any, rows: int) -> npt.NDArray[Any]:
    return np.zeros((rows, kind[1]), kind[0]) if isinstance(kind, tuple) else np.zeros(rows, kind)
