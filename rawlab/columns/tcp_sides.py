"""Both directions of every TCP connection as a capture has shown them so far: `attribution.tcp_side`, as arrays.

Entry 2·f is what flow f's first end sends, 2·f + 1 what its second end sends; the arrays grow with the flows. One
connection is taken out as a `TcpAnalysis` and put back, where only that one can tell. What is *not* here: the segments
that are not yet acknowledged; no mark depends on them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rawlab.attribution.tcp_analysis import TcpAnalysis
from rawlab.attribution.tcp_side import UNKNOWN, Side
from rawlab.columns.window import Bool, Int8, Int64, Uint16, Uint32

NEVER = -1
"of `syn_at_ns`"


class Sides:
    """The names are those of `Side`; a window or base of -1 is none."""

    def __init__(self) -> None:
        self.base: Int64 = np.full(0, -1, np.int64)
        self.next_seq: Uint32 = np.zeros(0, np.uint32)
        self.next_at_ns: Int64 = np.zeros(0, np.int64)
        self.covered: Uint32 = np.zeros(0, np.uint32)
        self.window: Int64 = np.full(0, -1, np.int64)
        self.ack: Uint32 = np.zeros(0, np.uint32)
        self.ack_at_ns: Int64 = np.zeros(0, np.int64)
        self.duplicates: Int64 = np.zeros(0, np.int64)
        self.marks: Uint16 = np.zeros(0, np.uint16)
        self.scale: Int8 = np.full(0, UNKNOWN, np.int8)
        self.answered: Bool = np.ones(0, np.bool_)
        self.sent: Int64 = np.zeros(0, np.int64)
        "segments that take sequence numbers"
        self.rtt_ns: Int64 = np.zeros(0, np.int64)
        "of each flow: the initial one; 0: not known"
        self.syn_at_ns: Int64 = np.full(0, NEVER, np.int64)
        "of each flow: its last SYN without ACK"
        self.begun: Bool = np.zeros(0, np.bool_)
        "of each flow: a segment of it has come"

    def grow(self, flows: int) -> None:
        """Room for so many flows."""
        if flows <= len(self.begun):
            return
        room = max(flows, len(self.begun) * 2)
        for name, array in self._arrays():
            entries = room if name in ("rtt_ns", "syn_at_ns", "begun") else room * 2
            fill = {"base": -1, "window": -1, "scale": UNKNOWN, "answered": 1, "syn_at_ns": NEVER}.get(name, 0)
            grown = np.full(entries, fill, array.dtype)
            grown[: len(array)] = array
            setattr(self, name, grown)

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        yield from list(vars(self).items())

    def take_out(self, flow: int, reused: bool) -> TcpAnalysis:
        """One connection by itself."""
        one = TcpAnalysis(reused=reused)
        one.initial_rtt_ns = int(self.rtt_ns[flow])
        one.syn_at_ns = None if self.syn_at_ns[flow] == NEVER else int(self.syn_at_ns[flow])
        one.forward, one.backward = self._side(flow * 2), self._side(flow * 2 + 1)
        return one

    def _side(self, at: int) -> Side:
        base, window = int(self.base[at]), int(self.window[at])
        return Side(
            base=None if base < 0 else base,
            next_seq=int(self.next_seq[at]),
            next_at_ns=int(self.next_at_ns[at]),
            covered=int(self.covered[at]),
            window=None if window < 0 else window,
            ack=int(self.ack[at]),
            ack_at_ns=int(self.ack_at_ns[at]),
            duplicates=int(self.duplicates[at]),
            marks=int(self.marks[at]),
            scale=int(self.scale[at]),
            answered=bool(self.answered[at]),
            remembers=False,
        )

    def put_back(self, flow: int, one: TcpAnalysis) -> None:
        """What `take_out` gave, some segments later."""
        self.begun[flow] = True
        self.rtt_ns[flow] = one.initial_rtt_ns
        self.syn_at_ns[flow] = NEVER if one.syn_at_ns is None else one.syn_at_ns
        for at, side in ((flow * 2, one.forward), (flow * 2 + 1, one.backward)):
            self.base[at] = -1 if side.base is None else side.base
            self.window[at] = -1 if side.window is None else side.window
            self.next_seq[at], self.next_at_ns[at], self.covered[at] = side.next_seq, side.next_at_ns, side.covered
            self.ack[at], self.ack_at_ns[at], self.duplicates[at] = side.ack, side.ack_at_ns, side.duplicates
            self.marks[at], self.scale[at], self.answered[at] = side.marks, side.scale, side.answered
