"""What an association receives: which TSNs have come, the SACKs that say so, and the receive window.

RFC 9260 section 6.2. `cumulative` is the last TSN before the first hole; behind it, `gaps` are the runs that came out
of order. Both are bounded: by the window, by `max_gaps`, and each chunk is charged what it really takes up in memory
(`OVERHEAD`), so that a million chunks of one octet are not free. A chunk for which there is no room is dropped as if
the network had lost it; the peer sends it again. Messages are put together in `reassembly`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING

from rawlab.endpoints.sctp.reassembly import InData, InMessage, Reassembly
from rawlab.endpoints.unwrapped import BITS, FIRST, unwrap
from rawlab.model.sctp import SctpData
from rawlab.wire import sctp_build as build

if TYPE_CHECKING:
    from rawlab.endpoints.sctp.association import Association

OVERHEAD = 256
"octets that a chunk takes up besides its data"
MOST_DUPLICATES = 32
"told in one SACK"


class Inbound:
    """The receiving half of an association."""

    def __init__(self, association: Association, peer_tsn: int) -> None:
        self.association = association
        settings = association.settings
        self.window = settings.receive_window
        self.memory = 4 * self.window
        "octets, overhead included"
        self.cumulative = peer_tsn + FIRST - 1
        self.highest = self.cumulative
        self.gaps: list[list[int]] = []
        "[first, last + 1], ascending, apart"
        self.duplicates: list[int] = []
        self.reassembly = Reassembly()
        self.held = 0
        "octets of user data that the program has not taken yet"
        self.chunks = 0
        "chunks in reassembly, and messages delivered that were not taken yet"
        self.delivered: deque[int] = deque()
        "sizes of messages that the program has not taken yet"
        self.taken = 0
        "octets taken of the first of these"
        self.advertised = self.window
        "the a_rwnd that the peer was last told"
        self.packets = 0
        "with DATA, since the last SACK"
        self.touched = False
        "the packet being read has DATA"
        self.at_once = True
        "the next SACK is not to be delayed; the first never is, as in Linux: the peer's first round trip is measured"

    # ---- DATA

    def data(self, chunk: SctpData, packet: bytes) -> tuple[InMessage, ...] | list[InMessage] | None:
        """Takes a chunk; the messages that it completes, in order. None: it breaks the protocol."""
        self.touched = True
        tsn = unwrap(chunk.tsn.value, self.cumulative)
        flags = chunk.flags
        if flags & build.IMMEDIATE:
            self.at_once = True
        if tsn <= self.cumulative or (tsn <= self.highest and self._has(tsn)):
            self.at_once = True
            if len(self.duplicates) < MOST_DUPLICATES:
                self.duplicates.append(tsn & BITS)
            return ()
        first, last = chunk.data
        size = last - first
        if not self._room(tsn, size) or not self._note(tsn):
            self.at_once = True
            return ()
        self.held += size
        self.chunks += 1
        piece = InData(tsn, chunk.stream, chunk.ssn, chunk.ppid, flags, packet[first:last])
        messages = self.reassembly.add(piece)
        if messages:
            for message in messages:
                self.chunks += 1 - message.chunks
                self.delivered.append(len(message.data))
        return messages

    def refuse(self, chunk: SctpData) -> None:
        """DATA of a stream that does not exist is acknowledged and thrown away (section 6.5)."""
        self.touched = self.at_once = True
        tsn = unwrap(chunk.tsn.value, self.cumulative)
        if tsn > self.cumulative and not self._has(tsn):
            self._note(tsn)

    @property
    def stuck(self) -> bool:
        """The window is full of one message that is not whole: neither the program nor the peer can change that."""
        return self.held >= self.window and not self.delivered and not self.gaps

    def _room(self, tsn: int, size: int) -> bool:
        """Section 6.2: beyond the window only what fills the first hole is taken, and not without end."""
        held, used = self.held, self.held + OVERHEAD * self.chunks
        if held < self.window and used < self.memory:
            return True
        return tsn == self.cumulative + 1 and bool(self.gaps) and held < 2 * self.window and used < 2 * self.memory

    def _has(self, tsn: int) -> bool:
        at = bisect_right(self.gaps, [tsn, 1 << 62]) - 1
        return at >= 0 and tsn < self.gaps[at][1]

    def _note(self, tsn: int) -> bool:
        """The TSN came. False: it would be one gap too many."""
        gaps = self.gaps
        if tsn == self.cumulative + 1:
            self.cumulative = tsn
            if gaps:
                self.at_once = True
                if gaps[0][0] == tsn + 1:
                    self.cumulative = gaps.pop(0)[1] - 1
            if tsn > self.highest:
                self.highest = tsn
            return True
        self.at_once = True
        if tsn > self.highest:
            if gaps and gaps[-1][1] == tsn:
                gaps[-1][1] = tsn + 1
            elif len(gaps) < self.association.settings.max_gaps and tsn - self.cumulative < 0x10000:
                gaps.append([tsn, tsn + 1])
            else:
                return False
            self.highest = tsn
            return True
        return self._note_between(tsn)

    def _note_between(self, tsn: int) -> bool:
        """Somewhere before the highest TSN that came."""
        gaps = self.gaps
        at = bisect_right(gaps, [tsn, 1 << 62])
        touches_last = at > 0 and gaps[at - 1][1] == tsn
        touches_next = at < len(gaps) and gaps[at][0] == tsn + 1
        if touches_last and touches_next:
            gaps[at - 1][1] = gaps.pop(at)[1]
        elif touches_last:
            gaps[at - 1][1] = tsn + 1
        elif touches_next:
            gaps[at][0] = tsn
        elif len(gaps) < self.association.settings.max_gaps:
            gaps.insert(at, [tsn, tsn + 1])
        else:
            return False
        return True

    # ---- SACK

    @property
    def rwnd(self) -> int:
        """What the peer may still send; 0 rather than a silly little (section 6.2, RFC 1122 section 4.2.3.3)."""
        room = min(self.window - self.held, self.memory - self.held - OVERHEAD * self.chunks)
        return room if room >= min(self.association.settings.mtu, self.window // 2) else 0

    def packet_ends(self) -> bool | None:
        """All chunks of a packet are read: True: a SACK is due at once; False: within the delay; None: none is due."""
        if not self.touched:
            return None
        self.touched = False
        self.packets += 1
        return self.at_once or bool(self.gaps) or self.packets >= self.association.settings.sack_frequency

    def sack(self) -> bytes:
        """The chunk that tells where we are; a delayed one is not due any more."""
        cumulative = self.cumulative
        gaps = [
            (first - cumulative, end - 1 - cumulative) for first, end in self.gaps if end - 1 - cumulative < 0x10000
        ]
        self.advertised = self.rwnd
        chunk = build.sack(cumulative & BITS, self.advertised, gaps, self.duplicates)
        self.duplicates.clear()
        self.packets = 0
        self.at_once = False
        return chunk

    def taken_by_program(self, octets: int) -> bool:
        """The program took so much of what was delivered. True: the window opened enough to tell the peer."""
        octets = min(octets, sum(self.delivered) - self.taken) if octets > self.held else octets
        self.held -= octets
        self.taken += octets
        while self.delivered and self.taken >= self.delivered[0]:
            self.taken -= self.delivered.popleft()
            self.chunks -= 1
        mtu = self.association.settings.mtu
        return self.rwnd - self.advertised >= min(self.window // 2, max(mtu, self.window >> 4))
