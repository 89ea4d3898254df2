"""How long after a segment its acknowledgment came: tshark's `tcp.analysis.ack_rtt`, for many rows at once.

An ACK is of the eldest segment that ended just where it points. What windows before sent and was not yet acknowledged
is kept by (direction, number behind it). Only an ACK that goes on beyond the one before is looked at: tshark gives a
time to duplicates as well, where octets were sent again in vain in between. Of connections that keep to TCP all others
have the time that `attribution.tcp_analysis` finds.
"""

from __future__ import annotations

import numpy as np

from rawlab.columns.tcp_rows import Rows
from rawlab.columns.tcp_sides import Sides
from rawlab.columns.window import Int64, Uint32

_MOST = 1 << 20
"segments that are remembered; the latest"


class RoundTrips:
    """Segments on their way, from window to window."""

    def __init__(self) -> None:
        self._keys: Int64 = np.zeros(0, np.int64)
        self._at_ns: Int64 = np.zeros(0, np.int64)

    def find(self, rows: Rows, sides: Sides, own_ack: Uint32) -> Int64:
        """Of each row, ns; -1: it acknowledges nothing of which that can be told. `sides` is as before the rows."""
        sent = np.flatnonzero(rows.control | (rows.length > 0))
        entry = rows.entries[rows.side]
        keys = np.concatenate((self._keys, entry[sent] << 32 | rows.end[sent]))
        at_ns = np.concatenate((self._at_ns, rows.at_ns[sent]))
        place = np.concatenate((np.full(len(self._keys), -1), sent))
        order = np.argsort(keys, kind="stable")
        order = order[np.append(True, keys[order[1:]] != keys[order[:-1]])] if len(order) else order
        keys, at_ns, place = keys[order], at_ns[order], place[order]
        rtt = np.full(len(rows), -1, np.int64)
        if not len(keys):
            return rtt
        knew = np.concatenate((sides.ack[rows.entries] != 0, rows.acks))[rows.own]
        back = knew & ((rows.ack - own_ack).view(np.int32) <= 0)
        asked = np.flatnonzero(rows.acks & ~back)
        wanted = (entry[asked] ^ 1) << 32 | rows.ack[asked]
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        right = (keys[found] == wanted) & (place[found] < asked)
        asked, found = asked[right], found[right]
        found, first = np.unique(found, return_index=True)
        rtt[asked[first]] = rows.at_ns[asked[first]] - at_ns[found]
        self._keep(rows, keys, at_ns, found)
        return rtt

    def _keep(self, rows: Rows, keys: Int64, at_ns: Int64, found: Int64) -> None:
        """What is still to be acknowledged: behind the last ACK of the flow's other direction, if that had one."""
        waits = np.ones(len(keys), np.bool_)
        waits[found] = False
        told = rows.final >= rows.v
        last = rows.final[told] - rows.v
        last, entry = last[rows.acks[last]], rows.entries[told][rows.acks[last]] ^ 1
        order = np.argsort(entry)
        entry, last = entry[order], last[order]
        if len(entry):
            which = np.minimum(np.searchsorted(entry, keys >> 32), len(entry) - 1)
            behind = ((keys & 0xFFFF_FFFF).astype(np.uint32) - rows.ack[last[which]]).view(np.int32) > 0
            waits &= (entry[which] != keys >> 32) | behind
        self._keys, self._at_ns = keys[waits], at_ns[waits]
        if len(self._keys) > _MOST:
            latest = np.sort(np.argsort(self._at_ns)[-_MOST:])
            self._keys, self._at_ns = self._keys[latest], self._at_ns[latest]
