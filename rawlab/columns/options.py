"""The two TCP options of a SYN that tell how its sender's windows and segments are to be read, many at once.

The options of all segments are passed in step, one option of each at a time, as `wire.decode` passes them: one of a
wrong length for its kind is passed over, one that reaches beyond the header ends the list. The last of a kind counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rawlab.columns.octets import Octets, Places
from rawlab.columns.window import Int8, Int32

EOL, NOP, MSS, WSCALE = 0, 1, 2, 3
_ROW = 42
"octets of options, at the most, and two that may be looked at behind them"


def window_options(octets: Octets, places: Places, sizes: Int32, there: Int32) -> tuple[Int8, Int32]:
    """(Window Scale's shift count, or -1; Maximum Segment Size, or 0) of the options that begin at these places."""
    count = len(places)
    wscale, mss = np.full(count, -1, np.int8), np.zeros(count, np.int32)
    octet: Any = octets.heads(places, _ROW).view(np.uint8)
    rows, left = np.arange(count), np.minimum(sizes, there)
    at = rows * _ROW
    while len(rows):
        kind, size = octet[at], octet[at + 1].astype(np.int32)
        size[kind == NOP] = 1
        more = (left > 0) & (kind != EOL) & (size <= left) & ((size >= 2) | (kind == NOP))
        if not more.all():
            rows, at, kind, size, left = rows[more], at[more], kind[more], size[more], left[more]
        found = np.flatnonzero((kind == WSCALE) & (size == 3))
        wscale[rows[found]] = np.minimum(octet[at[found] + 2], 127)
        found = np.flatnonzero((kind == MSS) & (size == 4))
        value = at[found] + 2
        mss[rows[found]] = octet[value].astype(np.int32) << 8 | octet[value + 1]
        at, left = at + size, left - size
    return wscale, mss
