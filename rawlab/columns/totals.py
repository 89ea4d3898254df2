"""What a capture says of each flow in sum: counted window by window, an array entry a flow.

`Totals` takes windows in order, with the marks that `columns.analysis` gave them; memory grows with the number of
flows, not of frames. Ends are called A (the flow's first end) and B. What does *not* belong here: the addresses of
flows (`columns.flows`), the table made of both (`columns.flow_table`).

How a connection opened and ended is told from the kinds of segments that each end sent; the handshake's round trip is
from the last SYN to the first ACK by the same end behind the SYN-ACK: wherever on the way the capture was made, that
is the whole way there and back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rawlab.columns.chunks import chunks
from rawlab.columns.window import FRAGMENT, TUNNELLED, Bool, Int64, Uint16, Window
from rawlab.model.analysis import Mark

TCP, UDP = 6, 17
SYN, SYN_ACK, FIN, RST = 1, 2, 4, 8
"kinds of segments that an end sent, in `Totals.sent`"
_FIN, _SYN, _RST, _ACK, _URG = 0x01, 0x02, 0x04, 0x10, 0x20
_KINDS = np.array(
    [
        (SYN_ACK if flags & _ACK else SYN) * bool(flags & _SYN) | FIN * bool(flags & _FIN) | RST * bool(flags & _RST)
        for flags in range(32)
    ],
    np.uint8,
)
_MARKS = len(Mark)


class Totals:
    """Sums over the windows seen so far; entry 2·f is what flow f's A sent, 2·f + 1 what its B sent."""

    def __init__(self, octets: memoryview) -> None:
        """`octets`: the capture's."""
        self._octets = np.frombuffer(octets, np.uint8)
        self.payload: Int64 = np.zeros(0, np.int64)
        "TCP's and UDP's data"
        self.acks: Int64 = np.zeros(0, np.int64)
        "segments with ACK and without SYN and RST"
        self.sent: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)
        "SYN, SYN_ACK, FIN, RST: which of them; of SCTP the bits of `columns.chunks`"
        self.marks: Int64 = np.zeros((_MARKS, 0), np.int64)
        "how many frames of a flow have each Mark"
        self.cut: Int64 = np.zeros(0, np.int64)
        "frames of a flow of which octets are missing"
        self.resets: Int64 = np.zeros(0, np.int64)
        self.tcp_urgent: Int64 = np.zeros(0, np.int64)
        "segments with URG"
        self.tcp_syn_data: Int64 = np.zeros(0, np.int64)
        "SYNs with data, of who sent the first"
        self.syns: Int64 = np.zeros(0, np.int64)
        "SYNs of who sent the first, until the handshake was over"
        self.missing: Int64 = np.zeros(0, np.int64)
        "gaps that nothing filled later; `columns.survey` tells them in the end"
        self.first_point: Int64 = np.zeros(0, np.int64)
        "index of the interface that saw a flow's first frame; -1: none did yet"
        self.icmp_errors: Int64 = np.zeros(0, np.int64)
        self.fragments: Int64 = np.zeros(0, np.int64)
        self.tunnelled: Int64 = np.zeros(0, np.int64)
        self.syn_ns: Int64 = np.zeros(0, np.int64)
        "the last SYN of who sent the first; -1: none, as in the three that follow"
        self.rtt_ns: Int64 = np.zeros(0, np.int64)
        self._waits: Bool = np.zeros(0, np.bool_)
        "of who sent the first SYN: whether it was answered, and a handshake's round trip is still to be told"
        self._answer: Int64 = np.zeros(0, np.int64)
        "-1; while a window is counted, a row of a flow"
        self._known = 0
        "of so many flows the first point is known"
        self.opener: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        "0: A sent the first SYN, 1: B"
        self.reset_by: npt.NDArray[np.int8] = np.zeros(0, np.int8)
        "0: A sent the first RST, 1: B"
        self.backwards = 0
        "frames that are older than the one before"
        self._last_ns = 0
        self.frames = 0
        self.start_ns = -1
        "the earliest frame; -1: none, as in the next"
        self.end_ns = -1
        "the latest"
        self.flows = 0
        "how many there are; the arrays have room for more"

    def add(self, window: Window, marks: Uint16, flows: int) -> None:
        """Counts a window; `flows`: how many flows there are by then."""
        if not len(window):
            return
        self._grow(flows)
        flow = window.flow
        side: Int64 = flow * np.int64(2)
        side += ~window.forward
        np.add.at(self.payload, side, window.payload.astype(np.int64))
        self._moments(window)
        if (short := window.captured < window.length).any():
            np.add.at(self.cut, flow[short], 1)
        marked = np.flatnonzero(marks)
        marks, of = marks[marked], flow[marked]
        for index in range(_MARKS):
            if (mine := (marks & np.uint16(1 << index)) != 0).any():
                np.add.at(self.marks[index], of[mine], 1)
        for bit, sums in ((FRAGMENT, self.fragments), (TUNNELLED, self.tunnelled)):
            if len(window.form) and (has := window.form & np.uint8(bit) != 0).any():
                np.add.at(sums, flow[has], 1)
        tcp = window.protocol == TCP
        if tcp.any():
            self._segments(window, side, tcp)
        if not tcp.all():
            self._chunks(window, side)

    def _moments(self, window: Window) -> None:
        at_ns = window.at_ns
        self.backwards += int(np.count_nonzero(at_ns[1:] < at_ns[:-1])) + bool(self.frames and at_ns[0] < self._last_ns)
        self._last_ns = int(at_ns[-1])
        earliest = int(window.at_ns.min())
        self.start_ns = min(self.start_ns, earliest) if self.frames else earliest
        self.end_ns = max(self.end_ns, int(window.at_ns.max()))
        new = np.flatnonzero(window.flow >= self._known)[::-1]
        new = new[self.first_point[window.flow[new]] < 0]
        self.first_point[window.flow[new]] = window.point[new]  # the last to one place is kept
        missing = np.flatnonzero(self.first_point[self._known : self.flows] < 0)
        self._known = self._known + int(missing[0]) if len(missing) else self.flows
        self.frames += len(window)

    def _segments(self, window: Window, side: Int64, tcp: Bool) -> None:
        flags = window.flags
        special = np.flatnonzero(tcp & ((flags & np.uint16(_SYN | _FIN | _RST)) != 0))
        if len(special):
            np.bitwise_or.at(self.sent, side[special], _KINDS[flags[special] & 31])
            self._openings(window, special)
        if (urgent := tcp & ((flags & np.uint16(_URG)) != 0)).any():
            np.add.at(self.tcp_urgent, window.flow[urgent], 1)
        plain = tcp & ((flags & np.uint16(_SYN | _RST | _ACK)) == _ACK)
        np.add.at(self.acks, side[plain], 1)
        plain &= self._waits[side]
        if plain.any():
            self._handshakes(window, np.flatnonzero(plain), special)

    def _chunks(self, window: Window, side: Int64) -> None:
        rows, found = chunks(self._octets, window)
        np.bitwise_or.at(self.sent, side[rows], found)
        by = (~window.forward).astype(np.int8)
        for bit, whose in ((SYN, self.opener), (RST, self.reset_by)):
            with_it = rows[found & np.uint8(bit) > 0]
            with_it = with_it[whose[window.flow[with_it]] < 0][::-1]
            whose[window.flow[with_it]] = by[with_it]

    def _openings(self, window: Window, special: Int64) -> None:
        """Who sent the first SYN, when; who the first RST."""
        flags, flow, by = window.flags[special], window.flow, (~window.forward).view(np.int8)
        syn = special[(flags & np.uint16(_SYN | _ACK)) == _SYN]
        first = syn[self.opener[flow[syn]] < 0][::-1]
        self.opener[flow[first]] = by[first]
        syn = syn[self.opener[flow[syn]] == by[syn]]
        self.syn_ns[flow[syn]] = window.at_ns[syn]
        np.add.at(self.tcp_syn_data, flow[syn], window.payload[syn] > 0)
        np.add.at(self.syns, flow[syn], self.rtt_ns[flow[syn]] < 0)
        reset = special[(flags & np.uint16(_RST)) != 0]
        special = special[self.opener[flow[special]] >= 0]
        opener = flow[special] * np.int64(2) + self.opener[flow[special]]
        self._waits[opener] = (self.rtt_ns[flow[special]] < 0) & (self.sent[opener ^ 1] & SYN_ACK > 0)
        np.add.at(self.resets, flow[reset], 1)
        reset = reset[self.reset_by[flow[reset]] < 0][::-1]
        self.reset_by[flow[reset]] = by[reset]

    def _handshakes(self, window: Window, plain: Int64, special: Int64) -> None:
        """The first ACK behind a SYN-ACK, by who sent the SYN; `plain`: of flows that wait for it."""
        both = np.uint16(_SYN | _ACK)
        answers = special[(window.flags[special] & both) == both][::-1]
        answered = window.flow[answers]
        self._answer[answered] = answers  # the last to one place is kept
        plain = plain[plain > self._answer[window.flow[plain]]][::-1]
        self._answer[answered] = -1
        flow = window.flow[plain]
        self._answer[flow] = plain
        first = self._answer[flow] == plain
        self._answer[flow] = -1
        plain, flow = plain[first], flow[first]
        self.rtt_ns[flow] = window.at_ns[plain] - self.syn_ns[flow]
        self._waits[flow * np.int64(2) + self.opener[flow]] = self.rtt_ns[flow] < 0

    def _grow(self, flows: int) -> None:
        """Room for so many, and as many again."""
        self.flows = max(self.flows, flows)
        if flows <= len(self.cut):
            return
        more = flows * 2 - len(self.cut)
        for name, fill, each in _ARRAYS:
            was = getattr(self, name)
            setattr(self, name, np.concatenate((was, np.full(more * each, fill, was.dtype))))
        self.marks = np.concatenate((self.marks, np.zeros((_MARKS, more), np.int64)), axis=1)


_ARRAYS = (
    *((name, 0, 2) for name in ("payload", "acks", "sent", "_waits")),
    *((name, 0, 1) for name in ("cut", "resets", "icmp_errors", "fragments", "tunnelled")),
    *((name, 0, 1) for name in ("tcp_urgent", "tcp_syn_data", "syns")),
    *((name, -1, 1) for name in ("syn_ns", "rtt_ns", "opener", "reset_by", "first_point", "_answer")),
)
