"""Which of the chunks that open and end an association the SCTP packets of a window hold (RFC 9260 section 3.2).

Chunks are a chain: that of all packets is followed in step, as far as it lies in the frame and a few chunks deep.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rawlab.columns.window import Int64, Window

SCTP = 132
INIT, INIT_ACK, SHUTDOWN, ABORT, COOKIE_ECHO, COOKIE_ACK = 1, 2, 4, 8, 16, 32
"the first four are, to an association, what SYN, SYN-ACK, FIN and RST are to a connection (`columns.totals`)"
_BITS = np.zeros(256, np.uint8)
_BITS[[1, 2, 6, 7, 8, 10, 11, 14]] = (INIT, INIT_ACK, ABORT, SHUTDOWN, SHUTDOWN, COOKIE_ECHO, COOKIE_ACK, SHUTDOWN)
_DEEPEST = 16


def chunks(octets: npt.NDArray[np.uint8], window: Window) -> tuple[Int64, npt.NDArray[np.uint8]]:
    """The window's SCTP rows, and of each the bits of its chunks."""
    rows = np.flatnonzero((window.protocol == SCTP) & (window.payload_at > 0))
    found = np.zeros(len(rows), np.uint8)
    at = window.offset[rows] + window.payload_at[rows]
    end = window.offset[rows] + window.captured[rows]
    left = np.arange(len(rows))
    for _ in range(_DEEPEST):
        left = left[at[left] + 4 <= end[left]]
        if not len(left):
            break
        begin = at[left]
        found[left] |= _BITS[octets[begin]]
        length = octets[begin + 2].astype(np.int64) << 8 | octets[begin + 3]
        at[left] = begin + np.maximum((length + 3) & ~3, 4)
    return rows, found
